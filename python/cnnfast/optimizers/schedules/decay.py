"""Schedules that fall by a power, in steps or along a polynomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.optimizers.schedules.base import Formula, Steps, positive


class _Falling(Formula):
    """Base of the two that are a function of `step / decay_steps`, all of it or its whole part."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool, name: str
    ) -> None:
        owner = type(self).__name__
        self.initial_learning_rate = real(owner, "initial_learning_rate", initial_learning_rate)
        self.decay_steps = positive(owner, "decay_steps", decay_steps)
        self.decay_rate = real(owner, "decay_rate", decay_rate)
        self.staircase = bool(staircase)
        self.name = name

    def _passed(self, step: Steps) -> Any:
        return np.floor(step / self.decay_steps) if self.staircase else step / self.decay_steps


class ExponentialDecay(_Falling):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate of the first step.
        decay_steps: after so many steps the rate is multiplied by `decay_rate`.
        decay_rate: the factor.
        staircase: whether the rate stays the same in between.
        name: kept in the configuration.

    Raises:
        ValueError: `decay_steps` is not positive.

    Example:
        >>> ExponentialDecay(0.8, 10, 0.5)(20)
        0.2
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def rate(self, step: Steps) -> Any:  # noqa: D102
        return self.initial_learning_rate * np.float64(self.decay_rate) ** self._passed(step)


class InverseTimeDecay(_Falling):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate of the first step.
        decay_steps: the unit in which steps are counted.
        decay_rate: how fast the divisor grows.
        staircase: whether only whole units count.
        name: kept in the configuration.

    Raises:
        ValueError: `decay_steps` is not positive.

    Example:
        >>> InverseTimeDecay(0.9, 10, 0.5)(40)
        0.3
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def rate(self, step: Steps) -> Any:  # noqa: D102
        return self.initial_learning_rate / (1.0 + self.decay_rate * self._passed(step))


class PiecewiseConstantDecay(Formula):
    """A list of rates, each up to and including a certain step.

    Args:
        boundaries: the last step of every rate but the last one, growing.
        values: the rates, one more than there are boundaries.
        name: kept in the configuration.

    Raises:
        ValueError: the numbers of rates and boundaries do not fit, or the boundaries do not grow.

    Example:
        >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
        >>> schedule(100), schedule(101), schedule(201)
        (0.1, 0.01, 0.001)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        owner = type(self).__name__
        self.boundaries = [real(owner, "boundaries", b) for b in boundaries]
        self.values = [real(owner, "values", v) for v in values]
        self.name = name
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                f"{owner}: values expects one more number than boundaries ({len(self.boundaries)}), "
                f"got {len(self.values)}"
            )
        if any(high < low for low, high in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"{owner}: boundaries expects growing numbers, got {self.boundaries}")

    def rate(self, step: Steps) -> Any:  # noqa: D102
        return np.asarray(self.values)[np.searchsorted(self.boundaries, step, side="left")]


class PolynomialDecay(Formula):
    """From one rate to another along `(1 - step / decay_steps) ** power`.

    Args:
        initial_learning_rate: the rate of the first step.
        decay_steps: the number of steps until the last rate is reached; it stays then.
        end_learning_rate: the last rate.
        power: 1 is a straight line.
        cycle: whether to begin again from the first rate instead, with as many steps more each time.
        name: kept in the configuration.

    Raises:
        ValueError: `decay_steps` is not positive.

    Example:
        >>> schedule = PolynomialDecay(0.5, 10, 0.1)
        >>> round(schedule(5), 6), schedule(15)
        (0.3, 0.1)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        owner = type(self).__name__
        self.initial_learning_rate = real(owner, "initial_learning_rate", initial_learning_rate)
        self.decay_steps = positive(owner, "decay_steps", decay_steps)
        self.end_learning_rate = real(owner, "end_learning_rate", end_learning_rate)
        self.power = real(owner, "power", power)
        self.cycle = bool(cycle)
        self.name = name

    def rate(self, step: Steps) -> Any:  # noqa: D102
        if self.cycle:
            part = step / (self.decay_steps * np.maximum(1.0, np.ceil(step / self.decay_steps)))
        else:
            part = np.minimum(step, self.decay_steps) / self.decay_steps
        return (self.initial_learning_rate - self.end_learning_rate) * (1.0 - part) ** self.power + (
            self.end_learning_rate
        )
