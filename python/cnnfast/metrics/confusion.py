"""Counts of found and missed labels, precision and recall, at thresholds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from cnnfast.arguments import integer, positive_int
from cnnfast.metrics.base import Metric, share
from cnnfast.metrics.counts import LOWEST, counts, none_counted, parsed_thresholds


class CountingMetric(Metric):
    """Base of metrics that count how many labels are found and missed at thresholds.

    Args:
        thresholds: one or several numbers from 0 to 1: predictions above mean yes.
        top_k: only that many of the best predictions of an example may mean yes.
        class_id: the class that counts; all if None.
        name: the key in logs.
        dtype: None or "float32".

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        owner = type(self).__name__
        self.top_k = None if top_k is None else positive_int(owner, "top_k", top_k)
        self.class_id = None if class_id is None else integer(owner, "class_id", class_id)
        self._thresholds = parsed_thresholds(owner, thresholds, 0.5 if top_k is None else LOWEST)
        self.thresholds = self._thresholds.values
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        self._counts = none_counted(self._thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        self._counts += counts(
            self.name, y_true, y_pred, self._thresholds, sample_weight, top_k=self.top_k, class_id=self.class_id
        )

    def _per_threshold(self, values: Any) -> Any:
        return float(values[0]) if len(self.thresholds) == 1 else np.array(values)


class _Count(CountingMetric):
    """One of the four counts."""

    _counted: ClassVar[str]

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(thresholds, name=name, dtype=dtype)

    def result(self) -> Any:
        return self._per_threshold(getattr(self._counts, self._counted))


class TruePositives(_Count):
    """How many predictions and labels both say yes, at one or several thresholds.

    Example:
        >>> TruePositives()([1, 1, 0, 0], [0.9, 0.1, 0.7, 0.2])
        1.0
    """

    _counted = "true_positives"


class TrueNegatives(_Count):
    """How many predictions and labels both say no, at one or several thresholds.

    Example:
        >>> TrueNegatives()([1, 1, 0, 0], [0.9, 0.1, 0.7, 0.2])
        1.0
    """

    _counted = "true_negatives"


class FalsePositives(_Count):
    """How many predictions say yes where the label says no, at one or several thresholds.

    Example:
        >>> FalsePositives(thresholds=[0.1, 0.5])([1, 1, 0, 0], [0.9, 0.1, 0.7, 0.2])
        array([2., 1.])
    """

    _counted = "false_positives"


class FalseNegatives(_Count):
    """How many predictions say no where the label says yes, at one or several thresholds.

    Example:
        >>> FalseNegatives()([1, 1, 0, 0], [0.9, 0.1, 0.7, 0.2])
        1.0
    """

    _counted = "false_negatives"


class Precision(CountingMetric):
    """How many of the predictions that say yes are right; the arguments are those of `CountingMetric`.

    Example:
        >>> Precision()([1, 1, 1, 0], [0.9, 0.1, 0.7, 0.8]).__round__(4)
        0.6667
    """

    _direction = "up"

    def result(self) -> Any:  # noqa: D102
        found, wrong = self._counts.true_positives, self._counts.false_positives
        return self._per_threshold(share(found, found + wrong))


class Recall(CountingMetric):
    """How many of the labels that say yes are found; the arguments are those of `CountingMetric`.

    Example:
        >>> Recall(top_k=1)([[0, 1, 1]], [[0.2, 0.7, 0.6]])
        0.5
    """

    _direction = "up"

    def result(self) -> Any:  # noqa: D102
        found, missed = self._counts.true_positives, self._counts.false_negatives
        return self._per_threshold(share(found, found + missed))
