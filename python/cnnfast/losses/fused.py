"""Means of an elementwise function of labels and predictions, as one recorded operation of few passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import FloatArray, record, to_float32
from cnnfast.ops.math import quiet, unbroadcast
from cnnfast.ops.reductions import normalize_axes

# Rows up to this length are summed in single precision, whose error stays below that of the result's own rounding.
_SHORT = 1024
_FEW = 5

# Of labels and predictions, arrays whose shapes broadcast: an array of their common shape, that nobody else has.
Elementwise = Callable[[FloatArray, FloatArray], FloatArray]


def mean_of(
    name: str,
    y_true: Any,
    y_pred: Any,
    values: Elementwise,
    slope: Elementwise,
    label_slope: Elementwise | None = None,
    axis: int = -1,
) -> Any:
    """The mean along an axis of a function of labels and predictions, with its gradients.

    Args:
        name: the operation's name, for messages.
        y_true: labels, an array or tensor.
        y_pred: predictions, an array or tensor of a shape that broadcasts with that of the labels.
        values: the function.
        slope: its derivative by the predictions.
        label_slope: its derivative by the labels; the negated `slope` if None, as for functions of the difference.
        axis: the axis of the mean.

    Raises:
        ValueError: there is no such axis.

    Example:
        >>> mean_of("half", [1.0], [2.0], lambda y, p: 0.5 * (p - y) ** 2, lambda y, p: p - y)
        array(0.5, dtype=float32)
    """
    labels, predictions = to_float32(y_true, name, "y_true"), to_float32(y_pred, name, "y_pred")
    shape = np.broadcast_shapes(labels.shape, predictions.shape)
    (along,) = normalize_axes(name, axis, shape)
    with quiet():
        means = _means(values(labels, predictions), along)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        found: list[FloatArray | None] = [None, None]
        with quiet():
            share = _one_if_all_alike(np.expand_dims(dy, along) / np.float32(shape[along]))
            if needs[1] or label_slope is None:
                found[1] = slope(labels, predictions)
                found[1] *= share
            if needs[0] and label_slope is None:
                found[0] = unbroadcast(-found[1], labels.shape)  # type: ignore[operator]
            elif needs[0]:
                found[0] = unbroadcast(label_slope(labels, predictions) * share, labels.shape)  # type: ignore[misc]
            if found[1] is not None:
                found[1] = unbroadcast(found[1], predictions.shape)
        return found

    return record(name, means, (y_true, y_pred), vjp)


def _one_if_all_alike(x: FloatArray) -> Any:
    """The one number that all elements are, as a mean's gradient has it: to multiply by it is much quicker."""
    return x.flat[0] if x.size and (x == x.flat[0]).all() else x


def _means(x: FloatArray, axis: int) -> FloatArray:
    n = x.shape[axis]
    if axis != x.ndim - 1 or n > _SHORT or n == 0:
        return np.asarray(np.add.reduce(x, axis=axis, dtype=np.float64) / np.float64(n), np.float32)
    return row_sums(x) / np.float32(n) if n > 1 else x[..., 0].copy()


def row_sums(x: FloatArray) -> FloatArray:
    """The sums along the last axis, where NumPy's own reduction is slow: rows of few elements.

    Example:
        >>> row_sums(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
        array([3., 7.], dtype=float32)
    """
    n = x.shape[-1]
    if n > _SHORT or n == 0:
        return np.asarray(np.add.reduce(x, axis=-1, dtype=np.float64), np.float32)
    if n > _FEW:
        return np.asarray(np.einsum("...i->...", x))
    sums = x[..., 0].copy()
    for i in range(1, n):
        sums += x[..., i]
    return sums


def cross_entropy(name: str, y_true: Any, y_pred: Any, low: float, high: float) -> Any:
    """`-sum(y log q)` along the last axis, q being the predictions divided by their sum, held between two bounds.

    Args:
        name: the operation's name, for messages.
        y_true: labels, an array or tensor, (..., classes).
        y_pred: probabilities, an array or tensor of the same shape, which need not add up to 1.
        low: the lower bound of q.
        high: its upper bound.

    Example:
        >>> cross_entropy("entropy", np.array([0.0, 1.0]), np.array([3.0, 1.0]), 0.0, 1.0)
        array(1.3862944, dtype=float32)
    """
    labels, p = to_float32(y_true, name, "y_true"), to_float32(y_pred, name, "y_pred")
    lowest, highest = np.float32(low), np.float32(high)
    with quiet():
        total = row_sums(p)[..., None]
        shares = p / total
        values = np.log(np.clip(shares, lowest, highest))
        values *= labels
        losses = np.negative(row_sums(values))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        each = _one_if_all_alike(np.expand_dims(dy, -1))
        with quiet():
            held = np.clip(shares, lowest, highest)
            label_slope = np.log(held) * -each if needs[0] else None
            if not needs[1]:
                return label_slope, None
            slope = np.divide(labels, held, out=held)
            slope *= (shares >= lowest) & (shares <= highest)
            # A larger prediction makes the others' shares smaller.
            slope -= row_sums(slope * shares)[..., None]
            slope *= -each / total
            return label_slope, slope

    return record(name, losses, (y_true, y_pred), vjp)
