"""Convolutions over one, two and three axes: one implementation, told apart by `rank`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from cnnfast import initializers, ops
from cnnfast.arguments import positive_int
from cnnfast.layers.arguments import Sizes
from cnnfast.layers.base import Shape
from cnnfast.layers.spatial import fixed_channels
from cnnfast.layers.windowed import Padding, WindowedLayer
from cnnfast.ops._conv_pool import Windows, conv_max_pool
from cnnfast.ops._fusion import Fused
from cnnfast.ops._prepared import Prepared, prepared_convolution
from cnnfast.ops.conv import measured_conv


class _Conv(WindowedLayer):
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
        self._set_data_format(data_format)
        self._set_window(kernel_size, strides, padding, dilation_rate)
        self._set_outputs(activation, use_bias, bias_initializer)
        self.kernel_initializer = initializers.get(kernel_initializer)

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        channels = fixed_channels(type(self).__name__, input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{type(self).__name__} expects a number of input channels that groups={self.groups} divides, "
                f"got {channels}"
            )
        return (*self.kernel_size, channels // self.groups, self.filters)

    def _build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(self._kernel_shape(input_shape), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias") if self.use_bias else None

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
            groups=self.groups,
            activation=activation,
        )

    def measured(self, x: Any, kernel: Any, bias: Any, activation: Fused, padding: Any = None) -> Any:
        """`weighted` for a batch normalization behind it: its moments are found in the same pass."""
        own = self.padding if padding is None else padding
        window = (self.strides, own, self.dilation_rate, self.groups)
        return measured_conv(self.rank, x, kernel, bias, *window, activation)

    def pooled(self, x: Any, kernel: Any, bias: Any, activation: Fused, pooling: Any, padding: Any = None) -> Any:
        """`weighted` and the max pooling layer behind it in one pass; None where a pass each is quicker."""
        return conv_max_pool(x, kernel, bias, self._windows(pooling, padding), activation)

    def usually_pooled(self, input_shape: Shape, pooling: Any) -> bool:
        """Whether one pass is quicker for inputs of this shape, in larger batches."""
        return self._windows(pooling).usually_joined(input_shape, self._kernel_shape(input_shape))

    def _windows(self, pooling: Any, padding: Any = None) -> Windows:
        own = self.padding if padding is None else padding
        convolution = (self.strides, own, self.dilation_rate, self.groups)
        return Windows(*convolution, pooling.pool_size, pooling.strides, pooling.padding)

    def prepared(self, kernel: Any, bias: Any, activation: Fused, padding: Any = None) -> Prepared:
        """`weighted` with these weights, as arrays, for one float32 array after the other."""
        padding = self.padding if padding is None else padding
        return prepared_convolution(
            self.rank, kernel, bias, self.strides, padding, self.dilation_rate, self.groups, activation
        )

    def _output_shape(self, input_shape: Shape) -> Shape:
        kernel_shape = self._kernel_shape(input_shape)
        return self._conv_output_shape(input_shape, kernel_shape, self.groups)

    def _multiply_adds(self, input_shape: Shape) -> int:
        return self._conv_multiply_adds(input_shape, self._kernel_shape(input_shape), self.groups)

    def _algorithms(self, input_shape: Shape) -> dict[str, str]:
        return self._conv_algorithms(input_shape, self._kernel_shape(input_shape), self.groups)


class Conv1D(_Conv):
    """Convolution over one axis, such as time: (N, W, C) to (N, W', filters).

    Args:
        filters: the number of output channels.
        kernel_size: the window's width.
        strides: the step from one window to the next.
        padding: "valid" (none), "same" (as many outputs as inputs at stride 1), "causal" (no output sees a later
            input), an int, or one (before, after) pair per axis.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        dilation_rate: the distance of the window's taps.
        groups: into how many groups the channels are divided, each convolved for itself.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (kernel_size, channels / groups, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

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
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        groups: into how many groups the channels are divided, each convolved for itself.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (height, width, channels / groups, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

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
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        groups: into how many groups the channels are divided, each convolved for itself.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (depth, height, width, channels / groups, filters).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> Conv3D(8, 3).compute_output_shape((None, 6, 6, 6, 1))
        (None, 4, 4, 4, 8)
    """

    rank = 3
    _op = ops.conv3d


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
