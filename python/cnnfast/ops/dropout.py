"""Dropout, whose mask is a function of the seed and therefore never stored."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.seeds import next_seed

__all__ = ["dropout"]


def dropout(x: ArrayLike, rate: float, seed: int | None = None) -> Any:
    """Set a random fraction of the elements to zero and scale the others by `1 / (1 - rate)`.

    From N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" (2014). Which
    elements are dropped depends on nothing but the seed and their position: not on threads, not on the processor. The
    backward pass computes the same choice again, with the Philox4x32-10 generator of J. K. Salmon et al. (2011).

    Args:
        x: an array of any shape.
        rate: the probability of each element to be dropped, in [0, 1).
        seed: an integer in [0, 2^64); None takes the next one of `cnnfast.random`.

    Raises:
        ValueError: `rate` or `seed` is out of range.
        TypeError: `seed` is not an integer.

    Example:
        >>> dropout([1, 2, 3, 4, 5, 6], rate=0.5, seed=1)
        array([2., 4., 0., 8., 0., 0.], dtype=float32)
    """
    array = to_float32(x, "dropout")
    key = next_seed() if seed is None else operator.index(seed)
    if not 0 <= key < 2**64:
        raise ValueError(f"dropout: seed expects an integer in [0, 2**64), got {key}")
    y = _core.dropout(array, rate, key)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_core.dropout(to_float32(dy), rate, key),)

    return record("dropout", y, (x,), vjp)
