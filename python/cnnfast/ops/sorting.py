"""Order: positions of extremes, sorting, ranks and quantiles. Gradients go to the elements that were chosen."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.dtypes import real_array
from cnnfast.ops.math import quiet
from cnnfast.ops.reductions import Axes, normalize_axes

_Integers = npt.NDArray[np.int32]


def _position(op: str, find: Any, x: Any, axis: int | None, keepdims: bool) -> _Integers:
    array = real_array(x, op)
    (a,) = (None,) if axis is None else normalize_axes(op, axis, array.shape)
    if (array.size if a is None else array.shape[a]) == 0:
        raise ValueError(f"{op}: no elements to choose from along axis {axis} of shape {array.shape}")
    return np.asarray(find(array, axis=a, keepdims=keepdims), np.int32)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> _Integers:
    """The position of the largest element along `axis`, the first where several are equal; of a NaN if there is one.

    Args:
        x: real numbers of any shape.
        axis: along which axis; None counts the elements in a row.
        keepdims: whether the axis stays, with length 1.

    Returns:
        int32, a plain array.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the axis is out of range or empty.

    Example:
        >>> argmax([[1.0, 5.0], [3.0, 2.0]], axis=-1)
        array([1, 0], dtype=int32)
    """
    return _position("argmax", np.argmax, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> _Integers:
    """The position of the smallest element along `axis`; arguments, results and errors are those of `argmax`.

    Example:
        >>> argmin([[1.0, 5.0], [3.0, 2.0]], axis=-1)
        array([0, 1], dtype=int32)
    """
    return _position("argmin", np.argmin, x, axis, keepdims)


def argsort(x: Any, axis: int | None = -1) -> _Integers:
    """The positions that sort `x` along `axis`; equal elements keep their order.

    Args:
        x: real numbers of any shape.
        axis: along which axis; None sorts the elements in a row.

    Returns:
        int32, a plain array.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the axis is out of range.

    Example:
        >>> argsort([3.0, 1.0, 2.0])
        array([1, 2, 0], dtype=int32)
    """
    array = real_array(x, "argsort")
    if axis is None or array.ndim == 0:
        array, axis = array.ravel(), 0
    (a,) = normalize_axes("argsort", axis, array.shape)
    return np.argsort(array, axis=a, kind="stable").astype(np.int32)


def sort(x: ArrayLike, axis: int | None = -1) -> Any:
    """`x` in ascending order along `axis`, NaNs last.

    Args:
        x: real numbers of any shape; integers stay integers.
        axis: along which axis; None sorts the elements in a row.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the axis is out of range.

    Example:
        >>> sort([3.0, 1.0, 2.0])
        array([1., 2., 3.], dtype=float32)
    """
    array = real_array(x, "sort")
    shape = array.shape
    if axis is None or array.ndim == 0:
        array, axis = array.ravel(), 0
    (a,) = normalize_axes("sort", axis, array.shape)
    if array.dtype.kind != "f":
        return np.sort(array, axis=a)
    order = np.argsort(array, axis=a, kind="stable")

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.empty(array.shape, np.float32)
        np.put_along_axis(dx, order, dy, a)
        return (dx.reshape(shape),)

    return record("sort", np.take_along_axis(array, order, a), (x,), vjp)


def top_k(x: ArrayLike, k: int, sorted: bool = True) -> tuple[Any, _Integers]:
    """The `k` largest elements along the last axis.

    Args:
        x: real numbers of at least one axis.
        k: how many.
        sorted: whether they come in descending order, which they do in any case.

    Returns:
        (values, indices): the elements, and their positions as int32.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the last axis has fewer than `k` elements.

    Example:
        >>> values, indices = top_k([3.0, 1.0, 2.0], 2)
        >>> values, indices
        (array([3., 2.], dtype=float32), array([0, 2], dtype=int32))
    """
    array = real_array(x, "top_k")
    count = operator.index(k)
    if array.ndim == 0 or not 0 <= count <= array.shape[-1]:
        raise ValueError(f"top_k: k expects a number up to the last axis's length in {array.shape}, got {k}")
    # The order of the reversed array, so that of equal elements the first comes first.
    last = array.shape[-1] - 1
    order = last - np.argsort(array[..., ::-1], axis=-1, kind="stable")[..., ::-1][..., :count]
    values = np.take_along_axis(array, order, -1)
    positions = order.astype(np.int32)
    if array.dtype.kind != "f":
        return values, positions

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.zeros(array.shape, np.float32)
        np.put_along_axis(dx, order, dy, -1)
        return (dx,)

    return record("top_k", values, (x,), vjp), positions


def in_top_k(targets: Any, predictions: Any, k: int) -> npt.NDArray[np.bool_]:
    """Whether each target class is among the `k` with the largest predictions; a class as large as the last counts.

    Args:
        targets: class numbers, (N,).
        predictions: (N, classes).
        k: how many of the largest count; all where it is larger than their number.

    Returns:
        Booleans, (N,); False where the target's prediction is not finite or the target is no class number.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: the shapes do not fit.

    Example:
        >>> in_top_k([2, 0], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], 2)
        array([ True, False])
    """
    scores = to_float32(predictions, "in_top_k", "predictions")
    labels = real_array(targets, "in_top_k", "targets")
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"in_top_k: expects targets (N,) and predictions (N, classes), got {labels.shape} and {scores.shape}"
        )
    rows = labels.astype(np.int64)
    known = (rows >= 0) & (rows < scores.shape[1])
    own = np.take_along_axis(scores, np.where(known, rows, 0)[:, None], 1) if scores.size else scores[:, :1]
    larger = np.count_nonzero(scores > own, axis=1)
    return known & (larger < operator.index(k)) & np.isfinite(own).any(axis=1)


_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(x: ArrayLike, q: Any, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The number that a part `q` of the elements along `axis` is not above; NaN if there is a NaN.

    Args:
        x: real numbers of any shape.
        q: the part, from 0 to 1, or an array of parts, whose axes come first in the result.
        axis: an axis or a tuple of them; all if None.
        method: between two elements: "linear" interpolates, "lower" and "higher" take one of them, "nearest" the
            nearer one (the one at an even position of two), "midpoint" their mean.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` or `q` is not made of real numbers, or `axis` not of integers.
        ValueError: `q` is not within [0, 1], the method is unknown, or an axis is out of range, named twice or empty.

    Example:
        >>> quantile([4.0, 1.0, 3.0, 2.0], [0.5, 1.0])
        array([2.5, 4. ], dtype=float32)
    """
    array = to_float32(x, "quantile")
    parts = np.asarray(q, np.float64)
    if not ((parts >= 0) & (parts <= 1)).all():
        raise ValueError(f"quantile: q expects numbers from 0 to 1, got {q}")
    if method not in _METHODS:
        raise ValueError(f"quantile: method expects one of {', '.join(_METHODS)}, got {method!r}")
    axes = normalize_axes("quantile", axis, array.shape)
    last = tuple(range(array.ndim - len(axes), array.ndim))
    moved = np.moveaxis(array, axes, last)
    kept = moved.shape[: array.ndim - len(axes)]
    rows = moved.reshape(*kept, -1) if moved.size else moved.reshape(*kept, 0)
    count = rows.shape[-1]
    if count == 0:
        raise ValueError(f"quantile: no elements along axis {axis} of shape {array.shape}")
    low, high, weight = _neighbours(parts.ravel() * (count - 1), count, method)
    order = np.argsort(rows, axis=-1, kind="stable")
    ranks = np.take_along_axis(rows, order, -1)
    with quiet():
        below, above = ranks[..., low], ranks[..., high]
        y = np.where(weight == 0, below, below + (above - below) * weight).astype(np.float32)
    y[np.isnan(ranks[..., -1])] = np.nan
    y = np.moveaxis(y, -1, 0)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        arriving = np.moveaxis(dy.reshape(y.shape), 0, -1)
        by_rank = np.zeros(rows.shape, np.float32)
        for j in range(len(low)):
            by_rank[..., low[j]] += arriving[..., j] * (1 - weight[j])
            by_rank[..., high[j]] += arriving[..., j] * weight[j]
        dx = np.empty(rows.shape, np.float32)
        np.put_along_axis(dx, order, by_rank, -1)
        return (np.moveaxis(dx.reshape(moved.shape), last, axes),)

    reduced = [n for i, n in enumerate(array.shape) if i not in axes]
    full = [1 if i in axes else n for i, n in enumerate(array.shape)]
    return record("quantile", y.reshape((*parts.shape, *(full if keepdims else reduced))), (x,), vjp)


def _neighbours(places: npt.NDArray[np.float64], count: int, method: str) -> tuple[Any, Any, FloatArray]:
    """The ranks on both sides of each place, and the second one's weight."""
    low = np.floor(places).astype(int)
    high = np.minimum(np.ceil(places).astype(int), count - 1)
    if method == "linear":
        weight = places - low
    elif method == "midpoint":
        weight = np.where(low == high, 0.0, 0.5)
    else:
        chosen = {"lower": low, "higher": high, "nearest": np.round(places).astype(int)}[method]
        low, high, weight = chosen, chosen, np.zeros(len(places))
    return low, high, weight.astype(np.float32)


def median(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The middle element along `axis`, or the mean of the two in the middle; the errors are those of `quantile`.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Example:
        >>> median([[1.0, 9.0, 2.0], [4.0, 6.0, 5.0]], axis=1)
        array([2., 5.], dtype=float32)
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)
