"""Transposed convolutions over one, two and three axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from cnnfast import initializers, ops
from cnnfast.arguments import integer, positive_int
from cnnfast.layers.arguments import Sizes, with_open_sizes
from cnnfast.layers.base import Shape
from cnnfast.layers.inputs import fixed_size
from cnnfast.layers.spatial import fixed_channels
from cnnfast.layers.windowed import Padding, WindowedLayer


class _ConvTranspose(WindowedLayer):
    """A transposed convolution, of any rank."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.filters = positive_int(owner, "filters", filters)
        self._set_data_format(data_format)
        self._set_window(kernel_size, strides, padding, dilation_rate)
        self.output_padding = self._checked_output_padding(owner, output_padding)
        self._set_outputs(activation, use_bias, bias_initializer)
        self.kernel_initializer = initializers.get(kernel_initializer)

    def _checked_padding(self, owner: str, padding: Padding) -> Any:
        if padding == "causal":
            raise ValueError(f"{owner}: padding expects valid, same, an int or a pair per axis, got 'causal'")
        return super()._checked_padding(owner, padding)

    def _checked_output_padding(self, owner: str, given: Sizes | None) -> tuple[int, ...] | None:
        if given is None:
            return None
        values = tuple(given) if isinstance(given, (list, tuple)) else (given,) * self.rank
        numbers = tuple(integer(owner, "output_padding", n) for n in values)
        if len(numbers) != self.rank or any(not 0 <= n < s for n, s in zip(numbers, self.strides, strict=True)):
            raise ValueError(
                f"{owner}: output_padding expects one number per axis from 0 up to below strides={self.strides}, "
                f"got {given}"
            )
        return numbers

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        return (*self.kernel_size, self.filters, fixed_channels(type(self).__name__, input_shape))

    def _build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(self._kernel_shape(input_shape), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias") if self.use_bias else None

    def _window(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "dilation_rate": self.dilation_rate,
        }

    def _compute(self, x: Any) -> Any:
        return type(self)._op(x, self.kernel, self.bias, activation=self._fused, **self._window())

    def _output_shape(self, input_shape: Shape) -> Shape:
        kernel_shape = self._kernel_shape(input_shape)
        return with_open_sizes(
            lambda shape: ops.conv_transpose_output_shape(shape, kernel_shape, **self._window()),
            input_shape,
            enough=max((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)),
        )

    def _multiply_adds(self, input_shape: Shape) -> int:
        fixed_size(self.name, input_shape, range(1, len(input_shape)))
        shape = (1, *(n for n in input_shape[1:] if n is not None))
        return ops.conv_transpose_multiply_adds(shape, self._kernel_shape(input_shape), **self._window())


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution over one axis: (N, W, C) to (N, W', filters).

    The arguments are those of `Conv2DTranspose`.

    Example:
        >>> Conv1DTranspose(4, 3, strides=2, padding="same").compute_output_shape((None, 10, 1))
        (None, 20, 4)
    """

    rank = 1
    _op = ops.conv1d_transpose


class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution over two axes, which enlarges images: (N, H, W, C) to (N, H', W', filters).

    Each input value is spread over a window of outputs, as the gradient of a convolution is (M. Zeiler et al.,
    "Deconvolutional Networks", 2010).

    Args:
        filters: the number of output channels.
        kernel_size: the window's height and width, or one int for both.
        strides: the distance of neighbouring inputs' windows in the output, one int or one per axis.
        padding: "valid" (the whole of every window), "same" (outputs of the input's size times strides), an int, or one
            (before, after) pair per axis, which is cut off.
        output_padding: how much longer than the least the output is, one int or one per axis, below `strides`; chosen
            by default so that "same" and "valid" hold.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        dilation_rate: the distance of the window's taps, one int or one per axis.
        activation: applied to the output: a name or function of `cnnfast.activations`, or None.
        use_bias: whether a bias is added.
        kernel_initializer: initial kernel, of shape (height, width, filters, channels).
        bias_initializer: initial bias, of shape (filters,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> Conv2DTranspose(16, 4, strides=2, padding="same").compute_output_shape((None, 7, 7, 32))
        (None, 14, 14, 16)
    """

    rank = 2
    _op = ops.conv2d_transpose


class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution over three axes: (N, D, H, W, C) to (N, D', H', W', filters).

    The arguments are those of `Conv2DTranspose`, but `data_format` comes before `output_padding`, as in Keras.

    Example:
        >>> Conv3DTranspose(2, 3).compute_output_shape((None, 4, 4, 4, 1))
        (None, 6, 6, 6, 2)
    """

    rank = 3
    _op = ops.conv3d_transpose

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: str | None = None,
        output_padding: Sizes | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            **kwargs,
        )


Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
