"""Softmax, its logarithm, and the cross-entropy between labels and logits.

The largest logit is subtracted before anything is exponentiated, so no finite logits overflow. A row that holds NaN or
+inf, or nothing but -inf, has no softmax and becomes NaN.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, Tensor, is_recorded, record, to_float32
from cnnfast.ops.math import quiet

__all__ = ["log_softmax", "logits_of", "softmax", "softmax_cross_entropy"]


def _axis_last(op: str, array: FloatArray, axis: int) -> FloatArray:
    """The array with `axis` moved to the end, contiguous."""
    if not -array.ndim <= operator.index(axis) < array.ndim:
        raise ValueError(f"{op}: axis {axis} is out of range for x of shape {array.shape}")
    if axis in (-1, array.ndim - 1):
        return to_float32(array)
    return to_float32(np.moveaxis(array, axis, -1))


def _axis_back(array: FloatArray, axis: int) -> FloatArray:
    if axis in (-1, array.ndim - 1):
        return array
    return np.ascontiguousarray(np.moveaxis(array, -1, axis))


def softmax(x: ArrayLike, axis: int = -1) -> Any:
    """`exp(x) / sum(exp(x))` along an axis: positive numbers that add up to 1.

    Args:
        x: logits, an array of at least one axis.
        axis: the axis along which the results add up to 1.

    Returns:
        An array of x's shape.

    Raises:
        ValueError: there is no such axis, or it has no elements.

    Example:
        >>> softmax([[0, 0, 0, 0], [0, 1, 2, 3]]).round(3)
        array([[0.25 , 0.25 , 0.25 , 0.25 ],
               [0.032, 0.087, 0.237, 0.644]], dtype=float32)
    """
    rows = _core.softmax_forward(_axis_last("softmax", to_float32(x, "softmax"), axis))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_axis_back(_core.softmax_backward(rows, _axis_last("softmax", dy, axis)), axis),)

    y = record("softmax", _axis_back(rows, axis), (x,), vjp)
    if isinstance(y, Tensor) and axis in (-1, y.ndim - 1):
        y._logits = x
    return y


def logits_of(probabilities: Any) -> ArrayLike | None:
    """The logits that `softmax` along the last axis made `probabilities` of, or None where that is not known.

    It lets a loss that is given probabilities compute the cross-entropy from the logits, which neither overflows nor
    needs clipping. Known only for the very tensors that `softmax` returned, so while a tape records or where the logits
    were a tensor; the logits are kept as long as the probabilities are.

    Example:
        >>> logits = Tensor([1.0, 2.0])
        >>> logits_of(softmax(logits)) is logits
        True
        >>> logits_of(np.array([0.5, 0.5])) is None
        True
    """
    return getattr(probabilities, "_logits", None) if isinstance(probabilities, Tensor) else None


def log_softmax(x: ArrayLike, axis: int = -1) -> Any:
    """`log(softmax(x))` along an axis, also where the softmax itself would be rounded to zero.

    Args:
        x: logits, an array of at least one axis.
        axis: the axis along which the exponentials of the results add up to 1.

    Returns:
        An array of x's shape.

    Raises:
        ValueError: there is no such axis, or it has no elements.

    Example:
        >>> log_softmax([0, 1000])
        array([-1000.,     0.], dtype=float32)
    """
    rows = _core.log_softmax_forward(_axis_last("log_softmax", to_float32(x, "log_softmax"), axis))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_axis_back(_core.log_softmax_backward(rows, _axis_last("log_softmax", dy, axis)), axis),)

    return record("log_softmax", _axis_back(rows, axis), (x,), vjp)


def softmax_cross_entropy(labels: ArrayLike, logits: ArrayLike) -> Any:
    """The cross-entropy between labels and `softmax(logits)`, computed in one stable step.

    Each row's loss is `-sum(labels * log_softmax(logits))`; a label of 0 counts for nothing even where the logit is
    -inf. Its gradient to the logits is `sum(labels) * softmax(logits) - labels`.

    Args:
        labels: either one number for every logit, (..., K), usually with a sum of 1 in each row; or integers of shape
            (...), each the index of the one class whose label is 1.
        logits: unnormalised scores, (..., K).

    Returns:
        The loss of each row, (...).

    Raises:
        ValueError: the shapes do not fit, an integer label is outside [0, K), or a tape follows the labels, to which
            no gradient is computed (`stop_gradient(labels)` says that none is wanted).
        TypeError: labels of shape (...) are not integers.

    Example:
        >>> softmax_cross_entropy([0, 2], [[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).round(3)
        array([0.013, 1.099], dtype=float32)
        >>> softmax_cross_entropy([[0.5, 0.5, 0.0]], [[5.0, 5.0, 0.0]]).round(3)
        array([0.697], dtype=float32)
    """
    array = to_float32(logits, "softmax_cross_entropy", "logits")
    if is_recorded(labels):
        raise ValueError(
            "softmax_cross_entropy: labels are followed by a GradientTape, but no gradient is computed for them; "
            "pass stop_gradient(labels)"
        )
    targets = _label_array(labels, array.shape)
    losses, probabilities = _core.cross_entropy_forward(targets, array)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_core.cross_entropy_backward(targets, probabilities, to_float32(dy)),)

    return record("softmax_cross_entropy", losses, (logits,), vjp)


def mean_softmax_cross_entropy(labels: ArrayLike, logits: ArrayLike) -> Any:
    """The mean of `softmax_cross_entropy` over all rows, of which there are some: as one operation to a tape.

    Labels that a tape follows are constants here.

    Example:
        >>> round(float(mean_softmax_cross_entropy([0, 2], [[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])), 3)
        0.556
    """
    mean, back = mean_and_slope(labels, logits)
    return record("softmax_cross_entropy", mean, (logits,), lambda dy, needs: (back(dy),))


def mean_and_slope(labels: ArrayLike, logits: ArrayLike) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
    """What `mean_softmax_cross_entropy` computes, and the way back from the mean's gradient to that of the logits.

    Example:
        >>> mean, back = mean_and_slope([0], [[0.0, 0.0]])
        >>> back(np.ones((), np.float32))
        array([[-0.5,  0.5]], dtype=float32)
    """
    array = to_float32(logits, "softmax_cross_entropy", "logits")
    targets = _label_array(labels, array.shape)
    losses, probabilities = _core.cross_entropy_forward(targets, array)
    count = losses.size
    if count == 1:
        mean = losses.reshape(())
    else:
        with quiet():
            mean = np.array(losses.sum(dtype=np.float64) / count, np.float32)

    def back(dy: FloatArray) -> FloatArray:
        each = dy.reshape(losses.shape) if count == 1 else np.full(losses.shape, dy / np.float32(count), np.float32)
        return _core.cross_entropy_backward(targets, probabilities, each)

    return mean, back


def _label_array(labels: ArrayLike, shape: tuple[int, ...]) -> FloatArray | npt.NDArray[np.int64]:
    """The labels as float32 where there is one for every logit, as int64 where there is one for every row."""
    array = np.asarray(labels)
    if array.shape == shape:
        return to_float32(array, "softmax_cross_entropy", "labels")
    if array.shape != shape[:-1]:
        raise ValueError(
            f"softmax_cross_entropy: labels expect shape {shape} (one for every logit) or {shape[:-1]} (integers, one "
            f"for every row of logits), got {array.shape}"
        )
    if array.dtype.kind not in "iub":
        raise TypeError(
            f"softmax_cross_entropy: labels of shape {shape[:-1]} must be integers, got dtype {array.dtype} "
            f"(logits: {shape})"
        )
    if array.dtype == np.int64 and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, np.int64, ["C_CONTIGUOUS", "ALIGNED"])
