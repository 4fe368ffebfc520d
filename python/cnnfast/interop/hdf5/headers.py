"""Where an HDF5 file begins, and the messages that an object's header is made of."""

from __future__ import annotations

from collections.abc import Iterator

from cnnfast.interop.hdf5.source import Source

# Messages' kinds.
SPACE, LINK_INFO, TYPE, FILL, LINK, FILES, LAYOUT, FILTERS, ATTRIBUTE = 1, 2, 3, 5, 6, 7, 8, 11, 12
_MORE, TABLE, ATTRIBUTE_INFO = 16, 17, 21

Message = tuple[int, int, int]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LONGEST = 1 << 16  # messages of an object


def root_header(source: Source) -> int:
    """Where the header of the outermost group is.

    Raises:
        ValueError: this is no HDF5 file, or one with addresses of another form.
    """
    if source.data[:8] != _SIGNATURE:
        raise ValueError("not an HDF5 file, or damaged")
    version = source.numbers("<8xB", 0)[0]
    if version in (0, 1):
        sizes, start = source.numbers("<13x2B", 0), 24 + 4 * version
        base, root = source.numbers("<Q", start)[0], source.numbers("<Q", start + 40)[0]
    elif version in (2, 3):
        sizes = source.numbers("<9x2B", 0)
        base, root = source.numbers("<12xQ16xQ", 0)
    else:
        raise ValueError(f"HDF5 superblocks of version {version} are not read")
    if sizes != (8, 8) or base:
        raise ValueError("HDF5 files with other addresses than 64-bit ones from the file's begin are not read")
    return int(root)


def messages_of(source: Source, header: int) -> list[Message]:
    """The kind, place and length of each message of a header.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    found = []
    for kind, start, length, shared in _messages(source, header):
        if shared and kind == TYPE:
            found.append((kind, *_shared_type(source, start)))
        elif shared and kind in (SPACE, FILL, LAYOUT, FILTERS, ATTRIBUTE):
            raise ValueError("messages that several objects share are not read")
        else:
            found.append((kind, start, length))
    return found


def _messages(source: Source, header: int) -> Iterator[tuple[int, int, int, bool]]:
    old = source.part(header, 4) != b"OHDR"
    if old:
        version, _, size = source.numbers("<BxHxxxxI", header)
        blocks = [(header + 16, size)]
        flags = 0
    else:
        version, flags = source.numbers("<4x2B", header)
        start = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        blocks = [(start + width, source.integer(start, width))]
    if version != (1 if old else 2):
        raise ValueError(f"object headers of version {version} are not read")
    head = 8 if old else 6 if flags & 4 else 4
    count = 0
    while blocks:
        place, length = blocks.pop(0)
        source.check(place, length)
        end = place + length
        while place + head <= end:
            kind, size, marks = source.numbers("<HHB" if old else "<BHB", place)
            place += head
            count += 1
            source.spend()
            if place + size > end or count > _LONGEST:
                raise ValueError("damaged: a message is longer than its header")
            if kind == _MORE:
                where, how_long = source.numbers("<QQ", place)
                blocks.append((where, how_long) if old else (where + 4, how_long - 8))
            else:
                yield kind, place, size, bool(marks & 2)
            place += size


def _shared_type(source: Source, place: int) -> tuple[int, int]:
    """A type that has a name of its own in the file: the message is in its header."""
    version, kind = source.numbers("<BB", place)
    if version not in (1, 2, 3) or (version == 3 and kind != 2):
        raise ValueError("messages that several objects share are not read")
    header = source.numbers("<Q", place + (8 if version == 1 else 2))[0]
    for found, start, length, shared in _messages(source, header):
        if found == TYPE and not shared:
            return start, length
    raise ValueError("damaged: a type is missing")
