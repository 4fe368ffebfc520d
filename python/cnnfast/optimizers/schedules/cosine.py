"""Schedules along half a cosine: once, or again and again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast.arguments import real
from cnnfast.optimizers.schedules.base import Formula, Steps, positive


class CosineDecay(Formula):
    """From a rate towards `alpha` times that rate along half a cosine, after a linear warm-up if wanted.

    I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017 (without restarts).

    Args:
        initial_learning_rate: the rate of the first step.
        decay_steps: the number of steps along the cosine; the rate stays then.
        alpha: the last rate, as a part of the first (of `warmup_target` after a warm-up).
        name: kept in the configuration.
        warmup_target: the rate to rise to first, or None for no warm-up.
        warmup_steps: the number of steps of the warm-up.

    Raises:
        ValueError: `decay_steps` is not positive or `warmup_steps` is negative.

    Example:
        >>> schedule = CosineDecay(0.0, 100, warmup_target=0.2, warmup_steps=10)
        >>> schedule(5), schedule(10), schedule(60), schedule(110)
        (0.1, 0.2, 0.1, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        owner = type(self).__name__
        self.initial_learning_rate = real(owner, "initial_learning_rate", initial_learning_rate)
        self.decay_steps = positive(owner, "decay_steps", decay_steps)
        self.alpha = real(owner, "alpha", alpha)
        self.name = name
        self.warmup_target = None if warmup_target is None else real(owner, "warmup_target", warmup_target)
        self.warmup_steps = real(owner, "warmup_steps", warmup_steps, 0.0)

    def rate(self, step: Steps) -> Any:  # noqa: D102
        first, target = self.initial_learning_rate, self.warmup_target
        if target is None:
            return self._falling(step, first)
        rising = first + (target - first) * (step / (self.warmup_steps or 1.0))
        return np.where(step < self.warmup_steps, rising, self._falling(step - self.warmup_steps, target))

    def _falling(self, step: Any, start: float) -> Any:
        part = np.minimum(step, self.decay_steps) / self.decay_steps
        return start * ((1.0 - self.alpha) * 0.5 * (1.0 + np.cos(math.pi * part)) + self.alpha)


class CosineDecayRestarts(Formula):
    """Half a cosine again and again, each time longer and lower if wanted (Loshchilov and Hutter, 2017).

    Args:
        initial_learning_rate: the rate of the first step.
        first_decay_steps: the length of the first period.
        t_mul: how many times longer each next period is.
        m_mul: how many times higher each next period begins.
        alpha: the lowest rate, as a part of the first.
        name: kept in the configuration.

    Raises:
        ValueError: `first_decay_steps` or `t_mul` is not positive.

    Example:
        >>> schedule = CosineDecayRestarts(0.4, 10, t_mul=2.0, m_mul=0.5)
        >>> schedule(0), round(schedule(5), 6), schedule(10), round(schedule(20), 6)
        (0.4, 0.2, 0.2, 0.1)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        owner = type(self).__name__
        self.initial_learning_rate = real(owner, "initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = positive(owner, "first_decay_steps", first_decay_steps)
        self.t_mul = positive(owner, "t_mul", t_mul)
        self.m_mul = real(owner, "m_mul", m_mul)
        self.alpha = real(owner, "alpha", alpha)
        self.name = name

    def rate(self, step: Steps) -> Any:  # noqa: D102
        periods, part = self._period(step / self.first_decay_steps)
        cosine = 0.5 * np.float64(self.m_mul) ** periods * (1.0 + np.cos(math.pi * part))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)

    def _period(self, done: Any) -> tuple[Any, Any]:
        """How many periods have ended, and which part of the present one is over; `done` counts in first periods."""
        growth = self.t_mul
        if growth == 1.0:
            whole = np.floor(done)
            return whole, done - whole
        # Lengths are a geometric series: n periods take (growth^n - 1) / (growth - 1).
        whole = np.floor(np.log(1.0 + done * (growth - 1.0)) / math.log(growth))
        # The logarithm may land a hair beside the whole number that a period begins at.
        whole = np.where(_periods_end(whole + 1.0, growth) <= done, whole + 1.0, whole)
        whole = np.where(_periods_end(whole, growth) > done, whole - 1.0, whole)
        return whole, (done - _periods_end(whole, growth)) / growth**whole


def _periods_end(count: Any, growth: float) -> Any:
    return (growth**count - 1.0) / (growth - 1.0)
