"""Pooling to a given number of windows, of sizes that differ by one where it does not divide the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, is_recorded, record, to_float32
from cnnfast.ops import pooling as even
from cnnfast.ops.shaping import integers

__all__ = ["adaptive_average_pool", "adaptive_max_pool"]

_MAX = {1: even.max_pool1d, 2: even.max_pool2d, 3: even.max_pool3d}
_AVERAGE = {1: even.avg_pool1d, 2: even.avg_pool2d, 3: even.avg_pool3d}


def adaptive_average_pool(x: ArrayLike, output_size: int | Sequence[int]) -> Any:
    """The mean of each of `output_size` windows per axis, per channel.

    Window i of n reaches from floor(i * length / n) to ceil((i + 1) * length / n): neighbours overlap by at most one.

    Args:
        x: (N, [[D,] H,] W, C).
        output_size: the number of windows, one for all axes or one per axis.

    Returns:
        float32 of x's rank.

    Raises:
        TypeError: x is not made of real numbers, or `output_size` not of integers.
        ValueError: x has other than 3 to 5 axes or an empty one, or a size is below 1.

    Example:
        >>> adaptive_average_pool([[[0.0], [2.0], [4.0]]], 2).ravel()
        array([1., 3.], dtype=float32)
    """
    array, sizes = _checked("adaptive_average_pool", x, output_size)
    steps = _even_steps(array.shape, sizes)
    if steps is not None:
        return _AVERAGE[len(sizes)](x, steps)
    pooling = _core.AdaptivePooling("adaptive_average_pool", array.shape, sizes)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (pooling.average_backward(to_float32(dy)),)

    return record("adaptive_average_pool", pooling.average(array), (x,), vjp)


def adaptive_max_pool(x: ArrayLike, output_size: int | Sequence[int]) -> Any:
    """The largest value of each of `output_size` windows per axis, per channel; the gradient goes to it alone.

    The windows are those of `adaptive_average_pool`; the first of equal values wins, a NaN beats every number.

    Args:
        x: (N, [[D,] H,] W, C).
        output_size: the number of windows, one for all axes or one per axis.

    Returns:
        float32 of x's rank.

    Raises:
        TypeError: x is not made of real numbers, or `output_size` not of integers.
        ValueError: x has other than 3 to 5 axes or an empty one, or a size is below 1.

    Example:
        >>> adaptive_max_pool([[[0.0], [2.0], [4.0]]], 2).ravel()
        array([2., 4.], dtype=float32)
    """
    array, sizes = _checked("adaptive_max_pool", x, output_size)
    steps = _even_steps(array.shape, sizes)
    if steps is not None:
        return _MAX[len(sizes)](x, steps)
    pooling = _core.AdaptivePooling("adaptive_max_pool", array.shape, sizes)
    winners: Any = None
    if is_recorded(x):
        y, winners = pooling.max_with_winners(array)
    else:
        y = pooling.max(array)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (pooling.max_backward(winners, to_float32(dy)),)

    return record("adaptive_max_pool", y, (x,), vjp)


def _checked(op: str, x: ArrayLike, output_size: int | Sequence[int]) -> tuple[FloatArray, tuple[int, ...]]:
    array = to_float32(x, op)
    rank = array.ndim - 2
    if not 1 <= rank <= 3 or 0 in array.shape[1:-1]:
        raise ValueError(f"{op}: x expects 3 to 5 axes (N, [[D,] H,] W, C) and pixels, got shape {array.shape}")
    sizes = integers(op, "output_size", output_size)
    sizes = sizes * rank if len(sizes) == 1 else sizes
    if len(sizes) != rank or min(sizes) < 1:
        raise ValueError(f"{op}: output_size expects a positive integer or {rank} of them, got {output_size}")
    return array, sizes


def _even_steps(shape: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The windows' one size per axis where they divide the image, which is an ordinary pooling then."""
    if any(n % size for n, size in zip(shape[1:-1], sizes, strict=True)):
        return None
    return tuple(n // size for n, size in zip(shape[1:-1], sizes, strict=True))
