"""Activations that are exactly zero on a whole range, and mish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.unary import by_input

__all__ = ["mish", "sparse_plus", "sparse_sigmoid", "sparsemax"]

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


def mish(x: ArrayLike) -> Any:
    """`x * tanh(softplus(x))` (D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019).

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> mish([-1.0, 0.0, 2.0]).round(3)
        array([-0.303,  0.   ,  1.944], dtype=float32)
    """

    def parts(array: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """X where it makes a difference, exp(x) and tanh(softplus(x)): n / (n + 2) of n = exp(x) * (exp(x) + 2)."""
        # Beyond these bounds the function has its limits, 0 and x.
        held = np.maximum(array, np.float32(-100))
        e = np.exp(np.minimum(array, np.float32(20)))
        n = e * (e + 2)
        return held, e, n / (n + 2)

    def value(array: FloatArray) -> FloatArray:
        held, _, gate = parts(array)
        return held * gate

    def gradient(array: FloatArray, dy: FloatArray) -> FloatArray:
        held, e, gate = parts(array)
        bent = np.minimum(held, np.float32(20)) * (1 - gate * gate) * (e / (1 + e))
        return dy * (gate + bent)

    return by_input("mish", x, value, gradient)


def sparse_plus(x: ArrayLike) -> Any:
    """0 up to -1, `x` from 1 on, and the parabola `(x + 1) ** 2 / 4` that joins them.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> sparse_plus([-2.0, 0.0, 1.0, 3.0])
        array([0.  , 0.25, 1.  , 3.  ], dtype=float32)
    """

    def slope(array: FloatArray) -> FloatArray:
        return np.clip(_HALF * (array + 1), _ZERO, _ONE)

    def value(array: FloatArray) -> FloatArray:
        part = slope(array)
        return np.where(array < 1, part * part, array)

    return by_input("sparse_plus", x, value, lambda array, dy: dy * slope(array))


def sparse_sigmoid(x: ArrayLike) -> Any:
    """0 up to -1, 1 from 1 on, and the straight line between: `clip((x + 1) / 2, 0, 1)`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> sparse_sigmoid([-2.0, 0.0, 0.5, 3.0])
        array([0.  , 0.5 , 0.75, 1.  ], dtype=float32)
    """
    return by_input(
        "sparse_sigmoid",
        x,
        lambda array: np.clip(_HALF * (array + 1), _ZERO, _ONE),
        lambda array, dy: np.where(np.abs(array) < 1, _HALF * dy, _ZERO),
    )


def sparsemax(x: ArrayLike, axis: int = -1) -> Any:
    """The probabilities nearest to `x`, of which many are exactly 0.

    The Euclidean projection onto the vectors with sum 1 (A. Martins and R. Astudillo, "From Softmax to Sparsemax",
    2016).

    Args:
        x: the scores.
        axis: the axis along which the result sums to 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` is not an integer.
        ValueError: the axis is out of range.

    Example:
        >>> sparsemax([1.0, 1.0, 0.5, -3.0]).round(3)
        array([0.5, 0.5, 0. , 0. ], dtype=float32)
    """
    array = to_float32(x, "sparsemax")
    (a,) = normalize_axes("sparsemax", axis, array.shape)
    with quiet():
        y = np.maximum(array - _threshold(np.moveaxis(array, a, -1), a), _ZERO).astype(np.float32)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        support = y > 0
        with quiet():
            kept = np.where(support, dy, _ZERO)
            shared = kept.sum(axis=a, keepdims=True) / support.sum(axis=a, keepdims=True)
            return (np.where(support, kept - shared, _ZERO),)

    return record("sparsemax", y, (x,), vjp)


def _threshold(rows: FloatArray, axis: int) -> Any:
    """What is taken off each score, so that the positive rests sum to 1; along `axis` again."""
    if rows.shape[-1] == 0:
        return np.zeros((1,) * rows.ndim)
    descending = np.sort(rows, axis=-1)[..., ::-1].astype(np.float64)
    # The threshold if the first k scores stay positive, for every k; they do as long as the last of them is above it.
    thresholds = (np.cumsum(descending, axis=-1) - 1) / np.arange(1, rows.shape[-1] + 1)
    count = np.maximum((descending > thresholds).sum(axis=-1, keepdims=True), 1)
    return np.moveaxis(np.take_along_axis(thresholds, count - 1, axis=-1), -1, axis)
