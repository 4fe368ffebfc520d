"""Functions of one number, element by element, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.math import quiet


def by_input(
    op: str,
    x: ArrayLike,
    function: Callable[[FloatArray], FloatArray],
    gradient: Callable[[FloatArray, FloatArray], FloatArray],
) -> Any:
    """Record `function(x)`, whose vector-Jacobian product is `gradient(array, dy)`."""
    array = to_float32(x, op)
    with quiet():
        y = function(array)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (gradient(array, dy),)

    return record(op, y, (x,), vjp)


def by_output(
    op: str,
    x: ArrayLike,
    function: Callable[[FloatArray], FloatArray],
    gradient: Callable[[FloatArray, FloatArray], FloatArray],
) -> Any:
    """As `by_input`, for a gradient that is simpler in terms of the result; only that is kept."""
    with quiet():
        y = np.asarray(function(to_float32(x, op)))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (gradient(y, dy),)

    return record(op, y, (x,), vjp)


def negative(x: ArrayLike) -> Any:
    """`-x`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> negative([1.0, -2.0])
        array([-1.,  2.], dtype=float32)
    """
    array = to_float32(x, "negative")
    return record("negative", np.negative(array), (x,), lambda dy, needs: (np.negative(dy),))


def exp(x: ArrayLike) -> Any:
    """The exponential function.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> exp([0.0, -np.inf])
        array([1., 0.], dtype=float32)
    """
    return by_output("exp", x, np.exp, lambda y, dy: dy * y)


def expm1(x: ArrayLike) -> Any:
    """`exp(x) - 1`, exact near zero.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> expm1([0.0, 1e-10])
        array([0.e+00, 1.e-10], dtype=float32)
    """
    return by_output("expm1", x, np.expm1, lambda y, dy: dy * (y + 1))


def log(x: ArrayLike) -> Any:
    """The natural logarithm: -inf at zero, NaN below.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> log([1.0, 0.0])
        array([  0., -inf], dtype=float32)
    """
    return by_input("log", x, np.log, lambda array, dy: dy / array)


def log1p(x: ArrayLike) -> Any:
    """`log(1 + x)`, exact near zero.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> log1p([0.0, 1e-10])
        array([0.e+00, 1.e-10], dtype=float32)
    """
    return by_input("log1p", x, np.log1p, lambda array, dy: dy / (1 + array))


def sqrt(x: ArrayLike) -> Any:
    """The square root: NaN below zero; its gradient at zero is infinite.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> sqrt([4.0, 9.0])
        array([2., 3.], dtype=float32)
    """
    return by_output("sqrt", x, np.sqrt, lambda y, dy: np.float32(0.5) * dy / y)


def rsqrt(x: ArrayLike) -> Any:
    """`1 / sqrt(x)`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> rsqrt([4.0, 0.25])
        array([0.5, 2. ], dtype=float32)
    """
    return by_output(
        "rsqrt", x, lambda array: np.reciprocal(np.sqrt(array)), lambda y, dy: np.float32(-0.5) * dy * y * y * y
    )


def square(x: ArrayLike) -> Any:
    """`x * x`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> square([2.0, -3.0])
        array([4., 9.], dtype=float32)
    """
    return by_input("square", x, np.square, lambda array, dy: 2 * dy * array)


def reciprocal(x: ArrayLike) -> Any:
    """`1 / x`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> reciprocal([4.0, -0.5])
        array([ 0.25, -2.  ], dtype=float32)
    """
    return by_output("reciprocal", x, np.reciprocal, lambda y, dy: -dy * y * y)


def abs(x: ArrayLike) -> Any:
    """The absolute value; its gradient is the sign of `x`, zero at zero.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> abs([2.0, -3.0])
        array([2., 3.], dtype=float32)
    """
    return by_input("abs", x, np.abs, lambda array, dy: dy * np.sign(array))


def sign(x: ArrayLike) -> Any:
    """-1, 0 or 1; its gradient is zero everywhere.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> sign([2.0, 0.0, -3.0])
        array([ 1.,  0., -1.], dtype=float32)
    """
    return by_input("sign", x, np.sign, lambda array, dy: np.zeros_like(array))


def sin(x: ArrayLike) -> Any:
    """The sine of an angle in radians.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> sin([0.0, np.pi / 2])
        array([0., 1.], dtype=float32)
    """
    return by_input("sin", x, np.sin, lambda array, dy: dy * np.cos(array))


def cos(x: ArrayLike) -> Any:
    """The cosine of an angle in radians.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> cos([0.0, np.pi])
        array([ 1., -1.], dtype=float32)
    """
    return by_input("cos", x, np.cos, lambda array, dy: -dy * np.sin(array))
