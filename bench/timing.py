"""Timing several functions against each other in one process, in alternating rounds.

A machine's speed drifts by more than the differences that matter. So all contestants take turns, several rounds long,
and each one's best and median are compared: the best tells what the code can do, the median what one gets.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: turns of every function.
        seconds: length of a turn, unless `most` samples are taken sooner.
        most: samples in a turn; at least one is always taken.
        settle: seconds that a function runs unmeasured at the start of a turn, because the threads of the one before
            it still wait busily for work, and caches hold its data.
        sample: least length of a sample in seconds; shorter calls are repeated and divided.
    """

    rounds: int = 8
    seconds: float = 0.1
    most: int = 20
    settle: float = 0.05
    sample: float = 5e-4


QUICK = Effort(rounds=1, seconds=0.0, most=1, settle=0.0, sample=0.0)


@dataclass(frozen=True)
class Times:
    """Seconds a call takes."""

    best: float
    median: float
    samples: int

    def as_dict(self) -> dict[str, float]:
        return {"best": self.best, "median": self.median, "samples": self.samples}


def _sample(function: Callable[[], Any], calls: int) -> float:
    # The result of a call dies before the next one, as in a user's loop.
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def _turn(function: Callable[[], Any], effort: Effort) -> list[float]:
    start = time.perf_counter()
    once = _sample(function, 1)
    while time.perf_counter() - start < effort.settle:
        once = _sample(function, 1)
    calls = max(1, round(effort.sample / once)) if once > 0 else 1
    samples: list[float] = []
    start = time.perf_counter()
    while not samples or (len(samples) < effort.most and time.perf_counter() - start < effort.seconds):
        samples.append(_sample(function, calls))
    return samples


def interleaved(functions: Mapping[str, Callable[[], Any]], effort: Effort) -> dict[str, Times]:
    """Time functions in turns.

    Args:
        functions: by name; each is called without arguments, its result is dropped.
        effort: how long.

    Returns:
        The times of each, by name.
    """
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(effort.rounds):
        for name, function in functions.items():
            samples[name] += _turn(function, effort)
    return {name: Times(min(s), statistics.median(s), len(s)) for name, s in samples.items()}
