"""The learning rate's way through a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cnnfast.callbacks import Callback


class CosineDecay(Callback):
    """Lowers the learning rate from epoch to epoch along half a cosine, from its start towards 0.

    The last, small steps settle the weights: what the training ends with varies less from one seed to the next.
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017 (without restarts).

    Args:
        start: the first epoch's learning rate.
    """

    def __init__(self, start: float) -> None:
        self._start = start

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Set the epoch's learning rate."""
        done = epoch / self.params["epochs"]
        self.model.optimizer.learning_rate = self._start * (1 + math.cos(math.pi * done)) / 2
