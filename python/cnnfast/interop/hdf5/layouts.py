"""How an array lies in a file: in one piece, or in chunks that an index leads to."""

from __future__ import annotations

import math
from typing import NamedTuple

from cnnfast.interop.hdf5.kinds import Shape
from cnnfast.interop.hdf5.source import UNDEFINED, Source

# Kinds of indices; files name all but the oldest by these numbers.
OLD_TREE, SINGLE, IMPLICIT, FIXED, EXTENSIBLE, TREE = range(6)
_PARAMETERS = {IMPLICIT: 0, FIXED: 1, EXTENSIBLE: 5, TREE: 6}  # their bytes


class Piece(NamedTuple):
    """Elements one after the other, and how many bytes there are."""

    offset: int
    stored: int


class Chunks(NamedTuple):
    """Blocks of one shape, those at the edges reaching beyond the array.

    `single` is the size and the filters' mask of the only chunk, where the index is none but that and it is filtered;
    `whole_edges` whether chunks at the edges are filtered too.
    """

    shape: tuple[int, ...]
    kind: int
    root: int
    single: tuple[int, int] | None = None
    whole_edges: bool = True


Layout = Piece | Chunks


def read_layout(source: Source, start: int, shape: Shape, element_size: int) -> Layout:
    """The layout in a message.

    Args:
        source: the file.
        start: where the message begins.
        shape: the array's.
        element_size: bytes of an element.

    Raises:
        ValueError: it is damaged, of another version, or leads to other arrays.
    """
    version, layout = source.numbers("<BB", start)
    if version not in (3, 4, 5):  # 5 is 4 with wider sizes in the indices, which tell how wide they are
        raise ValueError(f"arrays with a layout of version {version} are not read")
    if layout == 0:
        return Piece(start + 4, source.numbers("<H", start + 2)[0])
    if layout == 1:
        return Piece(*source.numbers("<QQ", start + 2))
    if layout == 3:
        raise ValueError("an array keeps its numbers in other arrays, which are not read")
    if layout != 2:
        raise ValueError(f"damaged: an array has the layout {layout}")
    found, lengths = (_old_chunks if version == 3 else _chunks)(source, start)
    if len(found.shape) != len(shape.now) or lengths[-1] != element_size or 0 in found.shape:
        raise ValueError(f"damaged: an array of shape {shape.now} has chunks of {lengths[:-1]}")
    return found


def check_stored(source: Source, layout: Layout, shape: Shape, element_size: int) -> None:
    """Check that the file has an array's elements, if they are in one piece and somebody has written them.

    Raises:
        ValueError: it has not.
    """
    needed = math.prod(shape.now) * element_size
    if needed and isinstance(layout, Piece) and layout.offset != UNDEFINED:
        if needed > layout.stored:
            raise ValueError(f"an array claims {needed} bytes, of which the file holds {layout.stored}")
        source.check(layout.offset, needed)


def _old_chunks(source: Source, start: int) -> tuple[Chunks, tuple[int, ...]]:
    rank, index = source.numbers("<BQ", start + 2)
    lengths = source.numbers(f"<{_counted(rank)}I", start + 11)
    return Chunks(lengths[:-1], OLD_TREE, index), lengths


def _chunks(source: Source, start: int) -> tuple[Chunks, tuple[int, ...]]:
    flags, rank, width = source.numbers("<BBB", start + 2)
    if not 1 <= width <= 8:
        raise ValueError(f"damaged: lengths of {width} bytes")
    place = start + 5
    lengths = tuple(source.integer(place + width * axis, width) for axis in range(_counted(rank)))
    place += width * rank
    kind, place = source.integer(place, 1), place + 1
    single = None
    if kind == SINGLE and flags & 2:
        single, place = source.numbers("<QI", place), place + 12
    elif kind != SINGLE:
        if kind not in _PARAMETERS:
            raise ValueError(f"damaged: chunks have an index of kind {kind}")
        place += _PARAMETERS[kind]
    index = source.numbers("<Q", place)[0]
    return Chunks(lengths[:-1], kind, index, single, not flags & 1), lengths


def _counted(rank: int) -> int:
    """The number of a chunk's lengths, the last of which is an element's."""
    if not 2 <= rank <= 33:
        raise ValueError(f"damaged: chunks of {rank - 1} axes")
    return rank
