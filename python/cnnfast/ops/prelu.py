"""The rectifier that learns its slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet, unbroadcast

__all__ = ["prelu"]


def prelu(x: ArrayLike, alpha: ArrayLike) -> Any:
    """`x` where it is positive, `alpha * x` elsewhere; its gradient at 0 is `alpha`.

    From K. He et al., "Delving Deep into Rectifiers" (2015).

    Args:
        x: real numbers of any shape.
        alpha: the slopes, of a shape that broadcasts to that of `x`.

    Returns:
        float32 of the shape of `x`.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: `alpha` does not broadcast to `x`.

    Example:
        >>> prelu([[-1.0, 2.0], [-4.0, -4.0]], [0.5, 0.25])
        array([[-0.5,  2. ],
               [-2. , -1. ]], dtype=float32)
    """
    array, slopes = to_float32(x, "prelu"), to_float32(alpha, "prelu", "alpha")
    try:
        np.broadcast_to(slopes, array.shape)
    except ValueError:
        raise ValueError(f"prelu: alpha of shape {slopes.shape} does not broadcast to x: {array.shape}") from None
    with quiet():
        y = np.multiply(array, slopes)
        np.copyto(y, array, where=array > 0)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        positive = array > 0
        dx = dslopes = None
        with quiet():
            if needs[0]:
                dx = np.multiply(dy, slopes)
                np.copyto(dx, dy, where=positive)
            if needs[1]:
                product = np.multiply(dy, array)
                np.copyto(product, np.float32(0), where=positive)
                dslopes = unbroadcast(product, slopes.shape)
        return dx, dslopes

    return record("prelu", y, (x, alpha), vjp)
