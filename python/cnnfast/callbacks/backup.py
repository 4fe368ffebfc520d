"""Going on with a training that was interrupted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cnnfast.arguments import positive_int
from cnnfast.callbacks.base import Callback, Logs


class BackupAndRestore(Callback):
    """Keeps the state of the training in a folder, and goes on from there when the same program is started again.

    The state is that after the last whole epoch: weights, everything that the optimizer remembers, and the states of
    the random numbers, which shuffling and dropout draw from. A training that was killed and started again ends with
    the same weights, bit for bit, as one that was not. What other callbacks remember begins anew.

    Args:
        backup_dir: the folder, for this training alone.
        save_freq: "epoch", or after so many batches; then the epoch in which the training was interrupted begins anew,
            with the weights as they were.
        double_checkpoint: whether to keep the state before as well, for the case that the last cannot be read.
        delete_checkpoint: whether to delete the state at the end of the training.

    Raises:
        ValueError: an argument is out of range, the model is not built, or the state is that of another model.
        OSError: the folder cannot be written to.

    Example:
        >>> BackupAndRestore("backup").save_freq
        'epoch'
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ValueError("BackupAndRestore: backup_dir expects a folder, got an empty name")
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ValueError(f"BackupAndRestore: save_freq expects 'epoch' or an integer, got {save_freq!r}")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq: str | int = "epoch"
        if not isinstance(save_freq, str):
            self.save_freq = positive_int("BackupAndRestore", "save_freq", save_freq)
        self.double_checkpoint, self.delete_checkpoint = bool(double_checkpoint), bool(delete_checkpoint)
        self._latest = Path(self.backup_dir) / "training.safetensors"
        self._before = Path(self.backup_dir) / "training.before.safetensors"
        self._epoch = self._batches = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        if not self.model.built:
            raise ValueError(
                f"BackupAndRestore: {self.model.name} is not built, so it has no weights to restore; build it, or call "
                "it on some data, before fit"
            )
        self._epoch = self._batches = 0
        notes = self._read()
        if notes is not None:
            self._epoch = int(notes["epoch"])
            self.model._resumed_epoch = self._epoch

    def _read(self) -> dict[str, Any] | None:
        try:
            if self._latest.exists():
                return self.model._restore_state(self._latest)
        except (OSError, ValueError):
            if not self._before.exists():
                raise
        return self.model._restore_state(self._before) if self._before.exists() else None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save()

    def _save(self) -> None:
        self._latest.parent.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self._latest.exists():
            os.replace(self._latest, self._before)
        self.model._save_state(self._latest, {"epoch": self._epoch})

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if not self.delete_checkpoint:
            return
        folder = Path(self.backup_dir)
        # What was being written when a process was killed stays behind under a hidden name.
        for path in (self._latest, self._before, *folder.glob(".training.*.tmp")):
            path.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
