"""How labels and predictions are brought into one shape: Keras's rules, in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import Value, to_float32


def as_value(name: str, x: Any, argument: str) -> Any:
    """A tensor or variable as it is, so that gradients flow to it, anything else as a float32 array.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> as_value("loss", [1, 2], "y_true")
        array([1., 2.], dtype=float32)
    """
    return x if isinstance(x, Value) else to_float32(x, name, argument)


def same_rank(first: Any, second: Any) -> tuple[Any, Any]:
    """Two arrays or tensors, a last axis of size 1 taken off the one of more axes, or given to one of a single axis.

    Example:
        >>> a, b = same_rank(np.zeros((4, 1)), np.zeros(4))
        >>> a.shape, b.shape
        ((4, 1), (4, 1))
        >>> a, b = same_rank(np.zeros((4, 3, 1)), np.zeros((4, 3)))
        >>> a.shape, b.shape
        ((4, 3), (4, 3))
    """
    a, b = first.shape, second.shape
    if len(a) == len(b) + 1 and a[-1] == 1:
        return (first, second.reshape((*b, 1))) if len(b) == 1 else (first.reshape(a[:-1]), second)
    if len(b) == len(a) + 1 and b[-1] == 1:
        return (first.reshape((*a, 1)), second) if len(a) == 1 else (first, second.reshape(b[:-1]))
    return first, second


def matched(name: str, y_true: Any, y_pred: Any, broadcast: bool = True) -> tuple[Any, Any]:
    """Labels and predictions of shapes that fit together.

    Args:
        name: who asks, for the message.
        y_true: labels.
        y_pred: predictions; where they and the labels differ by a last axis of size 1, `same_rank` evens that out.
        broadcast: whether shapes that broadcast will do; otherwise they must be the same.

    Raises:
        TypeError: one of them is not made of real numbers.
        ValueError: the shapes do not fit.

    Example:
        >>> matched("mse", [1.0, 2.0], [[1.0], [2.0]])[0].shape
        (2, 1)
    """
    given, predicted = as_value(name, y_true, "y_true"), as_value(name, y_pred, "y_pred")
    labels, scores = same_rank(given, predicted)
    if labels.shape != scores.shape and not (broadcast and _broadcast(labels.shape, scores.shape)):
        raise ValueError(
            f"{name}: y_true expects the shape of y_pred, {predicted.shape}, got {given.shape}"
            + _label_hint(given.shape, predicted.shape)
        )
    return labels, scores


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def _label_hint(labels: tuple[int, ...], scores: tuple[int, ...]) -> str:
    if labels in (scores[:-1], (*scores[:-1], 1)):
        return (
            "; for integer labels use sparse_categorical_crossentropy, "
            "or make them one-hot rows with cnnfast.utils.to_categorical"
        )
    return ""


def class_labels(
    name: str, y_true: Any, shape: tuple[int, ...], ignored: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.int64]:
    """Class numbers as int64, checked against the shape of the predictions (..., classes).

    Args:
        name: who asks, for the message.
        y_true: class numbers, of the shape without its last axis, or with size 1 there.
        shape: the shape of the predictions.
        ignored: where the labels count for nothing (of their shape): they become 0, whatever they are.

    Raises:
        TypeError: the labels are not numbers.
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
    if labels.dtype.kind not in "fiub":
        raise TypeError(f"{name}: y_true expects class numbers, got dtype {labels.dtype}")
    if ignored is not None:
        labels = np.where(ignored.reshape(labels.shape), labels.dtype.type(0), labels)
    return _whole_numbers_below(name, labels, shape[-1])


def _whole_numbers_below(name: str, labels: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    numbers = labels
    if labels.dtype != np.int64:
        with np.errstate(invalid="ignore"):
            numbers = labels.astype(np.int64)
        if labels.dtype.kind == "f" and not np.array_equal(numbers, labels):
            raise ValueError(f"{name}: y_true expects class numbers, got values that are not whole")
    # As unsigned numbers negative ones are the largest.
    if numbers.size and not int(numbers.view(np.uint64).max()) < classes:
        raise ValueError(
            f"{name}: y_true expects class numbers from 0 to {classes - 1}, "
            f"got values from {numbers.min()} to {numbers.max()}"
        )
    return numbers
