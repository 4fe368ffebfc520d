"""Convolutions over one, two and three axes: one implementation, told apart by `rank`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from cnnfast import activations, initializers, ops
from cnnfast.arguments import positive_int
from cnnfast.layers.arguments import Sizes, channels_last, checked_rank, per_axis, with_open_sizes
from cnnfast.layers.base import Layer, Shape, fixed_size

Padding = str | int | Sequence[Sequence[int]]

_AXES = {1: "N, W, C", 2: "N, H, W, C", 3: "N, D, H, W, C"}


class _Windowed(Layer):
    """What the convolutions share: the window's arguments, the bias, the activation."""

    rank: ClassVar[int]

    def _set_window(self, kernel_size: Sizes, strides: Sizes, padding: Padding, dilation_rate: Sizes) -> None:
        owner = type(self).__name__
        self.kernel_size = per_axis(owner, "kernel_size", kernel_size, self.rank)
        self.strides = per_axis(owner, "strides", strides, self.rank)
        self.dilation_rate = per_axis(owner, "dilation_rate", dilation_rate, self.rank)
        self.padding = self._checked_padding(owner, padding)

    def _checked_padding(self, owner: str, padding: Padding) -> Any:
        if isinstance(padding, str):
            if padding == "causal" and self.rank == 1:
                # Each output sees no later input: all of the padding comes before.
                return (((self.kernel_size[0] - 1) * self.dilation_rate[0], 0),)
            if padding.lower() not in ("valid", "same"):
                known = "valid, same, causal" if self.rank == 1 else "valid, same"
                raise ValueError(f"{owner}: padding expects {known}, an int or a pair per axis, got {padding!r}")
            return padding.lower()
        if isinstance(padding, (list, tuple)):
            return tuple(tuple(pair) if isinstance(pair, (list, tuple)) else pair for pair in padding)
        return padding

    def _set_outputs(self, activation: Any, use_bias: bool, bias_initializer: Any) -> None:
        self.activation = activations.get(activation)
        self._fused, self._after = activations.split_fused(self.activation)
        self.use_bias = bool(use_bias)
        self.bias_initializer = initializers.get(bias_initializer)

    def _channels(self, input_shape: Shape) -> int:
        checked_rank(type(self).__name__, input_shape, self.rank + 2, _AXES[self.rank])
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(f"{type(self).__name__} expects a fixed number of channels, got {input_shape}")
        return channels

    def _output_shape(self, input_shape: Shape, kernel_shape: tuple[int, ...], groups: int) -> Shape:
        return with_open_sizes(
            lambda shape: ops.conv_output_shape(
                shape,
                kernel_shape,
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
                groups=groups,
            ),
            input_shape,
            enough=max((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)),
        )

    def _multiply_adds(self, input_shape: Shape, kernel_shape: tuple[int, ...], groups: int) -> int:
        fixed_size(self.name, input_shape, range(1, len(input_shape)))
        return ops.conv_multiply_adds(
            (1, *(n for n in input_shape[1:] if n is not None)),
            kernel_shape,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=groups,
        )


class _Conv(_Windowed):
    """A convolution as networks mean it (cross-correlation), of any rank."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.filters = positive_int(owner, "filters", filters)
        self.groups = positive_int(owner, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"{owner}: filters expects a multiple of groups={groups}, got {filters}")
        self.data_format = channels_last(owner, data_format)
        self._set_window(kernel_size, strides, padding, dilation_rate)
        self._set_outputs(activation, use_bias, bias_initializer)
        self.kernel_initializer = initializers.get(kernel_initializer)

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__} expects a number of input channels that groups={self.groups} divides, "
                f"got {channels}"
            )
        return (*self.kernel_size, channels // self.groups, self.filters)

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(self._kernel_shape(input_shape), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias") if self.use_bias else None

    def call(self, x: Any, training: bool = False) -> Any:
        y = type(self)._op(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
            activation=self._fused,
        )
        return y if self._after is None else self._after(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        kernel_shape = self._kernel_shape(input_shape)
        return self._output_shape(input_shape, kernel_shape, self.groups)

    def multiply_adds(self, input_shape: Shape) -> int:
        return self._multiply_adds(input_shape, self._kernel_shape(input_shape), self.groups)


class Conv1D(_Conv):
    """Convolution over one axis, such as time: (N, W, C) to (N, W', filters).

    Args:
        filters: the number of output channels.
        kernel_size: the window's width.
        strides: the step from one window to the next.
        padding: "valid" (none), "same" (as many outputs as inputs at stride 1), "causal" (no output sees a later
            input), an int, or one (before, after) pair per axis.
        data_format: only "channels_last" is supported.
        dilation_rate: the distance of the window's taps.
        groups: into how many groups the channels are divided, each convolved for itself.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (kernel_size, channels / groups, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: `name` and `trainable`.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> Conv1D(4, 3, strides=2, padding="same").compute_output_shape((None, 10, 1))
        (None, 5, 4)
    """

    rank = 1
    _op = ops.conv1d


class Conv2D(_Conv):
    """Convolution over two axes, for images: (N, H, W, C) to (N, H', W', filters).

    Args:
        filters: the number of output channels.
        kernel_size: the window's height and width, or one int for both.
        strides: the step from one window to the next, one int or one per axis.
        padding: "valid" (none), "same" (as many outputs as inputs at stride 1), an int, or one (before, after) pair
            per axis.
        data_format: only "channels_last" is supported.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        groups: into how many groups the channels are divided, each convolved for itself.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (height, width, channels / groups, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: `name` and `trainable`.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> Conv2D(16, 5, padding="same").compute_output_shape((None, 28, 28, 3))
        (None, 28, 28, 16)
    """

    rank = 2
    _op = ops.conv2d


class Conv3D(_Conv):
    """Convolution over three axes, for volumes and video: (N, D, H, W, C) to (N, D', H', W', filters).

    Args:
        filters: the number of output channels.
        kernel_size: the window's depth, height and width, or one int for all.
        strides: the step from one window to the next, one int or one per axis.
        padding: "valid" (none), "same" (as many outputs as inputs at stride 1), an int, or one (before, after) pair
            per axis.
        data_format: only "channels_last" is supported.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        groups: into how many groups the channels are divided, each convolved for itself.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (depth, height, width, channels / groups, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: `name` and `trainable`.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> Conv3D(8, 3).compute_output_shape((None, 6, 6, 6, 1))
        (None, 4, 4, 4, 8)
    """

    rank = 3
    _op = ops.conv3d


class _DepthwiseConv(_Windowed):
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
        self.data_format = channels_last(owner, data_format)
        self._set_window(kernel_size, strides, padding, dilation_rate)
        self._set_outputs(activation, use_bias, bias_initializer)
        self.depthwise_initializer = initializers.get(depthwise_initializer)

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_weight(shape, self.depthwise_initializer, name="kernel")
        bias_shape = (channels * self.depth_multiplier,)
        self.bias = self.add_weight(bias_shape, self.bias_initializer, name="bias") if self.use_bias else None

    def call(self, x: Any, training: bool = False) -> Any:
        y = type(self)._op(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            activation=self._fused,
        )
        return y if self._after is None else self._after(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = self._channels(input_shape)
        return self._output_shape(input_shape, self._grouped_shape(channels), channels)

    def multiply_adds(self, input_shape: Shape) -> int:
        channels = self._channels(input_shape)
        return self._multiply_adds(input_shape, self._grouped_shape(channels), channels)

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
        data_format: only "channels_last" is supported.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        depthwise_initializer: initial kernel, of shape (height, width, channels, depth_multiplier).
        bias_initializer: initial bias, of shape (channels * depth_multiplier,).
        **kwargs: `name` and `trainable`.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> DepthwiseConv2D(3, padding="same").compute_output_shape((None, 8, 8, 16))
        (None, 8, 8, 16)
    """

    rank = 2
    _op = ops.depthwise_conv2d
