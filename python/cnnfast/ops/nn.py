"""Convolution, pooling and normalisation under Keras's names: the arrays tell the rank, channels come first or last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast.autograd import ArrayLike, to_float32
from cnnfast.ops import pooling
from cnnfast.ops.conv import IntPerAxis, Padding, conv1d, conv2d, conv3d, depthwise_conv1d, depthwise_conv2d
from cnnfast.ops.conv_transpose import conv1d_transpose, conv2d_transpose, conv3d_transpose
from cnnfast.ops.normalization import fused_batch_norm
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.shaping import moveaxis

_CONV = {1: conv1d, 2: conv2d, 3: conv3d}
_DEPTHWISE = {1: depthwise_conv1d, 2: depthwise_conv2d}
_TRANSPOSED = {1: conv1d_transpose, 2: conv2d_transpose, 3: conv3d_transpose}
_MAX_POOL = {1: pooling.max_pool1d, 2: pooling.max_pool2d, 3: pooling.max_pool3d}
_AVERAGE_POOL = {1: pooling.avg_pool1d, 2: pooling.avg_pool2d, 3: pooling.avg_pool3d}


def channels_are_first(op: str, data_format: str | None) -> bool:
    """Whether `data_format` puts the channels in front of the spatial axes.

    Raises:
        ValueError: it is neither None, "channels_last" nor "channels_first".

    Example:
        >>> channels_are_first("conv", None)
        False
    """
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"{op}: data_format expects 'channels_last' or 'channels_first', got {data_format!r}")
    return data_format == "channels_first"


def _of_rank(op: str, functions: dict[int, Callable[..., Any]], inputs: ArrayLike) -> Callable[..., Any]:
    shape = to_float32(inputs, op, "inputs").shape
    function = functions.get(len(shape) - 2)
    if function is None:
        ranks = " or ".join(str(rank + 2) for rank in functions)
        raise ValueError(f"{op}: inputs expects {ranks} axes, the batch and the channels among them, got shape {shape}")
    return function


def _with_channels_last(op: str, data_format: str | None, inputs: ArrayLike, compute: Callable[[Any], Any]) -> Any:
    if not channels_are_first(op, data_format):
        return compute(inputs)
    return moveaxis(compute(moveaxis(inputs, 1, -1)), -1, 1)


def conv(
    inputs: ArrayLike,
    kernel: ArrayLike,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    data_format: str | None = None,
    dilation_rate: IntPerAxis = 1,
) -> Any:
    """Convolution in one, two or three dimensions; see `conv1d`, `conv2d` and `conv3d`.

    Args:
        inputs: (N, spatial..., C), or (N, C, spatial...) with "channels_first".
        kernel: (window..., C / groups, K); the number of groups follows from the channels.
        strides: one number, or one per spatial axis.
        padding: "valid" or "same".
        data_format: "channels_last" (also None) or "channels_first".
        dilation_rate: one number, or one per spatial axis.

    Returns:
        float32 (N, spatial..., K), or (N, K, spatial...) with "channels_first".

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit.

    Example:
        >>> conv(np.ones((1, 5, 5, 2)), np.ones((3, 3, 2, 4)), padding="same").shape
        (1, 5, 5, 4)
    """
    function = _of_rank("conv", _CONV, inputs)
    channels = to_float32(inputs).shape[1 if channels_are_first("conv", data_format) else -1]
    seen = (to_float32(kernel, "conv", "kernel").shape[-2:-1] or (0,))[0]
    groups = channels // seen if seen and channels % seen == 0 else 1
    return _with_channels_last(
        "conv", data_format, inputs,
        lambda x: function(x, kernel, strides=strides, padding=padding, dilation_rate=dilation_rate, groups=groups),
    )  # fmt: skip


def depthwise_conv(
    inputs: ArrayLike,
    kernel: ArrayLike,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    data_format: str | None = None,
    dilation_rate: IntPerAxis = 1,
) -> Any:
    """Convolution of each channel by itself in one or two dimensions; the kernel is (window..., C, multiplier).

    The other arguments and the errors are those of `conv`; see `depthwise_conv2d`.

    Example:
        >>> depthwise_conv(np.ones((1, 5, 5, 2)), np.ones((3, 3, 2, 2))).shape
        (1, 3, 3, 4)
    """
    function = _of_rank("depthwise_conv", _DEPTHWISE, inputs)
    return _with_channels_last(
        "depthwise_conv", data_format, inputs,
        lambda x: function(x, kernel, strides=strides, padding=padding, dilation_rate=dilation_rate),
    )  # fmt: skip


def separable_conv(
    inputs: ArrayLike,
    depthwise_kernel: ArrayLike,
    pointwise_kernel: ArrayLike,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    data_format: str | None = None,
    dilation_rate: IntPerAxis = 1,
) -> Any:
    """A depthwise convolution and a mixture of its channels (Chollet 2017), in one or two dimensions.

    Args:
        inputs: as in `conv`.
        depthwise_kernel: (window..., C, multiplier).
        pointwise_kernel: (1..., C * multiplier, K).
        strides: of the depthwise convolution.
        padding: "valid" or "same".
        data_format: "channels_last" (also None) or "channels_first".
        dilation_rate: of the depthwise convolution.

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit.

    Example:
        >>> separable_conv(np.ones((1, 5, 5, 2)), np.ones((3, 3, 2, 2)), np.ones((1, 1, 4, 7))).shape
        (1, 3, 3, 7)
    """

    def compute(x: Any) -> Any:
        y = depthwise_conv(x, depthwise_kernel, strides, padding, None, dilation_rate)
        return conv(y, pointwise_kernel)

    return _with_channels_last("separable_conv", data_format, inputs, compute)


def conv_transpose(
    inputs: ArrayLike,
    kernel: ArrayLike,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    output_padding: IntPerAxis | None = None,
    data_format: str | None = None,
    dilation_rate: IntPerAxis = 1,
) -> Any:
    """Transposed convolution in one, two or three dimensions; the kernel is (window..., K, C).

    `output_padding` lengthens the output; the other arguments and the errors are those of `conv`; see
    `conv2d_transpose`.

    Example:
        >>> conv_transpose(np.ones((1, 5, 5, 2)), np.ones((3, 3, 4, 2)), strides=2, padding="same").shape
        (1, 10, 10, 4)
    """
    function = _of_rank("conv_transpose", _TRANSPOSED, inputs)
    options = {"strides": strides, "padding": padding, "output_padding": output_padding, "dilation_rate": dilation_rate}
    return _with_channels_last("conv_transpose", data_format, inputs, lambda x: function(x, kernel, **options))


def max_pool(
    inputs: ArrayLike,
    pool_size: IntPerAxis,
    strides: IntPerAxis | None = None,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Any:
    """The largest value of each window, in one, two or three dimensions; see `max_pool2d`.

    Args:
        inputs: (N, spatial..., C), or (N, C, spatial...) with "channels_first".
        pool_size: one number, or one per spatial axis.
        strides: one number, or one per spatial axis; `pool_size` if None.
        padding: "valid" or "same".
        data_format: "channels_last" (also None) or "channels_first".

    Raises:
        TypeError: `inputs` is not made of real numbers.
        ValueError: shapes or arguments do not fit.

    Example:
        >>> max_pool(np.arange(4.0).reshape(1, 4, 1), 2).ravel()
        array([1., 3.], dtype=float32)
    """
    function = _of_rank("max_pool", _MAX_POOL, inputs)
    return _with_channels_last("max_pool", data_format, inputs, lambda x: function(x, pool_size, strides, padding))


def average_pool(
    inputs: ArrayLike,
    pool_size: IntPerAxis,
    strides: IntPerAxis | None = None,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Any:
    """The mean of each window, padding not counted; the arguments and errors are those of `max_pool`.

    Example:
        >>> average_pool(np.arange(4.0).reshape(1, 4, 1), 2).ravel()
        array([0.5, 2.5], dtype=float32)
    """
    function = _of_rank("average_pool", _AVERAGE_POOL, inputs)
    return _with_channels_last("average_pool", data_format, inputs, lambda x: function(x, pool_size, strides, padding))


def batch_normalization(
    x: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    axis: int,
    offset: ArrayLike | None = None,
    scale: ArrayLike | None = None,
    epsilon: float = 1e-3,
) -> Any:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, along one axis.

    These are Keras's arguments. What computes the statistics itself, activates or adds a shortcut in the same pass is
    `fused_batch_norm`.

    Args:
        x: real numbers of any shape.
        mean: (C,), one per element of the axis.
        variance: (C,).
        axis: the channels' axis.
        offset: (C,), or None for zeros.
        scale: (C,), or None for ones.
        epsilon: added to the variance; at least 0.

    Raises:
        TypeError: `axis` is not an integer, or an argument is not made of real numbers.
        ValueError: a parameter has other than C values, the axis is out of range, or epsilon is negative.

    Example:
        >>> batch_normalization([[1.0, 3.0]], [0.0, 2.0], [1.0, 1.0], -1, epsilon=0.0)
        array([[1., 1.]], dtype=float32)
    """
    array = to_float32(x, "batch_normalization")
    (a,) = normalize_axes("batch_normalization", axis, array.shape)
    if a == array.ndim - 1:
        return fused_batch_norm(x, scale, offset, mean, variance, epsilon=epsilon)
    y = fused_batch_norm(moveaxis(x, a, -1), scale, offset, mean, variance, epsilon=epsilon)
    return moveaxis(y, -1, a)
