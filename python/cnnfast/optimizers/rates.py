"""Numbers of an optimizer that read as numbers and can be assigned to, as Keras's variables can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.optimizers.schedules import LearningRateSchedule, deserialize

Rate = float | LearningRateSchedule | Callable[[], Any]


class LearningRate(float):
    """An optimizer's learning rate at this moment; `assign` gives the optimizer another.

    Example:
        >>> from cnnfast.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> rate = optimizer.learning_rate.assign(0.25)
        >>> optimizer.learning_rate, rate.numpy()
        (0.25, np.float32(0.25))
    """

    _owner: Any
    name = "learning_rate"
    shape: tuple[int, ...] = ()

    def numpy(self) -> np.float32:
        """The value as NumPy's float32."""
        return np.float32(self)

    def assign(self, value: float) -> LearningRate:
        """Set the optimizer's learning rate; returns the new one."""
        self._owner.learning_rate = value
        rate: LearningRate = self._owner.learning_rate
        return rate


class Iterations(int):
    """The number of steps that an optimizer has taken; `assign` makes it count from another.

    Example:
        >>> from cnnfast.optimizers import SGD
        >>> SGD().iterations.assign(3) + 1
        4
    """

    _owner: Any
    name = "iteration"
    shape: tuple[int, ...] = ()

    def numpy(self) -> np.int64:
        """The value as NumPy's int64."""
        return np.int64(self)

    def assign(self, value: int) -> Iterations:
        """Set the optimizer's count; returns the new one."""
        self._owner.iterations = value
        count: Iterations = self._owner.iterations
        return count

    def assign_add(self, delta: int) -> Iterations:
        """Add to the optimizer's count; returns the new one."""
        return self.assign(self + delta)


def checked_rate(owner: str, value: Any) -> Rate:
    """What an optimizer keeps as its learning rate: a number as a float, a schedule, or a function without arguments.

    Raises:
        ValueError: the number is negative or NaN, or no schedule has the name in a dict.
        TypeError: nothing of these.
    """
    if isinstance(value, dict):
        return deserialize(value)
    if isinstance(value, type):
        raise TypeError(f"{owner}: learning_rate expects a number or a schedule, got the class {value.__name__}")
    if isinstance(value, LearningRateSchedule) or (callable(value) and not hasattr(value, "__float__")):
        return value
    return real(owner, "learning_rate", value, 0.0)


def rate_after(rate: Rate, steps: int) -> float:
    """The learning rate for the step after `steps` steps."""
    if isinstance(rate, float):
        return rate
    # Whoever writes a schedule may raise 0 to a negative power: infinite, as for arrays, and no reason to warn.
    with np.errstate(all="ignore"):
        return float(rate(np.int64(steps)) if isinstance(rate, LearningRateSchedule) else rate())
