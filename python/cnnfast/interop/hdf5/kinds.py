"""What the elements of an array or an attribute are, and how many: HDF5's messages of types and of shapes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnfast.interop.hdf5.source import UNDEFINED, Source


class Type(NamedTuple):
    """What an element is: a number, or text of a fixed or any length (the dtype is then None)."""

    dtype: np.dtype[Any] | None
    size: int
    text: bool = False
    padding: int = 1  # of text of a fixed size: it ends at a zero, or is filled up with zeros, or with blanks
    half: bool = False  # the upper half of a float32


class Shape(NamedTuple):
    """The lengths of an array's axes, and how long they may become (`UNDEFINED` for any length)."""

    now: tuple[int, ...]
    most: tuple[int, ...]


def read_type(source: Source, start: int) -> Type:
    """The type in a message."""
    first, low, size = source.numbers("<2B2xI", start)
    kind = first & 15
    if kind == 8:  # an enumeration, h5py's form of truth values: as the integers it is made of
        kind, (first, low) = 0, source.numbers("<2B", start + 8)
        start += 8
        if first & 15:
            return Type(None, max(size, 1))
    order = ">" if low & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8) and source.numbers("<HH", start + 8) == (0, 8 * size):
        return Type(np.dtype(f"{order}{'i' if low & 8 else 'u'}{size}"), size)
    if kind == 1:
        exponent, mantissa = source.numbers("<5xBxB", start + 8)
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


def read_shape(source: Source, start: int) -> Shape | None:
    """The shape in a message; None where it is that of nothing at all, not even of a scalar.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    version, rank, flags, kind = source.numbers("<4B", start)
    if version not in (1, 2) or rank > 32:
        raise ValueError(f"shapes of version {version} and {rank} axes are not read")
    if version == 2 and kind == 2:
        return None
    place = start + (8 if version == 1 else 4)
    now = source.numbers(f"<{rank}Q", place)
    most = source.numbers(f"<{rank}Q", place + 8 * rank) if flags & 1 else now
    if any(length > longest for length, longest in zip(now, most, strict=True)) or UNDEFINED in now:
        raise ValueError(f"damaged: an array of shape {now} may have {most} at most")
    return Shape(now, most)
