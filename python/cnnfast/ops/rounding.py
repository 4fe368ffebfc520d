"""Whole numbers and remainders. Functions that are constant between their steps have the gradient zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.dtypes import real_array
from cnnfast.ops.math import broadcast_operands, quiet, unbroadcast


def _steps(op: str, x: ArrayLike, y: FloatArray) -> Any:
    return record(op, y, (x,), lambda dy, needs: (np.zeros(y.shape, np.float32),))


def floor(x: ArrayLike) -> Any:
    """The largest whole number that is not above `x`; its gradient is zero.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> floor([1.5, -1.5])
        array([ 1., -2.], dtype=float32)
    """
    return _steps("floor", x, np.floor(to_float32(x, "floor")))


def ceil(x: ArrayLike) -> Any:
    """The smallest whole number that is not below `x`; its gradient is zero.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> ceil([1.5, -1.5])
        array([ 2., -1.], dtype=float32)
    """
    return _steps("ceil", x, np.ceil(to_float32(x, "ceil")))


def trunc(x: ArrayLike) -> Any:
    """`x` without its fraction; its gradient is zero.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> trunc([1.5, -1.5])
        array([ 1., -1.], dtype=float32)
    """
    return _steps("trunc", x, np.trunc(to_float32(x, "trunc")))


def round(x: ArrayLike, decimals: int = 0) -> Any:
    """The nearest number of `decimals` decimal places, halves to the even one; its gradient is zero.

    Args:
        x: real numbers of any shape; integers stay integers.
        decimals: how many places; negative ones round tens, hundreds, ...

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> round([1.26, 2.5], 1), round([0.5, 1.5])
        (array([1.3, 2.5], dtype=float32), array([0., 2.], dtype=float32))
    """
    array = real_array(x, "round")
    with quiet():
        y = np.asarray(np.round(array, decimals))
    return _steps("round", x, y) if array.dtype.kind == "f" else y


def mod(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The remainder of `x1 / x2`, with the sign of `x2`, element by element with broadcasting.

    Its gradient is 1 for `x1` and `-floor(x1 / x2)` for `x2`.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> mod([5.0, -5.0], 3.0)
        array([2., 1.], dtype=float32)
    """
    integers = _both_integers("mod", x1, x2)
    if integers is not None:
        with quiet():
            return np.asarray(np.mod(*integers))
    a, b = broadcast_operands("mod", x1, x2)
    with quiet():
        y = np.mod(a, b)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (
                unbroadcast(dy, a.shape) if needs[0] else None,
                unbroadcast(-dy * np.floor_divide(a, b), b.shape) if needs[1] else None,
            )

    return record("mod", y, (x1, x2), vjp)


def floor_divide(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The largest whole number that is not above `x1 / x2`, element by element; its gradient is zero.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> floor_divide([5.0, -5.0], 3.0)
        array([ 1., -2.], dtype=float32)
    """
    integers = _both_integers("floor_divide", x1, x2)
    if integers is not None:
        with quiet():
            return np.asarray(np.floor_divide(*integers))
    a, b = broadcast_operands("floor_divide", x1, x2)
    with quiet():
        y = np.floor_divide(a, b)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return np.zeros(a.shape, np.float32), np.zeros(b.shape, np.float32)

    return record("floor_divide", y, (x1, x2), vjp)


def _both_integers(op: str, x1: Any, x2: Any) -> tuple[Any, Any] | None:
    """Both operands where they are integers, which stay integers."""
    a, b = real_array(x1, op, "x1"), real_array(x2, op, "x2")
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        return None
    broadcast_operands(op, a, b)
    return a, b


def nan_to_num(x: ArrayLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """`x` with numbers in the place of NaN and of infinities; the gradient is zero there.

    Args:
        x: real numbers of any shape.
        nan: in place of NaN.
        posinf: in place of infinity; the largest float32 if None.
        neginf: in place of minus infinity; the smallest float32 if None.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> nan_to_num([np.nan, 1.0, np.inf], posinf=9)
        array([0., 1., 9.], dtype=float32)
    """
    array = to_float32(x, "nan_to_num")
    y = np.asarray(np.nan_to_num(array, nan=nan, posinf=posinf, neginf=neginf))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (np.where(np.isfinite(array), dy, np.float32(0)),)

    return record("nan_to_num", y, (x,), vjp)
