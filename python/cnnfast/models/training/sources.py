"""Where batches come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import random
from cnnfast.arguments import positive_int
from cnnfast.models.training.arrays import checked_batch
from cnnfast.models.training.batch import Batch
from cnnfast.models.training.prefetch import prefetched
from cnnfast.structure import leaves, map_leaves

# Where the arrays of a batch have more elements, it is put together in a thread while the one before is computed with.
_WORTH_A_THREAD = 1 << 19


class Source:
    """Base: gives batches, pass after pass.

    Attributes:
        batches: how many batches a pass has, or None where only trying tells.
        samples: how many examples they hold together, or None.
        batch_size: how many examples a batch holds, or None.
        endless: whether a pass is known never to end.
    """

    batches: int | None = None
    samples: int | None = None
    batch_size: int | None = None
    endless = False

    def one_pass(self) -> Iterator[Batch]:
        """The batches of one pass; closing the iterator frees what it holds."""
        raise NotImplementedError

    def on_epoch_begin(self) -> None:
        """Before an epoch."""

    def on_epoch_end(self) -> None:
        """After an epoch."""


class ArraySource(Source):
    """Arrays cut into batches.

    Args:
        whole: inputs, labels and weights, each an array, a structure of arrays, or None, with as many rows.
        batch_size: examples in a batch; the last one may be smaller.
        shuffle: whether every pass has an order of its own; "batch" keeps examples in their batch.

    Example:
        >>> source = ArraySource((np.arange(5), None, None), 2)
        >>> [x.tolist() for x, _, _ in source.one_pass()]
        [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(self, whole: Batch, batch_size: int, shuffle: bool | str = False) -> None:
        self.batch_size = batch_size
        self._shuffle = shuffle
        self._set(whole)

    def _set(self, whole: Batch) -> None:
        self.whole = whole
        self._parts = [part for part in leaves(list(whole)) if part is not None]
        self.samples = len(self._parts[0])
        self.batches = -(-self.samples // (self.batch_size or 1))

    def split(self, part: float) -> Batch:
        """Give away the last `part` of the examples; see `split_off_end`."""
        first, last = split_off_end(self.whole, part)
        self._set(first)
        return last

    def _order(self) -> npt.NDArray[Any] | None:
        if not self._shuffle:
            return None
        assert self.samples is not None
        if self._shuffle != "batch":
            return random.generator().permutation(self.samples)
        starts = range(0, self.samples, self.batch_size or 1)
        rows = np.arange(self.samples)
        return np.concatenate([random.generator().permutation(rows[i : i + (self.batch_size or 1)]) for i in starts])

    def one_pass(self) -> Iterator[Batch]:  # noqa: D102
        assert self.batches is not None
        order = self._order()

        def batch(number: int) -> Batch:
            return self.take(number, order)

        rows = min(self.batch_size or 1, self.samples or 1)
        heavy = rows * sum(part[0].size for part in self._parts) >= _WORTH_A_THREAD
        if heavy and self.batches > 1 and (order is not None or self._casts()):
            return prefetched(batch, range(self.batches), ahead=2)
        return map(batch, range(self.batches))

    def _casts(self) -> bool:
        return any(part.dtype != np.float32 for part in leaves(self.whole[0]) if part is not None)

    def take(self, number: int, order: npt.NDArray[Any] | None = None) -> Batch:
        """One batch; the inputs as float32."""
        size = self.batch_size or 1
        rows: Any = slice(number * size, (number + 1) * size)
        rows = rows if order is None else order[rows]
        x, y, weights = self.whole
        return _taken(x, rows, as_input), _taken(y, rows), _taken(weights, rows)


def as_input(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Inputs as float32; whole numbers that float32 cannot hold stay what they are.

    Example:
        >>> as_input(np.array([7], np.uint8))
        array([7.], dtype=float32)
        >>> as_input(np.array([2**24 + 1]))
        array([16777217])
    """
    if x.dtype == np.float32:
        return x
    if x.dtype.kind in "iu" and x.dtype.itemsize > 2 and x.size and max(-int(x.min()), int(x.max())) > 2**24:
        return x
    return x.astype(np.float32)


def _taken(value: Any, rows: Any, change: Callable[[Any], Any] | None = None) -> Any:
    def part_of(part: Any) -> Any:
        if part is None:
            return None
        return part[rows] if change is None else change(part[rows])

    return part_of(value) if value is None or type(value) is np.ndarray else map_leaves(part_of, value)


def split_off_end(whole: Batch, part: float) -> tuple[Batch, Batch]:
    """The first examples and, split off as validation data, the last `part` of them.

    Raises:
        ValueError: the part is not between 0 and 1, or leaves one of the two without examples.

    Example:
        >>> [len(x) for x, _, _ in split_off_end((np.zeros(10), None, None), 0.2)]
        [8, 2]
    """
    if not 0.0 < part < 1.0:
        raise ValueError(f"fit: validation_split expects a number between 0 and 1, got {part}")
    count = len(next(leaf for leaf in leaves(list(whole)) if leaf is not None))
    at = int(np.floor(count * (1.0 - part)))
    if at in (0, count):
        raise ValueError(f"fit: validation_split={part} of {count} examples leaves none on one side")
    first, last = slice(0, at), slice(at, None)
    return (
        (_taken(whole[0], first), _taken(whole[1], first), _taken(whole[2], first)),
        (_taken(whole[0], last), _taken(whole[1], last), _taken(whole[2], last)),
    )


def checked_batch_size(owner: str, batch_size: int | None, samples: int, steps: int | None) -> int:
    """The batch size: 32 by default, or what makes the examples last for that many steps.

    Example:
        >>> checked_batch_size("fit", None, 100, None), checked_batch_size("fit", None, 100, 3)
        (32, 34)
    """
    if batch_size is None:
        return -(-samples // steps) if steps else 32
    return positive_int(owner, "batch_size", batch_size)


def array_source(
    owner: str,
    model: Any,
    batch: Batch,
    batch_size: int | None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> ArraySource:
    """A source of checked arrays; see `checked_batch`."""
    whole = checked_batch(owner, model, batch, class_weight)
    samples = len(next(part for part in leaves(whole[0]) if part is not None))
    return ArraySource(whole, checked_batch_size(owner, batch_size, samples, steps), shuffle)
