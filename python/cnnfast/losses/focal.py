"""Cross-entropies that look less at examples which are right already, or at labels which may be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import integer, real
from cnnfast.losses.base import EPSILON, LossFunctionWrapper
from cnnfast.losses.crossentropy import class_axis, normalized, smoothed, warn_of_one_class
from cnnfast.losses.shapes import as_value, class_labels, matched


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The mean over an axis of the binary cross-entropy times `(1 - q)**gamma`, q being the label's probability.

    T.-Y. Lin and others, "Focal Loss for Dense Object Detection", 2017.

    Args:
        y_true: labels from 0 to 1.
        y_pred: probabilities of the same shape, or logits (of which they are the sigmoid).
        apply_class_balancing: whether to weigh labels of 1 by `alpha` and labels of 0 by `1 - alpha`.
        alpha: that weight.
        gamma: how much less examples count that are right; 0 for the plain cross-entropy.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: moves the labels towards 0.5 by this part.
        axis: the axis of the mean.

    Raises:
        ValueError: the shapes differ (a last axis of size 1 may be missing).

    Example:
        >>> binary_focal_crossentropy([[1.0]], [[0.5]])
        array([0.1732868], dtype=float32)
    """
    labels, p = matched("binary_focal_crossentropy", y_true, y_pred, broadcast=False)
    labels = smoothed(labels, label_smoothing, 2)
    if from_logits:
        p = ops.sigmoid(p)
    others = ops.subtract(1.0, labels)
    wrong = ops.subtract(1.0, ops.add(ops.multiply(p, labels), ops.multiply(ops.subtract(1.0, p), others)))
    values = ops.multiply(ops.power(wrong, gamma), _binary_values(labels, p))
    if apply_class_balancing:
        values = ops.multiply(values, ops.add(ops.multiply(labels, alpha), ops.multiply(others, 1.0 - alpha)))
    return ops.mean(values, axis=axis)


def _binary_values(labels: Any, y_pred: Any) -> Any:
    """The binary cross-entropy of every element."""
    p = ops.clip(y_pred, EPSILON, 1.0 - EPSILON)
    yes = ops.multiply(ops.log(p), labels)
    no = ops.multiply(ops.log(ops.subtract(1.0, p)), ops.subtract(1.0, labels))
    return ops.negative(ops.add(yes, no))


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`-sum(alpha (1 - p)**gamma y log p)` over the classes, for labels that are rows of probabilities.

    T.-Y. Lin and others, "Focal Loss for Dense Object Detection", 2017.

    Args:
        y_true: (N, ..., classes).
        y_pred: probabilities of the same shape, or logits (of which p is the softmax).
        alpha: a factor, or one per class.
        gamma: how much less examples count that are right; 0 for the plain cross-entropy.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: moves the labels towards equal probabilities by this part.
        axis: the axis of the classes.

    Raises:
        ValueError: the shapes differ (a last axis of size 1 may be missing), or there is no such axis.

    Example:
        >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        array([0.0433217], dtype=float32)
    """
    name = "categorical_focal_crossentropy"
    labels, y_pred = matched(name, y_true, y_pred, broadcast=False)
    axis = class_axis(name, axis, y_pred.shape)
    warn_of_one_class(name, y_pred.shape[axis])
    labels = smoothed(labels, label_smoothing, labels.shape[axis])
    p = normalized(ops.softmax(y_pred, axis=axis) if from_logits else y_pred, axis)
    factor = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), np.negative(np.asarray(alpha, np.float32)))
    return ops.sum(ops.multiply(ops.multiply(factor, labels), ops.log(p)), axis=axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """`(1 - p[y]**q) / q`, for labels that may be wrong: between cross-entropy (q to 0) and absolute error (q = 1).

    Z. Zhang and M. R. Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    2018.

    Args:
        y_true: class numbers from 0, of `y_pred`'s shape without the last axis (or with size 1 there).
        y_pred: probabilities, (N, ..., classes).
        q: the exponent.

    Raises:
        ValueError: the shapes do not fit, or a label is no class number.

    Example:
        >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5)
        array([1.], dtype=float32)
    """
    name = "categorical_generalized_cross_entropy"
    y_pred = as_value(name, y_pred, "y_pred")
    labels = class_labels(name, y_true, y_pred.shape)
    p = ops.index(ops.reshape(y_pred, (-1, y_pred.shape[-1])), (np.arange(labels.size), labels.ravel()))
    return ops.reshape(ops.divide(ops.subtract(1.0, ops.power(p, q)), q), labels.shape)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Binary cross-entropy that looks at what is wrong; the arguments are those of `binary_focal_crossentropy`.

    Example:
        >>> round(float(BinaryFocalCrossentropy(gamma=0.0)([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        owner = type(self).__name__
        self.apply_class_balancing, self.from_logits = bool(apply_class_balancing), bool(from_logits)
        self.alpha, self.gamma = real(owner, "alpha", alpha), real(owner, "gamma", gamma)
        self.label_smoothing = real(owner, "label_smoothing", label_smoothing, 0.0, 1.0)
        self.axis = integer(owner, "axis", axis)
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=self.apply_class_balancing,
            alpha=self.alpha,
            gamma=self.gamma,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of one-hot rows that looks at what is wrong; see `categorical_focal_crossentropy`.

    Example:
        >>> loss = CategoricalFocalCrossentropy(alpha=1.0, gamma=0.0)
        >>> round(float(loss([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        owner = type(self).__name__
        self.from_logits, self.axis = bool(from_logits), integer(owner, "axis", axis)
        self.alpha, self.gamma = alpha, real(owner, "gamma", gamma)
        self.label_smoothing = real(owner, "label_smoothing", label_smoothing, 0.0, 1.0)
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=self.gamma,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """A loss for class numbers that may be wrong; see `categorical_generalized_cross_entropy`.

    Raises:
        ValueError: `q` is not between 0 and 1.

    Example:
        >>> float(CategoricalGeneralizedCrossEntropy(q=0.5)([1], [[0.75, 0.25]]))
        1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        self.q = real(type(self).__name__, "q", q)
        if not 0.0 < self.q < 1.0:
            raise ValueError(f"{type(self).__name__}: q expects a number between 0 and 1, got {q}")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=self.q)
