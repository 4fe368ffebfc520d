"""Borders added to images, sequences and volumes, and cut off: one implementation each, told apart by `rank`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import ops
from cnnfast.arguments import integer
from cnnfast.layers.base import Shape
from cnnfast.layers.spatial import SpatialLayer

Border = int | Sequence[int] | Sequence[Sequence[int]]
Pairs = tuple[tuple[int, int], ...]


def border_pairs(owner: str, name: str, value: Any, rank: int) -> Pairs:
    """One (before, after) pair per spatial axis, from a number for all, one number per axis, or the pairs.

    Over one axis two numbers are a pair.

    Raises:
        TypeError: a width is not an integer.
        ValueError: a width is negative, or there are other numbers of them.

    Example:
        >>> border_pairs("ZeroPadding2D", "padding", (1, (0, 2)), 2)
        ((1, 1), (0, 2))
    """
    entries: Any = value if isinstance(value, (list, tuple)) else (value,) * rank
    if rank == 1 and len(entries) == 2:
        entries = (entries,)
    pairs = [entry if isinstance(entry, (list, tuple)) else (entry, entry) for entry in entries]
    if len(pairs) != rank or any(len(pair) != 2 for pair in pairs):
        what = "an integer or a pair" if rank == 1 else f"an integer, or {rank} of them or of pairs"
        raise ValueError(f"{owner}: {name} expects {what}, got {value}")
    widths = tuple((integer(owner, name, a), integer(owner, name, b)) for a, b in pairs)
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError(f"{owner}: {name} expects no negative widths, got {value}")
    return widths


class _ZeroPadding(SpatialLayer):
    """A border of zeros, over any number of axes."""

    padding: Pairs

    def _compute(self, x: Any) -> Any:
        return ops.pad(x, ((0, 0), *self.padding, (0, 0)))

    def _output_shape(self, input_shape: Shape) -> Shape:
        sizes = (None if n is None else n + sum(pair) for n, pair in zip(input_shape[1:-1], self.padding, strict=True))
        return (input_shape[0], *sizes, input_shape[-1])


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after sequences: (N, W, C) to (N, W', C).

    Args:
        padding: how many, one int for both ends or a (before, after) pair.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> ZeroPadding1D((0, 2)).compute_output_shape((None, 10, 4))
        (None, 12, 4)
    """

    rank = 1

    def __init__(self, padding: Border = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = border_pairs("ZeroPadding1D", "padding", padding, 1)
        self._set_data_format(data_format)


class ZeroPadding2D(_ZeroPadding):
    """A border of zeros around images: (N, H, W, C) to (N, H', W', C).

    Args:
        padding: its width: one int, or per axis an int or a (before, after) pair.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> ZeroPadding2D(((1, 0), (2, 2))).compute_output_shape((None, 10, 10, 3))
        (None, 11, 14, 3)
    """

    rank = 2

    def __init__(self, padding: Border = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = border_pairs("ZeroPadding2D", "padding", padding, 2)
        self._set_data_format(data_format)


class ZeroPadding3D(_ZeroPadding):
    """A border of zeros around volumes: (N, D, H, W, C) to (N, D', H', W', C).

    The arguments are those of `ZeroPadding2D`, for three axes.

    Example:
        >>> ZeroPadding3D(1).compute_output_shape((None, 4, 4, 4, 2))
        (None, 6, 6, 6, 2)
    """

    rank = 3

    def __init__(
        self, padding: Border = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.padding = border_pairs("ZeroPadding3D", "padding", padding, 3)
        self._set_data_format(data_format)


class _Cropping(SpatialLayer):
    """Borders cut off, over any number of axes."""

    cropping: Pairs

    def _compute(self, x: Any) -> Any:
        sizes = self._output_shape(x.shape)[1:-1]
        inner = (slice(before, before + (n or 0)) for (before, _), n in zip(self.cropping, sizes, strict=True))
        return ops.index(x, (slice(None), *inner))

    def _output_shape(self, input_shape: Shape) -> Shape:
        sizes: list[int | None] = []
        for n, pair in zip(input_shape[1:-1], self.cropping, strict=True):
            if n is not None and sum(pair) >= n:
                raise ValueError(
                    f"{type(self).__name__}: cropping {self.cropping} expects axes that are longer, got {input_shape}"
                )
            sizes.append(None if n is None else n - sum(pair))
        return (input_shape[0], *sizes, input_shape[-1])


class Cropping1D(_Cropping):
    """Sequences without their ends: (N, W, C) to (N, W', C).

    Args:
        cropping: how much is cut off, one int for both ends or a (before, after) pair.
        **kwargs: `name`.

    Raises:
        ValueError: a width is negative.

    Example:
        >>> Cropping1D((0, 2)).compute_output_shape((None, 10, 4))
        (None, 8, 4)
    """

    rank = 1

    def __init__(self, cropping: Border = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = border_pairs("Cropping1D", "cropping", cropping, 1)


class Cropping2D(_Cropping):
    """Images without their borders: (N, H, W, C) to (N, H', W', C).

    Args:
        cropping: how much is cut off: one int, or per axis an int or a (before, after) pair.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> Cropping2D(((1, 0), (2, 2))).compute_output_shape((None, 10, 10, 3))
        (None, 9, 6, 3)
    """

    rank = 2

    def __init__(self, cropping: Border = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = border_pairs("Cropping2D", "cropping", cropping, 2)
        self._set_data_format(data_format)


class Cropping3D(_Cropping):
    """Volumes without their borders: (N, D, H, W, C) to (N, D', H', W', C).

    The arguments are those of `Cropping2D`, for three axes.

    Example:
        >>> Cropping3D().compute_output_shape((None, 6, 6, 6, 2))
        (None, 4, 4, 4, 2)
    """

    rank = 3

    def __init__(
        self, cropping: Border = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.cropping = border_pairs("Cropping3D", "cropping", cropping, 3)
        self._set_data_format(data_format)
