"""Metrics: numbers that describe how well a model does, gathered over batches.

>>> accuracy = SparseCategoricalAccuracy()
>>> accuracy.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
>>> accuracy.result()
0.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from cnnfast import losses
from cnnfast.arguments import positive_int, real
from cnnfast.configured import Configured

FloatArray = npt.NDArray[np.float32]


class Metric(Configured):
    """Base: gathers something over batches until it is asked for the result.

    Args:
        dtype: None or "float32".
        name: the key in logs and histories.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        if dtype is not None and dtype != "float32":
            raise ValueError(f"{type(self).__name__}: dtype={dtype!r} cannot be honoured: results are Python floats")
        self.name = name or type(self).__name__

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch in; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no update_state()")

    def result(self) -> float:
        """The metric over all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} defines no result()")

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} defines no reset_state()")

    def __call__(self, *args: Any, **kwargs: Any) -> float:
        """Take a batch in and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()


class Mean(Metric):
    """The (weighted) mean of values; 0 before there are any.

    Example:
        >>> mean = Mean()
        >>> mean.update_state([1.0, 3.0])
        >>> mean.update_state(5.0, sample_weight=2.0)
        >>> mean.result()
        3.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        self._total = 0.0
        self._weight = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, each with its weight (1 by default)."""
        if sample_weight is None and isinstance(values, float):
            self._total += values
            self._weight += 1.0
            return
        values = np.asarray(values)
        if sample_weight is None:
            self._total += float(values.sum(dtype=np.float64))
            self._weight += values.size
            return
        weights = np.asarray(sample_weight, np.float64)
        if weights.shape == (*values.shape, 1):
            weights = weights.reshape(values.shape)
        if weights.shape != values.shape[: weights.ndim]:
            raise ValueError(f"{self.name}: sample_weight expects shape {values.shape}, got {weights.shape}")
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim)), values.shape)
        self._total += float((values * weights).sum())
        self._weight += float(weights.sum())

    def result(self) -> float:  # noqa: D102
        return self._total / self._weight if self._weight else 0.0


class MeanOfExamples(Metric):
    """Base of metrics that are the mean of one value per example."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._mean = Mean()

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One value per example; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no values()")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions."""
        self._mean.update_state(self.values(y_true, np.asarray(y_pred)), sample_weight)

    def result(self) -> float:  # noqa: D102
        return self._mean.result()

    def reset_state(self) -> None:  # noqa: D102
        self._mean.reset_state()


class MeanMetricWrapper(MeanOfExamples):
    """The mean of a function of (y_true, y_pred) that returns one value per example.

    Args:
        fn: the function.
        name: the key in logs; the function's name by default.
        dtype: None or "float32".

    Example:
        >>> worst = MeanMetricWrapper(lambda y, p: np.abs(p - y).max(axis=-1), name="worst")
        >>> worst(np.zeros((1, 2)), np.array([[1.0, 3.0]]))
        3.0
    """

    def __init__(self, fn: Callable[[Any, Any], Any], name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__), dtype)
        self.fn = fn

    def values(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return self.fn(y_true, y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> FloatArray:
    """The part of each example's predictions that fall on the label's side of the threshold.

    Raises:
        ValueError: the shapes differ (a last axis of size 1 may be missing).

    Example:
        >>> binary_accuracy([[1.0, 0.0]], [[0.9, 0.6]])
        array([0.5], dtype=float32)
    """
    labels, y_pred = losses.matched("binary_accuracy", y_true, y_pred)
    return np.mean((np.asarray(y_pred) > threshold) == labels, axis=-1, dtype=np.float32)


def categorical_accuracy(y_true: Any, y_pred: Any) -> FloatArray:
    """1 where the highest score is at the one-hot row's highest value, else 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> categorical_accuracy([[0, 1], [0, 1]], [[0.3, 0.7], [0.6, 0.4]])
        array([1., 0.], dtype=float32)
    """
    labels, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if labels.shape != y_pred.shape:
        raise ValueError(f"categorical_accuracy: y_true expects shape {y_pred.shape}, got {labels.shape}")
    return (labels.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(np.float32)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> FloatArray:
    """1 where the highest score is that of the labelled class, else 0.

    Raises:
        ValueError: the shapes do not fit, or a label is no class number.

    Example:
        >>> sparse_categorical_accuracy([1, 1], [[0.3, 0.7], [0.6, 0.4]])
        array([1., 0.], dtype=float32)
    """
    y_pred = np.asarray(y_pred)
    labels = losses.class_labels("sparse_categorical_accuracy", y_true, y_pred.shape)
    return (labels == y_pred.argmax(axis=-1)).astype(np.float32)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> FloatArray:
    """1 where fewer than k classes score higher than the labelled one, else 0 (also where its score is not finite).

    Raises:
        ValueError: the shapes do not fit, or a label is no class number.

    Example:
        >>> sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]], k=2)
        array([1., 0.], dtype=float32)
    """
    y_pred = np.asarray(y_pred)
    labels = losses.class_labels("sparse_top_k_categorical_accuracy", y_true, y_pred.shape)
    own = np.take_along_axis(y_pred, labels[..., None], axis=-1)
    higher = (y_pred > own).sum(axis=-1)
    return ((higher < k) & np.isfinite(own[..., 0])).astype(np.float32)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> FloatArray:
    """1 where the one-hot row's class is among the k highest scores, else 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> top_k_categorical_accuracy([[0, 1, 0]], [[0.1, 0.2, 0.7]], k=2)
        array([1.], dtype=float32)
    """
    labels = np.asarray(y_true)
    if labels.shape != np.shape(y_pred):
        raise ValueError(f"top_k_categorical_accuracy: y_true expects shape {np.shape(y_pred)}, got {labels.shape}")
    return sparse_top_k_categorical_accuracy(labels.argmax(axis=-1), y_pred, k)


class _Named(MeanOfExamples):
    """The mean of one of the functions above or of `cnnfast.losses`."""

    _fn: ClassVar[Callable[..., Any]]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or type(self)._fn.__name__, dtype)

    def values(self, y_true: Any, y_pred: Any) -> Any:
        return type(self)._fn(y_true, y_pred)


class CategoricalAccuracy(_Named):
    """How often the highest score is at the one-hot row's class.

    Example:
        >>> CategoricalAccuracy()([[0, 1], [0, 1]], [[0.3, 0.7], [0.6, 0.4]])
        0.5
    """

    _fn = categorical_accuracy


class SparseCategoricalAccuracy(_Named):
    """How often the highest score is that of the labelled class.

    Example:
        >>> SparseCategoricalAccuracy()([1, 1], [[0.3, 0.7], [0.6, 0.4]])
        0.5
    """

    _fn = sparse_categorical_accuracy


class MeanSquaredError(_Named):
    """The mean of `(y_true - y_pred)**2`.

    Example:
        >>> MeanSquaredError()([[0.0], [2.0]], [[0.0], [0.0]])
        2.0
    """

    _fn = losses.mean_squared_error


class MeanAbsoluteError(_Named):
    """The mean of `|y_true - y_pred|`.

    Example:
        >>> MeanAbsoluteError()([[0.0], [2.0]], [[0.0], [0.0]])
        1.0
    """

    _fn = losses.mean_absolute_error


class BinaryCrossentropy(_Named):
    """The mean cross-entropy of yes-or-no labels and probabilities."""

    _fn = losses.binary_crossentropy


class CategoricalCrossentropy(_Named):
    """The mean cross-entropy of one-hot rows and probabilities."""

    _fn = losses.categorical_crossentropy


class SparseCategoricalCrossentropy(_Named):
    """The mean cross-entropy of class numbers and probabilities."""

    _fn = losses.sparse_categorical_crossentropy


class BinaryAccuracy(MeanOfExamples):
    """How often predictions fall on the label's side of a threshold.

    Args:
        name: the key in logs.
        dtype: None or "float32".
        threshold: predictions above it mean yes.

    Example:
        >>> BinaryAccuracy()([1, 0], [0.9, 0.6])
        0.5
    """

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype)
        self.threshold = real("BinaryAccuracy", "threshold", threshold)

    def values(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return binary_accuracy(y_true, y_pred, self.threshold)


class TopKCategoricalAccuracy(MeanOfExamples):
    """How often the one-hot row's class is among the k highest scores.

    Args:
        k: how many of the highest scores count.
        name: the key in logs.
        dtype: None or "float32".

    Example:
        >>> TopKCategoricalAccuracy(k=2)([[0, 1, 0]], [[0.1, 0.2, 0.7]])
        1.0
    """

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.k = positive_int(type(self).__name__, "k", k)

    def values(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return top_k_categorical_accuracy(y_true, y_pred, self.k)


class SparseTopKCategoricalAccuracy(MeanOfExamples):
    """How often the labelled class is among the k highest scores.

    Args:
        k: how many of the highest scores count.
        name: the key in logs.
        dtype: None or "float32".

    Example:
        >>> SparseTopKCategoricalAccuracy(k=2)([1], [[0.1, 0.2, 0.7]])
        1.0
    """

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.k = positive_int(type(self).__name__, "k", k)

    def values(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return sparse_top_k_categorical_accuracy(y_true, y_pred, self.k)


class Accuracy(Metric):
    """Accuracy of the kind that the shapes of the first batch tell, as the name "accuracy" means it.

    One score per example: binary; labels with fewer axes than the scores, or with one number per example: sparse
    categorical; otherwise categorical.

    Example:
        >>> Accuracy()([1, 1], [[0.3, 0.7], [0.6, 0.4]])
        0.5
    """

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._metric: Metric | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions."""
        if self._metric is None:
            self._metric = _accuracy_for(np.shape(y_true), np.shape(y_pred))(name=self.name)
        self._metric.update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:  # noqa: D102
        return 0.0 if self._metric is None else self._metric.result()

    def reset_state(self) -> None:  # noqa: D102
        self._metric = None


def _accuracy_for(labels: tuple[int, ...], scores: tuple[int, ...]) -> type[Any]:
    if scores[-1:] == (1,) or len(scores) < 2:
        return BinaryAccuracy
    if len(labels) < len(scores) or labels[-1] == 1:
        return SparseCategoricalAccuracy
    return CategoricalAccuracy


_CLASSES: dict[str, type[Metric]] = {
    c.__name__: c
    for c in (
        Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy, Mean,
        MeanAbsoluteError, MeanSquaredError, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
        SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy,
    )
}  # fmt: skip
_BY_NAME: dict[str, type[Metric]] = _CLASSES | {
    "accuracy": Accuracy,
    "acc": Accuracy,
    "mse": MeanSquaredError,
    "mean_squared_error": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}

MetricLike = Metric | Callable[[Any, Any], Any] | str | Mapping[str, Any]


def get(identifier: MetricLike) -> Metric:
    """The metric object that an argument means.

    Args:
        identifier: a name such as "accuracy", a metric, a function of (y_true, y_pred), or a dict of `class_name` and
            `config`.

    Raises:
        ValueError: no metric has that name.
        TypeError: nothing that can be a metric.

    Example:
        >>> get("acc").name
        'acc'
    """
    if isinstance(identifier, Mapping):
        name = identifier.get("class_name")
        return _class_named(name).from_config(identifier.get("config", {}))
    if isinstance(identifier, str):
        cls = _class_named(identifier)
        return cls() if identifier in _CLASSES else cls(name=identifier)
    if isinstance(identifier, Metric):
        return identifier
    if callable(identifier) and not isinstance(identifier, type):
        return MeanMetricWrapper(identifier)
    raise TypeError(f"metric expects a name, a Metric or a function, got {identifier!r}")


def _class_named(name: Any) -> type[Metric]:
    if not isinstance(name, str) or name not in _BY_NAME:
        raise ValueError(f"metric {name!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
    return _BY_NAME[name]
