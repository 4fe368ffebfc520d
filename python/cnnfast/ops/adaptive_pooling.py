"""Pooling to a given number of windows, of sizes that differ by one where it does not divide the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, is_recorded, record, to_float32
from cnnfast.ops import pooling
from cnnfast.ops.shaping import integers

__all__ = ["adaptive_average_pool", "adaptive_max_pool"]

_MAX = {1: pooling.max_pool1d, 2: pooling.max_pool2d, 3: pooling.max_pool3d}
_AVERAGE = {1: pooling.avg_pool1d, 2: pooling.avg_pool2d, 3: pooling.avg_pool3d}


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
    y, lengths = array, []
    for axis in range(len(sizes), 0, -1):
        lengths.append((axis, y.shape))
        y = _means(y, axis, sizes[axis - 1])

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        for axis, shape in reversed(lengths):
            dy = _means_gradient(dy, axis, shape)
        return (dy,)

    return record("adaptive_average_pool", y, (x,), vjp)


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
    recorded = is_recorded(x)
    y, won = array, []
    for axis in range(len(sizes), 0, -1):
        shape = y.shape
        y, winners = _maxima(y, axis, sizes[axis - 1], recorded)
        won.append((axis, shape, winners))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        for axis, shape, winners in reversed(won):
            dy = _maxima_gradient(dy, axis, shape, winners)
        return (dy,)

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


def _windows(length: int, count: int) -> list[slice]:
    return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _by_axis(array: FloatArray, axis: int) -> FloatArray:
    """The array with all axes before and after one joined."""
    return array.reshape(math.prod(array.shape[:axis]), array.shape[axis], math.prod(array.shape[axis + 1 :]))


def _pooled_shape(shape: tuple[int, ...], axis: int, count: int) -> tuple[int, ...]:
    return (*shape[:axis], count, *shape[axis + 1 :])


def _means(array: FloatArray, axis: int, count: int) -> FloatArray:
    rows = _by_axis(array, axis)
    y = np.empty((rows.shape[0], count, rows.shape[2]), np.float32)
    for i, window in enumerate(_windows(rows.shape[1], count)):
        rows[:, window].mean(axis=1, out=y[:, i])
    return y.reshape(_pooled_shape(array.shape, axis, count))


def _means_gradient(dy: FloatArray, axis: int, shape: tuple[int, ...]) -> FloatArray:
    dy = _by_axis(to_float32(dy), axis)
    dx = np.zeros((dy.shape[0], shape[axis], dy.shape[2]), np.float32)
    for i, window in enumerate(_windows(shape[axis], dy.shape[1])):
        dx[:, window] += dy[:, i : i + 1] / np.float32(window.stop - window.start)
    return dx.reshape(shape)


def _maxima(array: FloatArray, axis: int, count: int, with_winners: bool) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    rows = _by_axis(array, axis)
    y = np.empty((rows.shape[0], count, rows.shape[2]), np.float32)
    winners = np.empty(y.shape if with_winners else 0, np.int32)
    for i, window in enumerate(_windows(rows.shape[1], count)):
        rows[:, window].max(axis=1, out=y[:, i])
        if with_winners:
            winners[:, i] = rows[:, window].argmax(axis=1) + window.start
    return y.reshape(_pooled_shape(array.shape, axis, count)), winners


def _maxima_gradient(dy: FloatArray, axis: int, shape: tuple[int, ...], winners: npt.NDArray[np.int32]) -> FloatArray:
    dy = _by_axis(to_float32(dy), axis)
    dx = np.zeros((dy.shape[0], shape[axis], dy.shape[2]), np.float32)
    before, after = np.ogrid[: dx.shape[0], : dx.shape[2]]
    for i in range(dy.shape[1]):
        # Windows overlap, but each has one winner per channel: no element is named twice at once.
        dx[before, winners[:, i], after] += dy[:, i]
    return dx.reshape(shape)
