"""How much a file may ask for, whatever it says: a few bytes can name a terabyte, or a million calls.

What is made from a file is held against what the file itself holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

LARGEST = 1 << 29  # bytes of one array that is computed
_LARGEST_TENSOR = 1 << 31  # bytes of a tensor for one batch
_NODES = 100_000  # with those of functions, each time they are called
_WORK = 1 << 35  # elements of all tensors that are tried out while their shapes are found
_OPEN = 96  # what an open size is tried out with
_BATCH = 3  # and an open batch, the first axis


class Budget:
    """What is left for one file.

    Args:
        held: the bytes of the constants that it holds.
    """

    def __init__(self, held: int) -> None:
        self.nodes, self.work, self.bytes = _NODES, _WORK, 3 * LARGEST + 4 * held

    def node(self, source: str) -> None:
        """Count a node.

        Raises:
            ValueError: there were too many.
        """
        self.nodes -= 1
        if self.nodes < 0:
            raise ValueError(f"{source}: more than {_NODES} nodes")

    def make(self, what: Any, size: int) -> None:
        """Count bytes of constants that are computed, and of weights.

        Raises:
            ValueError: there were too many.
        """
        self.bytes -= size
        if self.bytes < 0:
            raise ValueError(f"{what}: the file's constants grow beyond what is sensible for what it holds")

    def tried(self, what: Any, shape: Iterable[int | None]) -> None:
        """Count a tensor.

        Raises:
            ValueError: it, or all together, are too large.
        """
        shape = tuple(shape)
        checked_tensor(what, shape)
        self.work -= _elements(shape)
        if self.work < 0:
            raise ValueError(f"{what}: the file's tensors are too large to follow their shapes")


def _elements(shape: Iterable[int | None]) -> int:
    """How many there are when it is tried out."""
    return math.prod(assumed(shape))


def assumed(shape: Iterable[int | None]) -> list[int]:
    """A shape as it is tried out: open sizes are taken for some, the batch, which is the first, for a small one.

    Example:
        >>> assumed((None, 8, None))
        [3, 8, 96]
    """
    return [n if n is not None else _OPEN if axis else _BATCH for axis, n in enumerate(shape)]


def checked_tensor(what: Any, shape: Iterable[int | None]) -> None:
    """Check that a tensor is not too large to be tried out, as it is while shapes are found.

    Args:
        what: what makes it, for the message.
        shape: its sizes; None for an open one.

    Raises:
        ValueError: it is.
    """
    sizes = tuple(shape)
    if _elements(sizes) * 4 > _LARGEST_TENSOR:
        raise ValueError(f"{what}: a tensor of shape {sizes} is refused, as too large")


def checked_size(what: Any, shape: Iterable[int | None], itemsize: int = 4) -> None:
    """Check that an array is not too large to be made.

    Args:
        what: what makes it, for the message.
        shape: its sizes; None for an open one.
        itemsize: bytes of an element.

    Raises:
        ValueError: it is, or a size is negative.

    Example:
        >>> checked_size("Tile", (1 << 20, 1 << 20))
        Traceback (most recent call last):
        ...
        ValueError: Tile: an array of shape (1048576, 1048576) is refused, as too large
    """
    sizes = tuple(None if n is None else int(n) for n in shape)
    if _elements(sizes) * itemsize > LARGEST:
        raise ValueError(f"{what}: an array of shape {sizes} is refused, as too large")
    if any(n is not None and n < 0 for n in sizes):
        raise ValueError(f"{what}: sizes from 0 on are expected, got {sizes}")
