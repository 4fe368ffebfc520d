"""Losses, as classes, functions and names.

A loss function returns one value per example; a loss object averages these to the number that training minimises.

>>> mean_squared_error([[0.0, 1.0]], [[0.5, 0.5]])
array([0.25], dtype=float32)
>>> float(MeanSquaredError()([[0.0, 1.0]], [[0.5, 0.5]]))
0.25
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.arguments import integer, real, refuse_unsupported
from cnnfast.autograd import Tensor, to_float32
from cnnfast.configured import Configured

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1 before their logarithm is taken

LossFunction = Callable[[Any, Any], Any]


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `(y_true - y_pred)**2`.

    Raises:
        ValueError: the shapes differ (a last axis of size 1 may be missing).

    Example:
        >>> mean_squared_error([[1.0, 3.0]], [[1.0, 1.0]])
        array([2.], dtype=float32)
    """
    y_true, y_pred = matched("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_pred, y_true)), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `|y_true - y_pred|`.

    Raises:
        ValueError: the shapes differ (a last axis of size 1 may be missing).

    Example:
        >>> mean_absolute_error([[1.0, 3.0]], [[1.0, 1.0]])
        array([1.], dtype=float32)
    """
    y_true, y_pred = matched("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.abs(ops.subtract(y_pred, y_true)), axis=-1)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The mean over an axis of `-(y log p + (1 - y) log(1 - p))`.

    Args:
        y_true: labels from 0 to 1.
        y_pred: probabilities of the same shape, or logits (of which p is the sigmoid).
        from_logits: whether `y_pred` holds logits.
        label_smoothing: moves the labels towards 0.5 by this part.
        axis: the axis of the mean.

    Raises:
        ValueError: the shapes differ (a last axis of size 1 may be missing).

    Example:
        >>> binary_crossentropy([[1.0]], [[0.5]])
        array([0.6931472], dtype=float32)
    """
    y_true, y_pred = matched("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * np.float32(1.0 - label_smoothing) + np.float32(0.5 * label_smoothing)
    if from_logits:
        return ops.mean(ops.subtract(ops.softplus(y_pred), ops.multiply(y_pred, y_true)), axis=axis)
    p = ops.clip(y_pred, EPSILON, 1.0 - EPSILON)
    log_likelihood = ops.add(
        ops.multiply(ops.log(p), y_true), ops.multiply(ops.log(ops.subtract(1.0, p)), np.float32(1.0) - y_true)
    )
    return ops.negative(ops.mean(log_likelihood, axis=axis))


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """`-sum(y log p)` over the classes, for labels that are rows of probabilities (one-hot rows, most often).

    Args:
        y_true: (N, ..., classes).
        y_pred: probabilities of the same shape, or logits (of which p is the softmax). Probabilities that come
            straight from `softmax` are computed with as stably as logits.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: moves the labels towards equal probabilities by this part.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    name = "categorical_crossentropy"
    labels, y_pred = to_float32(y_true, name, "y_true"), _tensor(name, y_pred)
    if labels.shape != y_pred.shape:
        raise ValueError(
            f"{name}: y_true expects the shape of y_pred, {y_pred.shape}, got {labels.shape}"
            + _label_hint(labels, y_pred)
        )
    if label_smoothing:
        labels = labels * np.float32(1.0 - label_smoothing) + np.float32(label_smoothing / labels.shape[axis])
    last = axis in (-1, len(y_pred.shape) - 1)
    logits = y_pred if from_logits else ops.logits_of(y_pred)
    if logits is not None and last:
        return ops.softmax_cross_entropy(labels, logits)
    if from_logits:
        return ops.negative(ops.sum(ops.multiply(ops.log_softmax(y_pred, axis=axis), labels), axis=axis))
    log_p = ops.log(_normalized(y_pred, axis))
    return ops.negative(ops.sum(ops.multiply(log_p, labels), axis=axis))


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """`-log p[y]`, for labels that are integers.

    Args:
        y_true: class numbers from 0, of `y_pred`'s shape without the axis of the classes (or with size 1 there).
        y_pred: probabilities or logits (of which p is the softmax), (N, ..., classes). Probabilities that come straight
            from `softmax` are computed with as stably as logits.
        from_logits: whether `y_pred` holds logits.
        axis: the axis of the classes; only the last is supported.

    Raises:
        ValueError: the shapes do not fit, or a label is no class number.

    Example:
        >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    name = "sparse_categorical_crossentropy"
    y_pred = _tensor(name, y_pred)
    if axis not in (-1, len(y_pred.shape) - 1):
        raise ValueError(f"{name}: axis={axis} cannot be honoured: the classes are the last axis")
    labels = class_labels(name, y_true, y_pred.shape)
    logits = y_pred if from_logits else ops.logits_of(y_pred)
    if logits is None:
        # The softmax of log(p) is p again, so the fused operation serves here too.
        logits = ops.log(_normalized(y_pred, axis))
    return ops.softmax_cross_entropy(labels, logits)


def _normalized(p: Any, axis: int) -> Any:
    """Probabilities that sum to 1, kept off 0 and 1."""
    return ops.clip(ops.divide(p, ops.sum(p, axis=axis, keepdims=True)), EPSILON, 1.0 - EPSILON)


def _tensor(name: str, y_pred: Any) -> Any:
    return y_pred if isinstance(y_pred, Tensor) else to_float32(y_pred, name, "y_pred")


def matched(name: str, y_true: Any, y_pred: Any) -> tuple[npt.NDArray[np.float32], Any]:
    """Labels and predictions in one shape: a last axis of size 1 that one of them lacks is added or taken away.

    Raises:
        ValueError: the shapes differ otherwise.

    Example:
        >>> matched("mse", [1.0, 2.0], [[1.0], [2.0]])[0].shape
        (2, 1)
    """
    labels, y_pred = to_float32(y_true, name, "y_true"), _tensor(name, y_pred)
    shape = y_pred.shape
    if labels.shape != shape:
        if (*labels.shape, 1) == shape or labels.shape == (*shape, 1):
            return labels.reshape(shape), y_pred
        raise ValueError(
            f"{name}: y_true expects the shape of y_pred, {shape}, got {labels.shape}{_label_hint(labels, y_pred)}"
        )
    return labels, y_pred


def _label_hint(labels: Any, y_pred: Any) -> str:
    if labels.shape == y_pred.shape[:-1] or labels.shape == (*y_pred.shape[:-1], 1):
        return (
            "; for integer labels use sparse_categorical_crossentropy, "
            "or make them one-hot rows with cnnfast.utils.to_categorical"
        )
    return ""


def class_labels(name: str, y_true: Any, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Class numbers as int64, checked against the shape of the predictions (..., classes).

    Raises:
        ValueError: the shape does not fit, or a label is no class number.

    Example:
        >>> class_labels("loss", [[1.0], [0.0]], (2, 3))
        array([1, 0])
    """
    labels = np.asarray(y_true)
    if labels.shape == (*shape[:-1], 1):
        labels = labels.reshape(shape[:-1])
    if labels.shape != shape[:-1]:
        hint = "; for one-hot rows use categorical_crossentropy" if labels.shape == shape else ""
        raise ValueError(f"{name}: y_true expects class numbers of shape {shape[:-1]}, got shape {labels.shape}{hint}")
    if labels.dtype == np.int64:
        numbers = labels
    else:
        if labels.dtype.kind not in "fiub":
            raise TypeError(f"{name}: y_true expects class numbers, got dtype {labels.dtype}")
        with np.errstate(invalid="ignore"):
            numbers = labels.astype(np.int64)
        if labels.dtype.kind == "f" and not np.array_equal(numbers, labels):
            raise ValueError(f"{name}: y_true expects class numbers, got values that are not whole")
    # As unsigned numbers negative ones are the largest.
    if numbers.size and not int(numbers.view(np.uint64).max()) < shape[-1]:
        raise ValueError(
            f"{name}: y_true expects class numbers from 0 to {shape[-1] - 1}, "
            f"got values from {numbers.min()} to {numbers.max()}"
        )
    return numbers


class Loss(Configured):
    """Base: a function of labels and predictions, averaged over the examples.

    Args:
        name: shown in messages.
        reduction: "sum_over_batch_size" (or "mean"): the mean over all examples; "sum"; "none": one value per example.
        dtype: None or "float32".

    Example:
        >>> class Worst(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.max(ops.abs(y_pred - y_true), axis=-1)
        >>> float(Worst()(np.zeros((2, 3)), np.ones((2, 3))))
        1.0
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        reduction = "none" if reduction is None else reduction
        owner = type(self).__name__
        if reduction not in ("sum_over_batch_size", "mean", "sum", "none"):
            raise ValueError(f"{owner}: reduction expects sum_over_batch_size, mean, sum or none, got {reduction!r}")
        if dtype is not None and dtype != "float32":
            raise ValueError(f"{owner}: dtype={dtype!r} cannot be honoured: everything is computed in float32")
        self.name = name or owner
        self.reduction = reduction

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value per example; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no call()")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: npt.ArrayLike | None = None) -> Any:
        """The reduced loss; `sample_weight` multiplies each example's value before that."""
        values = self.call(y_true, y_pred)
        if sample_weight is not None:
            values = ops.multiply(values, _weights_like(self.name, values, sample_weight))
        if self.reduction == "none":
            return values
        if self.reduction == "sum":
            return ops.sum(values)
        return ops.mean(values) if values.shape != () and 0 not in values.shape else ops.sum(values)


def _weights_like(name: str, values: Any, sample_weight: npt.ArrayLike) -> npt.NDArray[np.float32]:
    weights = to_float32(sample_weight, name, "sample_weight")
    if weights.shape == (*values.shape, 1):
        weights = weights.reshape(values.shape)
    if weights.shape != values.shape[: weights.ndim]:
        raise ValueError(f"{name}: sample_weight expects shape {values.shape}, got {weights.shape}")
    return weights.reshape(weights.shape + (1,) * (len(values.shape) - weights.ndim))


class FunctionLoss(Loss):
    """A loss made of a function of (y_true, y_pred) that returns one value per example.

    Example:
        >>> float(FunctionLoss(mean_absolute_error)([[1.0]], [[3.0]]))
        2.0
    """

    def __init__(
        self, fn: LossFunction, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", type(fn).__name__), reduction)
        self.fn = fn

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return self.fn(y_true, y_pred)


class MeanSquaredError(Loss):
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
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(Loss):
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
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return mean_absolute_error(y_true, y_pred)


class _Crossentropy(Loss):
    """What the cross-entropies with probabilities as labels share."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)
        self.axis = integer(type(self).__name__, "axis", axis)


class BinaryCrossentropy(_Crossentropy):
    """Cross-entropy of yes-or-no labels; the arguments are those of `binary_crossentropy`.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.6931
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return binary_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)


class CategoricalCrossentropy(_Crossentropy):
    """Cross-entropy of one-hot rows; the arguments are those of `categorical_crossentropy`.

    Example:
        >>> round(float(CategoricalCrossentropy(from_logits=True)([[0.0, 1.0]], [[3.0, 3.0]])), 4)
        0.6931
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of class numbers; the arguments are those of `sparse_categorical_crossentropy`.

    Example:
        >>> round(float(SparseCategoricalCrossentropy(from_logits=True)([1], [[3.0, 3.0]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        refuse_unsupported("SparseCategoricalCrossentropy", {"ignore_class": ignore_class})
        self.from_logits = bool(from_logits)
        self.axis = integer("SparseCategoricalCrossentropy", "axis", axis)

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: D102
        return sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.axis)


_FUNCTIONS: dict[str, LossFunction] = {
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "binary_crossentropy": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
_CLASSES: dict[str, type[Loss]] = {
    c.__name__: c
    for c in (
        MeanSquaredError, MeanAbsoluteError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
    )
}  # fmt: skip
_BY_NAME: dict[str, type[Loss]] = (
    _CLASSES
    | dict(zip(_FUNCTIONS, _CLASSES.values(), strict=True))
    | {"mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError}
    | {"bce": BinaryCrossentropy}
)

LossLike = Loss | LossFunction | str | Mapping[str, Any]


def get(identifier: LossLike) -> Loss:
    """The loss object that an argument means.

    Args:
        identifier: a name such as "mse" or "SparseCategoricalCrossentropy", a loss, a function of (y_true, y_pred), or
            a dict of `class_name` and `config`.

    Raises:
        ValueError: no loss has that name.
        TypeError: nothing that can be a loss.

    Example:
        >>> get("mae").name
        'mean_absolute_error'
    """
    config: Mapping[str, Any] = {}
    name: Any = identifier
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    if isinstance(name, str):
        if name not in _BY_NAME:
            raise ValueError(f"loss {name!r} is not known; there are {', '.join(sorted(_BY_NAME))}")
        return _BY_NAME[name].from_config(config)
    if isinstance(identifier, Loss):
        return identifier
    for known, function in _FUNCTIONS.items():
        if identifier is function:
            return _BY_NAME[known]()
    if callable(identifier) and not isinstance(identifier, type):
        return FunctionLoss(identifier)
    raise TypeError(f"loss expects a name, a Loss or a function, got {identifier!r}")
