"""Means and sums of values over batches, and metrics made of functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfast import losses
from cnnfast.losses.base import counted
from cnnfast.losses.shapes import same_rank
from cnnfast.metrics.base import Metric, weights_like


class Sum(Metric):
    """The (weighted) sum of values.

    Example:
        >>> total = Sum()
        >>> total.update_state([1.0, 3.0])
        >>> total.update_state(5.0, sample_weight=2.0)
        >>> total.result()
        14.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = 0.0

    def reset_state(self) -> None:  # noqa: D102
        self.total = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, each with its weight (1 by default).

        Raises:
            ValueError: the weights do not fit the values.
        """
        values = np.asarray(values)
        if sample_weight is None:
            self.total += float(values.sum(dtype=np.float64))
            return
        values, weights = same_rank(values, np.asarray(sample_weight))
        self.total += float(np.vdot(np.asarray(values, np.float64), weights_like(self.name, weights, values.shape)))

    def result(self) -> float:  # noqa: D102
        return self.total


class Mean(Metric):
    """The (weighted) mean of values; 0 before there are any.

    Values of several axes count as one for each example, their mean.

    Example:
        >>> mean = Mean()
        >>> mean.update_state([1.0, 3.0])
        >>> mean.update_state(5.0, sample_weight=2.0)
        >>> mean.result()
        3.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.count = 0.0

    def reset_state(self) -> None:  # noqa: D102
        self.total = self.count = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, each with its weight (1 by default).

        Raises:
            ValueError: the weights do not fit the values.
        """
        if isinstance(values, float) and (sample_weight is None or isinstance(sample_weight, int)):
            weight = 1 if sample_weight is None else sample_weight
            self.total += values * weight
            self.count += weight
            return
        values = np.asarray(values)
        if sample_weight is None:
            self._add(float(values.sum(dtype=np.float64)), float(values.size), values.shape)
            return
        values, given = same_rank(values, np.asarray(sample_weight))
        if given.ndim == 0:
            values = np.asarray(values, np.float64).mean() if values.size else np.zeros(())
        weights = weights_like(self.name, given, values.shape)
        total = float(np.vdot(np.asarray(values, np.float64), weights))
        self._add(total, float(weights.sum()), values.shape)

    def _add(self, total: float, weight: float, shape: tuple[int, ...]) -> None:
        per_example = math.prod(shape[1:])
        if per_example:
            self.total += total / per_example
            self.count += weight / per_example

    def result(self) -> float:  # noqa: D102
        return self.total / self.count if self.count else 0.0


class MeanMetricWrapper(Mean):
    """The mean of a function of (y_true, y_pred) that returns one value per example or element.

    Args:
        fn: the function.
        name: the key in logs; the function's name by default.
        dtype: None or "float32".
        **kwargs: further arguments of the function.

    Example:
        >>> worst = MeanMetricWrapper(lambda y, p: np.abs(p - y).max(axis=-1), name="worst")
        >>> worst(np.zeros((1, 2)), np.array([[1.0, 3.0]]))
        3.0
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", None), dtype)
        self.fn = fn
        self._function_arguments = kwargs
        if self._direction is None and fn in _LOSSES:
            self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        labels, scores = np.asarray(y_true), np.asarray(y_pred)
        values = np.asarray(self.fn(labels, scores, **self._function_arguments))
        mask = counted(self.fn, labels, scores, values, **self._function_arguments)
        if mask is not None:
            # What does not count weighs nothing.
            weights = np.ones(()) if sample_weight is None else np.asarray(sample_weight)
            values, weights = same_rank(values, weights)
            sample_weight = weights_like(self.name, weights, values.shape) * mask.reshape(values.shape)
        super().update_state(values, sample_weight)


_LOSSES = tuple(losses.registry.FUNCTIONS.values())
