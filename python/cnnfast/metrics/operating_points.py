"""The best of one rate that thresholds give where another is at least what is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import integer, positive_int, real
from cnnfast.metrics.base import Doubles, Metric, share
from cnnfast.metrics.counts import Thresholds, counts, none_counted


class OperatingPoint(Metric):
    """Base: the largest value of one rate over thresholds at which another one reaches `value`.

    Args:
        value: what the other rate has to reach, from 0 to 1.
        num_thresholds: how many thresholds from 0 to 1 are tried; a single one is 0.5.
        class_id: the class that counts; all if None.
        name: the key in logs.
        dtype: None or "float32".

    Raises:
        ValueError: an argument is out of its range.
    """

    _direction = "up"
    _asked = "value"

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        owner = type(self).__name__
        self.value = real(owner, self._asked, value, 0.0, 1.0)
        self.num_thresholds = positive_int(owner, "num_thresholds", num_thresholds)
        self.class_id = None if class_id is None else integer(owner, "class_id", class_id)
        steps = self.num_thresholds - 1
        self._thresholds = Thresholds([i / steps for i in range(steps + 1)] if steps else [0.5])
        self.thresholds = self._thresholds.values
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        self._counts = none_counted(self._thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        self._counts += counts(self.name, y_true, y_pred, self._thresholds, sample_weight, class_id=self.class_id)

    def _largest(self, rate: Doubles, where: Doubles) -> float:
        return float(np.max(rate, where=where >= self.value, initial=0.0))

    def _sensitivity(self) -> Doubles:
        c = self._counts
        return np.asarray(share(c.true_positives, c.true_positives + c.false_negatives))

    def _specificity(self) -> Doubles:
        c = self._counts
        return np.asarray(share(c.true_negatives, c.true_negatives + c.false_positives))

    def _precision(self) -> Doubles:
        c = self._counts
        return np.asarray(share(c.true_positives, c.true_positives + c.false_positives))


class SensitivityAtSpecificity(OperatingPoint):
    """The largest share of positives found where at least `specificity` of the negatives are told as such.

    Example:
        >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        0.5
    """

    _asked = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = self.value

    def result(self) -> float:  # noqa: D102
        return self._largest(self._sensitivity(), self._specificity())


class SpecificityAtSensitivity(OperatingPoint):
    """The largest share of negatives told as such where at least `sensitivity` of the positives are found.

    Example:
        >>> round(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]), 4)
        0.6667
    """

    _asked = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = self.value

    def result(self) -> float:  # noqa: D102
        return self._largest(self._specificity(), self._sensitivity())


class PrecisionAtRecall(OperatingPoint):
    """The largest precision where at least `recall` of the positives are found.

    Example:
        >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        0.5
    """

    _asked = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = self.value

    def result(self) -> float:  # noqa: D102
        return self._largest(self._precision(), self._sensitivity())


class RecallAtPrecision(OperatingPoint):
    """The largest share of positives found where the precision is at least `precision`.

    Example:
        >>> RecallAtPrecision(0.5)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
        1.0
    """

    _asked = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = self.value

    def result(self) -> float:  # noqa: D102
        return self._largest(self._sensitivity(), self._precision())
