"""The objects of an HDF5 file: groups and arrays (HDF5 File Format Specification, version 3.0).

Written for files that nobody vouches for: every offset is checked, nothing outside the file is followed, and the work
is bounded by the file's length. Read is what h5py writes with any `libver`, apart from what leads to other files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.interop.hdf5.attributes import read_attribute
from cnnfast.interop.hdf5.chunks import Chunk, Chunked, chunks_within, read_chunked, stored_elements
from cnnfast.interop.hdf5.filters import Filter, expansion, read_filters
from cnnfast.interop.hdf5.headers import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    FILES,
    FILL,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    SPACE,
    TABLE,
    TYPE,
    Message,
    messages_of,
    root_header,
)
from cnnfast.interop.hdf5.heaps import FractalHeap, TextHeaps
from cnnfast.interop.hdf5.kinds import Shape, Type, read_shape, read_type
from cnnfast.interop.hdf5.layouts import Layout, Piece, check_stored, read_layout
from cnnfast.interop.hdf5.links import dense_links, read_link, table_links
from cnnfast.interop.hdf5.source import UNDEFINED, Source
from cnnfast.interop.hdf5.trees import records

_ATTRIBUTES_BY_NAME = 8  # the kind of records of a tree of attributes


class Array(NamedTuple):
    """An array: its type and shape, where its elements are and what was done to them, and its attributes."""

    type: Type
    space: Shape
    layout: Layout
    filters: tuple[Filter, ...]
    fill: bytes
    attributes: dict[str, Any]

    @property
    def in_chunks(self) -> Chunked | None:
        """What tells the elements, unless they are in one piece or are no numbers."""
        if isinstance(self.layout, Piece) or self.type.dtype is None:
            return None
        return Chunked(self.space, self.type.dtype, self.layout, self.filters, self.fill)

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.space.now


class Folder(NamedTuple):
    """A group: where its members' headers are, by name, and its attributes."""

    members: dict[str, int]
    attributes: dict[str, Any]


class Objects:
    """The objects of a file, found by the offsets of their headers.

    Args:
        data: the file's bytes.

    Raises:
        ValueError: it is no HDF5 file, or in a form that is not read here.
    """

    def __init__(self, data: bytes) -> None:
        self._source = Source(data)
        self._texts = TextHeaps(self._source)
        self._chunks: dict[Chunked, list[Chunk]] = {}
        self.root = root_header(self._source)

    def read(self, header: int) -> Folder | Array:
        """The group or array whose header is at an offset.

        Raises:
            ValueError: it is damaged, leads out of the file, or is in a form that is not read here.
        """
        source = self._source
        messages = messages_of(source, header)
        attributes = self._attributes(messages)
        if any(kind == LAYOUT for kind, _, _ in messages):
            return _array(source, messages, attributes)
        members: dict[str, int] = {}
        for kind, start, length in messages:
            if kind == LINK:
                name, place = read_link(source, start, length)
                members[name] = place
            elif kind == TABLE:
                members |= table_links(source, *source.numbers("<QQ", start))
            elif kind == LINK_INFO and (dense := _dense(source, start, 8)):
                members |= dense_links(source, *dense)
        return Folder(members, attributes)

    def _attributes(self, messages: list[Message]) -> dict[str, Any]:
        source = self._source
        found = [(start, length) for kind, start, length in messages if kind == ATTRIBUTE]
        for kind, start, _ in messages:
            if kind == ATTRIBUTE_INFO and (dense := _dense(source, start, 2)):
                heap = FractalHeap(source, dense[0])
                size, places = records(source, dense[1], _ATTRIBUTES_BY_NAME)
                if size != heap.id_size + 9:
                    raise ValueError("damaged: the tree and the heap of attributes do not fit")
                found += [heap.place(place) for place in places]
        return dict(read_attribute(source, self._texts, *place) for place in found)

    def values(self, array: Array) -> npt.NDArray[Any]:
        """An array's numbers; those in one piece as a view of the file.

        Raises:
            ValueError: they are no numbers, or damaged.
        """
        if array.type.dtype is None:
            raise ValueError("expects numbers, got something else")
        count = math.prod(array.shape)
        if not count:
            return np.zeros(array.shape, array.type.dtype)
        if isinstance(array.layout, Piece):
            if array.layout.offset == UNDEFINED:
                raise ValueError("an array was never written")
            return np.frombuffer(self._source.data, array.type.dtype, count, array.layout.offset).reshape(array.shape)
        assert array.in_chunks is not None
        return read_chunked(self._source, array.in_chunks, self._chunks_of(array.in_chunks))

    def elements(self, arrays: Iterable[Array]) -> int:
        """How many numbers of some arrays the file can really hold, whatever their shapes say."""
        total, most = 0, 1
        for array in arrays:
            chunked = array.in_chunks
            if chunked is not None:
                most = max(most, expansion(array.filters))
                total += stored_elements(chunked, self._chunks_of(chunked))
            elif isinstance(array.layout, Piece) and array.layout.offset != UNDEFINED:
                total += math.prod(array.shape)
        return min(most * len(self._source.data), total)

    def _chunks_of(self, array: Chunked) -> list[Chunk]:
        if array not in self._chunks:
            self._chunks[array] = chunks_within(self._source, array)
        return self._chunks[array]


def _dense(source: Source, start: int, order_size: int) -> tuple[int, int] | None:
    """The heap and the tree of links or attributes that are not in the header, if there are such."""
    _, flags = source.numbers("<BB", start)
    heap, tree = source.numbers("<QQ", start + 2 + (order_size if flags & 1 else 0))
    return None if heap == UNDEFINED else (heap, tree)


def _array(source: Source, messages: list[Message], attributes: dict[str, Any]) -> Array:
    places = {kind: start for kind, start, _ in messages}
    if FILES in places:
        raise ValueError("an array keeps its numbers in other files, which are not read")
    if SPACE not in places or TYPE not in places:
        raise ValueError("damaged: an array has no shape or no type")
    kind, shape = read_type(source, places[TYPE]), read_shape(source, places[SPACE])
    if shape is None:
        return Array(kind._replace(dtype=None), Shape((), ()), Piece(0, 0), (), b"", attributes)
    layout = read_layout(source, places[LAYOUT], shape, kind.size or 16)
    check_stored(source, layout, shape, kind.size)
    filters = read_filters(source, places[FILTERS]) if FILTERS in places else ()
    fill = _fill(source, places[FILL]) if FILL in places else b""
    return Array(kind, shape, layout, filters, fill, attributes)


def _fill(source: Source, start: int) -> bytes:
    """The value of elements that nobody has written; empty where it is zero."""
    version, flags, _, defined = source.numbers("<4B", start)
    if version == 3:
        defined, place = flags & 0x20, start + 2
    else:
        place = start + 4
    if not defined or version not in (2, 3):
        return b""
    return source.part(place + 4, min(source.numbers("<I", place)[0], 8))
