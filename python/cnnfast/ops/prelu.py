"""The rectifier that learns its slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import unbroadcast

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
    if not _fits(slopes.shape, array.shape):
        raise ValueError(f"prelu: alpha of shape {slopes.shape} does not broadcast to x: {array.shape}")
    if array.size == 0:
        return record("prelu", array.copy(), (x, alpha), lambda dy, needs: (dy, np.zeros_like(slopes)))
    # The engine takes a slope for each of the last values: those that are shared among them are written out.
    own = next((i for i, n in enumerate(slopes.shape) if n > 1), slopes.ndim)
    row = array.shape[array.ndim - slopes.ndim + own :]
    each = slopes.reshape(slopes.shape[own:])
    if each.shape != row:
        each = np.ascontiguousarray(np.broadcast_to(each, row))
    y = _core.prelu_forward(array, each)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx, deach = _core.prelu_backward(array, each, to_float32(dy))
        return dx, unbroadcast(deach.reshape((1,) * own + row), slopes.shape)

    return record("prelu", y, (x, alpha), vjp)


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether one shape broadcasts to another, without making that longer."""
    if len(shape) > len(target):
        return False
    return all(n in (1, m) for n, m in zip(reversed(shape), reversed(target), strict=False))
