"""HDF5's version 2 B-trees: records of one length in nodes, which say where links, attributes or chunks are."""

from __future__ import annotations

from collections.abc import Iterator

from cnnfast.interop.hdf5.source import UNDEFINED, Source, bytes_for

_FRAME = 10  # bytes of a node around its records: a signature, version, type and checksum
_DEEPEST = 60  # levels; with two children a node that is more than any file holds


def records(source: Source, header: int, kind: int) -> tuple[int, Iterator[int]]:
    """The length of a tree's records, and where each of them is, in no order that matters.

    Args:
        source: the file.
        header: where the tree begins.
        kind: the number of the kind of records that it must hold.

    Raises:
        ValueError: it is damaged, or no such tree.
    """
    source.expect(b"BTHD", header, "a tree")
    found, node_size, size, depth = source.numbers("<xBIHH", header + 4)
    root, count = source.numbers("<QH", header + 16)
    if found != kind or not size or depth > _DEEPEST:
        raise ValueError(f"damaged: a tree of {depth} levels holds records of kind {found}, not {kind}")
    return size, _walk(source, (root, count), node_size, size, depth)


def _walk(source: Source, root: tuple[int, int], node_size: int, size: int, depth: int) -> Iterator[int]:
    if root[0] == UNDEFINED:
        return
    count_width, total_widths = _widths(node_size, size, depth)
    pending = [(*root, depth)]
    while pending:
        node, count, level = pending.pop()
        source.spend(1 + count)
        source.expect(b"BTIN" if level else b"BTLF", node, "a tree's node")
        place = node + 6
        if 6 + count * size > node_size:
            raise ValueError("damaged: a tree's node holds more than fits in it")
        yield from range(place, place + count * size, size)
        if not level:
            continue
        place += count * size
        for _ in range(count + 1):
            child = source.numbers("<Q", place)[0]
            pending.append((child, source.integer(place + 8, count_width), level - 1))
            place += 8 + count_width + total_widths[level - 1]


def _widths(node_size: int, size: int, depth: int) -> tuple[int, list[int]]:
    """How many bytes tell a child's records, and those of all below it, which depends on how many may be there."""
    most = (node_size - _FRAME) // size
    count_width, total, widths = bytes_for(most), most, [0]
    for level in range(depth):
        pointer = 8 + count_width + widths[level]
        inside = (node_size - _FRAME - pointer) // (size + pointer)
        if inside < 1:
            raise ValueError("damaged: nothing fits in a tree's node")
        total = (inside + 1) * total + inside
        widths.append(bytes_for(total))
    return count_width, widths
