"""Data that comes batch by batch, prepared in threads or processes while the engine computes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from cnnfast.arguments import integer, positive_int

__all__ = ["PyDataset", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"]


class PyDataset:
    """Base of data sets whose batches are made when they are needed, such as images read from files.

    A subclass defines `__getitem__`, which returns batch number `index` as x, (x, y) or (x, y, sample_weight), and
    `__len__`, the number of batches (or the property `num_batches`, None where they never end).

    Args:
        workers: how many threads (or processes) make batches ahead; with 0 the training makes each when it needs it.
        use_multiprocessing: whether processes do it instead, each with a copy of the data set; worth it where Python
            code takes the time, because threads run that one at a time.
        max_queue_size: how many batches may wait.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a number is out of range.

    Example:
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...
        ...     def __getitem__(self, index):
        ...         x = np.arange(4.0) + 4 * index
        ...         return x, x**2
        >>> [y.tolist() for x, y in Squares(workers=2)][0]
        [0.0, 1.0, 4.0, 9.0]
    """

    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        owner = type(self).__name__
        self.workers = integer(owner, "workers", workers)
        if self.workers < 0:
            raise ValueError(f"{owner}: workers expects a number from 0 on, got {workers}")
        self.use_multiprocessing = bool(use_multiprocessing)
        self.max_queue_size = positive_int(owner, "max_queue_size", max_queue_size)

    def __getitem__(self, index: int) -> Any:
        """Batch number `index`; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__()")

    @property
    def num_batches(self) -> int | None:
        """The number of batches, or None where they never end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} defines neither __len__() nor num_batches")

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Before every epoch."""

    def on_epoch_end(self) -> None:
        """After every epoch: the place to change the order of the examples."""


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, labels and sample weights of what a step is given; None for what is not there.

    Raises:
        ValueError: a tuple of more than three.

    Example:
        >>> unpack_x_y_sample_weight(("x", "y"))
        ('x', 'y', None)
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data expects x, (x, y) or (x, y, sample_weight), got {len(data)} parts")
    x, y, sample_weight = [*data, None, None][:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a step is given: x, (x, y) or (x, y, sample_weight).

    Example:
        >>> pack_x_y_sample_weight("x", "y")
        ('x', 'y')
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
