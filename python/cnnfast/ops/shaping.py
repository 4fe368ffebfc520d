"""Rearranging elements: reshape, transpose, join, pad, flip, and their gradients.

No element is changed, so every gradient is the opposite rearrangement.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import _core
from cnnfast.autograd import ENGINE_SIZE, ArrayLike, FloatArray, Tensor, record, to_float32
from cnnfast.ops.dtypes import moved_array
from cnnfast.ops.math import unbroadcast
from cnnfast.ops.reductions import Axes, normalize_axes
from cnnfast.tensor import wrap


def convert_to_tensor(x: ArrayLike) -> Tensor:
    """`x` as a `Tensor`; a tensor is returned as it is, and the gradient follows a variable.

    Args:
        x: an array, a number, a nested list of numbers, a `Tensor` or a `Variable`.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> convert_to_tensor([1, 2])
        Tensor(shape=(2,), value=[1. 2.])
    """
    if isinstance(x, Tensor):
        return x
    value = record("convert_to_tensor", to_float32(x, "convert_to_tensor").copy(), (x,), lambda dy, needs: (dy,))
    return value if isinstance(value, Tensor) else wrap(value)


def reshape(x: ArrayLike, newshape: int | Sequence[int]) -> Any:
    """The same elements in another shape.

    Args:
        x: real numbers of any shape.
        newshape: the shape; one length may be -1 and follows from the others.

    Returns:
        float32, or integers where `x` is an array of such. The result for a plain array may share its memory, as in
        NumPy.

    Raises:
        TypeError: `newshape` is not made of integers.
        ValueError: the number of elements differs.

    Example:
        >>> reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
        array([[1., 2.],
               [3., 4.]], dtype=float32)
    """
    array = moved_array(x, "reshape")
    shape = array.shape
    wanted = integers("reshape", "newshape", newshape)
    try:
        y = array.reshape(wanted)
    except ValueError:
        raise ValueError(f"reshape: x of shape {shape} ({array.size} elements) does not fill {wanted}") from None
    if array.dtype.kind != "f":
        return y
    return record("reshape", y, (x,), lambda dy, needs: (dy.reshape(shape),))


def integers(op: str, name: str, given: Any) -> tuple[int, ...]:
    """An integer or several as a tuple of Python integers.

    Raises:
        TypeError: one is not an integer.
    """
    try:
        return tuple(operator.index(n) for n in (given if isinstance(given, (tuple, list)) else (given,)))
    except TypeError:
        raise TypeError(f"{op}: {name} must be an integer or a tuple of integers, got {given!r}") from None


def ravel(x: ArrayLike) -> Any:
    """The elements in a row.

    Raises:
        TypeError: `x` is not made of real numbers.

    Example:
        >>> ravel([[1.0, 2.0], [3.0, 4.0]])
        array([1., 2., 3., 4.], dtype=float32)
    """
    return reshape(x, -1)


def transpose(x: ArrayLike, axes: Sequence[int] | None = None) -> Any:
    """The axes in another order.

    Args:
        x: real numbers of any shape.
        axes: for each axis of the result, which one of `x` it is; the reverse order if None.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: `axes` does not name every axis once.

    Example:
        >>> transpose([[1.0, 2.0], [3.0, 4.0]])
        array([[1., 3.],
               [2., 4.]], dtype=float32)
    """
    array = moved_array(x, "transpose")
    order = tuple(reversed(range(array.ndim))) if axes is None else normalize_axes("transpose", axes, array.shape)
    if len(order) != array.ndim:
        raise ValueError(f"transpose: axes {axes} must name each of the {array.ndim} axes of shape {array.shape} once")
    back = np.argsort(order)
    if array.dtype.kind != "f":
        return array.transpose(order)
    return record("transpose", array.transpose(order), (x,), lambda dy, needs: (dy.transpose(back),))


def moveaxis(x: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """The axes `source` moved to the positions `destination`; the others keep their order.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is out of range or named twice, or the two numbers of axes differ.

    Example:
        >>> moveaxis(np.zeros((8, 28, 28, 3)), -1, 1).shape
        (8, 3, 28, 28)
    """
    array = moved_array(x, "moveaxis")
    sources = normalize_axes("moveaxis", source, array.shape)
    destinations = normalize_axes("moveaxis", destination, array.shape)
    if len(sources) != len(destinations):
        raise ValueError(f"moveaxis: source {source} and destination {destination} must name as many axes")
    order = [i for i in range(array.ndim) if i not in sources]
    for to, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, axis)
    return transpose(x, order)


def swapaxes(x: ArrayLike, axis1: int, axis2: int) -> Any:
    """Two axes exchanged.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is out of range.

    Example:
        >>> swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
        (4, 3, 2)
    """
    array = moved_array(x, "swapaxes")
    (first,) = normalize_axes("swapaxes", axis1, array.shape)
    (second,) = normalize_axes("swapaxes", axis2, array.shape)
    order = list(range(array.ndim))
    order[first], order[second] = second, first
    return transpose(x, order)


def squeeze(x: ArrayLike, axis: Axes = None) -> Any:
    """Without axes of length 1.

    Args:
        x: real numbers of any shape.
        axis: which of them; all if None.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is out of range or longer than 1.

    Example:
        >>> squeeze([[1.0], [2.0]], axis=1)
        array([1., 2.], dtype=float32)
    """
    array = moved_array(x, "squeeze")
    if axis is None:
        return reshape(x, [n for n in array.shape if n != 1])
    axes = normalize_axes("squeeze", axis, array.shape)
    for a in axes:
        if array.shape[a] != 1:
            raise ValueError(f"squeeze: axis {a} of shape {array.shape} has length {array.shape[a]}, expected 1")
    return reshape(x, [n for i, n in enumerate(array.shape) if i not in axes])


def expand_dims(x: ArrayLike, axis: int | Sequence[int]) -> Any:
    """With a new axis of length 1 at each of the positions `axis` of the result.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> expand_dims([1.0, 2.0], -1).shape
        (2, 1)
    """
    array = moved_array(x, "expand_dims")
    rank = array.ndim + len(integers("expand_dims", "axis", axis))
    axes = normalize_axes("expand_dims", axis, (1,) * rank)
    lengths = iter(array.shape)
    return reshape(x, [1 if i in axes else next(lengths) for i in range(rank)])


def broadcast_to(x: ArrayLike, shape: int | Sequence[int]) -> Any:
    """`x` repeated along new axes and along those of length 1; the gradient adds up.

    Raises:
        TypeError: `shape` is not made of integers.
        ValueError: `x` does not broadcast to `shape`.

    Example:
        >>> broadcast_to([1.0, 2.0], (2, 2))
        array([[1., 2.],
               [1., 2.]], dtype=float32)
    """
    array = moved_array(x, "broadcast_to")
    wanted = integers("broadcast_to", "shape", shape)
    try:
        y = np.broadcast_to(array, wanted).copy()
    except ValueError:
        raise ValueError(f"broadcast_to: shape {array.shape} does not broadcast to {wanted}") from None
    if array.dtype.kind != "f":
        return y
    own = array.shape
    return record("broadcast_to", y, (x,), lambda dy, needs: (unbroadcast(dy, own),))


def _list_of_arrays(op: str, xs: Any) -> tuple[list[Any], list[npt.NDArray[Any]]]:
    """The arrays to join, as given and as float32, or as integers where all of them are arrays of such."""
    items = list(xs)
    if not items:
        raise ValueError(f"{op}: expects at least one array")
    if all(type(x) is np.ndarray and x.dtype.kind in "iub" for x in items):
        return items, items
    return items, [to_float32(x, op, f"xs[{i}]") for i, x in enumerate(items)]


def concatenate(xs: Sequence[ArrayLike], axis: int = 0) -> Any:
    """Arrays joined along an axis that they have.

    Args:
        xs: arrays or tensors whose shapes agree except along `axis`.
        axis: where to join.

    Raises:
        TypeError: one of them is not made of real numbers.
        ValueError: the shapes do not fit, or there are none.

    Example:
        >>> concatenate([[1.0, 2.0], [3.0]])
        array([1., 2., 3.], dtype=float32)
    """
    items, arrays = _list_of_arrays("concatenate", xs)
    (a,) = normalize_axes("concatenate", axis, arrays[0].shape)
    for i, array in enumerate(arrays):
        expected = (*arrays[0].shape[:a], *array.shape[a : a + 1], *arrays[0].shape[a + 1 :])
        if array.shape != expected or array.ndim != arrays[0].ndim:
            raise ValueError(
                f"concatenate: xs[{i}] of shape {array.shape} does not fit xs[0] of shape {arrays[0].shape} "
                f"along axis {axis}"
            )
    if arrays[0].dtype.kind != "f":
        return np.concatenate(arrays, axis=a)
    lengths = [array.shape[a] for array in arrays]
    ends = np.cumsum(lengths)[:-1].tolist()
    large = sum(array.size for array in arrays) >= ENGINE_SIZE
    y = _core.concatenate(arrays, a) if large else np.concatenate(arrays, axis=a)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        parts = _core.split(to_float32(dy), lengths, a) if large else np.split(dy, ends, axis=a)
        return [part if need else None for part, need in zip(parts, needs, strict=True)]

    return record("concatenate", y, items, vjp)


def stack(x: Sequence[ArrayLike], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis.

    Args:
        x: arrays or tensors.
        axis: where the new axis is in the result.

    Raises:
        TypeError: one of them is not made of real numbers.
        ValueError: the shapes differ, or there are none, or the axis is out of range.

    Example:
        >>> stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
        array([[1., 3.],
               [2., 4.]], dtype=float32)
    """
    items, arrays = _list_of_arrays("stack", x)
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(f"stack: x[{i}] has shape {array.shape}, x[0] has {arrays[0].shape}")
    (a,) = normalize_axes("stack", axis, (1, *arrays[0].shape))

    if arrays[0].dtype.kind != "f":
        return np.stack(arrays, axis=a)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        parts = np.moveaxis(dy, a, 0)
        return [parts[i] if need else None for i, need in enumerate(needs)]

    return record("stack", np.stack(arrays, axis=a), items, vjp)


def flip(x: ArrayLike, axis: Axes = None) -> Any:
    """The elements in reverse order along `axis`.

    Args:
        x: real numbers of any shape.
        axis: an axis or a tuple of them; all if None.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis is out of range or named twice.

    Example:
        >>> flip([1.0, 2.0, 3.0])
        array([3., 2., 1.], dtype=float32)
    """
    array = moved_array(x, "flip")
    axes = normalize_axes("flip", axis, array.shape)
    if array.dtype.kind != "f":
        return np.flip(array, axes)
    return record("flip", np.flip(array, axes), (x,), lambda dy, needs: (np.flip(dy, axes),))


def pad(x: ArrayLike, pad_width: Any, mode: str = "constant", constant_values: float | None = None) -> Any:
    """`x` with a border around it.

    Args:
        x: real numbers of any shape.
        pad_width: elements to add before and after: one (before, after) pair per axis, one pair for all, or one number
            for all.
        mode: "constant", "edge" (the outermost element repeated), "reflect" (mirrored, without the outermost element)
            or "symmetric" (mirrored, with it).
        constant_values: the number that fills a constant border; 0 if None.

    Raises:
        TypeError: `pad_width` is not made of integers.
        ValueError: a width is negative, the mode is unknown, or there is nothing to mirror.

    Example:
        >>> pad([1.0, 2.0, 3.0], (1, 2), mode="reflect")
        array([2., 1., 2., 3., 2., 1.], dtype=float32)
    """
    array = to_float32(x, "pad")
    widths = _pad_widths(pad_width, array.shape)
    if mode == "constant":
        inner = tuple(slice(before, before + n) for (before, _), n in zip(widths, array.shape, strict=True))
        y = np.pad(array, widths, constant_values=0 if constant_values is None else constant_values)
        return record("pad", y, (x,), lambda dy, needs: (dy[inner],))
    if mode not in ("edge", "reflect", "symmetric"):
        raise ValueError(f"pad: mode must be 'constant', 'edge', 'reflect' or 'symmetric', got {mode!r}")
    if constant_values is not None:
        raise ValueError(f"pad: constant_values belongs to mode 'constant', mode is {mode!r}")
    for n, width in zip(array.shape, widths, strict=True):
        if n == 0 and any(width):
            raise ValueError(f"pad: mode {mode!r} finds nothing to repeat along an empty axis of shape {array.shape}")
    # Which element of x each element of the result is, axis by axis.
    origins = [np.pad(np.arange(n), width, mode=mode) for n, width in zip(array.shape, widths, strict=True)]  # type: ignore[call-overload]
    shape = array.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        for axis, origin in enumerate(origins):
            moved = np.moveaxis(dy, axis, 0)
            folded = np.zeros((shape[axis], *moved.shape[1:]), np.float32)
            np.add.at(folded, origin, moved)
            dy = np.moveaxis(folded, 0, axis)
        return (dy,)

    return record("pad", array[np.ix_(*origins)] if origins else array.copy(), (x,), vjp)


def _pad_widths(given: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    try:
        widths = np.asarray(given)
    except ValueError:
        widths = np.empty(0)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad: pad_width must be made of integers, got {given!r}")
    rank = len(shape)
    if widths.ndim == 0 or widths.shape in ((1,), (2,), (1, 2), (rank, 2)):
        pairs = np.broadcast_to(widths, (rank, 2)).tolist()
    else:
        raise ValueError(f"pad: pad_width expects one (before, after) pair per axis of {shape}, got {given!r}")
    if any(width < 0 for pair in pairs for width in pair):
        raise ValueError(f"pad: pad_width must not be negative, got {given!r}")
    if math.prod(n + sum(pair) for n, pair in zip(shape, pairs, strict=True)) > 2**46:
        raise ValueError(f"pad: the result of padding {shape} by {given!r} is larger than this machine can address")
    return [(before, after) for before, after in pairs]
