"""Penalties on how large values are, each in one pass over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet

__all__ = ["l1_l2_penalty"]

# Sums of so many elements keep float32's precision; these sums are added up in double precision.
_BLOCK = 1 << 13


def l1_l2_penalty(x: ArrayLike, l1: float = 0.0, l2: float = 0.0) -> FloatArray:
    """`l1 * sum(|x|) + l2 * sum(x^2)`.

    Args:
        x: real numbers of any shape.
        l1: the weight of the sum of absolute values.
        l2: the weight of the sum of squares.

    Returns:
        float32, one number.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> l1_l2_penalty([1.0, -2.0], l1=0.5, l2=0.25)
        array(2.75, dtype=float32)
    """
    array = to_float32(x, "l1_l2_penalty")
    flat = array.reshape(-1)
    total = 0.0
    with quiet():
        for start in range(0, flat.size, _BLOCK):
            part = flat[start : start + _BLOCK]
            if l1:
                total += l1 * float(np.add.reduce(np.abs(part)))
            if l2:
                total += l2 * float(np.dot(part, part))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        factor = float(dy)
        with quiet():
            slope = array * np.float32(2.0 * l2 * factor) if l2 else np.zeros_like(array)
            if l1:
                signs = np.sign(array)
                signs *= np.float32(l1 * factor)
                slope += signs
        return (slope,)

    return record("l1_l2_penalty", np.asarray(total, np.float32), (x,), vjp)
