"""How far predictions go with labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import integer
from cnnfast.losses.base import EPSILON
from cnnfast.metrics.reduction import MeanMetricWrapper
from cnnfast.metrics.regression import numbers


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> npt.NDArray[np.float32]:
    """Pearson's correlation of labels and predictions along an axis, from -1 to 1; NaN where either is constant.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> pearson_correlation([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]])
        array([1.], dtype=float32)
    """
    y, p = (_centred(a, axis) for a in numbers("pearson_correlation", y_true, y_pred))
    with np.errstate(all="ignore"):
        spread = np.sqrt(np.mean(y * y, axis=axis) * np.mean(p * p, axis=axis))
        return np.asarray(np.mean(y * p, axis=axis) / spread, np.float32)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> npt.NDArray[np.float32]:
    """Lin's concordance along an axis: a correlation that differences in mean and in scale make smaller as well.

    L. I.-K. Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989.

    Raises:
        ValueError: the shapes do not broadcast (a last axis of size 1 may be missing).

    Example:
        >>> concordance_correlation([[1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0]]).round(4)
        array([0.5714], dtype=float32)
    """
    labels, predictions = (np.asarray(a, np.float64) for a in numbers("concordance_correlation", y_true, y_pred))
    y, p = _centred(labels, axis), _centred(predictions, axis)
    apart = np.mean(labels, axis=axis) - np.mean(predictions, axis=axis)
    norm = np.mean(y * y, axis=axis) + np.mean(p * p, axis=axis) + apart * apart
    return np.asarray(2.0 * np.mean(y * p, axis=axis) / (norm + EPSILON), np.float32)


def _centred(x: Any, axis: int) -> npt.NDArray[np.float64]:
    x = np.asarray(x, np.float64)
    return np.asarray(x - x.mean(axis=axis, keepdims=True))


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of Pearson's correlation of labels and predictions along `axis`.

    Example:
        >>> PearsonCorrelation()([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]])
        1.0
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        self.axis = integer(type(self).__name__, "axis", axis)
        super().__init__(pearson_correlation, name, dtype, axis=self.axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of Lin's concordance of labels and predictions along `axis`.

    Example:
        >>> round(ConcordanceCorrelation()([[1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0]]), 4)
        0.5714
    """

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        self.axis = integer(type(self).__name__, "axis", axis)
        super().__init__(concordance_correlation, name, dtype, axis=self.axis)
