"""Losses for segmentation: how little two masks overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import ops
from cnnfast.arguments import real
from cnnfast.losses.base import EPSILON, LossFunctionWrapper
from cnnfast.losses.shapes import matched

Axes = int | Sequence[int] | None


def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Any:
    """`1 - 2 sum(y p) / (sum(y) + sum(p))` over axes: 0 where the masks are the same, 1 where they do not meet.

    L. R. Dice, "Measures of the Amount of Ecologic Association Between Species", 1945.

    Args:
        y_true: labels from 0 to 1.
        y_pred: probabilities.
        axis: an axis or a tuple of them, of the sums; all if None, which gives one number.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing), or there is no such axis.

    Example:
        >>> dice([[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0, 1.0]], axis=-1)
        array([0.5], dtype=float32)
    """
    labels, p = matched("dice", y_true, y_pred)
    both = ops.sum(ops.multiply(p, labels), axis=axis)
    total = ops.add(ops.add(ops.sum(labels, axis=axis), ops.sum(p, axis=axis)), EPSILON)
    return ops.subtract(1.0, ops.divide(ops.multiply(both, 2.0), total))


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None) -> Any:
    """One minus what is found in the share of what is found, missed (times alpha) and wrongly found (times beta).

    S. S. M. Salehi, D. Erdogmus and A. Gholipour, "Tversky Loss Function for Image Segmentation Using 3D Fully
    Convolutional Deep Networks", 2017. With both at 0.5 it is the Dice loss.

    Args:
        y_true: labels from 0 to 1.
        y_pred: probabilities.
        alpha: how much `sum(y (1 - p))` counts, which Keras calls false positives.
        beta: how much `sum(p (1 - y))` counts.
        axis: an axis or a tuple of them, of the sums; all if None, which gives one number.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing), or there is no such axis.

    Example:
        >>> tversky([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]], alpha=1.0, axis=-1)
        array([0.5], dtype=float32)
    """
    labels, p = matched("tversky", y_true, y_pred)
    both = ops.sum(ops.multiply(p, labels), axis=axis)
    missed = ops.sum(ops.multiply(ops.subtract(1.0, p), labels), axis=axis)
    added = ops.sum(ops.multiply(p, ops.subtract(1.0, labels)), axis=axis)
    wrong = ops.add(ops.multiply(missed, alpha), ops.multiply(added, beta))
    return ops.subtract(1.0, ops.divide(both, ops.add(ops.add(both, wrong), EPSILON)))


class Dice(LossFunctionWrapper):
    """How little two masks overlap; the arguments are those of `dice`.

    Example:
        >>> float(Dice()([[1.0, 1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0, 1.0]]))
        0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        self.axis = axis
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """How little two masks overlap, with weights for either kind of error; the arguments are those of `tversky`.

    Example:
        >>> float(Tversky(alpha=1.0)([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]))
        0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
        dtype: Any = None,
    ) -> None:
        self.alpha, self.beta = real("Tversky", "alpha", alpha), real("Tversky", "beta", beta)
        self.axis = axis
        super().__init__(tversky, reduction, name, dtype, alpha=self.alpha, beta=self.beta, axis=axis)
