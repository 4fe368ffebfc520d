"""Lengths of vectors, weighted means and moments, made of the other operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops import reductions, unary
from cnnfast.ops.math import divide, maximum, minimum, multiply, power, quiet
from cnnfast.ops.reductions import Axes, normalize_axes
from cnnfast.ops.shaping import reshape

_EPSILON = 1e-7  # Keras's


def norm(x: ArrayLike, ord: Any = None, axis: Axes = None, keepdims: bool = False) -> Any:
    """The length of vectors, or the size of matrices.

    Args:
        x: real numbers of any shape.
        ord: None: Euclid's length (of a matrix Frobenius's, also "fro"). Of vectors: `inf` and `-inf` the largest and
            smallest absolute value, 0 the number of elements that are not zero, else the p-th root of the sum of p-th
            powers. Of matrices: `inf` and `-inf` the largest and smallest sum of a row's absolute values, 1 and -1 of
            a column's.
        axis: an axis for vectors, two for matrices; None takes all of `x`.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice, more than two axes are named, or `ord` is none of these.

    Example:
        >>> norm([[3.0, 4.0], [6.0, 8.0]], axis=-1)
        array([ 5., 10.], dtype=float32)
    """
    array = to_float32(x, "norm")
    axes = normalize_axes("norm", axis, array.shape)
    if ord is None and (axis is None or len(axes) <= 2):
        return _euclidean(x, array, axes, keepdims)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, array, ord, axes, keepdims)
    raise ValueError(f"norm: axis expects one axis or two where ord={ord!r}, got {axis} for shape {array.shape}")


def _euclidean(x: ArrayLike, array: FloatArray, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The root of the sum of squares; its gradient is zero where the length is zero, as in PyTorch."""
    with quiet():
        y = np.asarray(np.sqrt(np.add.reduce(np.square(array, dtype=np.float64), axis=axes, keepdims=True)))
    length = y.astype(np.float32)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            share = np.where(length == 0, np.float32(0), dy.reshape(length.shape) / length)
            return (share * array,)

    kept = length if keepdims else length.reshape([n for i, n in enumerate(length.shape) if i not in axes])
    return record("norm", kept, (x,), vjp)


def _vector_norm(x: ArrayLike, ord: Any, axis: int, keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise ValueError(f"norm: ord of vectors expects None or a number, got {ord!r}")
    if ord == 2:
        return _euclidean(x, to_float32(x), (axis,), keepdims)
    magnitudes = unary.abs(x)
    if ord == math.inf:
        return reductions.max(magnitudes, axis, keepdims)
    if ord == -math.inf:
        return reductions.min(magnitudes, axis, keepdims)
    if ord == 0:
        return reductions.sum(unary.sign(magnitudes), axis, keepdims)
    if ord == 1:
        return reductions.sum(magnitudes, axis, keepdims)
    return power(reductions.sum(power(magnitudes, ord), axis, keepdims), 1.0 / ord)


def _matrix_norm(x: ArrayLike, array: FloatArray, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord == "fro":
        return _euclidean(x, array, axes, keepdims)
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise ValueError(f"norm: ord of matrices expects None, 'fro', 1, -1, inf or -inf, got {ord!r}")
    added, chosen = (axes[0], axes[1]) if abs(ord) == 1 else (axes[1], axes[0])
    sums = reductions.sum(unary.abs(x), added, keepdims=True)
    choose = reductions.max if ord > 0 else reductions.min
    y = choose(sums, chosen, keepdims=True)
    return y if keepdims else reshape(y, [n for i, n in enumerate(array.shape) if i not in axes])


def normalize(x: ArrayLike, axis: Axes = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """`x` divided by its length along `axis`.

    Args:
        x: real numbers of any shape.
        axis: along which axis (or axes) the length is taken.
        order: which length: 2 is Euclid's, 1 the sum of absolute values, ...
        epsilon: the length is not taken for less than this; 1e-7 if None.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: `order` is not a positive integer, or an axis is out of range.

    Example:
        >>> normalize([3.0, 4.0])
        array([0.6, 0.8], dtype=float32)
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: order expects a positive integer, got {order!r}")
    least = _EPSILON if epsilon is None else float(epsilon)
    if to_float32(x, "normalize").ndim == 0:
        x = reshape(x, (1,))
    if order == 2:
        squares = reductions.sum(unary.square(x), axis, keepdims=True)
        return multiply(x, minimum(unary.rsqrt(squares), 1.0 / least))
    return divide(x, maximum(norm(x, order, axis, keepdims=True), least))


def average(x: ArrayLike, axis: Axes = None, weights: ArrayLike | None = None) -> Any:
    """The weighted mean along `axis`.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        weights: of the shape of `x`, or a vector of one weight for each element along the one axis; equal if None.

    Raises:
        TypeError: `x` or `weights` is not made of real numbers.
        ValueError: an axis is out of range, or the weights' shape does not fit.

    Example:
        >>> average([[1.0, 2.0], [3.0, 4.0]], axis=1, weights=[3.0, 1.0])
        array([1.25, 3.25], dtype=float32)
    """
    if weights is None:
        return reductions.mean(x, axis)
    shape, given = to_float32(x, "average").shape, to_float32(weights, "average", "weights").shape
    axes = normalize_axes("average", axis, shape)
    if given != shape:
        if len(axes) != 1 or axis is None or given != (shape[axes[0]],):
            raise ValueError(f"average: weights expects the shape {shape} or one per element of one axis, got {given}")
        weights = reshape(weights, [n if i == axes[0] else 1 for i, n in enumerate(shape)])
    total = reductions.sum(weights, axes)
    return divide(reductions.sum(multiply(x, weights), axes), total)


def moments(x: ArrayLike, axes: Axes, keepdims: bool = False, synchronized: bool = False) -> tuple[Any, Any]:
    """The mean and the variance along `axes`.

    Args:
        x: real numbers of any shape.
        axes: an axis or several.
        keepdims: whether the reduced axes stay, with length 1.
        synchronized: only False: there is one machine.

    Returns:
        (mean, variance), float32.

    Raises:
        TypeError: `x` is not made of real numbers, or `axes` not of integers.
        ValueError: an axis is out of range or named twice, or `synchronized` is asked for.

    Example:
        >>> moments([0.0, 2.0, 4.0], axes=[0])
        (array(2., dtype=float32), array(2.6666667, dtype=float32))
    """
    if synchronized:
        raise ValueError("moments: synchronized=True cannot be honoured: statistics are not shared between machines")
    return reductions.mean(x, axes, keepdims), reductions.var(x, axes, keepdims)
