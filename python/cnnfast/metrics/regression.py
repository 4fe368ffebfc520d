"""Errors of predicted numbers, and how much of the labels' variation predictions explain."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from cnnfast import losses
from cnnfast.arguments import integer
from cnnfast.losses.shapes import same_rank
from cnnfast.metrics.base import Doubles, Metric, weights_like
from cnnfast.metrics.reduction import Mean, MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `(y_true - y_pred)**2`.

    Example:
        >>> MeanSquaredError()([[0.0], [2.0]], [[0.0], [0.0]])
        2.0
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `|y_true - y_pred|`.

    Example:
        >>> MeanAbsoluteError()([[0.0], [2.0]], [[0.0], [0.0]])
        1.0
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """100 times the mean of `|(y_true - y_pred) / y_true|`.

    Example:
        >>> MeanAbsolutePercentageError()([[2.0], [4.0]], [[1.0], [4.0]])
        25.0
    """

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of `(log(1 + y_true) - log(1 + y_pred))**2`.

    Example:
        >>> MeanSquaredLogarithmicError()([[1.0], [2.0]], [[1.0], [2.0]])
        0.0
    """

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of `log(cosh(y_pred - y_true))`.

    Example:
        >>> round(LogCoshError()([[0.0]], [[1.0]]), 4)
        0.4338
    """

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """The cosine of the angle between labels and predictions along an axis: 1 where they point the same way.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing), or there is no such axis.

    Example:
        >>> cosine_similarity([[0.0, 1.0], [1.0, 0.0]], [[0.0, 5.0], [0.0, 2.0]])
        array([1., 0.], dtype=float32)
    """
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """The mean of the cosine of the angle between labels and predictions along `axis`.

    Example:
        >>> CosineSimilarity()([[0.0, 1.0], [1.0, 0.0]], [[0.0, 5.0], [0.0, 2.0]])
        0.5
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int | tuple[int, ...] = -1
    ) -> None:
        self.axis = axis
        super().__init__(cosine_similarity, name, dtype, axis=axis)


def numbers(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels and predictions as floating-point arrays, a last axis of size 1 evened out.

    Raises:
        TypeError: one of them is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> numbers("r2", [1, 2], [[1.0], [2.0]])[0].shape
        (2, 1)
    """
    pair = []
    for argument, given in (("y_true", y_true), ("y_pred", y_pred)):
        array = np.asarray(given)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name}: {argument} expects real numbers, got dtype {array.dtype}")
        pair.append(array if array.dtype.kind == "f" else array.astype(np.float64))
    labels, predictions = same_rank(*pair)
    try:
        np.broadcast_shapes(labels.shape, predictions.shape)
    except ValueError:
        raise ValueError(
            f"{name}: y_true expects the shape of y_pred, {np.shape(y_pred)}, got {np.shape(y_true)}"
        ) from None
    return labels, predictions


class RootMeanSquaredError(Mean):
    """The square root of the mean of `(y_true - y_pred)**2`.

    Example:
        >>> RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]])
        3.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        labels, predictions = numbers(self.name, y_true, y_pred)
        super().update_state(np.square(predictions - labels), sample_weight)

    def result(self) -> float:  # noqa: D102
        return math.sqrt(super().result())


class R2Score(Metric):
    """The coefficient of determination: 1 minus the squared error's share in the labels' variation.

    Args:
        class_aggregation: "uniform_average": the mean over the outputs; "variance_weighted_average": weighed by how
            much the outputs' labels vary; None: one number per output.
        num_regressors: of independent variables, to adjust the score by; 0 for the score itself.
        name: the key in logs.
        dtype: None or "float32".

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]).__round__(4)
        0.5714
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(f"R2Score: class_aggregation expects one of {known}, got {class_aggregation!r}")
        self.class_aggregation = class_aggregation
        self.num_regressors = integer("R2Score", "num_regressors", num_regressors)
        if self.num_regressors < 0:
            raise ValueError(f"R2Score: num_regressors expects a number from 0, got {num_regressors}")
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        self.num_samples = 0
        # Of the weights, the labels, their squares and the squared errors; after data, zeros for as many outputs.
        earlier: Doubles | None = getattr(self, "_sums", None)
        self._sums = None if earlier is None else np.zeros_like(earlier)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions, (N, outputs) both.

        Raises:
            ValueError: the shapes do not fit, or differ from those of earlier batches.
        """
        labels, predictions = numbers(self.name, y_true, y_pred)
        if labels.ndim != 2 or predictions.ndim != 2:
            raise ValueError(
                f"R2Score: y_true and y_pred expect shapes (N, outputs), got {np.shape(y_true)} and {np.shape(y_pred)}"
            )
        labels, predictions = (np.asarray(a, np.float64) for a in np.broadcast_arrays(labels, predictions))
        if len(labels) == 0:
            return
        weights = weights_like(self.name, 1.0 if sample_weight is None else sample_weight, labels.shape)
        added = np.stack(
            [
                weights.sum(axis=0),
                np.einsum("ij,ij->j", weights, labels),
                np.einsum("ij,ij,ij->j", weights, labels, labels),
                np.einsum("ij,ij->j", weights, np.square(labels - predictions)),
            ]
        )
        if self._sums is not None and self._sums.shape != added.shape:
            raise ValueError(f"R2Score: expects {self._sums.shape[1]} outputs as before, got {added.shape[1]}")
        self._sums = added if self._sums is None else self._sums + added
        self.num_samples += labels.size

    def result(self) -> Any:  # noqa: D102
        if self._sums is None:
            return 0.0
        count, labels, squares, errors = self._sums
        with np.errstate(all="ignore"):
            variation = squares - labels * (labels / count)
            scores = 1.0 - errors / variation
            scores = np.where(np.isinf(scores), 0.0, scores)
            if self.class_aggregation == "variance_weighted_average":
                scores = np.sum(variation * scores) / np.sum(variation)
            elif self.class_aggregation == "uniform_average":
                scores = np.mean(scores)
        scores = self._adjusted(scores)
        return scores if self.class_aggregation is None else float(scores)

    def _adjusted(self, scores: Any) -> Any:
        if not self.num_regressors:
            return scores
        left = self.num_samples - 1 - self.num_regressors
        if left <= 0:
            warnings.warn(
                f"R2Score: {self.num_samples} values cannot be adjusted for {self.num_regressors} regressors; this is "
                "the score without adjustment",
                stacklevel=3,
            )
            return scores
        return 1.0 - (1.0 - scores) * (self.num_samples - 1) / left
