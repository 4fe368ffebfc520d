"""Elementwise arithmetic with NumPy's broadcasting, and its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ENGINE_SIZE, ArrayLike, FloatArray, Value, is_recorded, record, to_float32


def quiet() -> np.errstate:
    """Inside: infinities and NaNs arise as IEEE says, without NumPy's warnings."""
    return np.errstate(all="ignore")


def unbroadcast(dy: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Sum the gradient of a broadcast array down to the shape it had before.

    Args:
        dy: gradient of any shape that `shape` broadcasts to.
        shape: the operand's own shape.

    Example:
        >>> unbroadcast(np.ones((4, 3), np.float32), (1, 3))
        array([[4., 4., 4.]], dtype=float32)
    """
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    stretched = tuple(i for i, n in enumerate(dy.shape) if i < added or (shape[i - added] == 1 and n != 1))
    # Double precision: thousands of gradients may meet in one element.
    return np.add.reduce(dy, axis=stretched, dtype=np.float64).astype(np.float32).reshape(shape)


def broadcast_operands(op: str, x1: ArrayLike, x2: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both operands as float32 arrays whose shapes fit together.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.
    """
    a, b = to_float32(x1, op, "x1"), to_float32(x2, op, "x2")
    if a.shape != b.shape and a.ndim and b.ndim:
        try:
            np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ValueError(f"{op}: shapes {a.shape} and {b.shape} do not broadcast together") from None
    return a, b


def _engine_takes(a: FloatArray, b: FloatArray) -> bool:
    return a.shape == b.shape and a.size >= ENGINE_SIZE


def _sum_of(a: FloatArray, b: FloatArray) -> FloatArray:
    return _core.add(a, b) if _engine_takes(a, b) else np.add(a, b)


def _product_of(a: FloatArray, b: FloatArray) -> FloatArray:
    return _core.multiply(to_float32(a), to_float32(b)) if _engine_takes(a, b) else np.multiply(a, b)


def add(x1: ArrayLike, x2: ArrayLike) -> Any:
    """`x1 + x2`, element by element.

    Args:
        x1: real numbers of any shape.
        x2: real numbers of a shape that broadcasts with that of `x1`.

    Returns:
        float32, of the common shape.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> add([1.0, 2.0], 10.0)
        array([11., 12.], dtype=float32)
    """
    a, b = broadcast_operands("add", x1, x2)
    with quiet():
        y = _sum_of(a, b)
    a_shape, b_shape = a.shape, b.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (
            unbroadcast(dy, a_shape) if needs[0] else None,
            unbroadcast(dy, b_shape) if needs[1] else None,
        )

    return record("add", y, (x1, x2), vjp)


def subtract(x1: ArrayLike, x2: ArrayLike) -> Any:
    """`x1 - x2`, element by element, broadcasting as `add` does.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> subtract([1.0, 2.0], 10.0)
        array([-9., -8.], dtype=float32)
    """
    a, b = broadcast_operands("subtract", x1, x2)
    with quiet():
        y = np.subtract(a, b)
    a_shape, b_shape = a.shape, b.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (
            unbroadcast(dy, a_shape) if needs[0] else None,
            -unbroadcast(dy, b_shape) if needs[1] else None,
        )

    return record("subtract", y, (x1, x2), vjp)


def multiply(x1: ArrayLike, x2: ArrayLike) -> Any:
    """`x1 * x2`, element by element, broadcasting as `add` does.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> multiply([1.0, 2.0], 10.0)
        array([10., 20.], dtype=float32)
    """
    a, b = broadcast_operands("multiply", x1, x2)
    with quiet():
        y = _product_of(a, b)
    a_shape, b_shape = a.shape, b.shape
    # Each operand is the other one's gradient; a constant's is not wanted.
    kept_a = a if is_recorded(x2) else None
    kept_b = b if is_recorded(x1) else None

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (
                unbroadcast(_product_of(dy, kept_b), a_shape) if needs[0] and kept_b is not None else None,
                unbroadcast(_product_of(dy, kept_a), b_shape) if needs[1] and kept_a is not None else None,
            )

    return record("multiply", y, (x1, x2), vjp)


def divide(x1: ArrayLike, x2: ArrayLike) -> Any:
    """`x1 / x2`, element by element, broadcasting as `add` does.

    Division by zero gives an infinity or NaN, as IEEE says.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> divide([1.0, 2.0], 10.0)
        array([0.1, 0.2], dtype=float32)
    """
    a, b = broadcast_operands("divide", x1, x2)
    with quiet():
        y = np.divide(a, b)
    a_shape = a.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            return (
                unbroadcast(dy / b, a_shape) if needs[0] else None,
                unbroadcast(-dy * y / b, b.shape) if needs[1] else None,
            )

    return record("divide", y, (x1, x2), vjp)


def power(x1: ArrayLike, x2: ArrayLike) -> Any:
    """`x1 ** x2`, element by element, broadcasting as `add` does.

    A negative base with a fractional exponent gives NaN. The gradient for the exponent is zero where the base is not
    positive, since the logarithm is not defined there (TensorFlow's rule).

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> power([1.0, 2.0], 3)
        array([1., 8.], dtype=float32)
    """
    a, b = broadcast_operands("power", x1, x2)
    with quiet():
        y = np.square(a) if b.ndim == 0 and b == 2 else np.power(a, b)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        with quiet():
            # x ** 0 is 1 everywhere: without the test, x = 0 would give 0 * inf.
            slope = np.where(b == 0, np.float32(0), b * np.power(a, b - 1)) if needs[0] else None
            logarithm = np.log(np.where(a > 0, a, np.float32(1))) if needs[1] else None
            return (
                None if slope is None else unbroadcast(dy * slope, a.shape),
                None if logarithm is None else unbroadcast(dy * y * logarithm, b.shape),
            )

    return record("power", y, (x1, x2), vjp)


def _engine_clips(x: FloatArray, *bounds: FloatArray) -> bool:
    return x.size >= ENGINE_SIZE and all(b.ndim == 0 and not np.isnan(b) for b in bounds)


def _clipped(op: str, source: ArrayLike, x: FloatArray, low: float, high: float) -> Any:
    """`x` held between two constants, by the engine."""
    y = _core.clip(x, low, high)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (_core.clip_gradient(x, to_float32(dy), low, high),)

    return record(op, y, (source,), vjp)


def _choice(op: str, choose: np.ufunc, first_wins: np.ufunc, x1: ArrayLike, x2: ArrayLike) -> Any:
    a, b = broadcast_operands(op, x1, x2)
    if _engine_clips(a, b) and not is_recorded(x2):
        low, high = (float(b), np.inf) if choose is np.maximum else (-np.inf, float(b))
        return _clipped(op, x1, a, low, high)
    y = choose(a, b)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        first = first_wins(a, b)
        zero = np.float32(0)
        return (
            unbroadcast(np.where(first, dy, zero), a.shape) if needs[0] else None,
            unbroadcast(np.where(first, zero, dy), b.shape) if needs[1] else None,
        )

    return record(op, y, (x1, x2), vjp)


def maximum(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The larger of two values, element by element, broadcasting as `add` does; NaN where either is.

    The gradient goes to the larger one, where they are equal to the first (as in TensorFlow).

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> maximum([1.0, 20.0], 10.0)
        array([10., 20.], dtype=float32)
    """
    return _choice("maximum", np.maximum, np.greater_equal, x1, x2)


def minimum(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The smaller of two values, element by element, broadcasting as `add` does; NaN where either is.

    The gradient goes to the smaller one, where they are equal to the first (as in TensorFlow).

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> minimum([1.0, 20.0], 10.0)
        array([ 1., 10.], dtype=float32)
    """
    return _choice("minimum", np.minimum, np.less_equal, x1, x2)


def clip(x: ArrayLike, x_min: ArrayLike | None = None, x_max: ArrayLike | None = None) -> Any:
    """`x` held between two bounds, which are constants or of shapes that broadcast to that of `x`.

    The gradient is one where `x` lies between the bounds or on one of them and zero outside.

    Args:
        x: real numbers of any shape.
        x_min: the lower bound; none if None.
        x_max: the upper bound; none if None. Where the bounds cross, the upper one counts.

    Raises:
        TypeError: an argument is not made of real numbers, or a bound is a tensor, which would get no gradient.
        ValueError: a bound does not broadcast to the shape of `x`.

    Example:
        >>> clip([-3.0, 0.5, 3.0], -1.0, 1.0)
        array([-1. ,  0.5,  1. ], dtype=float32)
    """
    array = to_float32(x, "clip")
    low, high = _bound(array, x_min, "x_min", -np.inf), _bound(array, x_max, "x_max", np.inf)
    if _engine_clips(array, low, high):
        return _clipped("clip", x, array, float(low), float(high))
    y = np.minimum(np.maximum(array, low), high)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (np.where((array >= low) & (array <= high), dy, np.float32(0)),)

    return record("clip", y, (x,), vjp)


def _bound(x: FloatArray, bound: Any, name: str, default: float) -> FloatArray:
    if isinstance(bound, Value):
        raise TypeError(f"clip: {name} is a tensor, which gets no gradient here; use maximum and minimum")
    array = to_float32(default if bound is None else bound, "clip", name)
    try:
        np.broadcast_to(array, x.shape)
    except ValueError:
        raise ValueError(f"clip: {name} of shape {array.shape} does not broadcast to x: {x.shape}") from None
    return array
