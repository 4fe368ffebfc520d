"""How often predictions are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int, real
from cnnfast.losses.shapes import matched
from cnnfast.metrics.base import Metric
from cnnfast.metrics.reduction import MeanMetricWrapper

FloatArray = npt.NDArray[np.float32]


def accuracy(y_true: Any, y_pred: Any) -> FloatArray:
    """1 where a prediction equals its label, else 0.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> accuracy([1, 2, 3], [1, 2, 4])
        array([1., 1., 0.], dtype=float32)
    """
    labels, predictions = matched("accuracy", np.asarray(y_true), np.asarray(y_pred))
    return (labels == predictions).astype(np.float32)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> FloatArray:
    """1 where a prediction falls on the label's side of the threshold, else 0.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> binary_accuracy([[1.0, 0.0]], [[0.9, 0.6]])
        array([[1., 0.]], dtype=float32)
    """
    labels, scores = matched("binary_accuracy", np.asarray(y_true), np.asarray(y_pred))
    return ((scores > np.float32(threshold)) == labels).astype(np.float32)


def categorical_accuracy(y_true: Any, y_pred: Any) -> FloatArray:
    """1 where the highest score is at the one-hot row's highest value, else 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> categorical_accuracy([[0, 1], [0, 1]], [[0.3, 0.7], [0.6, 0.4]])
        array([1., 0.], dtype=float32)
    """
    labels, scores = _rows("categorical_accuracy", y_true, y_pred)
    return (labels.argmax(axis=-1) == scores.argmax(axis=-1)).astype(np.float32)


def _rows(name: str, y_true: Any, y_pred: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    labels, scores = np.asarray(y_true), np.asarray(y_pred)
    if labels.shape != scores.shape or labels.ndim == 0:
        raise ValueError(f"{name}: y_true expects shape {scores.shape}, got {labels.shape}")
    return labels, scores


def _numbers(name: str, y_true: Any, y_pred: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Class numbers of the shape of the scores without their last axis, and the scores."""
    labels, scores = np.asarray(y_true), np.asarray(y_pred)
    expected = scores.shape[:-1]
    if scores.ndim == 0 or labels.shape not in (expected, (*expected, 1)):
        hint = "; for one-hot rows use the metric without sparse" if labels.shape == scores.shape else ""
        raise ValueError(f"{name}: y_true expects class numbers of shape {expected}, got shape {labels.shape}{hint}")
    return labels.reshape(expected), scores


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> FloatArray:
    """1 where the highest score is that of the labelled class, else 0 (also for labels that are no class).

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> sparse_categorical_accuracy([1, 1], [[0.3, 0.7], [0.6, 0.4]])
        array([1., 0.], dtype=float32)
    """
    labels, scores = _numbers("sparse_categorical_accuracy", y_true, y_pred)
    right = (labels == scores.argmax(axis=-1)).astype(np.float32)
    return right[..., 0] if right.ndim > 1 and right.shape[-1] == 1 else right


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> FloatArray:
    """1 where fewer than k classes score higher than the labelled one, else 0.

    It is 0 also where the labelled class's score is not finite, and for labels that are no class.

    Args:
        y_true: class numbers.
        y_pred: scores, (N, ..., classes).
        k: how many of the highest scores count.
        from_sorted_ids: whether `y_pred` holds class numbers instead, the best first.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], k=2)
        array([1., 0.], dtype=float32)
    """
    labels, scores = _numbers("sparse_top_k_categorical_accuracy", y_true, y_pred)
    if from_sorted_ids:
        found = (scores[..., :k] == labels[..., None]).any(axis=-1)
    else:
        numbers = labels.astype(np.int64)
        known = (numbers >= 0) & (numbers < scores.shape[-1])
        own = np.take_along_axis(scores, np.where(known, numbers, 0)[..., None], axis=-1)
        found = ((scores > own).sum(axis=-1) < k) & np.isfinite(own[..., 0]) & known
    return found.astype(np.float32).reshape(np.shape(y_true))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> FloatArray:
    """1 where the one-hot row's class is among the k highest scores, else 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> top_k_categorical_accuracy([[0, 1, 0]], [[0.1, 0.2, 0.7]], k=2)
        array([1.], dtype=float32)
    """
    labels, scores = _rows("top_k_categorical_accuracy", y_true, y_pred)
    return sparse_top_k_categorical_accuracy(labels.argmax(axis=-1), scores, k)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal labels.

    The name "accuracy" in `compile` means another one, the accuracy that fits the model.

    Example:
        >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
        0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions fall on the label's side of a threshold.

    Args:
        name: the key in logs.
        dtype: None or "float32".
        threshold: predictions above it mean yes.

    Example:
        >>> BinaryAccuracy()([1, 0], [0.9, 0.6])
        0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        self.threshold = real("BinaryAccuracy", "threshold", threshold)
        super().__init__(binary_accuracy, name, dtype, threshold=self.threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the highest score is at the one-hot row's class.

    Example:
        >>> CategoricalAccuracy()([[0, 1], [0, 1]], [[0.3, 0.7], [0.6, 0.4]])
        0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the highest score is that of the labelled class.

    Example:
        >>> SparseCategoricalAccuracy()([1, 1], [[0.3, 0.7], [0.6, 0.4]])
        0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot row's class is among the k highest scores.

    Args:
        k: how many of the highest scores count.
        name: the key in logs.
        dtype: None or "float32".

    Example:
        >>> TopKCategoricalAccuracy(k=2)([[0, 1, 0]], [[0.1, 0.2, 0.7]])
        1.0
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        self.k = positive_int(type(self).__name__, "k", k)
        super().__init__(top_k_categorical_accuracy, name, dtype, k=self.k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the labelled class is among the k highest scores.

    Args:
        k: how many of the highest scores count.
        name: the key in logs.
        dtype: None or "float32".
        from_sorted_ids: whether predictions are class numbers, the best first, instead of scores.

    Example:
        >>> SparseTopKCategoricalAccuracy(k=2)([1], [[0.1, 0.2, 0.7]])
        1.0
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        self.k, self.from_sorted_ids = positive_int(type(self).__name__, "k", k), bool(from_sorted_ids)
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=self.k, from_sorted_ids=self.from_sorted_ids)


class FittingAccuracy(Metric):
    """Accuracy of the kind that the shapes of the first batch tell: what the name "accuracy" means in `compile`.

    One score per example: binary; labels with fewer axes than the scores, or with one number per example: sparse
    categorical; otherwise categorical.

    Example:
        >>> FittingAccuracy()([1, 1], [[0.3, 0.7], [0.6, 0.4]])
        0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._metric: Metric | None = None
        self._chosen = False  # for the batches since the last reset

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        if not self._chosen:
            kind = _accuracy_for(np.shape(y_true), np.shape(y_pred))
            if type(self._metric) is not kind:
                self._metric = kind(name=self.name)
            self._chosen = True
        assert self._metric is not None
        self._metric.update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:  # noqa: D102
        return 0.0 if self._metric is None else self._metric.result()

    def reset_state(self) -> None:  # noqa: D102
        if self._metric is not None:
            self._metric.reset_state()
        self._chosen = False


def _accuracy_for(labels: tuple[int, ...], scores: tuple[int, ...]) -> type[Any]:
    if scores[-1:] == (1,) or len(scores) < 2:
        return BinaryAccuracy
    if len(labels) < len(scores) or labels[-1] == 1:
        return SparseCategoricalAccuracy
    return CategoricalAccuracy
