"""Logarithms and exponentials, also of sums, without overflow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import broadcast_operands, quiet, unbroadcast
from cnnfast.ops.reductions import Axes, normalize_axes
from cnnfast.ops.unary import by_input, by_output

_LOG_2 = np.float32(math.log(2))
_LOG_10 = np.float32(math.log(10))


def exp2(x: ArrayLike) -> Any:
    """`2 ** x`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> exp2([3.0, -1.0])
        array([8. , 0.5], dtype=float32)
    """
    return by_output("exp2", x, np.exp2, lambda y, dy: dy * y * _LOG_2)


def log2(x: ArrayLike) -> Any:
    """The logarithm of base 2: -inf at zero, NaN below.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> log2([8.0, 0.5])
        array([ 3., -1.], dtype=float32)
    """
    return by_input("log2", x, np.log2, lambda array, dy: dy / (array * _LOG_2))


def log10(x: ArrayLike) -> Any:
    """The logarithm of base 10: -inf at zero, NaN below.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> log10([100.0, 0.1]).round(4)
        array([ 2., -1.], dtype=float32)
    """
    return by_input("log10", x, np.log10, lambda array, dy: dy / (array * _LOG_10))


def logaddexp(x1: ArrayLike, x2: ArrayLike) -> Any:
    """`log(exp(x1) + exp(x2))`, element by element with broadcasting, without overflow.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> logaddexp([0.0, 1000.0], [0.0, 1000.0]).round(3).tolist()
        [0.693..., 1000.69...]
    """
    a, b = broadcast_operands("logaddexp", x1, x2)
    with quiet():
        y = np.logaddexp(a, b)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (
                unbroadcast(dy * _share(a, y), a.shape) if needs[0] else None,
                unbroadcast(dy * _share(b, y), b.shape) if needs[1] else None,
            )

    return record("logaddexp", y, (x1, x2), vjp)


def _share(x: FloatArray, y: FloatArray) -> FloatArray:
    """`exp(x - y)`, 0 where both are -inf: nothing contributes to a sum of nothing."""
    return np.where(np.isneginf(x), np.float32(0), np.exp(x - y))


def logsumexp(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """`log(sum(exp(x)))` along `axis`, without overflow.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> logsumexp([[1000.0, 1000.0]], axis=1).round(3)
        array([1000.693], dtype=float32)
    """
    array = to_float32(x, "logsumexp")
    axes = normalize_axes("logsumexp", axis, array.shape)
    with quiet():
        top = np.max(array, axis=axes, keepdims=True, initial=-np.inf)
        # An infinite maximum cannot be subtracted: inf - inf is NaN.
        top = np.where(np.isfinite(top), top, np.float32(0))
        total = np.add.reduce(np.exp(array - top), axis=axes, dtype=np.float64, keepdims=True)
        y = np.asarray(np.log(total) + top, np.float32)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (dy.reshape(y.shape) * _share(array, y),)

    kept = y if keepdims else y.reshape([n for i, n in enumerate(y.shape) if i not in axes])
    return record("logsumexp", kept, (x,), vjp)
