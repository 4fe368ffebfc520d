"""What all schedules share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import real
from cnnfast.configured import Configured

Steps = npt.NDArray[np.float64] | np.float64


class LearningRateSchedule(Configured):
    """Base: a function of the number of steps done that an optimizer takes as its `learning_rate`.

    Subclasses define `__call__`. Their configuration is what the constructor was given.

    Example:
        >>> class Warmup(LearningRateSchedule):
        ...     def __init__(self, rate, steps):
        ...         self.rate, self.steps = rate, steps
        ...
        ...     def __call__(self, step):
        ...         return self.rate * min(1.0, (step + 1) / self.steps)
        >>> Warmup(0.5, 10)(4)
        0.25
        >>> Warmup(0.5, 10).get_config()
        {'rate': 0.5, 'steps': 10}
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` steps; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__(step)")


class Formula(LearningRateSchedule):
    """Base of those that are one formula in float64, for one step or for an array of them."""

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` steps.

        Args:
            step: a number, or an array of numbers (to draw a curve).

        Returns:
            a float, or a float64 array of the steps' shape.
        """
        with np.errstate(all="ignore"):
            rate = self.rate(np.asarray(step, np.float64)[()])
        return float(rate) if np.ndim(rate) == 0 else rate

    def rate(self, step: Steps) -> Any:
        """The formula; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no rate()")


def positive(owner: str, name: str, value: Any) -> float:
    """Return `value` as a positive float.

    Raises:
        TypeError: it is not a real number.
        ValueError: it is not positive.
    """
    number = real(owner, name, value)
    if number <= 0:
        raise ValueError(f"{owner}: {name} expects a positive number, got {value}")
    return number
