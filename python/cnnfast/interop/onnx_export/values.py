"""What a value of the exported graph is: its name there, its shape in the model, and where each axis lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnfast.symbolic import Shape

Order = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the exported graph.

    Attributes:
        name: its name in the graph.
        shape: as the model sees it, None where a size is open.
        order: which of the model's axes lies at each place of the tensor: (0, 3, 1, 2) for images whose channels, last
            in the model, come second in the graph.
        dtype: "float32", "bool" or a type of integers.
        columns: of a row of values that was images, in the order of the graph: that order, and the model's sizes
            behind the batch. None where the elements are in the model's order.
    """

    name: str
    shape: Shape
    order: Order
    dtype: str = "float32"
    columns: tuple[Order, tuple[int, ...]] | None = None

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def stored(self) -> Shape:
        """The tensor's own shape."""
        return tuple(self.shape[axis] for axis in self.order)

    def place(self, axis: int) -> int:
        """Where one of the model's axes lies in the tensor."""
        return self.order.index(axis % self.rank)

    def places(self, axes: Sequence[int]) -> list[int]:
        """Where some of the model's axes lie, from the first on."""
        return sorted(self.place(axis) for axis in axes)

    def size(self) -> int:
        """About how many elements it has: one example, and some pixels where a size is open."""
        return math.prod(32 if n is None else n for n in self.shape[1:]) if self.shape else 1

    def transposed(self, axes: Sequence[int]) -> Value:
        """The same tensor, seen with the model's axes in another order: no work at all."""
        shape = tuple(self.shape[axis] for axis in axes)
        return replace(self, shape=shape, order=tuple(list(axes).index(axis) for axis in self.order))


def plain_order(rank: int) -> Order:
    """The order in which a tensor lies as the model sees it.

    Example:
        >>> plain_order(3)
        (0, 1, 2)
    """
    return tuple(range(rank))


def channels_second(rank: int, axis: int = -1) -> Order:
    """The order with one axis moved to the second place.

    Example:
        >>> channels_second(4), channels_second(4, 1)
        ((0, 3, 1, 2), (0, 1, 2, 3))
    """
    axis %= rank
    return (0, axis, *(a for a in range(1, rank) if a != axis))


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """An axis, several or None for all, counted from the front and in order.

    Example:
        >>> normal_axes((-1, 1), 4), normal_axes(None, 2)
        ((1, 3), (0, 1))
    """
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted(int(a) % rank for a in given))


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    """The shape that is left when some axes are reduced.

    Example:
        >>> reduced_shape((None, 4, 5), (1,), True), reduced_shape((None, 4, 5), (1,), False)
        ((None, 1, 5), (None, 5))
    """
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def without_axes(order: Order, axes: Sequence[int]) -> Order:
    """The order of what is left when some of the model's axes are gone.

    Example:
        >>> without_axes((0, 3, 1, 2), (1, 2))
        (0, 1)
    """
    left = sorted(a for a in order if a not in axes)
    return tuple(left.index(a) for a in order if a not in axes)
