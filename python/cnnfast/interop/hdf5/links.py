"""Where the members of HDF5's groups are: links in messages, in a heap, or in the oldest form's tables."""

from __future__ import annotations

from cnnfast.interop.hdf5.heaps import FractalHeap
from cnnfast.interop.hdf5.source import Source, as_name
from cnnfast.interop.hdf5.trees import records

_BY_NAME = 5  # the kind of records of a tree of links


def read_link(source: Source, start: int, length: int) -> tuple[str, int]:
    """A link's name, and where the header of the object is.

    Args:
        source: the file.
        start: where the link's message begins.
        length: that of the message.

    Raises:
        ValueError: it is damaged, or leads to a place that has to be looked for.
    """
    version, flags = source.numbers("<BB", start)
    place = start + 2
    kind = 0
    if flags & 8:
        kind, place = source.numbers("<B", place)[0], place + 1
    place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    size = source.integer(place, width)
    if version != 1 or size > length:
        raise ValueError("damaged: a link is longer than its message")
    name = as_name(source.part(place + width, size))
    if kind != 0:
        raise ValueError(f"{name!r} is a link that leads elsewhere, which is not followed")
    return name, source.numbers("<Q", place + width + size)[0]


def dense_links(source: Source, heap: int, tree: int) -> dict[str, int]:
    """The members of a large group, whose links lie in a heap."""
    found = FractalHeap(source, heap)
    size, places = records(source, tree, _BY_NAME)
    if size != 4 + found.id_size:
        raise ValueError("damaged: a group's tree and its heap do not fit")
    return dict(read_link(source, *found.place(place + 4)) for place in places)


def table_links(source: Source, tree: int, heap: int) -> dict[str, int]:
    """The members of a group in the oldest form: a tree of tables, with their names in a heap."""
    source.expect(b"HEAP", heap, "a group's heap")
    size, _, names = source.numbers("<8xQQQ", heap)
    source.check(names, size)
    members: dict[str, int] = {}
    pending, met = [tree], set()
    while pending:
        node = pending.pop()
        source.spend()
        if node in met:
            raise ValueError("damaged: a group's tree is no tree")
        met.add(node)
        kind = source.part(node, 4)
        if kind == b"TREE":
            what, _, used = source.numbers("<4xBBH", node)
            if what != 0:
                raise ValueError("damaged: a group's tree holds something else")
            source.spend(used)
            pending += [source.numbers("<Q", node + 32 + 16 * number)[0] for number in range(used)]
        elif kind == b"SNOD":
            for number in range(source.numbers("<6xH", node)[0]):
                source.spend()
                at, header, cached = source.numbers("<QQI", node + 8 + 40 * number)
                if at >= size:
                    raise ValueError("damaged: a name lies outside its heap")
                name = as_name(_until_zero(source, names + at, names + size))
                if cached == 2:
                    raise ValueError(f"{name!r} is a link that leads elsewhere, which is not followed")
                members[name] = header
        else:
            raise ValueError("damaged: a group's table is missing")
    return members


def _until_zero(source: Source, start: int, end: int) -> bytes:
    found = source.data.find(b"\0", start, end)
    if found < 0:
        raise ValueError("damaged: a name does not end")
    source.spend((found - start) // 16)
    return source.data[start:found]
