"""A source's batches, cut into epochs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from cnnfast.arguments import positive_int
from cnnfast.models.training.batch import Batch
from cnnfast.models.training.sources import Source


class Epochs:
    """Goes through a source: an epoch is one pass, or so many steps, the next going on where the one before ended.

    Args:
        owner: the calling method, for messages.
        source: where the batches come from.
        steps: the number of batches of an epoch; None for a whole pass.

    Raises:
        ValueError: an epoch would never end.

    Example:
        >>> from cnnfast.models.training.sources import ArraySource
        >>> import numpy as np
        >>> epochs = Epochs("fit", ArraySource((np.arange(4), None, None), 1), steps=3)
        >>> [[int(x[0]) for x, _, _ in epochs.batches()] for _ in range(1)]
        [[0, 1, 2]]
    """

    def __init__(self, owner: str, source: Source, steps: int | None = None) -> None:
        self.owner, self.source = owner, source
        self._limit = None if steps is None else positive_int(owner, "steps", steps)
        if self._limit is None and source.endless:
            raise ValueError(f"{owner}: these batches never end, say how many steps an epoch has")
        self._running: Iterator[Batch] | None = None
        self._taken = 0
        self._begun = False
        self.ended = False  # an epoch had no batches at all: there will be no more

    @property
    def steps(self) -> int | None:
        """The number of batches of an epoch, or None where only trying tells."""
        return self.source.batches if self._limit is None else self._limit

    @property
    def samples(self) -> int | None:
        """The number of examples of an epoch, or None where it is not known."""
        source = self.source
        if source.samples is None or self._limit is None:
            return source.samples if self._limit is None else None
        return min(source.samples, self._limit * (source.batch_size or 1))

    def prepare(self) -> None:
        """Before the first epoch of `fit` and `evaluate`: Keras tells the data of an epoch's end there too."""
        self.source.on_epoch_end()

    def batches(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        source, done = self.source, 0
        source.on_epoch_begin()
        try:
            while self._limit is None or done < self._limit:
                if self._running is None:
                    self._running, self._taken = source.one_pass(), 0
                batch = next(self._running, None)
                if batch is None:
                    self.close()
                    if not done and not self._begun:
                        raise ValueError(f"{self.owner}: expected at least one batch, there is none")
                    if self._limit is not None or not done:
                        self._warn(done)
                    self.ended = not done
                    return
                self._taken += 1
                self._begun = True
                done += 1
                yield batch
        finally:
            if self._limit is None or self._taken == source.batches:
                self.close()
            source.on_epoch_end()

    def _warn(self, done: int) -> None:
        of = f" of {self._limit}" if self._limit else ""
        warnings.warn(f"{self.owner}: the data ended after {done} batches of an epoch{of}", stacklevel=4)

    def close(self) -> None:
        """End the present pass, and the threads that prepare it."""
        running, self._running = self._running, None
        if running is not None and hasattr(running, "close"):
            running.close()
