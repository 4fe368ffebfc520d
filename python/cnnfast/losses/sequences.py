"""Connectionist temporal classification: the likelihood of a sequence of labels, wherever in time they are read.

A. Graves and others, "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
Networks", 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.autograd import FloatArray, record, to_float32
from cnnfast.losses.base import LossFunctionWrapper
from cnnfast.losses.shapes import as_value

BLANK = 0

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def ctc(y_true: Any, y_pred: Any) -> Any:
    """`-log` of the probability that the steps, with repetitions and blanks left out, read as the labels.

    Args:
        y_true: class numbers, (N, labels), padded with 0, which is the blank.
        y_pred: logits, (N, steps, classes).

    Returns:
        one value per sequence, (N,): infinite where there are too few steps for the labels.

    Raises:
        ValueError: the shapes do not fit, or a label is no class number.

    Example:
        >>> ctc([[1]], np.zeros((1, 1, 2))).round(4)
        array([0.6931], dtype=float32)
    """
    logits = as_value("ctc", y_pred, "y_pred")
    labels = np.asarray(y_true)
    if len(logits.shape) != 3 or labels.ndim != 2 or len(labels) != logits.shape[0]:
        raise ValueError(
            f"ctc: y_true and y_pred expect shapes (N, labels) and (N, steps, classes), got {labels.shape} and "
            f"{logits.shape}"
        )
    numbers = labels.astype(np.int64)
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < logits.shape[2]):
        raise ValueError(
            f"ctc: y_true expects class numbers from 0 to {logits.shape[2] - 1}, "
            f"got values from {numbers.min()} to {numbers.max()}"
        )
    return _likelihood(numbers, ops.log_softmax(logits))


def _likelihood(labels: Integers, log_p: Any) -> Any:
    """The loss as a function of the logarithms of the classes' probabilities, recorded with its gradient."""
    array = to_float32(log_p)
    states, last, skips = _states(labels)
    emitted = np.take_along_axis(array, states[:, None, :], axis=2).astype(np.float64)
    before = _forward(emitted, skips)
    ends = _last_states(last, states.shape[1])
    reached = before[:, -1] if array.shape[1] else np.where(np.arange(states.shape[1]), -np.inf, 0.0)
    total = np.logaddexp.reduce(np.where(ends, reached, -np.inf), axis=1)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[Doubles | None]:
        with np.errstate(invalid="ignore"):
            shares = np.exp(before + _backward(emitted, skips, ends) - total[:, None, None])
        n, t, c = array.shape
        rows = np.arange(n * t, dtype=np.int64).reshape(n, t, 1) * c
        weights = shares * dy.astype(np.float64)[:, None, None]
        sums = np.bincount((rows + states[:, None, :]).ravel(), weights.ravel(), n * t * c)
        return (np.negative(sums).reshape(array.shape),)

    return record("ctc", np.negative(total).astype(np.float32), (log_p,), vjp)


def _states(labels: Integers) -> tuple[Integers, Integers, npt.NDArray[np.bool_]]:
    """Per sequence: the classes with blanks around, the number of the last one, where a blank may be left out."""
    n, length = labels.shape
    states = np.full((n, 2 * length + 1), BLANK, np.int64)
    states[:, 1::2] = labels
    skips = np.zeros(states.shape, bool)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return states, 2 * np.count_nonzero(labels != BLANK, axis=1), skips


def _last_states(last: Integers, count: int) -> npt.NDArray[np.bool_]:
    """Where a sequence may end: at its last label or the blank behind it."""
    numbers = np.arange(count)
    return (numbers == last[:, None]) | (numbers == last[:, None] - 1)


def _forward(emitted: Doubles, skips: npt.NDArray[np.bool_]) -> Doubles:
    """The log-probabilities of all ways to each state at each step, that step's class included."""
    before = np.full(emitted.shape, -np.inf)
    before[:, :1, :2] = emitted[:, :1, :2]
    for t in range(1, emitted.shape[1]):
        come = before[:, t - 1].copy()
        come[:, 1:] = np.logaddexp(come[:, 1:], before[:, t - 1, :-1])
        skipped = np.where(skips[:, 2:], before[:, t - 1, :-2], -np.inf)
        come[:, 2:] = np.logaddexp(come[:, 2:], skipped)
        before[:, t] = come + emitted[:, t]
    return before


def _backward(emitted: Doubles, skips: npt.NDArray[np.bool_], ends: npt.NDArray[np.bool_]) -> Doubles:
    """The log-probabilities of all ways from each state at each step to the end, that step's class not included."""
    after = np.full(emitted.shape, -np.inf)
    after[:, -1:] = np.where(ends, 0.0, -np.inf)[:, None]
    for t in range(emitted.shape[1] - 2, -1, -1):
        following = after[:, t + 1] + emitted[:, t + 1]
        go = following.copy()
        go[:, :-1] = np.logaddexp(go[:, :-1], following[:, 1:])
        skipped = np.where(skips[:, 2:], following[:, 2:], -np.inf)
        go[:, :-2] = np.logaddexp(go[:, :-2], skipped)
        after[:, t] = go
    return after


class CTC(LossFunctionWrapper):
    """`-log` of the probability of a sequence of labels, wherever in time they are read; see `ctc`.

    Example:
        >>> round(float(CTC()([[1, 0]], np.zeros((1, 3, 2)))), 4)
        0.2877
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: Any = None
    ) -> None:
        super().__init__(ctc, reduction, name, dtype)
