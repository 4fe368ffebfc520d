"""Comparisons, logic and tests of numbers. Their results are plain arrays of booleans, which have no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.ops.dtypes import real_array
from cnnfast.ops.math import quiet
from cnnfast.ops.reductions import Axes, normalize_axes

_Truth = npt.NDArray[np.bool_]


def _pairwise(function: np.ufunc, x1: Any, x2: Any) -> Any:
    op = function.__name__
    a, b = real_array(x1, op, "x1"), real_array(x2, op, "x2")
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape} do not broadcast together") from None
    with quiet():
        return np.asarray(function(a, b))


def equal(x1: Any, x2: Any) -> _Truth:
    """Where `x1 == x2`, element by element with broadcasting.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: the shapes do not broadcast.

    Example:
        >>> equal([1, 2, 3], 2)
        array([False,  True, False])
    """
    return _pairwise(np.equal, x1, x2)


def not_equal(x1: Any, x2: Any) -> _Truth:
    """Where `x1 != x2`; the errors are those of `equal`.

    Example:
        >>> not_equal([1, 2, 3], 2)
        array([ True, False,  True])
    """
    return _pairwise(np.not_equal, x1, x2)


def less(x1: Any, x2: Any) -> _Truth:
    """Where `x1 < x2`; the errors are those of `equal`.

    Example:
        >>> less([1, 2, 3], 2)
        array([ True, False, False])
    """
    return _pairwise(np.less, x1, x2)


def less_equal(x1: Any, x2: Any) -> _Truth:
    """Where `x1 <= x2`; the errors are those of `equal`.

    Example:
        >>> less_equal([1, 2, 3], 2)
        array([ True,  True, False])
    """
    return _pairwise(np.less_equal, x1, x2)


def greater(x1: Any, x2: Any) -> _Truth:
    """Where `x1 > x2`; the errors are those of `equal`.

    Example:
        >>> greater([1, 2, 3], 2)
        array([False, False,  True])
    """
    return _pairwise(np.greater, x1, x2)


def greater_equal(x1: Any, x2: Any) -> _Truth:
    """Where `x1 >= x2`; the errors are those of `equal`.

    Example:
        >>> greater_equal([1, 2, 3], 2)
        array([False,  True,  True])
    """
    return _pairwise(np.greater_equal, x1, x2)


def logical_and(x1: Any, x2: Any) -> _Truth:
    """Where both hold; numbers other than zero count as true. The errors are those of `equal`.

    Example:
        >>> logical_and([True, True, False], [1, 0, 0])
        array([ True, False, False])
    """
    return _pairwise(np.logical_and, x1, x2)


def logical_or(x1: Any, x2: Any) -> _Truth:
    """Where one holds or both; numbers other than zero count as true. The errors are those of `equal`.

    Example:
        >>> logical_or([True, True, False], [1, 0, 0])
        array([ True,  True, False])
    """
    return _pairwise(np.logical_or, x1, x2)


def logical_xor(x1: Any, x2: Any) -> _Truth:
    """Where one holds and not both; numbers other than zero count as true. The errors are those of `equal`.

    Example:
        >>> logical_xor([True, True, False], [1, 0, 0])
        array([False,  True, False])
    """
    return _pairwise(np.logical_xor, x1, x2)


def logical_not(x: Any) -> _Truth:
    """Where `x` is zero or false.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> logical_not([0.0, 2.0])
        array([ True, False])
    """
    return np.asarray(np.logical_not(real_array(x, "logical_not")))


def isfinite(x: Any) -> _Truth:
    """Where `x` is neither infinite nor NaN.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> isfinite([1.0, np.inf, np.nan])
        array([ True, False, False])
    """
    return np.asarray(np.isfinite(real_array(x, "isfinite")))


def isinf(x: Any) -> _Truth:
    """Where `x` is infinite, of either sign.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> isinf([1.0, -np.inf, np.nan])
        array([False,  True, False])
    """
    return np.asarray(np.isinf(real_array(x, "isinf")))


def isnan(x: Any) -> _Truth:
    """Where `x` is NaN.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> isnan([1.0, np.inf, np.nan])
        array([False, False,  True])
    """
    return np.asarray(np.isnan(real_array(x, "isnan")))


def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> _Truth:
    """Where `|x1 - x2| <= atol + rtol * |x2|`; the errors are those of `equal`.

    Args:
        x1: real numbers.
        x2: real numbers, of a shape that broadcasts with that of `x1`.
        rtol: the difference allowed in units of `x2`.
        atol: the difference allowed in any case.
        equal_nan: whether two NaNs count as close.

    Example:
        >>> isclose([1.0, 1.1], 1.000001)
        array([ True, False])
    """
    a, b = real_array(x1, "isclose", "x1"), real_array(x2, "isclose", "x2")
    try:
        return np.asarray(np.isclose(a, b, rtol, atol, equal_nan))
    except ValueError:
        raise ValueError(f"isclose: shapes {a.shape} and {b.shape} do not broadcast together") from None


def any(x: Any, axis: Axes = None, keepdims: bool = False) -> _Truth:
    """Whether some element along `axis` is true, or not zero.

    Args:
        x: booleans or numbers of any shape.
        axis: an axis or a tuple of them; all if None.
        keepdims: whether the reduced axes stay, with length 1.

    Raises:
        TypeError: `x` is not made of real numbers, or `axis` not of integers.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> any([[True, False], [False, False]], axis=1)
        array([ True, False])
    """
    array = real_array(x, "any")
    return np.asarray(np.any(array, axis=normalize_axes("any", axis, array.shape), keepdims=keepdims))


def all(x: Any, axis: Axes = None, keepdims: bool = False) -> _Truth:
    """Whether every element along `axis` is true, or not zero; the arguments and errors are those of `any`.

    Example:
        >>> all([[True, False], [True, True]], axis=1)
        array([False,  True])
    """
    array = real_array(x, "all")
    return np.asarray(np.all(array, axis=normalize_axes("all", axis, array.shape), keepdims=keepdims))


def count_nonzero(x: Any, axis: Axes = None) -> npt.NDArray[np.int32]:
    """How many elements along `axis` are not zero, as int32; the arguments and errors are those of `any`.

    Example:
        >>> count_nonzero([[0.0, 1.0], [2.0, 3.0]], axis=0)
        array([1, 2], dtype=int32)
    """
    array = real_array(x, "count_nonzero")
    return np.asarray(np.count_nonzero(array, axis=normalize_axes("count_nonzero", axis, array.shape)), np.int32)


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> _Truth:
    """Whether `isclose` holds everywhere; the arguments and errors are its own.

    Example:
        >>> bool(allclose([1.0, 2.0], [1.0, 2.000001]))
        True
    """
    return np.asarray(np.all(isclose(x1, x2, rtol, atol, equal_nan)))


def nonzero(x: Any) -> npt.NDArray[np.int32]:
    """The positions of the elements that are not zero: one row per axis, one column per element, int32.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> nonzero([[0.0, 1.0], [2.0, 0.0]]).tolist()
        [[0, 1], [1, 0]]
    """
    return np.asarray(np.nonzero(real_array(x, "nonzero")), np.int32)
