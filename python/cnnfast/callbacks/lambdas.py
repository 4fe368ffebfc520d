"""Callbacks made of functions, and one that ends a training gone wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cnnfast.callbacks.base import Callback, Logs


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin: called with (epoch, logs).
        on_epoch_end: called with (epoch, logs).
        on_train_begin: called with (logs).
        on_train_end: called with (logs).
        on_train_batch_begin: called with (batch, logs).
        on_train_batch_end: called with (batch, logs).
        **kwargs: further hooks of `Callback` (such as `on_test_end`), and attributes of the callback.

    Example:
        >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs)).on_epoch_end(3, {"loss": 0.5})
        3 {'loss': 0.5}
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in given.items():
            if function is not None and not callable(function):
                raise TypeError(f"LambdaCallback: {name} expects a function, got {function!r}")
        vars(self).update({name: function for name, function in given.items() if function is not None} | kwargs)


class TerminateOnNaN(Callback):
    """Ends the training as soon as the loss is NaN or infinite.

    Args:
        raise_error: whether to raise instead, so that nothing else is done at the training's end.

    Raises:
        RuntimeError: the loss is not finite (with `raise_error`).

    Example:
        >>> TerminateOnNaN(raise_error=True).on_train_batch_end(3, {"loss": float("nan")})
        Traceback (most recent call last):
        RuntimeError: the loss is nan after batch 3
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = bool(raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: D102
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"the loss is {loss} after batch {batch}")
        print(f"Batch {batch}: the loss is {loss}, the training ends")
        self.model.stop_training = True
