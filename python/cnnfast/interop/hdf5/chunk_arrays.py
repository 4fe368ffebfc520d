"""Two indices of chunks that are arrays: of a fixed length, and of one that grows along one axis.

An entry's number is the chunk's among all that there may ever be. What was never written is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnnfast.interop.hdf5.source import UNDEFINED, Source

Entries = Iterator[tuple[int, int]]

_CHECKSUM = 4
_PREFIX = 14  # bytes of a block before what is its own: a signature, version, kind and the header's place


def fixed_entries(source: Source, header: int) -> tuple[int, Entries]:
    """The length of an entry, and each entry's number and place, of an array of a fixed length.

    Raises:
        ValueError: it is damaged.
    """
    source.expect(b"FAHD", header, "an index")
    size, page_bits, count, block = source.numbers("<BBQQ", header + 6)
    return size, _fixed(source, size, page_bits, count, block)


def _fixed(source: Source, size: int, page_bits: int, count: int, block: int) -> Entries:
    if block == UNDEFINED:
        return
    source.expect(b"FADB", block, "an index's block")
    start = block + _PREFIX
    if page_bits > 63 or count <= 1 << page_bits:
        yield from _entries(source, 0, count, start, size)
        return
    page = 1 << page_bits
    pages = -(-count // page)
    bits, start = start, start + (pages + 7) // 8 + _CHECKSUM
    source.check(bits, start - bits)
    for number in range(pages):
        if _bit(source, bits, number):
            place = start + number * (page * size + _CHECKSUM)
            yield from _entries(source, number * page, min(page, count - number * page), place, size)


def extensible_entries(source: Source, header: int) -> tuple[int, Entries]:
    """The same of an array that grows: blocks of blocks, in pairs of which each is twice as long as the one before.

    Raises:
        ValueError: it is damaged.
    """
    source.expect(b"EAHD", header, "an index")
    size, bits, direct, least, pointers, page_bits = source.numbers("<6B", header + 6)
    used, block = source.numbers("<32xQ8xQ", header + 12)
    if bits > 64 or page_bits > 63 or not least or not pointers or least & (least - 1) or pointers & (pointers - 1):
        raise ValueError("damaged: an index's sizes are no powers of two")
    return size, _extensible(source, (size, bits, direct, least, pointers, 1 << page_bits), used, block)


def _extensible(source: Source, sizes: tuple[int, ...], used: int, block: int) -> Entries:
    size, bits, direct, least, pointers, page = sizes
    if block == UNDEFINED:
        return
    source.expect(b"EAIB", block, "an index's block")
    yield from _entries(source, 0, min(direct, used), block + _PREFIX, size)
    number = direct
    place = block + _PREFIX + direct * size  # of the addresses of the first data blocks, then of those of tables
    head = _PREFIX + (bits + 7) // 8
    for level in range(1 + bits - (least.bit_length() - 1)):
        if number >= used:
            return
        source.spend()
        blocks, length = 1 << level // 2, least << (level + 1) // 2
        bitmap = 0
        if level < 2 * (pointers.bit_length() - 1):
            addresses, place = place, place + 8 * blocks
        else:
            table, place = source.numbers("<Q", place)[0], place + 8
            if table == UNDEFINED:
                number += blocks * length
                continue
            source.expect(b"EASB", table, "an index's table")
            addresses = table + head
            if length > page:
                bitmap = addresses
                addresses += blocks * ((length // page + 7) // 8)
        for which in range(blocks):
            if number >= used:
                return
            data = source.numbers("<Q", addresses + 8 * which)[0]
            source.spend()
            if data != UNDEFINED:
                source.expect(b"EADB", data, "an index's block")
                if bitmap:
                    yield from _paged(source, number, data + head, (length, page, size), bitmap, which)
                else:
                    yield from _entries(source, number, min(length, used - number), data + head, size)
            number += length


def _paged(source: Source, number: int, start: int, sizes: tuple[int, int, int], bitmap: int, which: int) -> Entries:
    """The entries of a long data block; pages that nobody has written are left out."""
    length, page, size = sizes
    pages = length // page
    for position in range(pages):
        if _bit(source, bitmap, which * pages + position):
            place = start + _CHECKSUM + position * (page * size + _CHECKSUM)
            yield from _entries(source, number + position * page, page, place, size)


def _entries(source: Source, number: int, count: int, start: int, size: int) -> Entries:
    source.check(start, count * size)
    source.spend(count)
    yield from zip(range(number, number + count), range(start, start + count * size, max(size, 1)), strict=False)


def _bit(source: Source, bitmap: int, number: int) -> bool:
    source.spend()
    return bool(source.integer(bitmap + number // 8, 1) & 0x80 >> number % 8)
