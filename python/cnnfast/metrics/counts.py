"""How many labels are found and missed at thresholds, counted in one pass over the predictions for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.losses.base import EPSILON
from cnnfast.losses.shapes import matched
from cnnfast.metrics.base import Doubles, weights_like

LOWEST = -1e10  # what predictions that are not among the k best become, and the threshold that lets all others pass


class Thresholds:
    """Thresholds that predictions are compared with.

    Args:
        values: numbers in any order. Three or more that are spread evenly over 0 to 1 (within 1e-7) are reached by a
            multiplication instead of a search, and predictions outside of 0 to 1 are held to these then.

    Example:
        >>> Thresholds([0.5, 0.2]).passed(np.array([0.1, 0.3, 0.5, 0.6], np.float32))
        array([0, 1, 1, 2])
    """

    def __init__(self, values: Sequence[float]) -> None:
        self.values = [float(t) for t in values]
        given = np.asarray(self.values, np.float32)
        self._sorted = np.sort(given)
        self._place = np.argsort(np.argsort(given, kind="stable"), kind="stable")
        steps = len(given) - 1
        even = np.arange(len(given), dtype=np.float32) / np.float32(max(steps, 1))
        self._even = steps >= 2 and bool(np.allclose(given, even, rtol=1e-5, atol=2 * EPSILON))

    def __len__(self) -> int:
        return len(self.values)

    def passed(self, predictions: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """How many of the thresholds each prediction is above; none for NaN."""
        if len(self.values) == 1:
            return (predictions > self._sorted[0]).astype(np.int64)
        if not self._even:
            found = np.searchsorted(self._sorted, predictions)
            return np.where(np.isnan(predictions), 0, found)
        held = np.fmin(np.fmax(predictions, np.float32(0)), np.float32(1))
        # The product may be rounded over a threshold, so this one and the next are asked.
        near = (held * np.float32(len(self.values) - 1)).astype(np.int64)
        following = np.append(self._sorted, np.float32(np.inf))
        near += (following[near] < held).astype(np.int64) + (following[near + 1] < held)
        return near

    def in_given_order(self, counts: Doubles) -> Doubles:
        """Counts that lie in the order of rising thresholds, in the order in which those were given."""
        return counts[self._place]


@dataclass
class Counts:
    """Weighed numbers of examples, arrays with one entry per threshold (and per label, where these are kept apart)."""

    true_positives: Any = 0.0
    false_positives: Any = 0.0
    true_negatives: Any = 0.0
    false_negatives: Any = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.true_negatives + other.true_negatives,
            self.false_negatives + other.false_negatives,
        )


def none_counted(thresholds: Thresholds, labels: int | None = None) -> Counts:
    """Zeros for all thresholds (and labels).

    Example:
        >>> none_counted(Thresholds([0.2, 0.5])).true_positives
        array([0., 0.])
    """
    shape = (len(thresholds),) if labels is None else (len(thresholds), labels)
    return Counts(*(np.zeros(shape) for _ in range(4)))


def counts(
    name: str,
    y_true: Any,
    y_pred: Any,
    thresholds: Thresholds,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Any = None,
    by_label: bool = False,
) -> Counts:
    """Count a batch.

    Args:
        name: who asks, for messages.
        y_true: labels; those that are not 0 are positive.
        y_pred: predictions of the same shape (a last axis of size 1 may be missing).
        thresholds: a prediction above a threshold is positive there.
        sample_weight: how much each example, or each label, counts.
        top_k: only that many of the best predictions along the last axis can be positive.
        class_id: count this position of the last axis only.
        label_weights: how much each position of the last axis counts.
        by_label: whether to keep the positions of the last axis apart.

    Raises:
        ValueError: the shapes do not fit.

    Example:
        >>> counts("m", [1, 1, 0, 0], [0.9, 0.1, 0.7, 0.2], Thresholds([0.5])).true_positives
        array([1.])
    """
    labels, scores = matched(name, np.asarray(y_true), np.asarray(y_pred))
    labels, scores = np.broadcast_arrays(labels != 0, scores)
    if top_k is not None:
        scores = _best(name, scores, top_k)
    if class_id is not None:
        labels, scores = _position(name, labels, class_id), _position(name, scores, class_id)
    weights = None if sample_weight is None else weights_like(name, sample_weight, scores.shape)
    if label_weights is not None:
        weights = _times_label_weights(name, weights, label_weights, scores.shape)

    columns = scores.shape[-1] if by_label else 1
    bins = thresholds.passed(scores)
    bins += np.where(labels, len(thresholds) + 1, 0)
    if by_label:
        bins += np.arange(columns) * (2 * len(thresholds) + 2)
    size = 2 * columns * (len(thresholds) + 1)
    found = np.bincount(bins.ravel(), None if weights is None else weights.ravel(), size).astype(np.float64)
    # (label position, positive, how many thresholds were passed)
    found = found.reshape(columns, 2, len(thresholds) + 1)
    positive = np.cumsum(found[..., ::-1], axis=-1)[..., ::-1]
    above, total = positive[..., 1:], positive[..., :1]
    # Where weights were added up, the difference may be off zero by a rounding error.
    below = np.maximum(total - above, 0.0) if weights is None or np.all(weights >= 0) else total - above
    parts = (above[:, 1], above[:, 0], below[:, 0], below[:, 1])
    return Counts(*(thresholds.in_given_order(part.T if by_label else part[0]) for part in parts))


def _best(name: str, scores: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
    if scores.ndim == 0 or not 0 < k <= scores.shape[-1]:
        raise ValueError(f"{name}: top_k={k} expects at least that many predictions per example, got {scores.shape}")
    chosen = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    kept = np.full(scores.shape, np.float32(LOWEST), np.float32)
    np.put_along_axis(kept, chosen, np.take_along_axis(scores, chosen, -1), -1)
    return kept


def _position(name: str, x: npt.NDArray[Any], class_id: int) -> npt.NDArray[Any]:
    if x.ndim < 2 or not -x.shape[-1] <= class_id < x.shape[-1]:
        raise ValueError(f"{name}: class_id={class_id} expects predictions of shape (N, classes), got {x.shape}")
    return x[..., class_id, None]


def _times_label_weights(name: str, weights: Doubles | None, given: Any, shape: tuple[int, ...]) -> Doubles:
    each = np.asarray(given, np.float64)
    if each.shape != shape[-1:]:
        raise ValueError(f"{name}: label_weights expects shape {shape[-1:]}, got {each.shape}")
    return np.asarray(np.broadcast_to(each, shape) if weights is None else weights * each)


def parsed_thresholds(owner: str, given: Any, default: float) -> Thresholds:
    """The thresholds of a constructor's argument: one number, several from 0 to 1, or None for a default.

    Raises:
        ValueError: a threshold is not between 0 and 1, or there is none.

    Example:
        >>> parsed_thresholds("Precision", None, 0.5).values
        [0.5]
    """
    if given is None:
        return Thresholds([default])
    values = [float(t) for t in np.atleast_1d(np.asarray(given, np.float64))]
    if not values or not all(0.0 <= t <= 1.0 for t in values):
        raise ValueError(f"{owner}: thresholds expects numbers from 0 to 1, got {given}")
    return Thresholds(values)
