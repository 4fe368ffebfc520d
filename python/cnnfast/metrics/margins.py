"""Hinge losses as metrics."""

from __future__ import annotations

from typing import Any

from cnnfast import losses
from cnnfast.metrics.reduction import MeanMetricWrapper


class Hinge(MeanMetricWrapper):
    """The mean of `max(0, 1 - y_true * y_pred)`.

    Example:
        >>> Hinge()([[1.0], [0.0]], [[0.5], [-1.0]])
        0.25
    """

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """The mean of `max(0, 1 - y_true * y_pred)**2`.

    Example:
        >>> SquaredHinge()([[1.0], [0.0]], [[0.5], [-1.0]])
        0.125
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """The mean of `max(0, 1 + the best wrong class's score - the right one's)`.

    Example:
        >>> CategoricalHinge()([[0.0, 1.0]], [[1.0, 1.5]])
        0.5
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)
