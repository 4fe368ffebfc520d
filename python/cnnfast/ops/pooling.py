"""Max and average pooling over windows and over whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, Tensor, is_recorded, record, to_float32
from cnnfast.ops._fusion import before_activation

IntOrInts = int | Sequence[int]
# "valid", "same", an integer for both ends of every axis, or one (before, after) pair per axis.
PaddingArg = str | int | Sequence[Sequence[int]]


def pool_output_shape(
    x_shape: Sequence[int],
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
    *,
    op: str = "pool_output_shape",
) -> tuple[int, ...]:
    """Shape of a pooling's output, without computing it.

    Args:
        x_shape: (N, [[D,] H,] W, C), 3 to 5 sizes.
        pool_size: values a window covers along each axis.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same" (so much that the output has ceil(size / stride) values; an odd one goes to the end),
            an integer, or one (before, after) pair per axis.
        dilation_rate: steps from one value of a window to the next.
        op: the operation that asks, for error messages.

    Raises:
        TypeError: an argument is not made of integers.
        ValueError: a window has no place in x, or would hold nothing but padding.

    Example:
        >>> pool_output_shape((1, 28, 28, 6), 2)
        (1, 14, 14, 6)
        >>> pool_output_shape((1, 5, 5, 2), 3, strides=1)
        (1, 3, 3, 2)
    """
    return checked_pooling(op, tuple(x_shape), pool_size, strides, padding, dilation_rate).output_shape


def checked_pooling(
    op: str,
    x_shape: tuple[int, ...],
    pool_size: IntOrInts,
    strides: IntOrInts | None,
    padding: PaddingArg,
    dilation_rate: IntOrInts,
) -> _core.Pooling:
    """A pooling of arrays of a shape; the arguments are those of `pool_output_shape`."""
    return _core.Pooling(op, x_shape, pool_size, pool_size if strides is None else strides, padding, dilation_rate)


def _require_axes(op: str, x: FloatArray, axes: str) -> None:
    count = axes.count(",") + 1
    if x.ndim != count:
        raise ValueError(f"{op}: x expects {count} axes {axes}, got shape {x.shape}")


def _max_pool(
    op: str,
    axes: str,
    x: ArrayLike,
    pool_size: IntOrInts,
    strides: IntOrInts | None,
    padding: PaddingArg,
    dilation_rate: IntOrInts,
) -> Any:
    array = to_float32(x, op)
    _require_axes(op, array, axes)
    pooling = checked_pooling(op, array.shape, pool_size, strides, padding, dilation_rate)
    winners: Any = None
    if is_recorded(x):
        y, winners = pooling.max_with_winners(array)
    else:
        y = pooling.max(array)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> tuple[FloatArray]:
        return (pooling.max_backward(winners, to_float32(dy, op, "dy")),)

    activated = x._activated if isinstance(x, Tensor) else None
    if activated is None:
        return record(op, y, (x,), vjp)
    kind, alpha, linear, bias = activated

    # The activation's slope at a winner can be told from the maximum, and all others get no gradient.
    def vjp_around_activation(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dz, db = before_activation(kind, alpha, y, dy, needs[1])
        return pooling.max_backward(winners, dz), db

    return record(op, y, (x,), vjp, around=((linear, bias), vjp_around_activation))


def max_pool1d(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
) -> Any:
    """Largest value of each window of a sequence, per channel.

    Padding never wins, the first of equal values does, and a NaN beats every number. The gradient goes to the winner
    alone.

    Args:
        x: (N, W, C), any real dtype, computed in float32.
        pool_size: values a window covers.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer or [(before, after)].
        dilation_rate: steps from one value of a window to the next.

    Returns:
        (N, W', C) float32 with W' = floor((W + before + after - reach) / stride) + 1, where a window reaches over
        reach = (pool_size - 1) * dilation_rate + 1 values.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 3 axes, or a window has no place in it.

    Example:
        >>> max_pool1d([[[1.0], [3.0], [2.0], [0.0]]])
        array([[[3.],
                [2.]]], dtype=float32)
    """
    return _max_pool("max_pool1d", "(N, W, C)", x, pool_size, strides, padding, dilation_rate)


def max_pool2d(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
) -> Any:
    """Largest value of each window of an image, per channel.

    Args:
        x: (N, H, W, C), any real dtype, computed in float32.
        pool_size: height and width of a window, or one number for both; so for the other arguments.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer or one (before, after) pair per axis. Padding never wins.
        dilation_rate: steps from one value of a window to the next.

    Returns:
        (N, H', W', C) float32; the output sizes are as in `max_pool1d`.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 4 axes, or a window has no place in it.

    Example:
        >>> import numpy as np
        >>> max_pool2d(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
        array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """
    return _max_pool("max_pool2d", "(N, H, W, C)", x, pool_size, strides, padding, dilation_rate)


def max_pool3d(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
) -> Any:
    """Largest value of each window of a volume, per channel.

    Args:
        x: (N, D, H, W, C), any real dtype, computed in float32.
        pool_size: depth, height and width of a window, or one number for all; so for the other arguments.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer or one (before, after) pair per axis. Padding never wins.
        dilation_rate: steps from one value of a window to the next.

    Returns:
        (N, D', H', W', C) float32; the output sizes are as in `max_pool1d`.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 5 axes, or a window has no place in it.

    Example:
        >>> import numpy as np
        >>> max_pool3d(np.arange(8).reshape(1, 2, 2, 2, 1)).item()
        7.0
    """
    return _max_pool("max_pool3d", "(N, D, H, W, C)", x, pool_size, strides, padding, dilation_rate)


def _avg_pool(
    op: str,
    axes: str,
    x: ArrayLike,
    pool_size: IntOrInts,
    strides: IntOrInts | None,
    padding: PaddingArg,
    count_include_pad: bool,
) -> Any:
    array = to_float32(x, op)
    _require_axes(op, array, axes)
    pooling = checked_pooling(op, array.shape, pool_size, strides, padding, 1)
    include = bool(count_include_pad)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> tuple[FloatArray]:
        return (pooling.average_backward(to_float32(dy, op, "dy"), include),)

    return record(op, pooling.average(array, include), (x,), vjp)


def avg_pool1d(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    count_include_pad: bool = False,
) -> Any:
    """Mean of each window of a sequence, per channel; its gradient is spread evenly.

    Args:
        x: (N, W, C), any real dtype, computed in float32.
        pool_size: values a window covers.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer or [(before, after)].
        count_include_pad: whether padding counts as zeros; else (as in Keras) the mean is over what lies inside x.

    Returns:
        (N, W', C) float32; the output size is as in `max_pool1d`.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 3 axes, or a window has no place in it.

    Example:
        >>> avg_pool1d([[[1.0], [3.0], [5.0]]], padding="same").ravel()
        array([2., 5.], dtype=float32)
        >>> avg_pool1d([[[1.0], [3.0], [5.0]]], padding="same", count_include_pad=True).ravel()
        array([2. , 2.5], dtype=float32)
    """
    return _avg_pool("avg_pool1d", "(N, W, C)", x, pool_size, strides, padding, count_include_pad)


def avg_pool2d(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    count_include_pad: bool = False,
) -> Any:
    """Mean of each window of an image, per channel; its gradient is spread evenly.

    Args:
        x: (N, H, W, C), any real dtype, computed in float32.
        pool_size: height and width of a window, or one number for both; so for the other arguments.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer or one (before, after) pair per axis.
        count_include_pad: whether padding counts as zeros; else (as in Keras) the mean is over what lies inside x.

    Returns:
        (N, H', W', C) float32; the output sizes are as in `max_pool1d`.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 4 axes, or a window has no place in it.

    Example:
        >>> import numpy as np
        >>> avg_pool2d(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
        array([[ 2.5,  4.5],
               [10.5, 12.5]], dtype=float32)
    """
    return _avg_pool("avg_pool2d", "(N, H, W, C)", x, pool_size, strides, padding, count_include_pad)


def avg_pool3d(
    x: ArrayLike,
    pool_size: IntOrInts = 2,
    strides: IntOrInts | None = None,
    padding: PaddingArg = "valid",
    count_include_pad: bool = False,
) -> Any:
    """Mean of each window of a volume, per channel; its gradient is spread evenly.

    Args:
        x: (N, D, H, W, C), any real dtype, computed in float32.
        pool_size: depth, height and width of a window, or one number for all; so for the other arguments.
        strides: steps from one window to the next; `pool_size` by default.
        padding: "valid", "same", an integer or one (before, after) pair per axis.
        count_include_pad: whether padding counts as zeros; else (as in Keras) the mean is over what lies inside x.

    Returns:
        (N, D', H', W', C) float32; the output sizes are as in `max_pool1d`.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 5 axes, or a window has no place in it.

    Example:
        >>> import numpy as np
        >>> avg_pool3d(np.arange(8).reshape(1, 2, 2, 2, 1)).item()
        3.5
    """
    return _avg_pool("avg_pool3d", "(N, D, H, W, C)", x, pool_size, strides, padding, count_include_pad)


def _with_kept_axes(y: FloatArray, x_shape: tuple[int, ...], keepdims: bool) -> FloatArray:
    return y.reshape(x_shape[0], *([1] * (len(x_shape) - 2)), x_shape[-1]) if keepdims else y


def global_max_pool(x: ArrayLike, keepdims: bool = False) -> Any:
    """Largest value of each channel over all positions; the gradient goes to the first of them.

    Args:
        x: (N, ..., C) with at least one spatial axis.
        keepdims: whether the spatial axes stay, one long.

    Returns:
        (N, C) float32, or (N, 1, ..., 1, C).

    Raises:
        TypeError: x is not made of real numbers.
        ValueError: x has fewer than 3 axes, or no values in an image.

    Example:
        >>> global_max_pool([[[1.0, 5.0], [3.0, 2.0]]])
        array([[3., 5.]], dtype=float32)
    """
    array = to_float32(x, "global_max_pool")
    y, winners = _core.global_max(array)
    shape = array.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> tuple[FloatArray]:
        return (_core.global_max_backward(shape, winners, to_float32(dy, "global_max_pool", "dy").reshape(y.shape)),)

    return record("global_max_pool", _with_kept_axes(y, shape, keepdims), (x,), vjp)


def global_avg_pool(x: ArrayLike, keepdims: bool = False) -> Any:
    """Mean of each channel over all positions.

    Args:
        x: (N, ..., C) with at least one spatial axis.
        keepdims: whether the spatial axes stay, one long.

    Returns:
        (N, C) float32, or (N, 1, ..., 1, C).

    Raises:
        TypeError: x is not made of real numbers.
        ValueError: x has fewer than 3 axes, or no values in an image.

    Example:
        >>> global_avg_pool([[[1.0, 5.0], [3.0, 2.0]]])
        array([[2. , 3.5]], dtype=float32)
    """
    array = to_float32(x, "global_avg_pool")
    y = _core.global_average(array)
    shape = array.shape

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> tuple[FloatArray]:
        return (_core.global_average_backward(shape, to_float32(dy, "global_avg_pool", "dy").reshape(y.shape)),)

    return record("global_avg_pool", _with_kept_axes(y, shape, keepdims), (x,), vjp)
