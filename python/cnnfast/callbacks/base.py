"""The base of callbacks, and the list that calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Logs = Mapping[str, Any]

_BATCH_HOOKS = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
)


class Callback:
    """Base: override the hooks you want to hear of.

    In a hook `self.model` is the model and `self.params` tells `epochs`, `steps`, `samples`, `batch_size`, `verbose`.
    Setting `self.model.stop_training = True` ends the training after the epoch.

    Example:
        >>> class Announce(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(epoch, sorted(logs))
        >>> Announce().on_epoch_end(0, {"loss": 1.0})
        0 ['loss']
    """

    model: Any = None
    params: Mapping[str, Any] = {}

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take the training's parameters."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self.model = model

    def release(self) -> None:
        """Give back what is held, such as open files; called at the end, also after an error or an interruption."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, with its logs."""

    def on_epochs_end(self) -> None:
        """After the last epoch, before the optimizer ends the training: moving averages may become the weights then."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch (counted from 0)."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation, with loss and metrics, those of the validation as `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch (counted from 0)."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch, with the epoch's loss and metrics so far."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """As `on_train_batch_begin`, by its older name."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """As `on_train_batch_end`, by its older name."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation or validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation or validation, with loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation, with loss and metrics so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of a prediction, with its `outputs`."""


def _listening(callback: Callback, hook: str) -> list[Callable[..., None]]:
    """The methods of a callback that want a hook of batches, by either of its names."""
    return [
        getattr(callback, name)
        for name in dict.fromkeys((hook, hook.replace("_train_", "_")))
        if hasattr(Callback, name)
        and (name in vars(callback) or getattr(type(callback), name) is not getattr(Callback, name))
    ]


class CallbackList:
    """Calls several callbacks; hooks of batches only where a callback defines them, because they are many.

    Args:
        callbacks: the callbacks, in the order they are called.
        model: given to each.
        params: given to each.

    Raises:
        TypeError: an entry is no callback.

    Example:
        >>> CallbackList([Callback()], model=None, params={}).listens("on_train_batch_end")
        False
    """

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: Mapping[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks expects Callback objects, got {callback!r}")
            callback.set_model(model)
            callback.set_params(params)
        self._listeners: dict[str, list[Callable[..., None]]] = {
            hook: [listener for callback in self.callbacks for listener in _listening(callback, hook)]
            for hook in _BATCH_HOOKS
        }

    def release(self) -> None:
        """Let callbacks give back what they hold: bars, files, threads. Called however a training ended."""
        for callback in self.callbacks:
            callback.release()

    def listens(self, batch_hook: str) -> bool:
        """Whether any callback wants this hook of batches."""
        return bool(self._listeners[batch_hook])

    def on_batch(self, batch_hook: str, batch: int, logs: Logs | None = None) -> None:
        """Call a hook of batches."""
        for listener in self._listeners[batch_hook]:
            listener(batch, logs)

    def on(self, hook: str, *args: Any) -> None:
        """Call any other hook."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)
