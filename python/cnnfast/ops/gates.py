"""Activations that are made of others: straight pieces, gates and shrinkage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.activations import _apply, elu, sigmoid, softplus, tanh
from cnnfast.ops.indexing import split
from cnnfast.ops.math import clip, divide, multiply, quiet, subtract
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.unary import abs, by_input, negative


def hard_sigmoid(x: ArrayLike) -> Any:
    """A sigmoid made of three straight lines: `relu6(x + 3) / 6`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> hard_sigmoid([-4.0, 0.0, 1.5, 4.0])
        array([0.  , 0.5 , 0.75, 1.  ], dtype=float32)
    """
    return _apply("hard_sigmoid", "hard_sigmoid", x)


def hard_silu(x: ArrayLike) -> Any:
    """`x * hard_sigmoid(x)`, also known as hard swish (A. Howard et al., "Searching for MobileNetV3", 2019).

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> hard_silu([-4.0, 0.0, 1.5, 4.0])
        array([-0.   ,  0.   ,  1.125,  4.   ], dtype=float32)
    """
    return _apply("hard_silu", "hard_silu", x)


def hard_tanh(x: ArrayLike) -> Any:
    """`x` held between -1 and 1.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> hard_tanh([-4.0, 0.5, 4.0])
        array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return clip(x, -1.0, 1.0)


def celu(x: ArrayLike, alpha: float = 1.0) -> Any:
    """`x` where it is positive, `alpha * (exp(x / alpha) - 1)` elsewhere (J. T. Barron, 2017).

    Args:
        x: an array of any shape.
        alpha: the negative of the limit at -inf; positive.

    Raises:
        ValueError: `alpha` is not positive.

    Example:
        >>> celu([-2.0, 0.0, 2.0], alpha=2.0).round(3)
        array([-1.264,  0.   ,  2.   ], dtype=float32)
    """
    if not alpha > 0:
        raise ValueError(f"celu: alpha expects a positive number, got {alpha}")
    return multiply(elu(divide(x, float(alpha))), float(alpha))


def glu(x: ArrayLike, axis: int = -1) -> Any:
    """The first half times the sigmoid of the second (Y. Dauphin et al., 2017).

    Args:
        x: an array whose length along `axis` is even.
        axis: along which it is halved.

    Raises:
        ValueError: the length is odd, or the axis is out of range.

    Example:
        >>> glu([1.0, 2.0, 0.0, 0.0])
        array([0.5, 1. ], dtype=float32)
    """
    shape = to_float32(x, "glu").shape
    (a,) = normalize_axes("glu", axis, shape)
    if shape[a] % 2:
        raise ValueError(f"glu: x expects an even length along axis {axis}, got shape {shape}")
    values, gates = split(x, 2, axis=a)
    return multiply(values, sigmoid(gates))


def log_sigmoid(x: ArrayLike) -> Any:
    """`log(sigmoid(x))`, without overflow.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> log_sigmoid([-100.0, 0.0]).round(3)
        array([-100.   ,   -0.693], dtype=float32)
    """
    return negative(softplus(negative(x)))


def softsign(x: ArrayLike) -> Any:
    """`x / (1 + |x|)`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> softsign([-1.0, 0.0, 3.0])
        array([-0.5 ,  0.  ,  0.75], dtype=float32)
    """
    return divide(x, subtract(abs(x), -1.0))


def tanh_shrink(x: ArrayLike) -> Any:
    """`x - tanh(x)`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> tanh_shrink([-2.0, 0.0, 2.0]).round(3)
        array([-1.036,  0.   ,  1.036], dtype=float32)
    """
    return subtract(x, tanh(x))


def soft_shrink(x: ArrayLike, threshold: float = 0.5) -> Any:
    """`x` moved towards zero by `threshold`, zero where it is closer than that.

    Args:
        x: an array of any shape.
        threshold: by how much; at least 0.

    Raises:
        ValueError: `threshold` is negative.

    Example:
        >>> soft_shrink([-2.0, 0.25, 2.0])
        array([-1.5,  0. ,  1.5], dtype=float32)
    """
    return subtract(x, clip(x, -_threshold("soft_shrink", threshold), float(threshold)))


def hard_shrink(x: ArrayLike, threshold: float = 0.5) -> Any:
    """`x`, but zero where it is not further than `threshold` from zero.

    Args:
        x: an array of any shape.
        threshold: how far; at least 0.

    Raises:
        ValueError: `threshold` is negative.

    Example:
        >>> hard_shrink([-2.0, 0.25, 2.0])
        array([-2.,  0.,  2.], dtype=float32)
    """
    limit = np.float32(_threshold("hard_shrink", threshold))
    return _kept_where("hard_shrink", x, lambda array: np.abs(array) > limit, 0.0)


def threshold(x: ArrayLike, threshold: float, default_value: float) -> Any:
    """`x` where it is above `threshold`, `default_value` elsewhere.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> threshold([-2.0, 0.25, 2.0], 0.0, 9.0)
        array([9.  , 0.25, 2.  ], dtype=float32)
    """
    limit = np.float32(threshold)
    return _kept_where("threshold", x, lambda array: array > limit, float(default_value))


def squareplus(x: ArrayLike, b: float = 4.0) -> Any:
    """`(x + sqrt(x ** 2 + b)) / 2`, a smooth ReLU without an exponential (J. T. Barron, 2021).

    Args:
        x: an array of any shape.
        b: how wide the bend is; at least 0.

    Raises:
        ValueError: `b` is negative.

    Example:
        >>> squareplus([-1.5, 0.0, 1.5])
        array([0.5, 1. , 2. ], dtype=float32)
    """
    if not b >= 0:
        raise ValueError(f"squareplus: b expects a number from 0 on, got {b}")
    width = np.float32(b)

    def root(array: FloatArray) -> FloatArray:
        return np.sqrt(np.square(array) + width)

    half = np.float32(0.5)
    return by_input(
        "squareplus",
        x,
        lambda array: half * (array + root(array)),
        lambda array, dy: half * dy * (1 + array / root(array)),
    )


def _threshold(op: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{op}: threshold expects a number from 0 on, got {value}")
    return float(value)


def _kept_where(op: str, x: ArrayLike, test: Any, other: float) -> Any:
    """`x` where a test of it holds, a constant elsewhere; NaN is kept."""
    array = to_float32(x, op)
    with quiet():
        kept = test(array) | np.isnan(array)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (np.where(kept, dy, np.float32(0)),)

    return record(op, np.where(kept, array, np.float32(other)), (x,), vjp)
