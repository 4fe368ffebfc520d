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
    if n == 1:
        return x[..., 0].copy()
    if n <= _FEW:
        sums = x[..., 0] + x[..., 1]
        for i in range(2, n):
            sums += x[..., i]
    else:
        sums = np.einsum("...i->...", x)
    return np.asarray(sums / np.float32(n), np.float32)
