"""Convolutions of every channel for itself, alone or with a mixing of the channels behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from cnnfast import initializers, ops
from cnnfast.arguments import positive_int
from cnnfast.layers.arguments import Sizes
from cnnfast.layers.base import Shape
from cnnfast.layers.inputs import fixed_size
from cnnfast.layers.spatial import fixed_channels
from cnnfast.layers.windowed import Padding, WindowedLayer
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import Prepared, prepared_depthwise
from cnnfast.ops.conv import measured_depthwise


class _DepthwiseConv(WindowedLayer):
    """A convolution of every channel for itself, of any rank."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.depth_multiplier = positive_int(owner, "depth_multiplier", depth_multiplier)
        self._set_data_format(data_format)
        self._set_window(kernel_size, strides, padding, dilation_rate)
        self._set_outputs(activation, use_bias, bias_initializer)
        self.depthwise_initializer = initializers.get(depthwise_initializer)

    def _build(self, input_shape: Shape) -> None:
        channels = fixed_channels(type(self).__name__, input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        penalties = self.penalties_of("depthwise")
        self.kernel = self.add_weight(shape, self.depthwise_initializer, name="kernel", **penalties)
        bias_shape = (channels * self.depth_multiplier,)
        self.bias = self.add_weight(bias_shape, self.bias_initializer, name="bias") if self.use_bias else None

    def weighted(self, x: Any, kernel: Any, bias: Any, activation: Fused, padding: Any = None) -> Any:
        """The convolution of x, channels last, with any weights and an activation that the engine applies.

        `padding` takes the place of the layer's own where it is not None.
        """
        return type(self)._op(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding if padding is None else padding,
            dilation_rate=self.dilation_rate,
            activation=activation,
        )

    def measured(self, x: Any, kernel: Any, bias: Any, activation: Fused, padding: Any = None) -> Any:
        """`weighted` for a batch normalization behind it: its moments are found in the same pass."""
        window = (self.strides, self.padding if padding is None else padding, self.dilation_rate)
        return measured_depthwise(self.rank, x, kernel, bias, *window, activation)

    def prepared(self, kernel: Any, bias: Any, activation: Fused, padding: Any = None) -> Prepared:
        """`weighted` with these weights, as arrays, for one float32 array after the other."""
        padding = self.padding if padding is None else padding
        return prepared_depthwise(self.rank, kernel, bias, self.strides, padding, self.dilation_rate, activation)

    def _output_shape(self, input_shape: Shape) -> Shape:
        channels = fixed_channels(type(self).__name__, input_shape)
        return self._conv_output_shape(input_shape, self._grouped_shape(channels), channels)

    def _multiply_adds(self, input_shape: Shape) -> int:
        channels = fixed_channels(type(self).__name__, input_shape)
        return self._conv_multiply_adds(input_shape, self._grouped_shape(channels), channels)

    def _algorithms(self, input_shape: Shape) -> dict[str, str]:
        channels = fixed_channels(type(self).__name__, input_shape)
        return self._conv_algorithms(input_shape, self._grouped_shape(channels), channels)

    def _grouped_shape(self, channels: int) -> tuple[int, ...]:
        """The kernel as a convolution in as many groups as there are channels sees it."""
        return (*self.kernel_size, 1, channels * self.depth_multiplier)


class DepthwiseConv1D(_DepthwiseConv):
    """Convolution over one axis, every channel for itself: (N, W, C) to (N, W', C * depth_multiplier).

    The arguments are those of `DepthwiseConv2D`.

    Example:
        >>> DepthwiseConv1D(3, depth_multiplier=2).compute_output_shape((None, 10, 4))
        (None, 8, 8)
    """

    rank = 1
    _op = ops.depthwise_conv1d


class DepthwiseConv2D(_DepthwiseConv):
    """Convolution over two axes, every channel for itself: (N, H, W, C) to (N, H', W', C * depth_multiplier).

    Args:
        kernel_size: the window's height and width, or one int for both.
        strides: the step from one window to the next, one int or one per axis.
        padding: "valid", "same", an int, or one (before, after) pair per axis.
        depth_multiplier: the number of output channels per input channel.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: initial kernel, of shape (height, width, channels, depth_multiplier).
        bias_initializer: initial bias, of shape (channels * depth_multiplier,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> DepthwiseConv2D(3, padding="same").compute_output_shape((None, 8, 8, 16))
        (None, 8, 8, 16)
    """

    rank = 2
    _op = ops.depthwise_conv2d


class _SeparableConv(WindowedLayer):
    """A depthwise convolution and then one of windows of one pixel, of any rank."""

    _depthwise_op: ClassVar[Callable[..., Any]]
    _pointwise_op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: initializers.InitializerLike = "glorot_uniform",
        pointwise_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.filters = positive_int(owner, "filters", filters)
        self.depth_multiplier = positive_int(owner, "depth_multiplier", depth_multiplier)
        self._set_data_format(data_format)
        self._set_window(kernel_size, strides, padding, dilation_rate)
        self._set_outputs(activation, use_bias, bias_initializer)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    def _build(self, input_shape: Shape) -> None:
        channels = fixed_channels(type(self).__name__, input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            name="depthwise_kernel",
            **self.penalties_of("depthwise"),
        )
        self.pointwise_kernel = self.add_weight(
            ((1,) * self.rank + self._pointwise_shape(channels)),
            self.pointwise_initializer,
            name="pointwise_kernel",
            **self.penalties_of("pointwise"),
        )
        self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias") if self.use_bias else None

    def _pointwise_shape(self, channels: int) -> tuple[int, int]:
        return channels * self.depth_multiplier, self.filters

    def _compute(self, x: Any) -> Any:
        y = type(self)._depthwise_op(
            x, self.depthwise_kernel, strides=self.strides, padding=self.padding, dilation_rate=self.dilation_rate
        )
        return type(self)._pointwise_op(y, self.pointwise_kernel, self.bias, activation=self._fused)

    def _depthwise_shape(self, channels: int) -> tuple[int, ...]:
        """The first kernel as a convolution in as many groups as there are channels sees it."""
        return (*self.kernel_size, 1, channels * self.depth_multiplier)

    def _output_shape(self, input_shape: Shape) -> Shape:
        channels = fixed_channels(type(self).__name__, input_shape)
        between = self._conv_output_shape(input_shape, self._depthwise_shape(channels), channels)
        return (*between[:-1], self.filters)

    def _multiply_adds(self, input_shape: Shape) -> int:
        channels = fixed_channels(type(self).__name__, input_shape)
        depthwise = self._conv_multiply_adds(input_shape, self._depthwise_shape(channels), channels)
        pixels = fixed_size(self.name, self._output_shape(input_shape), range(1, self.rank + 1))
        return depthwise + pixels * math.prod(self._pointwise_shape(channels))


class SeparableConv1D(_SeparableConv):
    """A convolution over one axis in two steps: (N, W, C) to (N, W', filters).

    The arguments are those of `SeparableConv2D`.

    Example:
        >>> SeparableConv1D(6, 3).compute_output_shape((None, 10, 4))
        (None, 8, 6)
    """

    rank = 1
    _depthwise_op = ops.depthwise_conv1d
    _pointwise_op = ops.conv1d


class SeparableConv2D(_SeparableConv):
    """A convolution over two axes in two steps: (N, H, W, C) to (N, H', W', filters).

    Every channel is convolved for itself, then each pixel's channels are mixed: far fewer products than a convolution
    of the same window (F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017).

    Args:
        filters: the number of output channels.
        kernel_size: the window's height and width, or one int for both.
        strides: the step from one window to the next, one int or one per axis.
        padding: "valid", "same", an int, or one (before, after) pair per axis.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        depth_multiplier: the number of channels between the steps per input channel.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: initial first kernel, of shape (height, width, channels, depth_multiplier).
        pointwise_initializer: initial second kernel, of shape (1, 1, channels * depth_multiplier, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> layer = SeparableConv2D(64, 3, padding="same")
        >>> layer.compute_output_shape((None, 8, 8, 16)), layer.multiply_adds((None, 8, 8, 16))
        ((None, 8, 8, 64), 74752)
    """

    rank = 2
    _depthwise_op = ops.depthwise_conv2d
    _pointwise_op = ops.conv2d


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
