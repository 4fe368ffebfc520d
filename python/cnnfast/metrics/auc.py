"""The area under the curves that thresholds draw: receiver operating characteristic, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import integer
from cnnfast.losses.base import EPSILON
from cnnfast.metrics.base import Doubles, Metric, share
from cnnfast.metrics.counts import Counts, Thresholds, counts, none_counted

_CURVES = {name: name.upper() for upper in ("ROC", "PR", "PRGAIN") for name in (upper, upper.lower())}
_SUMMATIONS = {
    name: name.lower() for upper in ("Interpolation", "Majoring", "Minoring") for name in (upper, upper.lower())
}


class AUC(Metric):
    """The area under a curve, from a sum over thresholds: the more of these, the closer.

    Args:
        num_thresholds: how many thresholds, spread evenly over 0 to 1.
        curve: "ROC", "PR" (precision over recall) or "PRGAIN" (P. A. Flach and M. Kull, "Precision-Recall-Gain Curves:
            PR Analysis Done Right", 2015).
        summation_method: "interpolation": the mean of the heights on both sides of a step, and for PR the curve between
            (J. Davis and M. Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006); "minoring" and
            "majoring": the lower and the higher one.
        name: the key in logs.
        dtype: None or "float32".
        thresholds: numbers from 0 to 1 instead of `num_thresholds`; one below 0 and one above 1 are added.
        multi_label: whether labels are a row of yes and no, whose areas are averaged.
        num_labels: how many there are; taken from the first batch by default.
        label_weights: how much each label counts.
        from_logits: whether predictions are logits, of which the sigmoid is taken.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> AUC()([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
        0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        if curve not in _CURVES:
            raise ValueError(f"AUC: curve expects ROC, PR or PRGAIN, got {curve!r}")
        if summation_method not in _SUMMATIONS:
            raise ValueError(
                f"AUC: summation_method expects interpolation, majoring or minoring, got {summation_method!r}"
            )
        if num_labels is not None and not multi_label:
            raise ValueError("AUC: num_labels is of use only where multi_label is True")
        self.curve, self.summation_method = _CURVES[curve], _SUMMATIONS[summation_method]
        self._thresholds = _with_ends(num_thresholds, thresholds)
        self.thresholds, self.num_thresholds = self._thresholds.values, len(self._thresholds)
        self.multi_label, self.num_labels, self.from_logits = bool(multi_label), num_labels, bool(from_logits)
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float64)
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        known = self.multi_label and self.num_labels is None
        self._counts = Counts() if known else none_counted(self._thresholds, self.num_labels)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions.

        Raises:
            ValueError: the shapes do not fit.
        """
        scores = np.asarray(ops.sigmoid(y_pred)) if self.from_logits else np.asarray(y_pred)
        if self.multi_label and (scores.ndim != 2 or self.num_labels not in (None, scores.shape[1])):
            shape = ("N", "labels" if self.num_labels is None else self.num_labels)
            raise ValueError(f"{self.name}: y_pred expects shape ({shape[0]}, {shape[1]}), got {scores.shape}")
        self._counts += counts(
            self.name,
            y_true,
            scores,
            self._thresholds,
            sample_weight,
            label_weights=None if self.multi_label else self.label_weights,
            by_label=self.multi_label,
        )

    def result(self) -> float:  # noqa: D102
        if np.ndim(self._counts.true_positives) == 0:
            return 0.0  # not a batch yet
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            areas = _between_points(self._counts)
        else:
            x, y = _CURVE_OF[self.curve](self._counts)
            lower, higher = np.minimum(y[:-1], y[1:]), np.maximum(y[:-1], y[1:])
            height = {"interpolation": (lower + higher) / 2, "minoring": lower, "majoring": higher}
            areas = (x[:-1] - x[1:]) * height[self.summation_method]
        by_label = areas.sum(axis=0)
        if not self.multi_label:
            return float(by_label)
        if self.label_weights is None:
            return float(by_label.mean())
        return float(share(np.sum(by_label * self.label_weights), self.label_weights.sum()))


def _with_ends(number: int, given: Sequence[float] | None) -> Thresholds:
    if given is not None:
        inner = sorted(float(t) for t in given)
    else:
        steps = integer("AUC", "num_thresholds", number) - 1
        if steps < 1:
            raise ValueError(f"AUC: num_thresholds expects a number above 1, got {number}")
        inner = [i / steps for i in range(1, steps)]
    return Thresholds([-EPSILON, *inner, 1.0 + EPSILON])


def _roc(c: Counts) -> tuple[Doubles, Doubles]:
    return share(c.false_positives, c.false_positives + c.true_negatives), _recall(c)


def _precision_recall(c: Counts) -> tuple[Doubles, Doubles]:
    return _recall(c), share(c.true_positives, c.true_positives + c.false_positives)


def _gains(c: Counts) -> tuple[Doubles, Doubles]:
    odds = share(c.true_positives + c.false_negatives, c.true_negatives + c.false_positives)
    none = c.true_positives == 0
    recall = np.where(none, 0.0, 1.0 - odds * share(c.false_negatives, c.true_positives))
    precision = np.where(none, 1.0, 1.0 - odds * share(c.false_positives, c.true_positives))
    return np.maximum(recall, 0.0), precision


_CURVE_OF = {"ROC": _roc, "PR": _precision_recall, "PRGAIN": _gains}


def _recall(c: Counts) -> Doubles:
    return np.asarray(share(c.true_positives, c.true_positives + c.false_negatives))


def _between_points(c: Counts) -> Doubles:
    """The area under precision over recall between neighbouring thresholds.

    Between two points the true positives grow in proportion to all positives, so the precision is `slope + offset /
    positives`, whose integral over the recall has a logarithm.
    """
    positives = c.true_positives + c.false_positives
    gained = c.true_positives[:-1] - c.true_positives[1:]
    slope = share(gained, np.maximum(positives[:-1] - positives[1:], 0.0))
    offset = c.true_positives[1:] - slope * positives[1:]
    both = (positives[:-1] > 0) & (positives[1:] > 0)
    ratio = np.where(both, share(positives[:-1], positives[1:]), 1.0)
    area = slope * (gained + offset * np.log(ratio))
    return np.asarray(share(area, np.maximum(c.true_positives[1:] + c.false_negatives[1:], 0.0)))
