"""Permute and RepeatVector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import ops
from cnnfast.arguments import integer, positive_int
from cnnfast.layers.arguments import checked_rank
from cnnfast.layers.base import Layer, Shape


class Permute(Layer):
    """The axes of an example in another order.

    Args:
        dims: for each axis of the result, which one of the input it is; they count from 1, behind the batch.
        **kwargs: `name`.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: `dims` does not name every axis from 1 on once.

    Example:
        >>> Permute((2, 1)).compute_output_shape((None, 10, 64))
        (None, 64, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = dims if isinstance(dims, (list, tuple)) else (dims,)
        self.dims = tuple(integer("Permute", "dims", n) for n in given)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: dims expects every axis from 1 to {len(self.dims)} once, got {dims}")

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.transpose(x, (0, *self.dims))

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(f"Permute: dims={self.dims} expects {len(self.dims) + 1} axes, got {tuple(input_shape)}")
        return (input_shape[0], *(input_shape[n] for n in self.dims))

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        self.compute_output_shape(input_shape)


class RepeatVector(Layer):
    """Vectors repeated along a new axis: (N, C) to (N, n, C).

    Args:
        n: how often.
        **kwargs: `name`.

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` is not positive.

    Example:
        >>> RepeatVector(3).compute_output_shape((None, 32))
        (None, 3, 32)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_int("RepeatVector", "n", n)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        checked_rank("RepeatVector", input_shape, 2, "N, C")

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.broadcast_to(ops.expand_dims(x, 1), (x.shape[0], self.n, x.shape[1]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        checked_rank("RepeatVector", input_shape, 2, "N, C")
        return (input_shape[0], self.n, input_shape[1])
