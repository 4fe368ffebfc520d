"""Looking at a model with the moving averages of its weights."""

from __future__ import annotations

from typing import Any

from cnnfast.callbacks.base import Callback, Logs


class SwapEMAWeights(Callback):
    """Exchanges the weights with their moving averages for evaluations, and back.

    The optimizer must keep these averages: it is made with `use_ema=True`.

    Args:
        swap_on_epoch: whether they are exchanged from an epoch's end to the next one's begin as well, so that callbacks
            that come after this one, such as `ModelCheckpoint`, see the averages.

    Raises:
        ValueError: the optimizer keeps no averages.

    Example:
        >>> SwapEMAWeights(swap_on_epoch=True).swap_on_epoch
        True
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = bool(swap_on_epoch)
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights: the optimizer keeps no averages; make it with use_ema=True")
        variables = optimizer.optimized if optimizer.built else []
        if not variables:
            return []
        averages = optimizer.slots(variables)[optimizer.slot_names.index("average")]
        return list(zip(variables, averages, strict=True))

    def _swap(self, to_averages: bool) -> None:
        if self._swapped == to_averages:
            return
        self._swapped = to_averages
        for weight, average in self._pairs():
            value = weight.numpy().copy()
            weight.assign(average)
            average[...] = value

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._pairs()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self.swap_on_epoch:
            self._swap(False)

    def on_test_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._swap(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._swap(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if self.swap_on_epoch:
            self._swap(True)

    def on_epochs_end(self) -> None:  # noqa: D102
        self._swap(False)

    def release(self) -> None:  # noqa: D102
        self._swap(False)
