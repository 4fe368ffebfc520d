"""Sources that give whole batches: data sets, generators and other iterables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np

from cnnfast import random
from cnnfast.models.training.arrays import checked_batch
from cnnfast.models.training.batch import Batch
from cnnfast.models.training.prefetch import prefetched
from cnnfast.models.training.sources import Source, as_input
from cnnfast.py_dataset import unpack_x_y_sample_weight
from cnnfast.structure import map_leaves

Check = Callable[[Any], Batch]


def checker(owner: str, model: Any, class_weight: Mapping[int, float] | None = None) -> Check:
    """A function that makes checked arrays of a batch as a data set or generator gives it."""

    def check(given: Any) -> Batch:
        if isinstance(given, (int, float, str, bytes)) or given is None:
            raise ValueError(f"{owner}: expected batches x, (x, y) or (x, y, sample_weight), got {given!r}")
        x, y, sample_weight = checked_batch(owner, model, unpack_x_y_sample_weight(given), class_weight)
        return map_leaves(lambda part: None if part is None else as_input(part), x), y, sample_weight

    return check


class SequenceSource(Source):
    """A `PyDataset`, or something with the same methods, whose batches are made ahead.

    Args:
        dataset: the data set.
        check: from `checker`.
        shuffle: whether every pass has an order of its own (where the batches end).
    """

    def __init__(self, dataset: Any, check: Check, shuffle: bool | str = False) -> None:
        self._dataset, self._check, self._shuffle = dataset, check, bool(shuffle)
        self._begin = getattr(dataset, "on_epoch_begin", None)
        self._end = getattr(dataset, "on_epoch_end", None)
        self.endless = self.batches is None

    @property
    def batches(self) -> int | None:  # type: ignore[override]
        """How many batches a pass has; the data set may change it between epochs."""
        return self._dataset.num_batches if hasattr(self._dataset, "num_batches") else len(self._dataset)

    def one_pass(self) -> Iterator[Batch]:  # noqa: D102
        count = self.batches
        numbers: Iterable[int] = itertools.count() if count is None else range(count)
        if self._shuffle and count is not None:
            numbers = [int(number) for number in random.generator().permutation(count)]
        workers = int(getattr(self._dataset, "workers", 1))
        if not workers:
            return (self._check(self._dataset[number]) for number in numbers)
        ahead = int(getattr(self._dataset, "max_queue_size", 10))
        if getattr(self._dataset, "use_multiprocessing", False):
            processes = ProcessPoolExecutor(workers, initializer=_keep, initargs=(self._dataset,))
            return (self._check(item) for item in prefetched(_kept_item, numbers, ahead, processes))
        threads = ThreadPoolExecutor(workers, thread_name_prefix="cnnfast-batches")
        return prefetched(lambda number: self._check(self._dataset[number]), numbers, ahead, threads)

    def on_epoch_begin(self) -> None:  # noqa: D102
        if self._begin is not None:
            self._begin()

    def on_epoch_end(self) -> None:  # noqa: D102
        if self._end is not None:
            self._end()


_dataset: Any = None  # the data set of a process that makes batches


def _keep(dataset: Any) -> None:
    global _dataset
    _dataset = dataset


def _kept_item(number: int) -> Any:
    return _dataset[number]


class IterableSource(Source):
    """Anything that batches can be taken from one after the other.

    Args:
        batches: an iterable, gone through anew at every pass; what a generator has given is gone.
        check: from `checker`.
    """

    def __init__(self, batches: Any, check: Check) -> None:
        self._batches, self._check = batches, check
        self._once = iter(batches) is batches
        if not self._once and hasattr(batches, "__len__"):
            try:
                self.batches = len(batches)
            except TypeError:  # a PyTorch data loader over a stream has the method and no length
                self.batches = None

    def one_pass(self) -> Iterator[Batch]:  # noqa: D102
        # A generator is not closed with the pass: the next epoch goes on with it.
        return (self._check(batch) for batch in self._batches)


def is_stream(x: Any) -> bool:
    """Whether batches can be taken from something, rather than it being arrays.

    Example:
        >>> is_stream(iter([])), is_stream([1.0, 2.0]), is_stream(np.zeros(3))
        (True, False, False)
    """
    if x is None or isinstance(x, (np.ndarray, list, tuple, dict, str, bytes)) or hasattr(x, "shape"):
        return False
    if hasattr(x, "__array__") or hasattr(x, "to_numpy"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or is_sequence(x)


def is_sequence(x: Any) -> bool:
    """Whether something gives batches by their numbers."""
    if not hasattr(x, "__getitem__"):
        return False
    return hasattr(x, "num_batches") or hasattr(x, "on_epoch_end") or not hasattr(x, "__iter__")


def stream_source(
    owner: str, model: Any, batch: Batch, shuffle: bool | str, class_weight: Mapping[int, float] | None
) -> Source:
    """The source for a data set, generator or other iterable.

    Raises:
        ValueError: labels or weights are given beside it.
    """
    x, y, sample_weight = batch
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{owner}: {name} must be part of the batches where x gives them ({type(x).__name__})")
    check = checker(owner, model, class_weight)
    if is_sequence(x):
        return SequenceSource(x, check, shuffle)
    return IterableSource(x, check)
