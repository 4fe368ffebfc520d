"""Maxout: an activation that learns its own shape as the largest of several linear pieces."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32

__all__ = ["maxout"]


def maxout(x: ArrayLike, num_pieces: int, axis: int = -1) -> Any:
    """The largest of every `num_pieces` consecutive entries along an axis.

    From I. J. Goodfellow et al., "Maxout Networks" (2013). The gradient goes to the first of the largest; NaN is larger
    than all numbers.

    Args:
        x: an array of at least one axis.
        num_pieces: the size of each group, at least 1; divides the length of the axis.
        axis: the axis, usually the channels.

    Returns:
        An array of x's shape but for the axis, which is `num_pieces` times shorter.

    Raises:
        ValueError: there is no such axis, or `num_pieces` is below 1 or does not divide its length.
        TypeError: `num_pieces` or `axis` is not an integer.

    Example:
        >>> maxout([[1, 5, -2, -7]], num_pieces=2)
        array([[ 5., -2.]], dtype=float32)
    """
    array = to_float32(x, "maxout")
    shape, pieces, along = array.shape, operator.index(num_pieces), operator.index(axis)
    if not -array.ndim <= along < array.ndim:
        raise ValueError(f"maxout: axis {along} is out of range for x of shape {shape}")
    along %= array.ndim
    if pieces < 1 or shape[along] < 1 or shape[along] % pieces:
        raise ValueError(
            f"maxout: num_pieces expects a divisor of the {shape[along]} entries along axis {axis}, got {pieces} "
            f"(x: {shape})"
        )
    units = shape[along] // pieces
    grouped = array.reshape(math.prod(shape[:along]) * units, pieces, math.prod(shape[along + 1 :]))
    y = _core.maxout_forward(grouped)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_core.maxout_backward(grouped, to_float32(dy).reshape(y.shape)).reshape(shape),)

    return record("maxout", y.reshape(*shape[:along], units, *shape[along + 1 :]), (x,), vjp)
