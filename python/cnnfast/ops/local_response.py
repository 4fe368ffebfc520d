"""Local response normalisation across channels."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32

__all__ = ["local_response_normalization"]


def local_response_normalization(
    x: ArrayLike, depth_radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Any:
    """Divide each value by a power of the squares of its neighbours in the channels.

    y[c] = x[c] / (bias + alpha * sum(x[c - depth_radius .. c + depth_radius] ** 2)) ** beta, from A. Krizhevsky,
    I. Sutskever and G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), whose numbers
    are the defaults.

    Args:
        x: (..., C).
        depth_radius: how many channels on each side count.
        bias: what is added to the sum; positive.
        alpha: the sum's weight.
        beta: the power.

    Returns:
        float32 of the shape of `x`.

    Raises:
        TypeError: `x` is not made of real numbers, or `depth_radius` is not an integer.
        ValueError: `x` has no axis, `depth_radius` is negative or `bias` not positive.

    Example:
        >>> local_response_normalization([[3.0, 4.0, 0.0]], depth_radius=1, bias=1.0, alpha=1.0, beta=0.5).round(3)
        array([[0.588, 0.784, 0.   ]], dtype=float32)
    """
    op = "local_response_normalization"
    array, radius = to_float32(x, op), operator.index(depth_radius)
    if array.ndim == 0 or radius < 0 or not bias > 0:
        raise ValueError(
            f"{op}: expects x with channels, depth_radius >= 0 and bias > 0, got shape {array.shape}, {radius}, {bias}"
        )
    if array.size == 0:
        return record(op, array.copy(), (x,), lambda dy, needs: (dy,))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_core.local_response_backward(array, to_float32(dy), radius, bias, alpha, beta),)

    return record(op, _core.local_response_forward(array, radius, bias, alpha, beta), (x,), vjp)
