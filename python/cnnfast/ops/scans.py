"""Sums and products of all elements up to each one, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record
from cnnfast.ops.dtypes import cast, real_array
from cnnfast.ops.math import quiet
from cnnfast.ops.reductions import normalize_axes

_Doubles = npt.NDArray[np.float64]


def _scan(
    op: str,
    accumulate: np.ufunc,
    x: ArrayLike,
    axis: int | None,
    dtype: Any,
    gradient: Callable[[FloatArray, FloatArray, int], _Doubles],
) -> Any:
    if dtype is not None:
        x = cast(x, dtype)
    array = real_array(x, op)
    shape = array.shape
    if axis is None:
        array, axis = array.ravel(), 0
    (a,) = normalize_axes(op, axis, array.shape)
    if array.dtype.kind != "f":
        kind = np.int32 if array.dtype.kind == "b" else array.dtype
        return accumulate.accumulate(array, axis=a, dtype=kind)
    with quiet():
        y = accumulate.accumulate(array, axis=a, dtype=np.float64).astype(np.float32)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[npt.NDArray[Any] | None]:
        with quiet():
            return (gradient(array, dy, a).reshape(shape),)

    return record(op, y, (x,), vjp)


def _from_the_end(x: npt.NDArray[Any], axis: int) -> _Doubles:
    """For each position the sum of what stands there and after it."""
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis, dtype=np.float64), axis)


def cumsum(x: ArrayLike, axis: int | None = None, dtype: Any = None) -> Any:
    """The sum of each element and those before it along `axis`.

    Args:
        x: real numbers of any shape; integers stay integers.
        axis: along which axis; None takes the elements in a row.
        dtype: the type to compute with; that of `x` if None.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the axis is out of range.

    Example:
        >>> cumsum([1.0, 2.0, 3.0])
        array([1., 3., 6.], dtype=float32)
    """
    return _scan("cumsum", np.add, x, axis, dtype, lambda array, dy, a: _from_the_end(dy, a))


def cumprod(x: ArrayLike, axis: int | None = None, dtype: Any = None) -> Any:
    """The product of each element and those before it along `axis`; its gradient is right where there are zeros, too.

    Args:
        x: real numbers of any shape; integers stay integers.
        axis: along which axis; None takes the elements in a row.
        dtype: the type to compute with; that of `x` if None.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the axis is out of range.

    Example:
        >>> cumprod([1.0, 2.0, 3.0])
        array([1., 2., 6.], dtype=float32)
    """
    return _scan("cumprod", np.multiply, x, axis, dtype, _gradient_of_products)


def _gradient_of_products(x: FloatArray, dy: FloatArray, axis: int) -> _Doubles:
    """Each element's gradient: the products without it, weighed with what arrives at them.

    With `after[i] = dy[i] + x[i + 1] * after[i + 1]` it is `product of those before i * after[i]`; no division.
    """
    factors = np.moveaxis(x, axis, 0).astype(np.float64)
    arriving = np.moveaxis(dy, axis, 0).astype(np.float64)
    if not len(factors):
        return np.zeros(x.shape)
    after = np.empty_like(arriving)
    after[-1] = arriving[-1]
    for i in range(len(factors) - 2, -1, -1):
        after[i] = arriving[i] + factors[i + 1] * after[i + 1]
    before = np.cumprod(np.concatenate([np.ones_like(factors[:1]), factors[:-1]]), axis=0)
    return np.moveaxis(before * after, 0, axis)
