"""Progress of a training, evaluation or prediction on the terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from cnnfast.callbacks.base import Callback, Logs

_REFRESH_SECONDS = 0.1


def _bar(description: str, samples: int | None, steps: int | None) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):
        monitor_interval = 0  # no watching thread: a process that trains may fork

    return Bar(
        total=steps if samples is None else samples,
        desc=description,
        unit="batch" if samples is None else "img",
        unit_scale=samples is not None and samples >= 100_000,
        file=sys.stdout,
        mininterval=_REFRESH_SECONDS,
        dynamic_ncols=True,
    )


class ProgressBar(Callback):
    """A bar per epoch with the time left, images per second, loss and metrics.

    tqdm draws it: it is small, knows terminals and notebooks, and is on most machines already.

    Example:
        >>> ProgressBar().params
        {}
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._drawn = 0.0
        self._training = False

    def _open(self, description: str) -> None:
        self._bar = _bar(description, self.params["samples"], self.params["steps"])
        self._drawn = time.perf_counter()

    def _advance(self, batch: int, logs: Logs | None) -> None:
        size, samples = self.params["batch_size"], self.params["samples"]
        done = 1 if samples is None else min(size, samples - batch * size)
        now = time.perf_counter()
        if now - self._drawn >= _REFRESH_SECONDS:
            self._drawn = now
            self._bar.set_postfix_str(_shown(logs), refresh=False)
        self._bar.update(done)

    def release(self) -> None:  # noqa: D102
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _close(self, logs: Logs | None) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(logs), refresh=True)
            self._bar.close()
            self._bar = None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._training = True

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._open(f"Epoch {epoch + 1}/{self.params['epochs']}")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._close(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        if not self._training:
            self._open("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if not self._training:
            self._advance(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if not self._training:
            self._close(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._open("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._advance(batch, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._close(None)


ProgbarLogger = ProgressBar  # the other name


class EpochLine(Callback):
    """One line per epoch, for logs: loss, metrics, seconds and images per second.

    Example:
        >>> EpochLine().params
        {}
    """

    def __init__(self) -> None:
        self._start = 0.0
        self._training = False

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._training = True

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        self._print(f"Epoch {epoch + 1}/{self.params['epochs']}", logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        if not self._training:
            self._start = time.perf_counter()

    def on_test_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        if not self._training:
            self._print("Evaluate", logs)

    def _print(self, what: str, logs: Logs | None) -> None:
        seconds = time.perf_counter() - self._start
        samples = self.params["samples"]
        rate = "" if samples is None else f" {samples / max(seconds, 1e-9):.0f} img/s,"
        print(f"{what}: {seconds:.2f} s,{rate} {_shown(logs)}", flush=True)


def _shown(logs: Logs | None) -> str:
    return ", ".join(f"{key}={value:.4g}" for key, value in (logs or {}).items())
