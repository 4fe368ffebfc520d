"""New arrays: constants, ranges, identities. They depend on nothing that has a gradient, so they are plain arrays."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import to_float32
from cnnfast.ops.dtypes import real_array, resolved_dtype
from cnnfast.ops.shaping import integers

_Array = npt.NDArray[Any]


def zeros(shape: int | Sequence[int], dtype: Any = None) -> _Array:
    """An array of zeros.

    Args:
        shape: its shape.
        dtype: float32 if None; else "float32", "bool" or an integer type.

    Raises:
        TypeError: `shape` is not made of integers.
        ValueError: a size is negative, or `dtype` is a float of another width.

    Example:
        >>> zeros((2, 3), "int32").tolist()
        [[0, 0, 0], [0, 0, 0]]
    """
    return full(shape, 0, resolved_dtype("zeros", dtype))


def ones(shape: int | Sequence[int], dtype: Any = None) -> _Array:
    """An array of ones; the arguments and errors are those of `zeros`.

    Example:
        >>> ones(2)
        array([1., 1.], dtype=float32)
    """
    return full(shape, 1, resolved_dtype("ones", dtype))


def full(shape: int | Sequence[int], fill_value: Any, dtype: Any = None) -> _Array:
    """An array filled with a value, which may broadcast to `shape`; the errors are those of `zeros`.

    Example:
        >>> full((2, 2), [1.0, 2.0])
        array([[1., 2.],
               [1., 2.]], dtype=float32)
    """
    sizes = integers("full", "shape", shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"full: shape expects sizes from 0 on, got {shape}")
    value = real_array(fill_value, "full", "fill_value")
    try:
        return np.full(sizes, value, resolved_dtype("full", dtype))
    except ValueError as error:
        if np.broadcast_shapes(value.shape, (1,) * len(sizes)) and value.ndim == 0:
            raise
        raise ValueError(f"full: fill_value of shape {value.shape} does not broadcast to {sizes}") from error


def zeros_like(x: Any, dtype: Any = None) -> _Array:
    """Zeros in the shape of `x`, and of its element type if `dtype` is None.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> zeros_like([1.0, 2.0])
        array([0., 0.], dtype=float32)
    """
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> _Array:
    """Ones in the shape of `x`, and of its element type if `dtype` is None.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> ones_like([1.0, 2.0])
        array([1., 1.], dtype=float32)
    """
    return full_like(x, 1, dtype)


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> _Array:
    """An array in the shape of `x` filled with a value, and of its element type if `dtype` is None.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> full_like([1.0, 2.0], 5)
        array([5., 5.], dtype=float32)
    """
    array = real_array(x, "full_like")
    return full(array.shape, fill_value, array.dtype if dtype is None else resolved_dtype("full_like", dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> _Array:
    """Ones on a diagonal and zeros elsewhere.

    Args:
        N: the number of rows.
        M: the number of columns; `N` if None.
        k: which diagonal: 0 the main one, positive above it, negative below.
        dtype: float32 if None.

    Raises:
        TypeError: a size is not an integer.
        ValueError: a size is negative, or `dtype` is a float of another width.

    Example:
        >>> eye(2, 3, k=1)
        array([[0., 1., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    rows = operator.index(N)
    columns = rows if M is None else operator.index(M)
    if rows < 0 or columns < 0:
        raise ValueError(f"eye: N and M expect numbers from 0 on, got {N} and {M}")
    return np.eye(rows, columns, operator.index(k), resolved_dtype("eye", dtype))


def identity(n: int, dtype: Any = None) -> _Array:
    """The square matrix with ones on its diagonal; the errors are those of `eye`.

    Example:
        >>> identity(2)
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """
    return eye(n, dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> _Array:
    """Numbers at equal steps, `stop` not included.

    Args:
        start: the first number; with `start` alone it is the stop, and 0 the first.
        stop: where to stop.
        step: the distance; 1 if None.
        dtype: int32 where all three are integers, else float32, if None.

    Raises:
        TypeError: an argument is not a real number.
        ValueError: `step` is zero, or `dtype` is a float of another width.

    Example:
        >>> arange(1, 4), arange(0.0, 1.0, 0.5)
        (array([1, 2, 3], dtype=int32), array([0. , 0.5], dtype=float32))
    """
    bounds = {"start": start, "stop": stop, "step": step}
    given = [real_array(value, "arange", name) for name, value in bounds.items() if value is not None]
    whole = all(value.dtype.kind in "iub" for value in given)
    first, last = (0, start) if stop is None else (start, stop)
    distance = 1 if step is None else step
    if distance == 0:
        raise ValueError("arange: step expects a number other than 0, got 0")
    wanted = resolved_dtype("arange", dtype, "int32" if whole else "float32")
    kind = np.int64 if whole else np.float64
    return np.arange(kind(first), kind(last), kind(distance)).astype(wanted)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Numbers at equal distances between two bounds.

    Args:
        start: the first number, or an array of them.
        stop: the last number, or an array of them.
        num: how many.
        endpoint: whether `stop` is the last of them; else it would be the next one.
        retstep: whether to return the distance too.
        dtype: float32 if None.
        axis: where the new axis is, for bounds that are arrays.

    Raises:
        TypeError: a bound is not made of real numbers.
        ValueError: `num` is negative, or `dtype` is a float of another width.

    Example:
        >>> linspace(0, 1, 5)
        array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    if operator.index(num) < 0:
        raise ValueError(f"linspace: num expects a number from 0 on, got {num}")
    wanted = resolved_dtype("linspace", dtype)
    first, last = to_float32(start, "linspace", "start"), to_float32(stop, "linspace", "stop")
    values, distance = np.linspace(
        first.astype(np.float64), last.astype(np.float64), num, endpoint=endpoint, retstep=True, axis=axis
    )
    values = values.astype(wanted)
    return (values, np.asarray(distance, np.float32)) if retstep else values


def meshgrid(*x: Any, indexing: str = "xy") -> list[_Array]:
    """Coordinate arrays of a grid: one per argument, in the grid's full shape.

    Args:
        *x: the coordinates along each axis, one-dimensional.
        indexing: "xy": the first two axes change places, as in pictures; "ij": they do not.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: `indexing` is neither.

    Example:
        >>> [a.tolist() for a in meshgrid([1, 2], [3, 4])]
        [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing expects 'xy' or 'ij', got {indexing!r}")
    arrays = [real_array(values, "meshgrid") for values in x]
    return list(np.meshgrid(*arrays, indexing="xy" if indexing == "xy" else "ij"))


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> _Array:
    """Ones on and below a diagonal, zeros above; the arguments and errors are those of `eye`.

    Example:
        >>> tri(2)
        array([[1., 0.],
               [1., 1.]], dtype=float32)
    """
    rows = operator.index(N)
    columns = rows if M is None else operator.index(M)
    if rows < 0 or columns < 0:
        raise ValueError(f"tri: N and M expect numbers from 0 on, got {N} and {M}")
    return np.tri(rows, columns, operator.index(k), resolved_dtype("tri", dtype))
