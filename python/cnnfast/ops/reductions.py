"""Sums, means, extremes and moments along axes, and their gradients.

All of them add up in double precision: a float32 sum over the pixels of a batch loses three digits.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet

Axes = int | Sequence[int] | None


def normalize_axes(op: str, axis: Axes, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes meant by `axis`, each once and none negative; all for None.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is out of range or comes twice.

    Example:
        >>> normalize_axes("sum", -1, (2, 3))
        (1,)
    """
    if axis is None:
        return tuple(range(len(shape)))
    try:
        given = tuple(operator.index(a) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    except TypeError:
        raise TypeError(f"{op}: axis must be an integer or a tuple of integers, got {axis!r}") from None
    rank = len(shape)
    for a in given:
        if not -rank <= a < rank:
            raise ValueError(f"{op}: axis {a} is out of range for shape {shape}")
    axes = tuple(a % rank for a in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{op}: axis {axis} names an axis twice")
    return axes


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape after a reduction with keepdims=True."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _finish(y: npt.NDArray[Any], axes: tuple[int, ...], keepdims: bool) -> FloatArray:
    """A float32 result from one that was computed with keepdims=True."""
    if not keepdims:
        y = y.reshape([n for i, n in enumerate(y.shape) if i not in axes])
    with quiet():
        return y.astype(np.float32)


def _double_sum(x: npt.NDArray[Any], axes: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return np.asarray(np.add.reduce(x, axis=axes, dtype=np.float64, keepdims=True))


def sum(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The sum along `axis`.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the summed axes stay, with length 1.

    Returns:
        float32, of the shape of `x` without the summed axes.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
        array([4., 6.], dtype=float32)
    """
    array = to_float32(x, "sum")
    axes, shape = normalize_axes("sum", axis, array.shape), array.shape
    with quiet():
        y = _double_sum(array, axes)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        return (np.broadcast_to(dy.reshape(_kept(shape, axes)), shape),)

    return record("sum", _finish(y, axes, keepdims), (x,), vjp)


def mean(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The arithmetic mean along `axis`; NaN of no elements.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
        array([2., 3.], dtype=float32)
    """
    array = to_float32(x, "mean")
    if axis is None and not keepdims and array.size:
        return _mean_of_all(x, array)
    axes, shape = normalize_axes("mean", axis, array.shape), array.shape
    count = math.prod(shape[a] for a in axes)
    with quiet():
        y = _double_sum(array, axes) / np.float64(count)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        with quiet():
            share = dy.reshape(_kept(shape, axes)) / np.float32(count)
        return (np.broadcast_to(share, shape),)

    return record("mean", _finish(y, axes, keepdims), (x,), vjp)


def _mean_of_all(x: ArrayLike, array: FloatArray) -> Any:
    """The mean of all elements, of which there are some: what a loss is, at every training step."""
    shape, count = array.shape, array.size
    if count == 1:
        return record("mean", array.reshape(()).copy(), (x,), lambda dy, needs: (dy.reshape(shape),))
    with quiet():
        total = array.sum(dtype=np.float64)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (np.full(shape, dy / np.float32(count), np.float32),)

    return record("mean", np.array(total / count, np.float32), (x,), vjp)


def var(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The variance along `axis`: the mean squared distance from the mean.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> var([[1.0, 2.0], [3.0, 6.0]], axis=0)
        array([1., 4.], dtype=float32)
    """
    array = to_float32(x, "var")
    axes = normalize_axes("var", axis, array.shape)
    count = np.float64(math.prod(array.shape[a] for a in axes))
    with quiet():
        center = _double_sum(array, axes) / count
        y = _double_sum(np.square(array - center), axes) / count

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        with quiet():
            return (dy.reshape(y.shape) * 2 / count * (array - center),)

    return record("var", _finish(y, axes, keepdims), (x,), vjp)


def std(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The standard deviation along `axis`: the square root of `var`. Its gradient is NaN where it is zero.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> std([[1.0, 2.0], [3.0, 6.0]], axis=0)
        array([1., 2.], dtype=float32)
    """
    array = to_float32(x, "std")
    axes = normalize_axes("std", axis, array.shape)
    count = np.float64(math.prod(array.shape[a] for a in axes))
    with quiet():
        center = _double_sum(array, axes) / count
        y = np.sqrt(_double_sum(np.square(array - center), axes) / count)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        with quiet():
            return (dy.reshape(y.shape) / (count * y) * (array - center),)

    return record("std", _finish(y, axes, keepdims), (x,), vjp)


def _extreme(op: str, choose: np.ufunc, x: ArrayLike, axis: Axes, keepdims: bool) -> Any:
    array = to_float32(x, op)
    axes = normalize_axes(op, axis, array.shape)
    if builtins.any(array.shape[a] == 0 for a in axes):
        raise ValueError(f"{op}: no elements to choose from along axis {axis} of shape {array.shape}")
    y = np.asarray(choose.reduce(array, axis=axes, keepdims=True))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        winners = (array == y) | (np.isnan(y) & np.isnan(array))
        share = dy.reshape(y.shape) / np.add.reduce(winners, axis=axes, dtype=np.float32, keepdims=True)
        return (np.where(winners, share, np.float32(0)),)

    return record(op, _finish(y, axes, keepdims), (x,), vjp)


def max(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest value along `axis`; NaN if there is one.

    The gradient goes to the largest value, in equal parts where several are (as in TensorFlow).

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range, named twice or empty.

    Example:
        >>> max([[1.0, 5.0], [3.0, 4.0]], axis=0)
        array([3., 5.], dtype=float32)
    """
    return _extreme("max", np.maximum, x, axis, keepdims)


def min(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest value along `axis`; NaN if there is one.

    The gradient goes to the smallest value, in equal parts where several are (as in TensorFlow).

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range, named twice or empty.

    Example:
        >>> min([[1.0, 5.0], [3.0, 4.0]], axis=0)
        array([1., 4.], dtype=float32)
    """
    return _extreme("min", np.minimum, x, axis, keepdims)


def prod(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The product along `axis`; its gradient is right where there are zeros, too.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=0)
        array([3., 8.], dtype=float32)
    """
    array = to_float32(x, "prod")
    axes = normalize_axes("prod", axis, array.shape)
    with quiet():
        y = np.asarray(np.multiply.reduce(array, axis=axes, dtype=np.float64, keepdims=True))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        with quiet():
            return (dy.reshape(y.shape) * _product_of_others(array, axes),)

    return record("prod", _finish(y, axes, keepdims), (x,), vjp)


def _product_of_others(x: FloatArray, axes: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """For each element the product of all others along `axes`: those before it times those after it."""
    if not axes or x.size == 0:
        return np.ones(x.shape)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    moved = np.moveaxis(x, axes, last).astype(np.float64)
    flat = moved.reshape(*moved.shape[: last[0]], -1)
    one = np.ones((*flat.shape[:-1], 1))
    before = np.cumprod(np.concatenate([one, flat[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, flat[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return np.moveaxis((before * after).reshape(moved.shape), last, axes)
