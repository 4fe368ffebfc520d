"""The record of a training."""

from __future__ import annotations

from cnnfast.callbacks.base import Callback, Logs


class History(Callback):
    """Keeps the loss and metrics of every epoch; `fit` returns one.

    Attributes:
        epoch: the epochs' numbers, from 0.
        history: for each key of the logs (`loss`, `val_loss`, ...), one number per epoch.

    Example:
        >>> history = History()
        >>> history.on_train_begin()
        >>> history.on_epoch_end(0, {"loss": 0.5})
        >>> history.history
        {'loss': [0.5]}
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)
