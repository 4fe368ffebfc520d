"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.losses.shapes import matched
from cnnfast.metrics.base import Doubles, Metric, share, weights_like


class FBetaScore(Metric):
    """The weighed harmonic mean of precision and recall.

    C. J. van Rijsbergen, "Information Retrieval", 1979.

    Args:
        average: None: one score per class; "micro": of all classes' decisions together; "macro": the mean of the
            classes; "weighted": weighed by how often each is the label.
        beta: how much more recall counts than precision.
        threshold: predictions above it mean yes; where it is None, the highest one of each example does.
        name: the key in logs.
        dtype: None or "float32".

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> FBetaScore(beta=2.0, threshold=0.5)([[1, 0], [1, 1]], [[0.9, 0.1], [0.2, 0.8]]).round(4)
        array([0.5556, 1.    ])
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        owner = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{owner}: average expects None, micro, macro or weighted, got {average!r}")
        self.average, self.beta = average, real(owner, "beta", beta)
        if not self.beta > 0:
            raise ValueError(f"{owner}: beta expects a number above 0, got {beta}")
        self.threshold = None if threshold is None else real(owner, "threshold", threshold, 0.0, 1.0)
        if self.threshold == 0:
            raise ValueError(f"{owner}: threshold expects a number above 0, got {threshold}")
        self.reset_state()

    def reset_state(self) -> None:  # noqa: D102
        # True positives, false positives and labels of each class; after data, zeros for as many.
        earlier: Doubles | None = getattr(self, "_sums", None)
        self._sums = None if earlier is None else np.zeros_like(earlier)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels, which are rows of 0 and 1, and predictions, (N, classes) both.

        Raises:
            ValueError: the shapes do not fit, or differ from those of earlier batches.
        """
        labels, scores = np.asarray(y_true), np.asarray(y_pred)
        if labels.ndim != 2 or scores.ndim != 2:
            raise ValueError(
                f"{self.name}: y_true and y_pred expect shapes (N, classes), got {labels.shape} and {scores.shape}"
            )
        labels, scores = matched(self.name, labels, scores, broadcast=False)
        if self.threshold is None:
            found = (scores >= scores.max(axis=-1, keepdims=True, initial=-np.inf)) & (np.abs(scores) > 1e-9)
        else:
            found = scores > np.float32(self.threshold)
        weights = weights_like(self.name, 1.0 if sample_weight is None else sample_weight, labels.shape)
        right = np.einsum("ij,ij,ij->j", found, labels, weights, dtype=np.float64)
        called = np.einsum("ij,ij->j", found, weights, dtype=np.float64)
        added = np.stack([right, called - right, np.einsum("ij,ij->j", labels, weights, dtype=np.float64)])
        if self._sums is not None and self._sums.shape != added.shape:
            raise ValueError(f"{self.name}: expects {self._sums.shape[1]} classes as before, got {added.shape[1]}")
        self._sums = added if self._sums is None else self._sums + added

    def result(self) -> Any:  # noqa: D102
        if self._sums is None:
            return 0.0
        right, wrong, labelled = self._sums.sum(axis=1) if self.average == "micro" else self._sums
        # The harmonic mean of right / (right + wrong) and right / labelled, written so that zeros need no care.
        beta = self.beta**2
        scores = share((1.0 + beta) * right, right + wrong + beta * labelled)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float(np.sum(scores * share(labelled, labelled.sum())))
        return float(np.mean(scores))


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; the arguments are those of `FBetaScore`.

    Example:
        >>> F1Score(average="macro", threshold=0.5)([[1, 0], [1, 1]], [[0.9, 0.1], [0.2, 0.8]]).__round__(4)
        0.8333
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
