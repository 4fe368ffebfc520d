"""What lies in an HDF5 file byte by byte: groups, arrays and attributes (HDF5 File Format Specification, version 3.0).

Written for files that nobody vouches for: every offset is checked, nothing outside the file is followed, and the work
is bounded by the file's length. Read is what Keras writes (with h5py's defaults) and what later versions write for the
same: links in symbol tables or messages, and arrays that are stored in one piece.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

UNDEFINED = 0xFFFF_FFFF_FFFF_FFFF
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LONGEST_HEADER = 1 << 16  # messages of an object


class Type(NamedTuple):
    """What an element is: a number, or text of a fixed or any length (the dtype is then None)."""

    dtype: np.dtype[Any] | None
    size: int
    text: bool = False
    padding: int = 1  # of text of a fixed size: it ends at a zero, or is filled up with zeros, or with blanks
    half: bool = False  # the upper half of a float32


class Array(NamedTuple):
    """An array: its type and shape, where its numbers begin, and its attributes."""

    type: Type
    shape: tuple[int, ...]
    offset: int
    attributes: dict[str, Any]


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
        self._data = data
        self._left = len(data) // 4 + 1024  # steps; an honest file needs fewer
        self._heaps: dict[int, dict[int, bytes]] = {}
        self.root = self._superblock()

    # Bytes

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > len(self._data):
            raise ValueError(f"damaged: {length} bytes at {offset} lie outside the file")

    def _bytes(self, offset: int, length: int) -> bytes:
        self._check(offset, length)
        return self._data[offset : offset + length]

    def _numbers(self, form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(form, self._bytes(offset, struct.calcsize(form)))

    def _spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise ValueError("damaged: its parts refer to each other more often than its length explains")

    def _superblock(self) -> int:
        if self._data[:8] != _SIGNATURE:
            raise ValueError("not an HDF5 file, or damaged")
        version = self._numbers("<8xB", 0)[0]
        if version in (0, 1):
            sizes, start = self._numbers("<13x2B", 0), 24 + 4 * version
            base, root = self._numbers("<Q", start)[0], self._numbers("<Q", start + 40)[0]
        elif version in (2, 3):
            sizes = self._numbers("<9x2B", 0)
            base, root = self._numbers("<12xQ16xQ", 0)
        else:
            raise ValueError(f"HDF5 superblocks of version {version} are not read")
        if sizes != (8, 8) or base:
            raise ValueError("HDF5 files with other addresses than 64-bit ones from the file's begin are not read")
        return int(root)

    # Objects

    def read(self, header: int) -> Folder | Array:
        """The group or array whose header is at an offset.

        Raises:
            ValueError: it is damaged, leads out of the file, or is in a form that is not read here.
        """
        messages = list(self._messages(header))
        kinds = {kind for kind, _, _ in messages}
        attributes = dict(self._attribute(*place) for kind, *place in messages if kind == 12)
        if 21 in kinds and any(self._dense(start, 2) for kind, start, _ in messages if kind == 21):
            raise ValueError("attributes in HDF5's dense form are not read")
        if 8 in kinds:
            return self._array(messages, attributes)
        members: dict[str, int] = {}
        for kind, start, length in messages:
            if kind == 6:
                name, place = self._link(start, length)
                members[name] = place
            elif kind == 17:
                members |= self._symbols(*self._numbers("<QQ", start))
            elif kind == 2 and self._dense(start, 8):
                raise ValueError("groups in HDF5's dense form are not read")
        return Folder(members, attributes)

    def _messages(self, header: int) -> Iterator[tuple[int, int, int]]:
        """The kind, place and length of each message of a header."""
        old = self._bytes(header, 4) != b"OHDR"
        if old:
            version, _, size = self._numbers("<BxHxxxxI", header)
            blocks = [(header + 16, size)]
            flags = 0
        else:
            version, flags = self._numbers("<4x2B", header)
            start = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            blocks = [(start + width, int.from_bytes(self._bytes(start, width), "little"))]
        if version != (1 if old else 2):
            raise ValueError(f"object headers of version {version} are not read")
        head = 8 if old else 6 if flags & 4 else 4
        count = 0
        while blocks:
            place, length = blocks.pop(0)
            self._check(place, length)
            end = place + length
            while place + head <= end:
                kind, size, marks = self._numbers("<HHB" if old else "<BHB", place)
                place += head
                count += 1
                self._spend()
                if place + size > end or count > _LONGEST_HEADER:
                    raise ValueError("damaged: a message is longer than its header")
                if kind == 16:
                    where, how_long = self._numbers("<QQ", place)
                    blocks.append((where, how_long) if old else (where + 4, how_long - 8))
                elif marks & 2 and kind in (1, 3, 8, 11, 12):
                    raise ValueError("messages that several objects share are not read")
                else:
                    yield kind, place, size
                place += size

    def _dense(self, start: int, order_size: int) -> bool:
        """Whether links or attributes are kept in a heap of their own."""
        _, flags = self._numbers("<BB", start)
        return bool(self._numbers("<Q", start + 2 + (order_size if flags & 1 else 0))[0] != UNDEFINED)

    # Groups

    def _link(self, start: int, length: int) -> tuple[str, int]:
        version, flags = self._numbers("<BB", start)
        place = start + 2
        kind = 0
        if flags & 8:
            kind, place = self._numbers("<B", place)[0], place + 1
        place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self._bytes(place, width), "little")
        if version != 1 or size > length:
            raise ValueError("damaged: a link is longer than its message")
        name = self._name(self._bytes(place + width, size))
        if kind != 0:
            raise ValueError(f"{name!r} is a link that leads elsewhere, which is not followed")
        return name, self._numbers("<Q", place + width + size)[0]

    def _symbols(self, tree: int, heap: int) -> dict[str, int]:
        """The members of a group in the oldest form: a tree of tables, with their names in a heap."""
        if self._bytes(heap, 4) != b"HEAP":
            raise ValueError("damaged: a group's heap is missing")
        size, _, names = self._numbers("<8xQQQ", heap)
        self._check(names, size)
        members: dict[str, int] = {}
        pending, met = [tree], set()
        while pending:
            node = pending.pop()
            self._spend()
            if node in met:
                raise ValueError("damaged: a group's tree is no tree")
            met.add(node)
            kind = self._bytes(node, 4)
            if kind == b"TREE":
                what, _, used = self._numbers("<4xBBH", node)
                if what != 0:
                    raise ValueError("damaged: a group's tree holds something else")
                self._spend(used)
                pending += [self._numbers("<Q", node + 32 + 16 * number)[0] for number in range(used)]
            elif kind == b"SNOD":
                for number in range(self._numbers("<6xH", node)[0]):
                    self._spend()
                    at, header, cached = self._numbers("<QQI", node + 8 + 40 * number)
                    if at >= size:
                        raise ValueError("damaged: a name lies outside its heap")
                    name = self._name(self._until_zero(names + at, names + size))
                    if cached == 2:
                        raise ValueError(f"{name!r} is a link that leads elsewhere, which is not followed")
                    members[name] = header
            else:
                raise ValueError("damaged: a group's table is missing")
        return members

    def _until_zero(self, start: int, end: int) -> bytes:
        found = self._data.find(b"\0", start, end)
        if found < 0:
            raise ValueError("damaged: a name does not end")
        self._spend((found - start) // 16)
        return self._data[start:found]

    def _name(self, text: bytes) -> str:
        return text.decode("utf-8", "surrogateescape")

    # Arrays

    def _array(self, messages: list[tuple[int, int, int]], attributes: dict[str, Any]) -> Array:
        places = {kind: (start, length) for kind, start, length in messages}
        if 7 in places:
            raise ValueError("an array keeps its numbers in other files, which are not read")
        if 11 in places:
            raise ValueError("compressed arrays are not read")
        if 1 not in places or 3 not in places:
            raise ValueError("damaged: an array has no shape or no type")
        kind, shape = self._type(places[3][0]), self._shape(places[1][0])
        start = places[8][0]
        version, layout = self._numbers("<BB", start)
        if version not in (3, 4):
            raise ValueError(f"arrays with a layout of version {version} are not read")
        if layout == 0:
            stored, offset = self._numbers("<H", start + 2)[0], start + 4
        elif layout == 1:
            offset, stored = self._numbers("<QQ", start + 2)
        elif layout == 3:
            raise ValueError("an array keeps its numbers in other arrays, which are not read")
        else:
            raise ValueError("arrays stored in pieces are not read")
        needed = math.prod(shape) * kind.size
        if needed:
            if offset == UNDEFINED:
                raise ValueError("an array was never written")
            if needed > stored:
                raise ValueError(f"an array claims {needed} bytes, of which the file holds {stored}")
            self._check(offset, needed)
        return Array(kind, shape, offset, attributes)

    def values(self, array: Array) -> Any:
        """An array's numbers, as a view of the file.

        Raises:
            ValueError: they are no numbers.
        """
        if array.type.dtype is None:
            raise ValueError("expects numbers, got something else")
        count = math.prod(array.shape)
        if not count:
            return np.zeros(array.shape, array.type.dtype)
        return np.frombuffer(self._data, array.type.dtype, count, array.offset).reshape(array.shape)

    def _shape(self, start: int) -> tuple[int, ...]:
        version, rank = self._numbers("<BB", start)
        if version not in (1, 2) or rank > 32:
            raise ValueError(f"shapes of version {version} and {rank} axes are not read")
        if version == 2 and self._numbers("<3xB", start)[0] == 2:
            raise ValueError("an array without a shape")
        return self._numbers(f"<{rank}Q", start + (8 if version == 1 else 4))

    def _type(self, start: int) -> Type:
        first, low, size = self._numbers("<2B2xI", start)
        kind = first & 15
        order = ">" if low & 1 else "<"
        if kind == 0 and size in (1, 2, 4, 8):
            return Type(np.dtype(f"{order}{'i' if low & 8 else 'u'}{size}"), size)
        if kind == 1:
            exponent, mantissa = self._numbers("<5xBxB", start + 8)
            if (size, exponent, mantissa) == (2, 8, 7):
                return Type(np.dtype(f"{order}u2"), size, half=True)
            if (size, exponent, mantissa) in ((2, 5, 10), (4, 8, 23), (8, 11, 52)):
                return Type(np.dtype(f"{order}f{size}"), size)
        if kind == 3:
            return Type(None, size, text=True, padding=low & 15)
        if kind == 5 and size == 2:  # how h5py keeps bfloat16
            return Type(np.dtype("<u2"), size, half=True)
        if kind == 9 and low & 15 == 1 and size == 16:
            return Type(None, 0, text=True)
        return Type(None, max(size, 1))

    # Attributes

    def _attribute(self, start: int, length: int) -> tuple[str, Any]:
        """An attribute's name and its value: text, a list of text, or None for anything else."""
        version, flags, name_size, type_size, shape_size = self._numbers("<BBHHH", start)
        if version not in (1, 2, 3) or (version > 1 and flags & 3):
            raise ValueError(f"attributes of version {version} are not read")
        place = start + (9 if version == 3 else 8)
        step = 8 if version == 1 else 1
        name = self._name(self._bytes(place, name_size).split(b"\0")[0])
        place += name_size + -name_size % step
        kind = self._type(place)
        place += type_size + -type_size % step
        shape = self._shape(place)
        place += shape_size + -shape_size % step
        if not kind.text:
            return name, None
        count, width = math.prod(shape), kind.size or 16
        if count * width > start + length - place:
            raise ValueError(f"damaged: the attribute {name!r} is longer than its message")
        items = [self._bytes(place + width * number, width) for number in range(count)]
        texts = [_unpadded(item, kind.padding) if kind.size else self._from_heap(item) for item in items]
        found = [text.decode() for text in texts]
        return name, found if shape else found[0]

    def _from_heap(self, item: bytes) -> bytes:
        """Text of any length, which lies in a collection of such."""
        length, heap, index = struct.unpack("<IQI", item)
        if not length:
            return b""
        if heap not in self._heaps:
            self._heaps[heap] = dict(self._heap_objects(heap))
        found = self._heaps[heap].get(index)
        if found is None or len(found) < length:
            raise ValueError("damaged: text is missing")
        self._spend(length // 16)
        return found[:length]

    def _heap_objects(self, heap: int) -> Iterator[tuple[int, bytes]]:
        if self._bytes(heap, 4) != b"GCOL":
            raise ValueError("damaged: a heap of text is missing")
        end = heap + self._numbers("<8xQ", heap)[0]
        place = heap + 16
        while place + 16 <= min(end, len(self._data)):
            self._spend()
            index, size = self._numbers("<H6xQ", place)
            if index == 0:
                return
            self._spend(size // 16)
            yield index, self._bytes(place + 16, size)
            place += 16 + size + -size % 8


def _unpadded(text: bytes, padding: int) -> bytes:
    if padding == 0:
        return text.split(b"\0", 1)[0]
    return text.rstrip(b" " if padding == 2 else b"\0")
