"""Tensors of channels-first networks, kept with the channels last.

A network that was written for (N, C, H, W) is taken over by remembering, for every tensor, which axis of the original
each of its own axes is. Convolutions ask for the channels last and say that they return them so; operations that treat
all elements alike leave the order as it is, and transpositions change what is remembered instead of moving elements.
Only what really depends on the original's order, such as a matrix product along the width, moves anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import layers, ops
from cnnfast.symbolic import KerasTensor, Shape

Order = tuple[int, ...]


def channels_last_order(rank: int) -> Order:
    """Which axes of (N, C, ...) follow each other where the channels are last.

    Example:
        >>> channels_last_order(4)
        (0, 2, 3, 1)
    """
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


class Arranged:
    """A tensor whose axes lie in another order than in the network that it is taken from.

    Args:
        tensor: the tensor as it lies in memory.
        order: for each of its axes, which of the original's axes it is; all in their places by default.
        joined: where the last axis is several of the original's in one: their sizes in the original, and in which order
            they lie.

    Example:
        >>> image = Arranged(layers.Input((32, 24, 3)), (0, 2, 3, 1))
        >>> image.shape
        (None, 3, 32, 24)
    """

    __slots__ = ("_moved", "joined", "order", "tensor")

    def __init__(
        self,
        tensor: KerasTensor,
        order: Sequence[int] | None = None,
        joined: tuple[tuple[int, ...], Order] | None = None,
    ) -> None:
        self.tensor = tensor
        self.order: Order = tuple(range(tensor.ndim)) if order is None else tuple(order)
        self.joined = joined
        self._moved: dict[Order, KerasTensor] = {}

    def __repr__(self) -> str:
        return f"<Arranged shape={self.shape}, order={self.order}, joined={self.joined}>"

    @property
    def shape(self) -> Shape:
        """The sizes in the original's order."""
        sizes: list[int | None] = [None] * len(self.order)
        for axis, size in zip(self.order, self.tensor.shape, strict=True):
            sizes[axis] = size
        return tuple(sizes)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.order)

    @property
    def in_order(self) -> bool:
        """Whether the tensor is the original's as it lies."""
        return self.joined is None and self.order == tuple(range(self.ndim))

    def like(self, tensor: Any) -> Arranged:
        """Another tensor that lies in the same order."""
        return Arranged(tensor, self.order, self.joined)

    def axis(self, axis: int) -> int:
        """One of the original's axes, counted from the start.

        Raises:
            ValueError: there is no such axis.
        """
        if not -self.ndim <= axis < self.ndim:
            raise ValueError(f"axis {axis} is out of range for shape {self.shape}")
        return axis % self.ndim

    def place(self, axis: int) -> int:
        """Where one of the original's axes lies in the tensor."""
        return self.order.index(self.axis(axis))

    def plain(self) -> KerasTensor:
        """The tensor in the original's order."""
        return self.lying(range(self.ndim))

    def channels_last(self) -> KerasTensor:
        """The tensor with the original's second axis last."""
        return self.lying(channels_last_order(self.ndim))

    def lying(self, order: Sequence[int]) -> KerasTensor:
        """The tensor in any order, moved if need be; asked again for the same order, it is not moved again.

        Example:
            >>> Arranged(layers.Input((32, 24, 3)), (0, 2, 3, 1)).plain().shape
            (None, 3, 32, 24)
        """
        order = tuple(order)
        if self.joined is None and order == self.order:
            return self.tensor
        if order not in self._moved:
            tensor = self.tensor if self.joined is None else _separated(self.tensor, *self.joined)
            axes = [self.order.index(axis) for axis in order]
            self._moved[order] = tensor if axes == sorted(axes) else ops.transpose(tensor, axes)
        return self._moved[order]

    def apart(self) -> Arranged:
        """The same with every axis one of the original's."""
        return self if self.joined is None else Arranged(self.plain())


def from_channels_last(tensor: KerasTensor) -> Arranged:
    """What a layer for channels last has returned.

    Example:
        >>> from_channels_last(layers.Input((32, 24, 3))).shape
        (None, 3, 32, 24)
    """
    return Arranged(tensor, channels_last_order(tensor.ndim))


def _separated(tensor: KerasTensor, sizes: tuple[int, ...], order: Order) -> KerasTensor:
    """A row of elements of several axes, brought into the original's order."""
    lying = layers.Reshape([sizes[axis] for axis in order])(tensor)
    turned = ops.transpose(lying, (0, *(order.index(axis) + 1 for axis in range(len(order)))))
    return layers.Reshape((math.prod(sizes),))(turned)


def rows_as_they_lie(value: Arranged, kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A matrix, or a vector, for the original's last axis with its rows in the order in which the elements lie.

    So a dense layer behind a flattened image takes the image as it is.

    Example:
        >>> row = Arranged(layers.Input((4,)), joined=((2, 2), (1, 0)))
        >>> rows_as_they_lie(row, np.array([10, 11, 12, 13]))
        array([10, 12, 11, 13])
    """
    if value.joined is None:
        return kernel
    sizes, order = value.joined
    return (
        kernel.reshape(*sizes, *kernel.shape[1:])
        .transpose((*order, *range(len(sizes), len(sizes) + kernel.ndim - 1)))
        .reshape(kernel.shape)
    )


def transposed(value: Arranged, axes: Sequence[int]) -> Arranged:
    """The original's axes in another order, without moving anything.

    Example:
        >>> image = Arranged(layers.Input((32, 24, 3)), (0, 2, 3, 1))
        >>> transposed(image, (0, 2, 3, 1)).in_order
        True
    """
    value = value.apart()
    wanted = [value.axis(axis) for axis in axes]
    if sorted(wanted) != list(range(value.ndim)):
        raise ValueError(f"a permutation of {value.ndim} axes is expected, got {tuple(axes)}")
    return Arranged(value.tensor, [wanted.index(axis) for axis in value.order])


# Element by element


def elementwise(function: Callable[..., Any], *operands: Any) -> Arranged:
    """Apply a function of several tensors that broadcast together, whatever order they lie in.

    Args:
        function: takes symbolic tensors and NumPy arrays, and returns a symbolic tensor.
        *operands: `Arranged` tensors, at least one, and arrays in the original's order.

    Returns:
        What the function returned, in the order of the operand that has the most axes.
    """
    rank = max(np.ndim(x) for x in operands)
    arranged = [x for x in operands if isinstance(x, Arranged)]
    if any(x.joined for x in arranged):
        lead = next((x for x in arranged if x.joined is not None and x.ndim == rank), None)
        if lead is not None and all(_takes_joined(x, lead) for x in operands):
            values = [x.tensor if isinstance(x, Arranged) else _row(x, lead) for x in operands]
            return lead.like(function(*values))
        operands = tuple(x.apart() if isinstance(x, Arranged) else x for x in operands)
        arranged = [x for x in operands if isinstance(x, Arranged)]
    widest = [x for x in arranged if x.ndim == rank]
    lead = next((x for x in widest if not x.in_order), widest[0] if widest else None)
    order = tuple(range(rank)) if lead is None else lead.order
    result = function(*(aligned(x, order) for x in operands))
    return Arranged(result, order)


def _takes_joined(x: Any, lead: Arranged) -> bool:
    if isinstance(x, Arranged):
        return x.ndim == lead.ndim and x.joined == lead.joined and x.order == lead.order
    return bool(np.ndim(x) == 0 or (np.ndim(x) <= lead.ndim and np.shape(x)[-1] in (1, lead.shape[-1])))


def _row(x: Any, lead: Arranged) -> Any:
    array = np.asarray(x)
    if array.ndim == 0 or array.shape[-1] == 1:
        return array
    return np.moveaxis(rows_as_they_lie(lead, np.moveaxis(array, -1, 0)), 0, -1)


def aligned(x: Any, order: Order) -> Any:
    """An operand as it broadcasts with tensors that lie in an order.

    Example:
        >>> aligned(np.ones((3, 1, 1)), (0, 2, 3, 1)).shape
        (3,)
    """
    rank = len(order)
    missing = rank - np.ndim(x)
    if not isinstance(x, Arranged):
        array = np.asarray(x)
        turned = array.reshape((1,) * missing + array.shape).transpose(order)
        while turned.ndim and turned.shape[0] == 1:
            turned = turned[0]
        return turned
    tensor = x.lying([axis - missing for axis in order if axis >= missing])
    new = [place for place, axis in enumerate(order) if axis < missing]
    # Axes in front are there by broadcasting.
    return tensor if new == list(range(len(new))) else ops.expand_dims(tensor, new)
