"""A table of the epochs in a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import Any, TextIO

from cnnfast.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Writes every epoch's loss and metrics as a line of a file.

    Args:
        filename: the file.
        separator: between the values.
        append: whether to go on with a file that is there, instead of replacing it.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
        >>> logger = CSVLogger(path)
        >>> logger.on_train_begin()
        >>> logger.on_epoch_end(0, {"loss": 0.5})
        >>> logger.on_train_end()
        >>> with open(path) as file:
        ...     file.read().splitlines()
        ['epoch,loss,val_loss', '0,0.5,NA']
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = os.fspath(filename), separator, bool(append)
        self._file: TextIO | None = None
        self._writer: csv.DictWriter[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.release()
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._writer = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        assert self._file is not None
        logs = logs or {}
        if self._writer is None:
            keys = sorted(logs)
            if not any(key.startswith("val_") for key in keys):
                keys += [f"val_{key}" for key in keys]  # a validation may come in a later epoch
            self._writer = csv.DictWriter(
                self._file, ["epoch", *keys], delimiter=self.separator, lineterminator="\n", extrasaction="ignore"
            )
            if self._file.tell() == 0:
                self._writer.writeheader()
        values = {key: _as_text(logs.get(key, "NA")) for key in self._writer.fieldnames}
        self._writer.writerow(values | {"epoch": epoch})
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self.release()

    def release(self) -> None:  # noqa: D102
        if self._file is not None:
            self._file.close()
            self._file = None


def _as_text(value: Any) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "ndim", 1) != 0:
        return f"[{', '.join(map(str, value))}]"
    return value
