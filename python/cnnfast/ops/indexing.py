"""Choosing elements: indexing, take, where, one_hot, and their gradients."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, Value, is_recorded, record
from cnnfast.ops.dtypes import moved_array, resolved_dtype
from cnnfast.ops.math import broadcast_operands, unbroadcast
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.shaping import integers, ravel


def index(x: ArrayLike, key: Any) -> Any:
    """`x[key]` with NumPy's rules: integers, slices, `...`, None, and integer or boolean arrays.

    Elements that are chosen several times get the sum of their gradients.

    Raises:
        IndexError: an index is out of range, or of a kind that NumPy does not take.
        TypeError: an index is a tensor: positions have no gradient.

    Example:
        >>> index([[1.0, 2.0], [3.0, 4.0]], (slice(None), 0))
        array([1., 3.], dtype=float32)
    """
    array = moved_array(x, "index")
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, Value) for part in parts):
        raise TypeError("index: positions must be integers, slices or boolean arrays, got a tensor (it is float32)")
    # A key that a list or array holds may be changed by the caller before the gradient is taken.
    parts = tuple(np.array(part) if isinstance(part, (list, np.ndarray)) else part for part in parts)
    y = np.asarray(array[parts])
    if array.dtype.kind != "f":
        return y
    shape = array.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.zeros(shape, np.float32)
        if _chooses_once(parts):
            dx[parts] = dy
        else:
            np.add.at(dx, parts, dy)
        return (dx,)

    return record("index", y, (x,), vjp)


def _chooses_once(parts: tuple[Any, ...]) -> bool:
    """Whether no element can be chosen twice: only integer arrays can do that."""
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, (int, np.integer, slice))
        or (isinstance(part, np.ndarray) and part.dtype == bool)
        for part in parts
    )


def take(x: ArrayLike, indices: npt.ArrayLike, axis: int | None = None) -> Any:
    """The elements of `x` at `indices` along `axis`, in their order and as often as they are named.

    Args:
        x: real numbers of any shape.
        indices: integers of any shape; negative ones count from the end.
        axis: which axis they index; the elements in a row if None.

    Raises:
        IndexError: an index is out of range.
        TypeError: `indices` is not made of integers.
        ValueError: `axis` is out of range.

    Example:
        >>> take([10.0, 20.0, 30.0], [2, 0, 2], axis=0)
        array([30., 10., 30.], dtype=float32)
    """
    positions = as_integers("take", "indices", indices)
    if axis is None:
        return index(ravel(x), positions)
    (a,) = normalize_axes("take", axis, moved_array(x, "take").shape)
    return index(x, ((slice(None),) * a) + (positions,))


def as_integers(op: str, name: str, given: Any) -> npt.NDArray[Any]:
    """Positions or class numbers as an array.

    Raises:
        TypeError: they are not integers.
    """
    if isinstance(given, Value):
        raise TypeError(f"{op}: {name} must be integers, got a {type(given).__name__} (it is float32)")
    array = np.asarray(given)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: {name} must be integers, got dtype {array.dtype}")
    return array


def split(x: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """`x` cut into pieces along an axis.

    Args:
        x: real numbers of any shape.
        indices_or_sections: the number of equal pieces, or the positions of the cuts.
        axis: which axis to cut.

    Raises:
        TypeError: `indices_or_sections` is not made of integers.
        ValueError: the axis is out of range or no multiple of the number of pieces.

    Example:
        >>> split([1.0, 2.0, 3.0, 4.0], 2)
        [array([1., 2.], dtype=float32), array([3., 4.], dtype=float32)]
    """
    array = moved_array(x, "split")
    (a,) = normalize_axes("split", axis, array.shape)
    length = array.shape[a]
    cuts = integers("split", "indices_or_sections", indices_or_sections)
    if not isinstance(indices_or_sections, (tuple, list)):
        if cuts[0] < 1 or length % cuts[0]:
            raise ValueError(f"split: axis {axis} of shape {array.shape} does not divide into {cuts[0]} pieces")
        cuts = tuple(range(length // cuts[0], length, length // cuts[0])) if length else (0,) * (cuts[0] - 1)
    before = (slice(None),) * a
    return [index(x, (*before, slice(begin, end))) for begin, end in zip((0, *cuts), (*cuts, length), strict=True)]


def where(condition: Any, x1: ArrayLike | None = None, x2: ArrayLike | None = None) -> Any:
    """`x1` where `condition` holds and `x2` elsewhere; the three broadcast together.

    Args:
        condition: booleans, or numbers of which those that are not zero count as true.
        x1: real numbers.
        x2: real numbers.

    Returns:
        float32 of the common shape, or integers where arrays of such are given; without `x1` and `x2` the positions
        where `condition` holds: one integer array per axis.

    Raises:
        TypeError: `x1` or `x2` is not made of real numbers.
        ValueError: only one of `x1` and `x2` was given, or the shapes do not broadcast.

    Example:
        >>> where([True, False], [1.0, 2.0], 0.0)
        array([1., 0.], dtype=float32)
    """
    chosen = np.asarray(condition).astype(bool)
    if x1 is None and x2 is None:
        return np.nonzero(chosen)
    if x1 is None or x2 is None:
        raise ValueError("where: expects both x1 and x2, or neither")
    if _whole(x1) and _whole(x2) and not (isinstance(x1, int) and isinstance(x2, int)):
        whole: tuple[Any, Any] = (x1, x2)
        return np.where(chosen, *whole)
    a, b = broadcast_operands("where", x1, x2)
    try:
        np.broadcast_shapes(chosen.shape, a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"where: the condition's shape {chosen.shape} does not broadcast with x1: {a.shape} and x2: {b.shape}"
        ) from None
    y = np.asarray(np.where(chosen, a, b))
    a_shape, b_shape = a.shape, b.shape
    if chosen is condition and is_recorded(x1, x2):
        chosen = chosen.copy()

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        zero = np.float32(0)
        return (
            unbroadcast(np.where(chosen, dy, zero), a_shape) if needs[0] else None,
            unbroadcast(np.where(chosen, zero, dy), b_shape) if needs[1] else None,
        )

    return record("where", y, (x1, x2), vjp)


def _whole(x: Any) -> bool:
    """Whether x is an array of integers, or a number that goes with one."""
    return (type(x) is np.ndarray and x.dtype.kind in "iub") or isinstance(x, (bool, int))


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> npt.NDArray[Any]:
    """Class numbers as vectors: 1 at the class's position and 0 elsewhere.

    Args:
        x: integers from 0 to `num_classes` - 1, of any shape; floats that are whole count.
        num_classes: the number of classes.
        axis: where the classes' axis is in the result.
        dtype: float32 if None; else "bool" or an integer type.
        sparse: only False.

    Returns:
        An array of the shape of `x` with one more axis of length `num_classes`.

    Raises:
        TypeError: `x` is not made of integers.
        ValueError: a number is out of range, or a sparse result is asked for.

    Example:
        >>> one_hot([2, 0], 3)
        array([[0., 0., 1.],
               [1., 0., 0.]], dtype=float32)
    """
    if sparse:
        raise ValueError("one_hot: sparse=True cannot be honoured: sparse arrays are not supported")
    wanted = resolved_dtype("one_hot", dtype)
    labels = _class_numbers(x)
    classes = operator.index(num_classes)
    if classes < 1:
        raise ValueError(f"one_hot: num_classes must be at least 1, got {classes}")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"one_hot: x must lie in [0, {classes}), got {wrong}")
    (a,) = normalize_axes("one_hot", axis, (*labels.shape, 1))
    y = np.zeros((labels.size, classes), wanted)
    y[np.arange(labels.size), labels.ravel()] = 1
    return np.ascontiguousarray(np.moveaxis(y.reshape(*labels.shape, classes), -1, a))


def _class_numbers(x: Any) -> npt.NDArray[Any]:
    """Class numbers as integers; layers hand them on as float32."""
    numbers = np.asarray(x)
    if numbers.dtype.kind != "f":
        return as_integers("one_hot", "x", numbers)
    if not np.array_equal(numbers, np.trunc(numbers)):
        raise TypeError(f"one_hot: x must be integers, got dtype {numbers.dtype} and values that are not whole")
    return numbers.astype(np.int64)


def multi_hot(inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None) -> Any:
    """Several class numbers as one vector: 1 at each class's position and 0 elsewhere.

    Args:
        inputs: integers, (..., numbers); the axis of the numbers (the second, or the only one) is taken away.
        num_classes: the number of classes.
        axis: where the classes' axis is before the numbers' is taken away.
        dtype: float32 if None; else "bool" or an integer type.

    Raises:
        TypeError: `inputs` is not made of integers.
        ValueError: `num_classes` is missing, or a number is out of range.

    Example:
        >>> multi_hot([0, 2], 4)
        array([1., 0., 1., 0.], dtype=float32)
    """
    if num_classes is None:
        raise ValueError("multi_hot: num_classes expects the number of classes, got None")
    rows = one_hot(inputs, operator.index(num_classes), axis=axis, dtype=dtype)
    return np.max(rows, axis=1 if np.ndim(inputs) > 1 else 0)
