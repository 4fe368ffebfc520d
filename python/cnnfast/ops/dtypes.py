"""Element types: floats are float32 and carry gradients; integers and booleans are plain NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, Value, record, to_float32
from cnnfast.tensor import is_float32

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def resolved_dtype(op: str, dtype: Any, default: Any = "float32") -> np.dtype[Any]:
    """The element type that `dtype` names; `default` for None.

    Raises:
        TypeError: `dtype` names no element type.
        ValueError: it is a float of another width: everything is computed in float32.

    Example:
        >>> resolved_dtype("zeros", "int32")
        dtype('int32')
    """
    given = default if dtype is None else dtype
    if str(given) in ("bfloat16", "float16", "float64"):
        raise ValueError(f"{op}: dtype={given!r} cannot be honoured: everything is computed in float32")
    if given is float:
        return np.dtype(np.float32)
    if given is int:
        return np.dtype(np.int32)
    try:
        found = np.dtype(given)
    except TypeError:
        raise TypeError(f"{op}: dtype expects the name of an element type, got {dtype!r}") from None
    if found.name not in ("float32", "bool", *_INTEGERS):
        if found.kind == "f":
            raise ValueError(f"{op}: dtype={given!r} cannot be honoured: everything is computed in float32")
        raise TypeError(f"{op}: dtype expects float32, bool or an integer type, got {found}")
    return found


def real_array(x: Any, op: str, name: str = "x") -> npt.NDArray[Any]:
    """`x` as an array: integers and booleans as they are, all else as float32.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> real_array([1, 2], "sort").dtype.kind, real_array([1.0], "sort").dtype
        ('i', dtype('float32'))
    """
    if isinstance(x, Value):
        return x._value
    if is_float32(x):
        return x
    if not isinstance(x, (np.ndarray, np.generic, bool, int)):
        if not isinstance(x, (list, tuple)):
            return to_float32(x, op, name)
        try:
            array = np.asarray(x)
        except ValueError:
            return to_float32(x, op, name)
    else:
        array = np.asarray(x)
    return array if array.dtype.kind in "iub" and array.size else to_float32(x, op, name)


def moved_array(x: Any, op: str, name: str = "x") -> npt.NDArray[Any]:
    """`x` as an array: NumPy's integers and booleans as they are, all else (lists of numbers too) as float32.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> moved_array(np.array([1, 2], "int32"), "reshape").dtype, moved_array([1, 2], "reshape").dtype
        (dtype('int32'), dtype('float32'))
    """
    return x if type(x) is np.ndarray and x.dtype.kind in "iub" else to_float32(x, op, name)


def rearranged(
    op: str,
    x: ArrayLike,
    compute: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    gradient: Callable[[FloatArray], npt.NDArray[Any]],
) -> Any:
    """Record `compute(x)`, which moves elements only; integers and booleans stay what they are."""
    array = real_array(x, op)
    y = compute(array)
    return record(op, y, (x,), lambda dy, needs: (gradient(dy),)) if array.dtype.kind == "f" else y


def cast(x: Any, dtype: Any) -> Any:
    """`x` as another element type; the gradient follows where that is float32.

    Args:
        x: numbers or booleans of any shape.
        dtype: "float32", "bool" or an integer type: floats are cut off towards zero.

    Returns:
        A float32 array or tensor, or a plain NumPy array of integers or booleans.

    Raises:
        TypeError: `x` is not made of real numbers, or `dtype` names no element type.
        ValueError: `dtype` is a float of another width.

    Example:
        >>> cast([1.7, -1.7], "int32")
        array([ 1, -1], dtype=int32)
    """
    wanted = resolved_dtype("cast", dtype)
    if wanted.kind == "f":
        return record("cast", to_float32(x, "cast"), (x,), lambda dy, needs: (dy,))
    with np.errstate(invalid="ignore"):
        return real_array(x, "cast").astype(wanted)


def shape(x: Any) -> tuple[int, ...]:
    """The length of each axis.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> shape([[1.0, 2.0, 3.0]])
        (1, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else real_array(x, "shape").shape


def ndim(x: Any) -> int:
    """The number of axes.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> ndim([[1.0, 2.0, 3.0]])
        2
    """
    return len(shape(x))


def size(x: Any) -> int:
    """The number of elements.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> size([[1.0, 2.0, 3.0]])
        3
    """
    return real_array(x, "size").size


def array(x: Any, dtype: Any = None) -> Any:
    """`x` as an array or tensor of its own: integers and booleans as they are, all else as float32.

    Args:
        x: numbers or booleans of any shape.
        dtype: as in `cast`; the type of `x` if None.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: `dtype` is a float of another width.

    Example:
        >>> array([1, 2]), array([1.0, 2.0])
        (array([1, 2]), array([1., 2.], dtype=float32))
    """
    if dtype is not None:
        x = cast(x, dtype)
    return rearranged("array", x, np.copy, lambda dy: dy)


def copy(x: Any) -> Any:
    """A copy of `x`; see `array`.

    Example:
        >>> copy([1.0, 2.0])
        array([1., 2.], dtype=float32)
    """
    return array(x)


def convert_to_numpy(x: Any) -> npt.NDArray[Any]:
    """The values of `x` as a plain NumPy array of its own, which no gradient flows through.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> convert_to_numpy([1.0, 2.0])
        array([1., 2.], dtype=float32)
    """
    return np.array(real_array(x, "convert_to_numpy"))


def is_tensor(x: Any) -> bool:
    """Whether `x` is an array, a tensor or a variable of numbers.

    Example:
        >>> is_tensor(np.zeros(2)), is_tensor([0.0])
        (True, False)
    """
    return isinstance(x, (Value, np.ndarray))
