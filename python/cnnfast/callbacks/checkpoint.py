"""Keeping the model in files while it trains."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from cnnfast.arguments import positive_int
from cnnfast.callbacks.base import Logs
from cnnfast.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model after epochs, or every so many batches.

    Args:
        filepath: the file, ending in what names its kind (`.keras`, `.weights.h5`, ...); it may have fields for the
            epoch (from 1), the batch and the logs: `"{epoch:02d}-{val_loss:.2f}.safetensors"`.
        monitor: the key in the logs that tells which model is best.
        verbose: 1 to tell when it acts.
        save_best_only: whether to save only when that became better.
        save_weights_only: whether to call `model.save_weights` in the place of `model.save`.
        mode: "min" where less is better, "max" where more is, "auto" to know it by the metric.
        save_freq: "epoch", or after so many batches.
        initial_value_threshold: what must be bettered first, or None.

    Raises:
        ValueError: an argument is not known, no format has the path's suffix, or the path has a field that is not
            among the logs.
        OSError: a file cannot be written.

    Example:
        >>> ModelCheckpoint("best.safetensors", save_best_only=True).path(3)
        'best.safetensors'
        >>> ModelCheckpoint("{epoch:02d}-{loss:.1f}.safetensors").path(3, logs={"loss": 0.25})
        '04-0.2.safetensors'
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only = bool(save_best_only), bool(save_weights_only)
        # Told now rather than after the first epoch; models are above callbacks, so this is no plain import.
        formats = importlib.import_module("cnnfast.models.formats")
        formats.function_for(self.filepath, "save_weights" if self.save_weights_only else "save")
        self.save_freq: str | int = "epoch"
        if save_freq != "epoch":
            if isinstance(save_freq, str):
                raise ValueError(
                    f"ModelCheckpoint: save_freq expects 'epoch' or a number of batches, got {save_freq!r}"
                )
            self.save_freq = positive_int("ModelCheckpoint", "save_freq", save_freq)
        self._epoch = self._batches = 0

    def path(self, epoch: int, batch: int | None = None, logs: Logs | None = None) -> str:
        """The file for an epoch (from 0), a batch and their logs.

        Raises:
            ValueError: the path has a field that is not among them.
        """
        fields = dict(logs or {}) | {"epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1})
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} expects {error}, there are {sorted(fields)}"
            ) from None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        if not self._wanted(epoch, logs):
            return
        path = self.path(epoch, batch, logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saving the model to {path}")
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _wanted(self, epoch: int, logs: Logs | None) -> bool:
        if not self.save_best_only:
            return True
        value = self.value_in(logs)
        if value is None:
            return True  # rather one model too many than none
        if not self.improves(value, self.best):
            if self.verbose:
                print(f"Epoch {epoch + 1}: {self.monitor} is not better than {self.best:.5g}")
            return False
        self.best = value
        return True
