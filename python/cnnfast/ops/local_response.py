"""Local response normalisation across channels."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet

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
    with quiet():
        base = _neighbours(np.square(array), radius)
        base *= np.float32(alpha)
        base += np.float32(bias)
        inverse = _power(base, -beta)
        y = array * inverse

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            shared = np.multiply(dy, y)
            shared /= base
            shared = _neighbours(shared, radius)
            shared *= array
            shared *= np.float32(-2 * alpha * beta)
            shared += dy * inverse
        return (shared,)

    return record(op, y, (x,), vjp)


def _neighbours(array: FloatArray, radius: int) -> FloatArray:
    """The sum of each channel and those around it: an average pooling along the channels, times its window."""
    channels = array.shape[-1]
    radius = min(radius, channels - 1)
    window = 2 * radius + 1
    rows = array.reshape(-1, channels, 1)
    pooling = _core.Pooling("local_response_normalization", rows.shape, window, 1, [(radius, radius)], 1)
    sums: FloatArray = pooling.average(rows, True).reshape(array.shape)
    sums *= np.float32(window)
    return sums


def _power(base: FloatArray, exponent: float) -> FloatArray:
    if exponent == -0.75:  # the usual one, without logarithms
        root = np.sqrt(base)
        root *= np.sqrt(root)
        return np.reciprocal(root, out=root)
    return np.power(base, np.float32(exponent))
