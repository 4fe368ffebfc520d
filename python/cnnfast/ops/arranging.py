"""Repeating, rolling, turning and joining along named axes. No element is changed; integers stay integers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, to_float32
from cnnfast.ops.dtypes import real_array, rearranged
from cnnfast.ops.indexing import index
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.reductions import sum as sum_of
from cnnfast.ops.shaping import concatenate, flip, integers, ravel, reshape


def tile(x: ArrayLike, repeats: int | Sequence[int]) -> Any:
    """`x` laid out side by side.

    Args:
        x: real numbers of any shape.
        repeats: how often along each axis; fewer numbers than axes count for the last ones, more add axes in front.

    Raises:
        TypeError: `repeats` is not made of integers.
        ValueError: one is negative.

    Example:
        >>> tile([1.0, 2.0], (2, 2))
        array([[1., 2., 1., 2.],
               [1., 2., 1., 2.]], dtype=float32)
    """
    array = real_array(x, "tile")
    counts = integers("tile", "repeats", repeats)
    if any(n < 0 for n in counts):
        raise ValueError(f"tile: repeats expects numbers from 0 on, got {repeats}")
    counts = (1,) * (array.ndim - len(counts)) + counts
    sizes = (1,) * (len(counts) - array.ndim) + array.shape
    parts = [n for pair in zip(counts, sizes, strict=True) for n in pair]
    repeated = tuple(range(0, len(parts), 2))

    def gradient(dy: FloatArray) -> npt.NDArray[Any]:
        return np.add.reduce(dy.reshape(parts), axis=repeated, dtype=np.float64).reshape(array.shape)

    return rearranged("tile", x, lambda values: np.tile(values, counts), gradient)


def repeat(x: ArrayLike, repeats: Any, axis: int | None = None) -> Any:
    """Every element of `x` several times in succession.

    Args:
        x: real numbers of any shape.
        repeats: how often; one number, or one for each element along the axis.
        axis: along which axis; None takes the elements in a row.

    Raises:
        TypeError: `repeats` is not made of integers.
        ValueError: one is negative, their number does not fit, or the axis is out of range.

    Example:
        >>> repeat([1.0, 2.0], 2)
        array([1., 1., 2., 2.], dtype=float32)
    """
    array = real_array(x, "repeat")
    if axis is None:
        flat = ravel(x) if array.dtype.kind == "f" else array.ravel()
        return repeat(flat, repeats, 0)
    (a,) = normalize_axes("repeat", axis, array.shape)
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise TypeError(f"repeat: repeats expects integers, got {repeats!r}")
    if counts.size not in (1, array.shape[a]) or counts.ndim > 1 or (counts < 0).any():
        raise ValueError(
            f"repeat: repeats expects a number from 0 on or one for each of {array.shape[a]} elements, got {repeats}"
        )
    each = np.broadcast_to(counts, (array.shape[a],))
    origins = np.repeat(np.arange(array.shape[a]), each)

    def gradient(dy: FloatArray) -> npt.NDArray[Any]:
        moved = np.moveaxis(dy, a, 0)
        dx = np.zeros((array.shape[a], *moved.shape[1:]), np.float32)
        np.add.at(dx, origins, moved)
        return np.moveaxis(dx, 0, a)

    def uniform_gradient(dy: FloatArray) -> npt.NDArray[Any]:
        parts = (*array.shape[: a + 1], int(each[0]), *array.shape[a + 1 :])
        return np.add.reduce(dy.reshape(parts), axis=a + 1, dtype=np.float64)

    uniform = counts.size == 1 and array.shape[a] > 0
    return rearranged(
        "repeat", x, lambda values: np.repeat(values, each, axis=a), uniform_gradient if uniform else gradient
    )


def roll(x: ArrayLike, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """The elements moved on; what leaves one end comes in at the other.

    Args:
        x: real numbers of any shape.
        shift: by how many positions, one number or one for each axis.
        axis: along which axis or axes; None takes the elements in a row.

    Raises:
        TypeError: an argument is not made of integers.
        ValueError: an axis is out of range, or the numbers of shifts and axes differ.

    Example:
        >>> roll([1.0, 2.0, 3.0], 1)
        array([3., 1., 2.], dtype=float32)
    """
    array = real_array(x, "roll")
    shifts = integers("roll", "shift", shift)
    axes: Any = None
    if axis is not None:
        axes = tuple(normalize_axes("roll", a, array.shape)[0] for a in integers("roll", "axis", axis))
        if len(shifts) not in (1, len(axes)):
            raise ValueError(f"roll: shift expects one number or one per axis of {axis}, got {shift}")
    elif len(shifts) > 1:
        raise ValueError(f"roll: shift expects one number where no axis is named, got {shift}")
    forward: Any = shifts if len(shifts) > 1 else shifts[0]
    back: Any = tuple(-n for n in shifts) if len(shifts) > 1 else -shifts[0]
    return rearranged("roll", x, lambda v: np.roll(v, forward, axes), lambda dy: np.roll(dy, back, axes))


def rot90(array: ArrayLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """Turned by quarters in the plane of two axes, from the first towards the second.

    Args:
        array: real numbers of at least two axes.
        k: how many quarters.
        axes: the two axes.

    Raises:
        TypeError: `k` or an axis is not an integer.
        ValueError: an axis is out of range, or there are not two.

    Example:
        >>> rot90([[1.0, 2.0], [3.0, 4.0]])
        array([[2., 4.],
               [1., 3.]], dtype=float32)
    """
    plane = normalize_axes("rot90", tuple(axes), real_array(array, "rot90", "array").shape)
    if len(plane) != 2:
        raise ValueError(f"rot90: axes expects two axes, got {axes}")
    turns = operator.index(k)
    return rearranged("rot90", array, lambda v: np.rot90(v, turns, plane), lambda dy: np.rot90(dy, -turns, plane))


def _triangle(op: str, x: ArrayLike, keep: Any, k: int) -> Any:
    array, diagonal = real_array(x, op), operator.index(k)
    if array.ndim < 2:
        raise ValueError(f"{op}: x expects at least two axes, got shape {array.shape}")
    return rearranged(op, x, lambda v: keep(v, diagonal), lambda dy: keep(dy, diagonal))


def tril(x: ArrayLike, k: int = 0) -> Any:
    """The lower triangle of the last two axes, zeros above.

    Args:
        x: real numbers, (..., rows, columns).
        k: the last diagonal that is kept: 0 the main one, positive above it, negative below.

    Raises:
        TypeError: `x` is not made of real numbers, or `k` not an integer.
        ValueError: `x` has fewer than two axes.

    Example:
        >>> tril([[1.0, 2.0], [3.0, 4.0]])
        array([[1., 0.],
               [3., 4.]], dtype=float32)
    """
    return _triangle("tril", x, np.tril, k)


def triu(x: ArrayLike, k: int = 0) -> Any:
    """The upper triangle of the last two axes, zeros below; arguments and errors are those of `tril`.

    Example:
        >>> triu([[1.0, 2.0], [3.0, 4.0]])
        array([[1., 2.],
               [0., 4.]], dtype=float32)
    """
    return _triangle("triu", x, np.triu, k)


def unstack(x: ArrayLike, num: int | None = None, axis: int = 0) -> list[Any]:
    """The slices of `x` along an axis, as a list.

    Args:
        x: real numbers of at least one axis.
        num: the axis's length, checked where it is given.
        axis: which axis.

    Raises:
        ValueError: the axis is out of range, or its length is not `num`.

    Example:
        >>> unstack([[1.0, 2.0], [3.0, 4.0]])
        [array([1., 2.], dtype=float32), array([3., 4.], dtype=float32)]
    """
    array = real_array(x, "unstack")
    (a,) = normalize_axes("unstack", axis, array.shape)
    if num is not None and num != array.shape[a]:
        raise ValueError(f"unstack: num expects the length of axis {axis} in {array.shape}, got {num}")
    keys: list[tuple[Any, ...]] = [((slice(None),) * a) + (i,) for i in range(array.shape[a])]
    return [index(x, key) if array.dtype.kind == "f" else array[key] for key in keys]


def hstack(xs: Sequence[ArrayLike]) -> Any:
    """Arrays side by side: along the second axis, or the only one.

    Raises:
        ValueError: there is none, or the shapes do not fit.

    Example:
        >>> hstack([[1.0, 2.0], [3.0]])
        array([1., 2., 3.], dtype=float32)
    """
    items = [reshape(x, (1,)) if to_float32(x, "hstack", "xs").ndim == 0 else x for x in xs]
    return concatenate(items, axis=1 if items and to_float32(items[0]).ndim > 1 else 0)


def vstack(xs: Sequence[ArrayLike]) -> Any:
    """Arrays below one another: along the first axis, vectors as rows.

    Raises:
        ValueError: there is none, or the shapes do not fit.

    Example:
        >>> vstack([[1.0, 2.0], [3.0, 4.0]])
        array([[1., 2.],
               [3., 4.]], dtype=float32)
    """
    return concatenate([reshape(x, (1, -1)) if to_float32(x, "vstack", "xs").ndim < 2 else x for x in xs], axis=0)


def append(x1: ArrayLike, x2: ArrayLike, axis: int | None = None) -> Any:
    """`x2` behind `x1`.

    Args:
        x1: real numbers.
        x2: real numbers.
        axis: along which axis; None takes the elements of both in a row.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the axis is out of range, or the shapes do not fit.

    Example:
        >>> append([[1.0], [2.0]], [[3.0]])
        array([1., 2., 3.], dtype=float32)
    """
    return concatenate([ravel(x1), ravel(x2)] if axis is None else [x1, x2], axis=axis or 0)


def diagonal(x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements on a diagonal of two axes, as a new last axis.

    Args:
        x: real numbers of at least two axes.
        offset: which diagonal: 0 the main one, positive above it, negative below.
        axis1: the rows' axis.
        axis2: the columns' axis.

    Raises:
        TypeError: an argument is not an integer.
        ValueError: an axis is out of range, or both are the same.

    Example:
        >>> diagonal([[1.0, 2.0], [3.0, 4.0]])
        array([1., 4.], dtype=float32)
    """
    array = real_array(x, "diagonal")
    first, second = normalize_axes("diagonal", (axis1, axis2), array.shape)

    def gradient(dy: FloatArray) -> npt.NDArray[Any]:
        dx = np.zeros(array.shape, np.float32)
        view = np.moveaxis(dx, (first, second), (-2, -1))
        rows = np.arange(dy.shape[-1]) + max(-offset, 0)
        view[(..., rows, rows + offset)] = dy
        return dx

    return rearranged("diagonal", x, lambda v: np.diagonal(v, offset, first, second), gradient)


def trace(x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the elements on a diagonal of two axes; arguments and errors are those of `diagonal`.

    Example:
        >>> trace([[1.0, 2.0], [3.0, 4.0]])
        array(5., dtype=float32)
    """
    return sum_of(diagonal(x, offset, axis1, axis2), -1)


def fliplr(x: ArrayLike) -> Any:
    """The second axis in reverse order.

    Raises:
        ValueError: `x` has fewer than two axes.

    Example:
        >>> fliplr([[1.0, 2.0]])
        array([[2., 1.]], dtype=float32)
    """
    return flip(x, 1)


def flipud(x: ArrayLike) -> Any:
    """The first axis in reverse order.

    Raises:
        ValueError: `x` is a single number.

    Example:
        >>> flipud([1.0, 2.0])
        array([2., 1.], dtype=float32)
    """
    return flip(x, 0)
