"""Intersection over union: how much of what is labelled or predicted as a class is both."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import integer, positive_int, real
from cnnfast.metrics.base import Metric, share, weights_like


class IoU(Metric):
    """The mean over some classes of what labels and predictions share of what either has.

    P. Jaccard, "The Distribution of the Flora in the Alpine Zone", 1912. Classes that neither has do not count; labels
    and predictions that are no class are left out.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes to take the mean over.
        name: the key in logs.
        dtype: "int" (also None) to count with whole weights, as Keras does: fractions of them are dropped, with a
            warning; "float32" to count with weights as they are.
        ignore_class: labels of this number are left out.
        sparse_y_true: whether labels are class numbers; otherwise the highest along `axis` is taken.
        sparse_y_pred: whether predictions are class numbers; otherwise the highest along `axis` is taken.
        axis: the axis of the classes.

    Raises:
        ValueError: a class is out of range.

    Example:
        >>> round(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]), 4)
        0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(None if dtype in ("int", "int32", "int64") else dtype, name)
        owner = type(self).__name__
        self._whole = dtype in (None, "int", "int32", "int64")
        self.num_classes = positive_int(owner, "num_classes", num_classes)
        self.target_class_ids = [integer(owner, "target_class_ids", c) for c in target_class_ids]
        if not all(0 <= c < self.num_classes for c in self.target_class_ids) or not self.target_class_ids:
            raise ValueError(
                f"{owner}: target_class_ids expects class numbers from 0 to {self.num_classes - 1}, got "
                f"{self.target_class_ids}"
            )
        self.ignore_class = None if ignore_class is None else integer(owner, "ignore_class", ignore_class)
        self.sparse_y_true, self.sparse_y_pred = bool(sparse_y_true), bool(sparse_y_pred)
        self.axis = integer(owner, "axis", axis)
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        # How often each class (row) is taken for each (column).
        self.total_cm = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions; a weight may be given per example, per label, or for all.

        Raises:
            ValueError: the shapes do not fit.
        """
        labels = _numbers(y_true, self.sparse_y_true, self.axis)
        found = _numbers(y_pred, self.sparse_y_pred, self.axis)
        if labels.size != found.size:
            raise ValueError(
                f"{self.name}: y_true expects as many classes as y_pred, {found.shape}, got {labels.shape}"
            )
        weights = None if sample_weight is None else self._weights(sample_weight, labels.shape)
        labels, found = labels.ravel(), found.ravel()
        known = (labels >= 0) & (labels < self.num_classes) & (found >= 0) & (found < self.num_classes)
        if self.ignore_class is not None:
            known &= labels != self.ignore_class
        if not known.all():
            labels, found = labels[known], found[known]
            weights = None if weights is None else weights[known]
        pairs = np.bincount(labels * self.num_classes + found, weights, self.num_classes**2)
        self.total_cm += pairs.reshape(self.total_cm.shape)

    def _weights(self, given: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        weights = np.asarray(given, np.float64)
        if self._whole and not np.array_equal(weights, np.trunc(weights)):
            warnings.warn(f'{self.name}: fractions of weights are dropped; dtype="float32" keeps them', stacklevel=4)
            weights = np.trunc(weights)
        same = weights.ndim > 1 and weights.size == np.prod(shape, dtype=np.int64)
        return weights.ravel() if same else weights_like(self.name, weights, shape).ravel()

    def result(self) -> float:  # noqa: D102
        both = np.diag(self.total_cm)
        either = self.total_cm.sum(axis=0) + self.total_cm.sum(axis=1) - both
        chosen = [c for c in self.target_class_ids if either[c] > 1e-9]
        return float(share(both[chosen], either[chosen]).mean()) if chosen else 0.0


def _numbers(given: Any, sparse: bool, axis: int) -> npt.NDArray[np.int64]:
    array = np.asarray(given)
    return array.astype(np.int64) if sparse else array.argmax(axis=axis)


class BinaryIoU(IoU):
    """The intersection over union of yes and no, for predictions that a threshold divides.

    Args:
        target_class_ids: the classes to take the mean over: 0 for no, 1 for yes.
        threshold: predictions from this on mean yes.
        name: the key in logs.
        dtype: None or "float32".

    Example:
        >>> round(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
        0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = real(type(self).__name__, "threshold", threshold)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        super().update_state(y_true, np.asarray(y_pred) >= np.float32(self.threshold), sample_weight)


class MeanIoU(IoU):
    """The mean intersection over union of all classes; the arguments are those of `IoU`.

    Example:
        >>> round(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(positive_int(type(self).__name__, "num_classes", num_classes))
        super().__init__(num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """The mean intersection over union of some classes, for labels that are one-hot; see `IoU`.

    Example:
        >>> metric = OneHotIoU(num_classes=2, target_class_ids=[1])
        >>> metric([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
        0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """The mean intersection over union of all classes, for labels that are one-hot; see `IoU`.

    Example:
        >>> OneHotMeanIoU(num_classes=2)([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
        0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
