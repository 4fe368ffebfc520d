"""Where max pooling found its values, and values put back there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.indexing import as_integers
from cnnfast.ops.pooling import IntOrInts, PaddingArg, checked_pooling
from cnnfast.ops.shaping import integers


def max_pool_positions(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
    column_major: bool = False,
) -> npt.NDArray[np.int64]:
    """Where the values of max pooling are in the image: of equal values the first, of a NaN if there is one.

    Args:
        x: (N, [[D,] H,] W, C).
        pool_size: values a window covers along each axis.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer, or one (before, after) pair per axis. It is never the position.
        dilation_rate: steps from one value of a window to the next.
        column_major: whether a plane's pixels are counted down its columns rather than along its rows.

    Returns:
        int64 of the pooling's shape, (N, ..., C): positions counted through one plane after another, those of the
        first image's first channel, its second channel, ..., as ONNX counts them.

    Raises:
        TypeError: an argument is not made of numbers that fit.
        ValueError: shapes do not fit.

    Example:
        >>> max_pool_positions(np.array([1.0, 5.0, 2.0, 3.0]).reshape(1, 2, 2, 1)).ravel()
        array([1])
    """
    op = "max_pool_positions"
    array = to_float32(x, op)
    pooling = checked_pooling(op, array.shape, pool_size, strides, padding, dilation_rate)
    shape, sizes, rank = pooling.output_shape, array.shape[1:-1], array.ndim - 2
    weights = _strides(sizes, column_major)
    # Along every axis and for every value of a window: the position of each output's, and whether it is padding.
    places = [
        np.arange(count)[:, None] * step - first + np.arange(k) * d
        for count, (k, step, d, first) in zip(shape[1:-1], pooling.windows, strict=True)
    ]
    best = np.full(shape, -np.inf, np.float32)
    found = np.full(shape, -1, np.int64)
    for offsets in itertools.product(*(range(window) for window, *_ in pooling.windows)):
        at = [place[:, offset] for place, offset in zip(places, offsets, strict=True)]
        inside = [(a >= 0) & (a < n) for a, n in zip(at, sizes, strict=True)]
        if not all(i.any() for i in inside):
            continue
        part = (slice(None), *(_span(i) for i in inside))
        chosen = [a[i] for a, i in zip(at, inside, strict=True)]
        grid = (slice(None), *np.ix_(*chosen))
        values = array[grid]
        position = sum(
            (a * w).reshape(-1, *[1] * (rank - axis)) for axis, (a, w) in enumerate(zip(chosen, weights, strict=True))
        )
        better = (values > best[part]) | (np.isnan(values) & ~np.isnan(best[part])) | (found[part] < 0)
        best[part] = np.where(better, values, best[part])
        found[part] = np.where(better, position, found[part])
    planes = np.arange(shape[0])[:, None] * shape[-1] + np.arange(shape[-1])
    return found + planes.reshape(shape[0], *[1] * rank, shape[-1]) * math.prod(sizes)


def _strides(sizes: Sequence[int], column_major: bool) -> list[int]:
    """How far apart neighbours along each axis are when a plane's pixels are counted."""
    if column_major:
        return [math.prod(sizes[:axis]) for axis in range(len(sizes))]
    return [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]


def _span(inside: npt.NDArray[np.bool_]) -> slice:
    """Where a row of truths lies, which has no gaps."""
    where = np.flatnonzero(inside)
    return slice(int(where[0]), int(where[-1]) + 1)


def max_unpool(x: ArrayLike, positions: Any, size: int | Sequence[int]) -> Any:
    """Images of zeros with values at given positions, the inverse of max pooling as far as there is one.

    M. Zeiler et al., "Visualizing and Understanding Convolutional Networks" (2014). Each gradient comes from its
    value's position.

    Args:
        x: (N, [[D,] H,] W, C).
        positions: integers of the same shape, as `max_pool_positions` gives them; what they count of planes before
            their own is of no account.
        size: the result's spatial sizes.

    Returns:
        float32 (N, *size, C); where a position is named twice, one of the values.

    Raises:
        TypeError: `x` is not made of real numbers, or another argument not of integers.
        ValueError: the shapes do not fit.

    Example:
        >>> max_unpool(np.array([5.0]).reshape(1, 1, 1, 1), np.array([2]).reshape(1, 1, 1, 1), (2, 2)).ravel()
        array([0., 0., 5., 0.], dtype=float32)
    """
    op = "max_unpool"
    array = to_float32(x, op)
    places = as_integers(op, "positions", positions)
    if array.ndim < 3 or places.shape != array.shape:
        raise ValueError(f"{op}: expects x (N, ..., C) and positions of its shape, got {array.shape}, {places.shape}")
    sizes = integers(op, "size", size)
    sizes = sizes * (array.ndim - 2) if len(sizes) == 1 else sizes
    pixels = math.prod(sizes)
    if len(sizes) != array.ndim - 2 or min(sizes) < 0 or (pixels == 0 and array.size):
        raise ValueError(f"{op}: size expects {array.ndim - 2} positive numbers, got {size}")
    images, channels = array.shape[0], array.shape[-1]
    rows = (places % max(pixels, 1)).reshape(images, -1, channels)
    where = np.arange(images)[:, None, None], rows, np.arange(channels)
    y = np.zeros((images, pixels, channels), np.float32)
    y[where] = array.reshape(images, -1, channels)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (dy.reshape(y.shape)[where].reshape(array.shape),)

    return record(op, y.reshape(images, *sizes, channels), (x,), vjp)
