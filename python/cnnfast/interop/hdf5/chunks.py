"""The elements of arrays that lie in chunks: which chunks there are, and what is in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.interop.hdf5 import layouts
from cnnfast.interop.hdf5.chunk_arrays import extensible_entries, fixed_entries
from cnnfast.interop.hdf5.filters import Filter, expansion, undo
from cnnfast.interop.hdf5.kinds import Shape
from cnnfast.interop.hdf5.layouts import Chunks
from cnnfast.interop.hdf5.source import UNDEFINED, Source
from cnnfast.interop.hdf5.trees import records

_PLAIN, _FILTERED = 10, 11  # the kinds of records of a tree of chunks


class Chunk(NamedTuple):
    """Where a chunk lies in the array (in chunks) and in the file, and a bit for each filter it did not go through."""

    at: tuple[int, ...]
    place: int
    stored: int
    skipped: int


class Chunked(NamedTuple):
    """All that tells the elements of an array in chunks."""

    shape: Shape
    dtype: np.dtype[Any]
    layout: Chunks
    filters: tuple[Filter, ...]
    fill: bytes


def chunks_within(source: Source, array: Chunked) -> list[Chunk]:
    """The chunks that reach into an array.

    Raises:
        ValueError: their index is damaged, or they lie outside the file.
    """
    shape, chunk_shape = array.shape.now, array.layout.shape
    if math.prod(shape) == 0 or array.layout.root == UNDEFINED:
        return []
    counts = [-(-length // chunk) for length, chunk in zip(shape, chunk_shape, strict=True)]
    found = []
    left = len(source.data)
    for chunk in _all_chunks(source, array):
        source.check(chunk.place, chunk.stored)
        if all(number < count for number, count in zip(chunk.at, counts, strict=True)):
            left -= chunk.stored
            if left < 0:
                raise ValueError("damaged: an array's chunks are more than the file")
            found.append(chunk)
    return found


def read_chunked(source: Source, array: Chunked, chunks: Sequence[Chunk]) -> npt.NDArray[Any]:
    """The elements; where nobody has written any, the file's value for that.

    Args:
        source: the file.
        array: what is to be read.
        chunks: those that `chunks_within` found.

    Raises:
        ValueError: the file is damaged, compressed in a way that is not read here, or has no chunk at all.
    """
    if not chunks:
        raise ValueError("an array was never written")
    shape, chunk_shape = array.shape.now, array.layout.shape
    size = math.prod(chunk_shape) * array.dtype.itemsize
    values = _blank(array)
    for chunk in chunks:
        source.spend(chunk.stored // 16)
        start = [number * length for number, length in zip(chunk.at, chunk_shape, strict=True)]
        inside = [min(length, total - s) for length, total, s in zip(chunk_shape, shape, start, strict=True)]
        filters: Sequence[Filter] = array.filters
        if not array.layout.whole_edges and tuple(inside) != chunk_shape:
            filters = ()
        data = undo(filters, chunk.skipped, source.view(chunk.place, chunk.stored), size)
        block = np.frombuffer(data, array.dtype).reshape(chunk_shape)
        where = tuple(slice(s, s + length) for s, length in zip(start, inside, strict=True))
        values[where] = block[tuple(map(slice, inside))]
    return values


def stored_elements(array: Chunked, chunks: Sequence[Chunk]) -> int:
    """How many of the elements the file can really hold."""
    stored = expansion(array.filters) * sum(chunk.stored for chunk in chunks)
    return min(math.prod(array.shape.now), stored // array.dtype.itemsize)


def _blank(array: Chunked) -> npt.NDArray[Any]:
    if len(array.fill) != array.dtype.itemsize or not any(array.fill):
        return np.zeros(array.shape.now, array.dtype)
    return np.full(array.shape.now, np.frombuffer(array.fill, array.dtype)[0])


def _all_chunks(source: Source, array: Chunked) -> Iterator[Chunk]:
    layout, rank = array.layout, len(array.shape.now)
    size = math.prod(layout.shape) * array.dtype.itemsize
    if layout.kind == layouts.SINGLE:
        stored, skipped = layout.single or (size, 0)
        yield Chunk((0,) * rank, layout.root, stored, skipped)
    elif layout.kind == layouts.OLD_TREE:
        yield from _old_tree(source, layout)
    elif layout.kind == layouts.TREE:
        yield from _tree(source, array, size)
    else:
        yield from _numbered(source, array, size)


def _old_tree(source: Source, layout: Chunks) -> Iterator[Chunk]:
    """A version 1 B-tree, whose keys are the places in the array, in elements."""
    rank = len(layout.shape)
    key = 16 + 8 * rank
    pending = [(layout.root, -1)]
    while pending:
        node, expected = pending.pop()
        source.expect(b"TREE", node, "an index's node")
        kind, level, used = source.numbers("<BBH", node + 4)
        if kind != 1 or (expected >= 0 and level != expected):
            raise ValueError("damaged: the index of an array's chunks is no tree")
        source.spend(1 + used)
        for place in range(node + 24, node + 24 + used * (key + 8), key + 8):
            child = source.numbers("<Q", place + key)[0]
            if level:
                pending.append((child, level - 1))
                continue
            stored, skipped, *start = source.numbers(f"<II{rank}Q", place)
            if any(s % length for s, length in zip(start, layout.shape, strict=True)):
                raise ValueError("damaged: a chunk lies between others")
            at = tuple(s // length for s, length in zip(start, layout.shape, strict=True))
            yield Chunk(at, child, stored, skipped)


def _tree(source: Source, array: Chunked, size: int) -> Iterator[Chunk]:
    rank, filtered = len(array.shape.now), bool(array.filters)
    length, places = records(source, array.layout.root, _FILTERED if filtered else _PLAIN)
    for place in places:
        at = source.numbers(f"<{rank}Q", place + length - 8 * rank)
        yield _entry(source, at, place, length - 8 * rank, size, filtered)


def _numbered(source: Source, array: Chunked, size: int) -> Iterator[Chunk]:
    """Chunks with numbers, counted along the last axis first; an axis without an end comes before all others."""
    layout, most, rank = array.layout, array.shape.most, len(array.shape.now)
    order = list(range(rank))
    if layout.kind == layouts.EXTENSIBLE and UNDEFINED in most:
        order.insert(0, order.pop(most.index(UNDEFINED)))
    counts = [-(-most[axis] // layout.shape[axis]) for axis in order]
    if layout.kind == layouts.IMPLICIT:
        total = math.prod(counts)
        source.check(layout.root, total * size)
        source.spend(total)
        for number in range(total):
            yield Chunk(_place_of(number, counts, order), layout.root + number * size, size, 0)
        return
    length, entries = (extensible_entries if layout.kind == layouts.EXTENSIBLE else fixed_entries)(source, layout.root)
    for number, place in entries:
        if source.numbers("<Q", place)[0] != UNDEFINED:
            yield _entry(source, _place_of(number, counts, order), place, length, size, bool(array.filters))


def _place_of(number: int, counts: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    at = [0] * len(order)
    for axis, count in zip(order[:0:-1], counts[:0:-1], strict=True):
        number, at[axis] = divmod(number, count)
    at[order[0]] = number
    return tuple(at)


def _entry(source: Source, at: tuple[int, ...], place: int, length: int, size: int, filtered: bool) -> Chunk:
    """What an index says of a chunk; of filtered ones also how long it became, in as many bytes as are left."""
    width = length - 12 if filtered else 0
    if not (1 <= width <= 8 if filtered else length == 8):
        raise ValueError("damaged: an index's entries have another length")
    address = source.numbers("<Q", place)[0]
    if not filtered:
        return Chunk(at, address, size, 0)
    stored = source.integer(place + 8, width)
    return Chunk(at, address, stored, source.numbers("<I", place + 8 + width)[0])
