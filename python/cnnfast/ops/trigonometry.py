"""Angles and hyperbolic functions, element by element, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record
from cnnfast.ops.math import broadcast_operands, quiet, unbroadcast
from cnnfast.ops.unary import by_input, by_output


def tan(x: ArrayLike) -> Any:
    """The tangent of an angle in radians.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> tan([0.0, np.pi / 4]).round(6)
        array([0., 1.], dtype=float32)
    """
    return by_output("tan", x, np.tan, lambda y, dy: dy * (1 + y * y))


def arcsin(x: ArrayLike) -> Any:
    """The angle in radians of a sine; NaN outside [-1, 1].

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> arcsin([0.0, 1.0]).round(4)
        array([0.    , 1.5708], dtype=float32)
    """
    return by_input("arcsin", x, np.arcsin, lambda array, dy: dy / np.sqrt((1 - array) * (1 + array)))


def arccos(x: ArrayLike) -> Any:
    """The angle in radians of a cosine; NaN outside [-1, 1].

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> arccos([1.0, 0.0]).round(4)
        array([0.    , 1.5708], dtype=float32)
    """
    return by_input("arccos", x, np.arccos, lambda array, dy: -dy / np.sqrt((1 - array) * (1 + array)))


def arctan(x: ArrayLike) -> Any:
    """The angle in radians, between -pi / 2 and pi / 2, of a tangent.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> arctan([0.0, np.inf]).round(4)
        array([0.    , 1.5708], dtype=float32)
    """
    return by_input("arctan", x, np.arctan, lambda array, dy: dy / (1 + array * array))


def arctan2(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The angle in radians, between -pi and pi, of the point with the ordinate `x1` and the abscissa `x2`.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> arctan2([1.0, 0.0], [0.0, -1.0]).round(4)
        array([1.5708, 3.1416], dtype=float32)
    """
    a, b = broadcast_operands("arctan2", x1, x2)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            share: FloatArray = dy / (np.square(a) + np.square(b))
            return (
                unbroadcast(share * b, a.shape) if needs[0] else None,
                unbroadcast(-share * a, b.shape) if needs[1] else None,
            )

    return record("arctan2", np.arctan2(a, b), (x1, x2), vjp)


def sinh(x: ArrayLike) -> Any:
    """The hyperbolic sine.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> sinh([0.0, 1.0]).round(4)
        array([0.    , 1.1752], dtype=float32)
    """
    return by_input("sinh", x, np.sinh, lambda array, dy: dy * np.cosh(array))


def cosh(x: ArrayLike) -> Any:
    """The hyperbolic cosine.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> cosh([0.0, 1.0]).round(4)
        array([1.    , 1.5431], dtype=float32)
    """
    return by_input("cosh", x, np.cosh, lambda array, dy: dy * np.sinh(array))


def arcsinh(x: ArrayLike) -> Any:
    """The number of which `x` is the hyperbolic sine.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> arcsinh([0.0, 1.0]).round(4)
        array([0.    , 0.8814], dtype=float32)
    """
    return by_input("arcsinh", x, np.arcsinh, lambda array, dy: dy / np.hypot(np.float32(1), array))


def arccosh(x: ArrayLike) -> Any:
    """The number, from 0 on, of which `x` is the hyperbolic cosine; NaN below 1.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> arccosh([1.0, 2.0]).round(4)
        array([0.   , 1.317], dtype=float32)
    """
    return by_input("arccosh", x, np.arccosh, lambda array, dy: dy / np.sqrt((array - 1) * (array + 1)))


def arctanh(x: ArrayLike) -> Any:
    """The number of which `x` is the hyperbolic tangent; NaN outside [-1, 1].

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> arctanh([0.0, 0.5]).round(4)
        array([0.    , 0.5493], dtype=float32)
    """
    return by_input("arctanh", x, np.arctanh, lambda array, dy: dy / ((1 - array) * (1 + array)))
