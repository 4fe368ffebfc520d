"""A bar of progress for loops of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any


class Progbar:
    """Shows how far a loop has come, and the means of values that it is told.

    Args:
        target: how many steps there will be, or None.
        width: of the bar, in characters.
        verbose: 1 for a bar, 2 for one line at the end, 0 for nothing.
        interval: how many seconds at least lie between two pictures of the bar.
        stateful_metrics: names of values that are shown as they are, not as means.
        unit_name: what is counted.

    Example:
        >>> bar = Progbar(2, verbose=2)
        >>> bar.update(1, [("loss", 1.0)])
        >>> bar.update(2, [("loss", 3.0)])  # doctest: +ELLIPSIS
        2/2 - ...s - loss: 2.0000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self._seen = 0
        self._sums: dict[str, tuple[float, int]] = {}
        self._began = time.perf_counter()
        self._drawn = 0.0

    def update(
        self, current: int, values: Sequence[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Tell how far the loop is.

        Args:
            current: how many steps are done.
            values: pairs of a name and a value of the steps since the last call.
            finalize: whether these were the last; by default where `current` reaches the target.
        """
        steps = current - self._seen
        for name, value in values or ():
            total, count = self._sums.get(name, (0.0, 0))
            weight = max(steps, 1)
            kept = name in self.stateful_metrics
            self._sums[name] = (float(value), 1) if kept else (total + float(value) * weight, count + weight)
        self._seen = current
        last = (self.target is not None and current >= self.target) if finalize is None else finalize
        now = time.perf_counter()
        if self.verbose == 1 and (last or now - self._drawn >= self.interval):
            self._drawn = now
            print("\r" + self._line(now, bar=True), end="\n" if last else "", file=sys.stdout, flush=True)
        elif self.verbose == 2 and last:
            print(self._line(now, bar=False), file=sys.stdout, flush=True)

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Tell that `n` more steps are done, with values as for `update`."""
        self.update(self._seen + n, values)

    def _line(self, now: float, bar: bool) -> str:
        parts = [f"{self._seen}/{self.target or '?'}"]
        if bar and self.target:
            done = min(self.width, self.width * self._seen // self.target)
            parts[0] += f" [{'=' * done}{'.' * (self.width - done)}]"
        parts.append(f"{now - self._began:.0f}s")
        parts += [f"{name}: {total / max(count, 1):.4f}" for name, (total, count) in self._sums.items()]
        return " - ".join(parts)
