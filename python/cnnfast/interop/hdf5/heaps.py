"""Where HDF5 keeps what has no fixed length: texts in global heaps, many links or attributes in fractal heaps."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cnnfast.interop.hdf5.source import Source, bytes_for
from cnnfast.interop.hdf5.trees import records

_HUGE = 1  # the kind of records of a tree of a heap's largest objects


class TextHeaps:
    """Texts of any length, which lie in collections anywhere in a file.

    Args:
        source: the file.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._collections: dict[int, dict[int, bytes]] = {}

    def text(self, item: bytes) -> bytes:
        """The text that an element of 16 bytes refers to.

        Raises:
            ValueError: it is not there.
        """
        length, heap, index = struct.unpack("<IQI", item)
        if not length:
            return b""
        if heap not in self._collections:
            self._collections[heap] = dict(self._objects(heap))
        found = self._collections[heap].get(index)
        if found is None or len(found) < length:
            raise ValueError("damaged: text is missing")
        self._source.spend(length // 16)
        return found[:length]

    def _objects(self, heap: int) -> Iterator[tuple[int, bytes]]:
        source = self._source
        source.expect(b"GCOL", heap, "a heap of text")
        end = heap + source.numbers("<8xQ", heap)[0]
        place = heap + 16
        while place + 16 <= min(end, len(source.data)):
            source.spend()
            index, size = source.numbers("<H6xQ", place)
            if index == 0:
                return
            source.spend(size // 16)
            yield index, source.part(place + 16, size)
            place += 16 + size + -size % 8


class FractalHeap:
    """A heap whose blocks double in size from row to row of a table, with tables in tables where it is large.

    Args:
        source: the file.
        header: where the heap begins.

    Raises:
        ValueError: it is damaged, or compressed.
    """

    def __init__(self, source: Source, header: int) -> None:
        self._source = source
        source.expect(b"FRHP", header, "a heap")
        self.id_size, filters, flags, largest = source.numbers("<HHBI", header + 5)
        if filters:
            raise ValueError("compressed groups are not read")
        self._huge_tree = source.numbers("<Q", header + 22)[0]
        self._width, self._smallest, self._largest, bits = source.numbers("<HQQH", header + 110)
        self._root, self._rows = source.numbers("<QH", header + 132)
        if not all(_is_power(n) for n in (self._width, self._smallest, self._largest)) or not 0 < bits <= 64:
            raise ValueError("damaged: a heap's sizes are no powers of two")
        self._offset_size = (bits + 7) // 8
        self._length_size = bytes_for(min(self._largest, largest))
        self._head = 13 + self._offset_size + (4 if flags & 2 else 0)
        self._huge: dict[int, tuple[int, int]] | None = None

    def place(self, identity: int) -> tuple[int, int]:
        """Where in the file an object is, and how long it is.

        Args:
            identity: where the object's identifier is.

        Raises:
            ValueError: there is no such object.
        """
        source = self._source
        source.spend()
        source.check(identity, self.id_size)
        flags = source.data[identity]
        kind = flags >> 4 & 3
        if kind == 0:
            offset = source.integer(identity + 1, self._offset_size)
            length = source.integer(identity + 1 + self._offset_size, self._length_size)
            return self._managed(offset, length), length
        if kind == 1:
            return self._at_large(identity)
        # A small object is its own identifier.
        if self.id_size <= 17:
            start, length = identity + 1, (flags & 15) + 1
        else:
            start, length = identity + 2, ((flags & 15) << 8 | source.integer(identity + 1, 1)) + 1
        if start + length > identity + self.id_size:
            raise ValueError("damaged: a heap's object is longer than its identifier")
        return start, length

    def _managed(self, offset: int, length: int) -> int:
        """Down the tables to the block that an offset lies in."""
        source, table, rows = self._source, self._root, self._rows
        start, size = 0, self._smallest  # of what the table's entry covers
        while rows:
            source.spend()
            source.expect(b"FHIB", table, "a heap's table")
            first = (offset - start) // (self._smallest * self._width)
            row = first.bit_length()
            if row >= rows:
                break
            size = self._smallest << max(row - 1, 0)
            begin = size * self._width if row else 0
            column = (offset - start - begin) // size
            entry = table + 13 + self._offset_size + 8 * (row * self._width + column)
            table = source.numbers("<Q", entry)[0]
            start += begin + column * size
            rows = 0 if size <= self._largest else row - (self._width.bit_length() - 1)
        if not start <= offset or offset + length > start + size or offset - start < self._head or rows:
            raise ValueError("damaged: a heap's object lies outside its blocks")
        source.expect(b"FHDB", table, "a heap's block")
        source.check(table, size)
        return table + offset - start

    def _at_large(self, identity: int) -> tuple[int, int]:
        """An object that is too long for the blocks, by itself in the file."""
        source = self._source
        if self.id_size > 16:
            start, length = source.numbers("<QQ", identity + 1)
            return start, length
        if self._huge is None:
            _, places = records(source, self._huge_tree, _HUGE)
            found = (source.numbers("<QQQ", place) for place in places)
            self._huge = {number: (start, length) for start, length, number in found}
        number = source.integer(identity + 1, min(self.id_size - 1, 8))
        if number not in self._huge:
            raise ValueError("damaged: a heap's object is missing")
        return self._huge[number]


def _is_power(number: int) -> bool:
    return number > 0 and not number & (number - 1)
