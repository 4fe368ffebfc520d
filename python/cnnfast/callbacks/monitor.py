"""Watching one of the logs: whether it became better."""

from __future__ import annotations

import warnings
from typing import Any

from cnnfast.arguments import real
from cnnfast.callbacks.base import Callback, Logs


class MonitorCallback(Callback):
    """Base of callbacks that act on whether a loss or metric becomes better.

    Args:
        monitor: the key in the logs.
        mode: "min" where less is better, "max" where more is, "auto" to know it by the metric.
        baseline: what must be bettered first, or None.
        min_delta: less than this is no improvement.

    Raises:
        ValueError: the mode is not known.

    Example:
        >>> watch = MonitorCallback("loss", "min")
        >>> watch.improves(0.5, None), watch.improves(0.6, 0.5)
        (True, False)
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0.0
    ) -> None:
        owner = type(self).__name__
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{owner}: mode expects auto, min or max, got {mode!r}")
        self.monitor, self.mode = monitor, mode
        self.best: float | None = baseline
        self.min_delta = abs(real(owner, "min_delta", min_delta))

    def _larger_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        key = self.monitor.removeprefix("val_")
        if key == "loss" or key.endswith("_loss"):
            return False
        for metric in getattr(self.model, "metrics", ()):
            for each in getattr(metric, "metrics", [metric]):
                direction = getattr(each, "_direction", None)
                if (each.name == key or key.endswith(f"_{each.name}")) and direction is not None:
                    return direction == "up"
        raise ValueError(
            f"{type(self).__name__}: whether more or less of {self.monitor!r} is better is not known; give mode='max' "
            "or mode='min'"
        )

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether a value is better than another (None: any is)."""
        if reference is None:
            return True
        if self._larger_is_better():
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def value_in(self, logs: Logs | None) -> float | None:
        """The monitored value, or None, with a warning, where it is not there."""
        value: Any = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__}: {self.monitor!r} is not among the logs, which are {sorted(logs or {})}",
                stacklevel=3,
            )
        return value
