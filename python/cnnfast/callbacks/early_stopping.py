"""Ending a training that does not get better any more."""

from __future__ import annotations

from typing import Any

from cnnfast.arguments import integer
from cnnfast.callbacks.base import Logs
from cnnfast.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Ends the training when a value has not become better for some epochs.

    Args:
        monitor: the key in the logs.
        min_delta: less than this is no improvement.
        patience: how many epochs without improvement to wait for one.
        verbose: 1 to tell when it acts.
        mode: "min" where less is better, "max" where more is, "auto" to know it by the metric.
        baseline: the training also ends where this is not bettered.
        restore_best_weights: whether the model gets the weights of the best epoch at the end.
        start_from_epoch: epochs before this one are not looked at.

    Attributes:
        stopped_epoch: the epoch after which the training was ended, 0 where it was not.
        best_epoch: the epoch with the best value.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> EarlyStopping(patience=3).patience
        3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = integer("EarlyStopping", "patience", patience)
        self.start_from_epoch = integer("EarlyStopping", "start_from_epoch", start_from_epoch)
        self.verbose, self.baseline, self.restore_best_weights = verbose, baseline, bool(restore_best_weights)
        self._begin()

    def _begin(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        value = self.value_in(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)  # there is something to go back to even if nothing is ever better, as with NaN
        self.wait += 1
        if self.improves(value, self.best):
            self.best = value
            self._keep(epoch)
            if self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: stopped early")
        if self.best_weights is not None:
            if self.verbose:
                print(f"The weights are those of epoch {self.best_epoch + 1}, the best")
            self.model.set_weights(self.best_weights)
