"""Losses for numbers: squared, absolute, relative and logarithmic errors, Huber's and log-cosh, cosine similarity.

The functions return the mean over the last axis; labels and predictions broadcast, and either of them may be followed
by a tape.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import real
from cnnfast.losses.base import EPSILON, LossFunctionWrapper
from cnnfast.losses.fused import mean_of
from cnnfast.losses.shapes import matched

Axis = int | tuple[int, ...]


def _square(x: Any) -> Any:
    x *= x
    return x


def _doubled(x: Any) -> Any:
    x += x
    return x


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `(y_true - y_pred)**2`.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> mean_squared_error([[1.0, 3.0]], [[1.0, 1.0]])
        array([2.], dtype=float32)
    """
    y_true, y_pred = matched("mean_squared_error", y_true, y_pred)
    return mean_of("mean_squared_error", y_true, y_pred, lambda y, p: _square(p - y), lambda y, p: _doubled(p - y))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `|y_true - y_pred|`.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> mean_absolute_error([[1.0, 3.0]], [[1.0, 1.0]])
        array([1.], dtype=float32)
    """
    y_true, y_pred = matched("mean_absolute_error", y_true, y_pred)
    return mean_of("mean_absolute_error", y_true, y_pred, lambda y, p: np.abs(p - y), lambda y, p: np.sign(p - y))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean over the last axis of `|(y_true - y_pred) / y_true|`, where |y_true| counts as 1e-7 at least.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]])
        array([37.5], dtype=float32)
    """
    y_true, y_pred = matched("mean_absolute_percentage_error", y_true, y_pred)
    share = ops.divide(ops.subtract(y_true, y_pred), ops.maximum(ops.abs(y_true), EPSILON))
    return ops.multiply(ops.mean(ops.abs(share), axis=-1), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `(log(1 + y_true) - log(1 + y_pred))**2`, values below 1e-7 counting as that.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> mean_squared_logarithmic_error([[0.0, np.e - 1]], [[0.0, 0.0]]).round(4)
        array([0.5], dtype=float32)
    """
    y_true, y_pred = matched("mean_squared_logarithmic_error", y_true, y_pred)
    logarithms = [ops.log(ops.add(ops.maximum(y, EPSILON), 1.0)) for y in (y_pred, y_true)]
    return ops.mean(ops.square(ops.subtract(*logarithms)), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """The mean over the last axis of half the squared error, which goes on as a straight line from an error of delta.

    P. J. Huber, "Robust Estimation of a Location Parameter", 1964.

    Args:
        y_true: labels.
        y_pred: predictions.
        delta: the error from which on the loss grows linearly.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> huber([[0.0, 0.0]], [[0.5, 3.0]])
        array([1.3125], dtype=float32)
    """
    y_true, y_pred = matched("huber", y_true, y_pred)
    bound = np.float32(delta)

    def values(y: Any, p: Any) -> Any:
        error = np.abs(p - y)
        near = np.minimum(error, bound)
        # Half the square where the error is the smaller one, delta (error - delta / 2) where delta is.
        error -= np.float32(0.5) * near
        return near * error

    return mean_of("huber", y_true, y_pred, values, lambda y, p: np.clip(p - y, -bound, bound))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `log(cosh(y_pred - y_true))`, computed without overflow.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> log_cosh([[0.0, 0.0]], [[0.0, 100.0]]).round(3)
        array([49.653], dtype=float32)
    """
    y_true, y_pred = matched("log_cosh", y_true, y_pred)

    def values(y: Any, p: Any) -> Any:
        size = np.abs(p - y)
        return ops.softplus(np.float32(-2) * size) + (size - np.float32(math.log(2.0)))

    return mean_of("log_cosh", y_true, y_pred, values, lambda y, p: np.asarray(ops.tanh(p - y)))


def normalized(x: Any, axis: Axis) -> Any:
    """Vectors along an axis, divided by their lengths (by 1e-7 at least).

    Example:
        >>> normalized(np.array([[3.0, 4.0]]), -1)
        array([[0.6, 0.8]], dtype=float32)
    """
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.divide(x, ops.sqrt(ops.maximum(squares, EPSILON * EPSILON)))


def cosine_similarity(y_true: Any, y_pred: Any, axis: Axis = -1) -> Any:
    """The cosine of the angle between labels and predictions along an axis, negated: -1 where they point the same way.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing), or there is no such axis.

    Example:
        >>> cosine_similarity([[0.0, 1.0], [1.0, 0.0]], [[0.0, 5.0], [0.0, 2.0]])
        array([-1., -0.], dtype=float32)
    """
    y_true, y_pred = matched("cosine_similarity", y_true, y_pred)
    return ops.negative(ops.sum(ops.multiply(normalized(y_true, axis), normalized(y_pred, axis)), axis=axis))


class MeanSquaredError(LossFunctionWrapper):
    """The mean of `(y_true - y_pred)**2`.

    Example:
        >>> float(MeanSquaredError()([[0.0], [2.0]], [[0.0], [0.0]]))
        2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """The mean of `|y_true - y_pred|`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0], [2.0]], [[0.0], [0.0]]))
        1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """100 times the mean of `|(y_true - y_pred) / y_true|`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0], [4.0]], [[1.0], [4.0]]))
        25.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """The mean of `(log(1 + y_true) - log(1 + y_pred))**2`.

    Example:
        >>> float(MeanSquaredLogarithmicError()([[1.0], [2.0]], [[1.0], [2.0]]))
        0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """Half the squared error up to an error of `delta`, and linear beyond; see `huber`.

    Example:
        >>> float(Huber(delta=1.0)([[0.0], [0.0]], [[1.0], [2.0]]))
        1.0
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        self.delta = real("Huber", "delta", delta)
        super().__init__(huber, reduction, name, dtype, delta=self.delta)


class LogCosh(LossFunctionWrapper):
    """The mean of `log(cosh(y_pred - y_true))`: about the squared error where that is small, linear where it is large.

    Example:
        >>> round(float(LogCosh()([[0.0]], [[1.0]])), 4)
        0.4338
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """The negated cosine of the angle between labels and predictions along `axis`.

    Example:
        >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 3.0]]))
        -1.0
    """

    def __init__(
        self,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        self.axis = axis
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
