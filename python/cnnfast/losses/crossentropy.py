"""Cross-entropies: of yes-or-no labels, of rows of probabilities and of class numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.arguments import integer, real
from cnnfast.autograd import Value, is_recorded
from cnnfast.losses.base import EPSILON, LossFunctionWrapper, averaging, counting
from cnnfast.losses.fused import cross_entropy, mean_of
from cnnfast.losses.shapes import as_value, class_labels, matched
from cnnfast.tensor import is_float32

_LOW, _HIGH = np.float32(EPSILON), np.float32(1.0 - EPSILON)


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
    y_true, y_pred = matched("binary_crossentropy", y_true, y_pred, broadcast=False)
    y_true = smoothed(y_true, label_smoothing, 2)
    if from_logits:
        return mean_of(
            "binary_crossentropy",
            y_true,
            y_pred,
            lambda y, z: _less(ops.softplus(z), z * y),
            lambda y, z: _less(ops.sigmoid(z), y),
            lambda y, z: -z,
            axis,
        )
    return mean_of("binary_crossentropy", y_true, y_pred, _of_probabilities, _slope, _label_slope, axis)


def _less(x: Any, y: Any) -> Any:
    x -= y
    return x


def _of_probabilities(y: Any, p: Any) -> Any:
    p = np.clip(p, _LOW, _HIGH)
    values = np.log(p)
    values *= y
    rest = np.log(np.float32(1) - p)
    rest *= np.float32(1) - y
    values += rest
    return np.negative(values, out=values)


def _slope(y: Any, p: Any) -> Any:
    held = np.clip(p, _LOW, _HIGH)
    slope = (held - y) / (held * (np.float32(1) - held))
    # What is held back does not move with p.
    slope *= (p >= _LOW) & (p <= _HIGH)
    return slope


def _label_slope(y: Any, p: Any) -> Any:
    held = np.clip(p, _LOW, _HIGH)
    return np.log(np.float32(1) - held) - np.log(held)


def smoothed(labels: Any, part: float, classes: int) -> Any:
    """Labels moved by `part` towards equal probabilities of that many classes.

    Example:
        >>> smoothed(np.array([1.0, 0.0], np.float32), 0.2, 2).round(3)
        array([0.9, 0.1], dtype=float32)
    """
    return ops.add(ops.multiply(labels, 1.0 - part), part / classes) if part else labels


def _mean_categorical(
    y_true: Any,
    y_pred: Any,
    mean: Callable[[Any, Any], Any],
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """A mean of `categorical_crossentropy` from the logits, or None where it takes more than that."""
    logits = _rows_of_logits(y_pred, from_logits, axis)
    if logits is None or np.shape(y_true) != logits.shape or is_recorded(y_true):
        return None
    labels = as_value("categorical_crossentropy", y_true, "y_true")
    return mean(smoothed(labels, label_smoothing, logits.shape[-1]), logits)


def _rows_of_logits(y_pred: Any, from_logits: bool, axis: int) -> Any:
    """The logits, as an array or tensor, of several classes along the last axis, if they are known; else None."""
    logits = y_pred if from_logits else ops.logits_of(y_pred)
    if not (isinstance(logits, Value) or is_float32(logits)) or logits.size == 0:
        return None
    shape = logits.shape
    return logits if axis in (-1, len(shape) - 1) and shape[-1:] > (1,) else None


@averaging(_mean_categorical)
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
        ValueError: the shapes differ (a last axis of size 1 may be missing), or there is no such axis.

    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    name = "categorical_crossentropy"
    labels, y_pred = matched(name, y_true, y_pred, broadcast=False)
    axis = class_axis(name, axis, y_pred.shape)
    warn_of_one_class(name, y_pred.shape[axis])
    labels = smoothed(labels, label_smoothing, labels.shape[axis])
    logits = y_pred if from_logits else ops.logits_of(y_pred)
    if logits is not None and axis == len(y_pred.shape) - 1 and not is_recorded(labels):
        return ops.softmax_cross_entropy(labels, logits)
    if from_logits:
        return ops.negative(ops.sum(ops.multiply(ops.log_softmax(y_pred, axis=axis), labels), axis=axis))
    if axis != len(y_pred.shape) - 1:
        labels, y_pred = ops.moveaxis(labels, axis, -1), ops.moveaxis(y_pred, axis, -1)
    return cross_entropy(name, labels, y_pred, EPSILON, 1.0 - EPSILON)


def _mean_sparse(
    y_true: Any,
    y_pred: Any,
    mean: Callable[[Any, Any], Any],
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """A mean of `sparse_categorical_crossentropy` from the logits, or None where it takes more than that."""
    logits = _rows_of_logits(y_pred, from_logits, axis)
    if ignore_class is not None or logits is None:
        return None
    labels = np.asarray(y_true)
    if labels.shape == (*logits.shape[:-1], 1):
        labels = labels.reshape(logits.shape[:-1])
    if labels.shape != logits.shape[:-1]:
        return None
    if labels.dtype.kind == "f":
        labels = class_labels("sparse_categorical_crossentropy", labels, logits.shape)
    try:
        return mean(labels, logits)
    except (ValueError, TypeError):  # `sparse_categorical_crossentropy` tells what is wrong
        return None


@averaging(_mean_sparse)
@counting(lambda y_true, y_pred, values, ignore_class=None, **_: _valid(y_true, values.shape, ignore_class))
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """`-log p[y]`, for labels that are integers.

    Args:
        y_true: class numbers from 0, of `y_pred`'s shape without the axis of the classes (or with size 1 there).
        y_pred: probabilities or logits (of which p is the softmax), (N, ..., classes). Probabilities that come straight
            from `softmax` are computed with as stably as logits.
        from_logits: whether `y_pred` holds logits.
        ignore_class: a label (any integer) whose examples have a loss of 0 and no gradient; a loss object's mean leaves
            them out.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes do not fit, or a label is no class number.

    Example:
        >>> sparse_categorical_crossentropy([1, 255], [[0.5, 0.5], [0.1, 0.9]], ignore_class=255)
        array([0.6931472, 0.       ], dtype=float32)
    """
    name = "sparse_categorical_crossentropy"
    y_pred, y_true = _classes_last(name, axis, as_value(name, y_pred, "y_pred"), np.asarray(y_true))
    valid = _valid(y_true, y_pred.shape[:-1], ignore_class)
    labels = class_labels(name, y_true, y_pred.shape, None if valid is None else ~valid)
    logits = y_pred if from_logits else ops.logits_of(y_pred)
    probable = logits is None
    source = y_pred if logits is None else logits
    values = _sparse_values(labels, source, probable)
    if valid is None:
        return values
    if not np.isfinite(np.asarray(values)[~valid]).all():
        # Their gradient of 0 would become NaN on its way back, so these rows are replaced before anything is computed.
        values = _sparse_values(labels, ops.where(valid[..., None], source, 1.0), probable)
    return ops.where(valid, values, 0.0)


def _sparse_values(labels: npt.NDArray[np.int64], source: Any, probable: bool) -> Any:
    # The softmax of log(p) is p again, so the fused operation serves for probabilities too.
    return ops.softmax_cross_entropy(labels, ops.log(normalized(source, -1)) if probable else source)


def fitting_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """The cross-entropy of probabilities that the shapes tell, as the name "crossentropy" means it.

    One probability per example: binary; labels with fewer axes than the probabilities, or with one number per example:
    sparse categorical; otherwise categorical.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> fitting_crossentropy([1], [[0.5, 0.5]])
        array([0.6931472], dtype=float32)
    """
    y_pred, labels = as_value("crossentropy", y_pred, "y_pred"), np.shape(y_true)
    if y_pred.shape[-1:] == (1,):
        return binary_crossentropy(y_true, y_pred)
    if len(labels) < len(y_pred.shape) or labels[-1:] == (1,):
        return sparse_categorical_crossentropy(y_true, y_pred)
    return categorical_crossentropy(y_true, y_pred)


def _valid(y_true: Any, shape: tuple[int, ...], ignore_class: int | None) -> npt.NDArray[np.bool_] | None:
    """Where labels are not those to ignore, in the shape of the values; None where all count."""
    if ignore_class is None:
        return None
    valid = np.asarray(np.asarray(y_true) != ignore_class)
    return valid.reshape(shape) if valid.size == np.prod(shape, dtype=np.int64) else None


def _classes_last(name: str, axis: int, y_pred: Any, labels: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[Any]]:
    """Predictions and labels with the axis of the classes at the end."""
    axis, rank = class_axis(name, axis, y_pred.shape), len(y_pred.shape)
    if axis == rank - 1:
        return y_pred, labels
    if labels.ndim == rank and labels.shape[axis] == 1:
        labels = np.squeeze(labels, axis)
    return ops.moveaxis(y_pred, axis, -1), labels


def warn_of_one_class(name: str, classes: int) -> None:
    """Warn where there is but one class, whose probability is 1: then nothing can be learned."""
    if classes == 1:
        warnings.warn(
            f"{name}: y_pred has one class only, whose probability is 1; for one probability per example use the "
            "binary cross-entropy",
            SyntaxWarning,
            stacklevel=4,
        )


def class_axis(name: str, axis: int, shape: tuple[int, ...]) -> int:
    """The number of the axis of the classes, from 0.

    Raises:
        TypeError: `axis` is not an integer.
        ValueError: there is no such axis.

    Example:
        >>> class_axis("loss", -1, (2, 3))
        1
    """
    number = integer(name, "axis", axis)
    if not -len(shape) <= number < len(shape):
        raise ValueError(f"{name}: axis={axis} is out of range for y_pred of shape {shape}")
    return number % len(shape)


def normalized(p: Any, axis: int) -> Any:
    """Probabilities that sum to 1, kept off 0 and 1.

    Example:
        >>> normalized(np.array([[1.0, 3.0]]), -1)
        array([[0.25, 0.75]], dtype=float32)
    """
    return ops.clip(ops.divide(p, ops.sum(p, axis=axis, keepdims=True)), EPSILON, 1.0 - EPSILON)


class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy of yes-or-no labels; the arguments are those of `binary_crossentropy`.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        self.from_logits, self.axis = bool(from_logits), integer(type(self).__name__, "axis", axis)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of one-hot rows; the arguments are those of `categorical_crossentropy`.

    Example:
        >>> round(float(CategoricalCrossentropy(from_logits=True)([[0.0, 1.0]], [[3.0, 3.0]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        self.from_logits, self.axis = bool(from_logits), integer(type(self).__name__, "axis", axis)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
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
        self.from_logits, self.axis = bool(from_logits), integer(type(self).__name__, "axis", axis)
        self.ignore_class = (
            ignore_class if ignore_class is None else integer(type(self).__name__, "ignore_class", ignore_class)
        )
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=self.from_logits,
            ignore_class=self.ignore_class,
            axis=self.axis,
        )
