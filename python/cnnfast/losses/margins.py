"""Hinge losses: nothing is lost where the right side is taken by a margin of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.losses.base import LossFunctionWrapper
from cnnfast.losses.shapes import matched


def _margins(name: str, y_true: Any, y_pred: Any) -> Any:
    """`max(0, 1 - y p)`; labels that are all 0 or 1 mean -1 and 1."""
    labels, y_pred = matched(name, y_true, y_pred)
    values = np.asarray(labels)
    if np.all((values == 0) | (values == 1)):
        labels = ops.subtract(ops.multiply(labels, 2.0), 1.0)
    return ops.maximum(ops.subtract(1.0, ops.multiply(y_pred, labels)), 0.0)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `max(0, 1 - y_true * y_pred)`.

    Args:
        y_true: labels of -1 and 1; where all are 0 or 1, 0 means -1.
        y_pred: scores.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> hinge([[1.0, -1.0]], [[0.5, -2.0]])
        array([0.25], dtype=float32)
    """
    return ops.mean(_margins("hinge", y_true, y_pred), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `max(0, 1 - y_true * y_pred)**2`.

    Args:
        y_true: labels of -1 and 1; where all are 0 or 1, 0 means -1.
        y_pred: scores.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> squared_hinge([[1.0, -1.0]], [[0.5, -2.0]])
        array([0.125], dtype=float32)
    """
    return ops.mean(ops.square(_margins("squared_hinge", y_true, y_pred)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(0, 1 + the best wrong class's score - the right one's)` over the last axis.

    Args:
        y_true: one-hot rows.
        y_pred: scores.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> categorical_hinge([[0.0, 1.0]], [[1.0, 1.5]])
        array([0.5], dtype=float32)
    """
    labels, y_pred = matched("categorical_hinge", y_true, y_pred)
    right = ops.sum(ops.multiply(y_pred, labels), axis=-1)
    wrong = ops.max(ops.multiply(y_pred, ops.subtract(1.0, labels)), axis=-1)
    return ops.maximum(ops.add(ops.subtract(wrong, right), 1.0), 0.0)


class Hinge(LossFunctionWrapper):
    """The mean of `max(0, 1 - y_true * y_pred)`.

    Example:
        >>> float(Hinge()([[1.0], [0.0]], [[0.5], [-1.0]]))
        0.25
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype: Any = None
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """The mean of `max(0, 1 - y_true * y_pred)**2`.

    Example:
        >>> float(SquaredHinge()([[1.0], [0.0]], [[0.5], [-1.0]]))
        0.125
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """The mean of `max(0, 1 + the best wrong class's score - the right one's)`.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[1.0, 1.5]]))
        0.5
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
