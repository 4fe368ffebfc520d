"""Changing the learning rate between epochs."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from cnnfast.arguments import integer, real
from cnnfast.callbacks.base import Callback, Logs
from cnnfast.callbacks.monitor import MonitorCallback


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Args:
        schedule: called with the epoch (from 0) and the learning rate so far (or with the epoch alone, if it takes one
            argument); returns the new one.
        verbose: 1 to tell when it acts.

    Raises:
        TypeError: the schedule is no function, or returns no number.

    Example:
        >>> LearningRateScheduler(lambda epoch, rate: rate * 0.9).verbose
        0
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule expects a function, got {schedule!r}")
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError as error:
            if "positional argument" not in str(error):
                raise
            rate = self.schedule(epoch)
        optimizer.learning_rate = real("LearningRateScheduler", "the result of schedule", rate, 0.0)
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is {rate}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        note_rate(self.model, logs)


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a value has not become better for some epochs.

    Args:
        monitor: the key in the logs.
        factor: what the learning rate is multiplied by, below 1.
        patience: how many epochs without improvement to wait for one.
        verbose: 1 to tell when it acts.
        mode: "min" where less is better, "max" where more is, "auto" to know it by the metric.
        min_delta: less than this is no improvement.
        cooldown: how many epochs to wait after a change before looking again.
        min_lr: the learning rate does not go below this.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> ReduceLROnPlateau(factor=0.5).factor
        0.5
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.factor = real("ReduceLROnPlateau", "factor", factor, 0.0)
        if self.factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor expects a number below 1, got {factor}")
        self.patience = integer("ReduceLROnPlateau", "patience", patience)
        self.cooldown = integer("ReduceLROnPlateau", "cooldown", cooldown)
        self.min_lr = real("ReduceLROnPlateau", "min_lr", min_lr, 0.0)
        self.verbose = verbose
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.best = None
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        note_rate(self.model, logs)
        value = self.value_in(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        before = float(optimizer.learning_rate)
        if before <= self.min_lr:
            return
        optimizer.learning_rate = max(before * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is lowered to {float(optimizer.learning_rate):g}")


def note_rate(model: Any, logs: Logs | None) -> None:
    """Put the learning rate of an epoch among its logs, as `learning_rate`."""
    if isinstance(logs, MutableMapping):
        logs["learning_rate"] = float(model.optimizer.learning_rate)
