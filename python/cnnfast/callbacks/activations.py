"""Watching what layers put out while a model trains."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int
from cnnfast.callbacks.base import Callback, Logs

_RELUS = ("relu", "relu6")


class ActivationMonitor(Callback):
    """Puts the mean and standard deviation of every layer's output, and the part of dead ReLUs, among the logs.

    A ReLU is dead when its output is zero for all examples and at all positions: no gradient flows through it, and it
    does not learn any more. Many of them tell of a learning rate too high; means and deviations that vanish or grow
    from layer to layer, of weights that begin too small or too large.

    Args:
        data: examples to look at, as the model takes them; a few hundred do.
        layers: the names of the layers to watch; all of the model's own by default.
        frequency: look after every so many epochs.
        batch_size: examples computed at once.

    Attributes:
        history: for each layer's name, lists of `mean`, `std` and, for layers with a ReLU, `dead`, one number per look.
        epochs: the epochs of the looks.

    Raises:
        ValueError: a name is not known, or a number is out of range.

    Example:
        >>> from cnnfast import layers, models
        >>> model = models.Sequential([layers.Input((3,)), layers.Dense(4, activation="relu", name="hidden")])
        >>> monitor = ActivationMonitor(np.ones((5, 3)))
        >>> monitor.set_model(model)
        >>> sorted(monitor.look())
        ['hidden/dead', 'hidden/mean', 'hidden/std']
    """

    def __init__(
        self, data: Any, layers: Sequence[str] | None = None, frequency: int = 1, batch_size: int = 64
    ) -> None:
        self.data = data
        self.layers = None if layers is None else list(layers)
        self.frequency = positive_int("ActivationMonitor", "frequency", frequency)
        self.batch_size = positive_int("ActivationMonitor", "batch_size", batch_size)
        self._begin()

    def _begin(self) -> None:
        self.epochs: list[int] = []
        self.history: dict[str, dict[str, list[float]]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        self._begin()
        if self.model.built:
            self._watched()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        if (epoch + 1) % self.frequency:
            return
        found = self.look()
        self.epochs.append(epoch)
        for key, value in found.items():
            name, _, what = key.rpartition("/")
            self.history.setdefault(name, {}).setdefault(what, []).append(value)
        if isinstance(logs, MutableMapping):
            logs.update(found)

    def look(self) -> dict[str, float]:
        """The numbers of the model as it is, under `LAYER/mean`, `LAYER/std` and `LAYER/dead`."""
        watched = self._watched()
        found = {layer.name: _Moments(_channel_axis(layer)) for layer in watched}
        self.model._observe(watched, self.data, self.batch_size, lambda layer, y: found[layer.name].add(y))
        logs: dict[str, float] = {}
        for layer in watched:
            moments = found[layer.name]
            if moments.count:
                logs[f"{layer.name}/mean"], logs[f"{layer.name}/std"] = moments.mean_and_deviation()
                if _has_relu(layer):
                    logs[f"{layer.name}/dead"] = moments.dead()
        return logs

    def _watched(self) -> list[Any]:
        layers = self.model.layers
        if self.layers is None:
            return [layer for layer in layers if type(layer).__name__ != "InputLayer"]
        return [self.model.get_layer(name) for name in self.layers]

    def plot(self, path: Any = None) -> Any:
        """Draw how the numbers went over the epochs.

        Args:
            path: a file to write the picture to, or None.

        Returns:
            a Matplotlib figure with one part each for means, deviations and dead ReLUs.

        Raises:
            ImportError: Matplotlib is not installed (`pip install cnnfast[plot]`).
            ValueError: nothing was looked at yet.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("ActivationMonitor.plot needs Matplotlib: pip install 'cnnfast[plot]'") from error
        if not self.epochs:
            raise ValueError("ActivationMonitor.plot: there is nothing to draw before an epoch has ended")
        figure = Figure(figsize=(12, 4), layout="constrained")
        parts = figure.subplots(1, 3)
        titles = {"mean": "mean", "std": "standard deviation", "dead": "part of dead ReLUs"}
        for axes, (what, title) in zip(parts, titles.items(), strict=True):
            for name, kept in self.history.items():
                if what in kept:
                    axes.plot([epoch + 1 for epoch in self.epochs], kept[what], marker="o", label=name)
            axes.set(title=title, xlabel="epoch")
        handles, labels = parts[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize="small")
        if path is not None:
            figure.savefig(path)
        return figure


class _Moments:
    """Sums over batches of outputs."""

    def __init__(self, channel_axis: int) -> None:
        self._axis = channel_axis
        self.count = 0
        self._sum = self._squares = 0.0
        self._alive: npt.NDArray[np.bool_] | None = None

    def add(self, y: npt.NDArray[np.float32]) -> None:
        self.count += y.size
        self._sum += float(y.sum(dtype=np.float64))
        self._squares += float(np.square(y, dtype=np.float64).sum())
        if y.ndim:
            axis = self._axis % y.ndim
            alive = (y != 0).any(axis=tuple(i for i in range(y.ndim) if i != axis))
            self._alive = alive if self._alive is None else self._alive | alive

    def mean_and_deviation(self) -> tuple[float, float]:
        mean = self._sum / self.count
        return mean, float(np.sqrt(max(self._squares / self.count - mean * mean, 0.0)))

    def dead(self) -> float:
        return 0.0 if self._alive is None else 1.0 - float(self._alive.mean())


def _channel_axis(layer: Any) -> int:
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def _has_relu(layer: Any) -> bool:
    name = getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__.lower())
    return name in _RELUS
