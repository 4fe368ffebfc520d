"""Convolutions in one, two and three dimensions, their transposes, depthwise convolutions and dense products.

All of them compute with NHWC arrays (batch, spatial..., channels) and keep Keras's kernel layouts. One set of compiled
loops serves every rank; the functions here differ in names and in the shapes they accept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, is_recorded, record, to_float32
from cnnfast.ops._fusion import Fused, before_activation, fused_activation, optional_float32, record_activated

IntPerAxis = int | Sequence[int]
Padding = str | int | Sequence[tuple[int, int]]
_Moments = tuple[FloatArray, FloatArray]


def _conv(
    op: str,
    rank: int,
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    groups: int,
    activation: Fused,
    flip_kernel: bool,
    algorithm: str,
    measured: bool = False,
) -> Any:
    x_array, w, b = to_float32(x, op, "x"), to_float32(kernel, op, "kernel"), optional_float32(bias, op)
    shape = _core.ConvShape(
        op, rank, x_array.shape, w.shape, strides, padding, dilation_rate, groups, flip_kernel, algorithm
    )
    kind, alpha = fused_activation(op, activation)
    y, moments = _forward(shape, x_array, w, b, kind, alpha, measured and is_recorded(x, kernel, bias))

    def gradients(kind: str, dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return _gradients(shape, kind, alpha, x_array, w, y, dy, needs)

    return _with_moments(record_activated(op, y, (x, kernel, bias), kind, alpha, gradients), moments)


def _forward(
    shape: _core.ConvShape,
    x: FloatArray,
    w: FloatArray,
    b: FloatArray | None,
    kind: str,
    alpha: float,
    measured: bool,
) -> tuple[FloatArray, _Moments | None]:
    if not measured or not shape.x_shape[0]:
        return _core.conv_forward(shape, x, w, b, kind, alpha), None
    y, mean, variance = _core.conv_forward_moments(shape, x, w, b, kind, alpha)
    return y, (mean, variance)


def _with_moments(result: Any, moments: _Moments | None) -> Any:
    if moments is not None:
        result._moments = moments
    return result


def _gradients(
    shape: _core.ConvShape,
    kind: str,
    alpha: float,
    x: FloatArray,
    w: FloatArray,
    y: FloatArray,
    dy: FloatArray,
    needs: Sequence[bool],
) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
    # The bias's gradient comes from the pass over dy that there is anyway: an activation's, else the kernel's.
    together = kind == "linear" and needs[1] and needs[2]
    dz, db = before_activation(kind, alpha, y, dy, needs[2] and not together)
    dx = _core.conv_backward_data(shape, dz, w) if needs[0] else None
    if together:
        return dx, *_core.conv_backward_parameters(shape, x, dz)
    return dx, _core.conv_backward_weights(shape, x, dz) if needs[1] else None, db


def conv1d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    groups: int = 1,
    activation: Fused = None,
    flip_kernel: bool = False,
    algorithm: str = "auto",
) -> Any:
    """Convolve sequences: `conv2d` for x (N, W, C) and kernel (KW, C / groups, K).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> conv1d(np.arange(5.0).reshape(1, 5, 1), np.ones((3, 1, 1))).ravel()
        array([3., 6., 9.], dtype=float32)
    """
    return _conv(
        "conv1d", 1, x, kernel, bias, strides, padding, dilation_rate, groups, activation, flip_kernel, algorithm
    )


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    groups: int = 1,
    activation: Fused = None,
    flip_kernel: bool = False,
    algorithm: str = "auto",
) -> Any:
    """Convolve images, as CNN layers do: cross-correlation, a bias and an activation in one pass.

    `y[n, i, j, k] = activation(bias[k] + sum over u, v, c of x[n, i * sh - top + u * dh, j * sw - left + v * dw, c] *
    kernel[u, v, c, k])`, where x is zero outside its bounds. Along each axis the output has
    `floor((size + before + after - (k - 1) * dilation - 1) / stride) + 1` positions.

    Args:
        x: float32 (N, H, W, C); other real dtypes are converted.
        kernel: float32 (KH, KW, C / groups, K).
        bias: float32 (K,) or None.
        strides: one positive integer, or one per axis.
        padding: "valid" (none), "same" (the output has ceil(size / stride) positions; an odd total is padded after, as
            in Keras), a number for every side, or one (before, after) pair per axis.
        dilation_rate: the distance between taps; one positive integer, or one per axis.
        groups: input and output channels are divided into so many groups that do not see each other.
        activation: None, "linear", "relu", "relu6", "leaky_relu" (slope 0.2; ("leaky_relu", slope) for another),
            "sigmoid" or "tanh", applied while the output is written.
        flip_kernel: True for the convolution of mathematics, which turns the kernel by 180 degrees first.
        algorithm: "auto" chooses by the shape (`conv_algorithms` tells what). For tests and measurements: "direct",
            "im2col", "winograd" (Lavin and Gray 2016; windows of 2, 3 or 5 taps, or of as many for each phase of a
            stride, in any number of groups) or one of its transforms "winograd_f4x3", "winograd_f2x3", "winograd_f4x2",
            "winograd_f2x5"; or the loops for some shapes that `conv_algorithms` tells of: "lines", "images", "grouped"
            (depthwise ones too), "columns", "few_rows". Passes that cannot run through these take the direct ones.

    Returns:
        float32 (N, OH, OW, K); a `Tensor` while a tape follows an input.

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which. The algorithm can run no pass.

    Example:
        Vertical edges, by a kernel that is set by hand:

        >>> picture = np.zeros((1, 4, 6, 1)); picture[:, :, :3] = 10
        >>> edge = np.array([[1, 0, -1]] * 3).reshape(3, 3, 1, 1)
        >>> conv2d(picture, edge)[0, :, :, 0]
        array([[ 0., 30., 30.,  0.],
               [ 0., 30., 30.,  0.]], dtype=float32)
    """
    return _conv(
        "conv2d", 2, x, kernel, bias, strides, padding, dilation_rate, groups, activation, flip_kernel, algorithm
    )


def conv3d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    groups: int = 1,
    activation: Fused = None,
    flip_kernel: bool = False,
    algorithm: str = "auto",
) -> Any:
    """Convolve volumes or video: `conv2d` for x (N, D, H, W, C) and kernel (KD, KH, KW, C / groups, K).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> conv3d(np.ones((1, 3, 3, 3, 2)), np.ones((3, 3, 3, 2, 1))).item()
        54.0
    """
    return _conv(
        "conv3d", 3, x, kernel, bias, strides, padding, dilation_rate, groups, activation, flip_kernel, algorithm
    )


def _depthwise(
    op: str,
    rank: int,
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    activation: Fused,
    measured: bool = False,
) -> Any:
    # A kernel (..., C, M) holds the same numbers in the same order as C groups of one channel: (..., 1, C * M).
    w = to_float32(kernel, op, "kernel")
    channels = to_float32(x, op, "x").shape[-1:]
    if w.ndim != rank + 2 or w.shape[-2:-1] != channels:
        raise ValueError(
            f"{op}: kernel expects shape ({rank} spatial sizes, {channels[0] if channels else 'channels'}, multiplier)"
            f" for x {to_float32(x).shape}, got {w.shape}"
        )
    grouped = w.reshape(*w.shape[:-2], 1, w.shape[-2] * w.shape[-1])
    x_array, b = to_float32(x, op, "x"), optional_float32(bias, op)
    shape = _core.ConvShape(
        op, rank, x_array.shape, grouped.shape, strides, padding, dilation_rate, x_array.shape[-1], False
    )
    kind, alpha = fused_activation(op, activation)
    y, moments = _forward(shape, x_array, grouped, b, kind, alpha, measured and is_recorded(x, kernel, bias))

    def gradients(kind: str, dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx, dw, db = _gradients(shape, kind, alpha, x_array, grouped, y, dy, needs)
        return dx, None if dw is None else dw.reshape(w.shape), db

    return _with_moments(record_activated(op, y, (x, kernel, bias), kind, alpha, gradients), moments)


def depthwise_conv1d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    activation: Fused = None,
) -> Any:
    """Convolve each channel of sequences by itself: `depthwise_conv2d` for x (N, W, C) and kernel (KW, C, M).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> depthwise_conv1d(np.ones((1, 3, 2)), np.array([[[1], [2]], [[1], [2]]])).tolist()
        [[[2.0, 4.0], [2.0, 4.0]]]
    """
    return _depthwise("depthwise_conv1d", 1, x, kernel, bias, strides, padding, dilation_rate, activation)


def depthwise_conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    activation: Fused = None,
) -> Any:
    """Convolve each channel of images by itself, with M kernels for each (Chollet 2017).

    Args:
        x: float32 (N, H, W, C).
        kernel: float32 (KH, KW, C, M); output channel c * M + m is channel c convolved with kernel[:, :, c, m].
        bias: float32 (C * M,) or None.
        strides: one positive integer, or one per axis.
        padding: as in `conv2d`.
        dilation_rate: one positive integer, or one per axis.
        activation: as in `conv2d`.

    Returns:
        float32 (N, OH, OW, C * M).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> depthwise_conv2d(np.ones((1, 2, 2, 3)), np.ones((2, 2, 3, 1))).ravel()
        array([4., 4., 4.], dtype=float32)
    """
    return _depthwise("depthwise_conv2d", 2, x, kernel, bias, strides, padding, dilation_rate, activation)


def measured_conv(
    rank: int,
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    groups: int,
    activation: Fused,
) -> Any:
    """A convolution of any rank, as `conv2d`, whose result is going to be normalized.

    Where a tape records, the tensor brings its channels' moments with it: they were found while it was written.
    """
    return _conv(
        f"conv{rank}d", rank, x, kernel, bias, strides, padding, dilation_rate, groups, activation, False, "auto", True
    )


def measured_depthwise(
    rank: int,
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    activation: Fused,
) -> Any:
    """As `measured_conv`, for each channel by itself."""
    op = f"depthwise_conv{rank}d"
    return _depthwise(op, rank, x, kernel, bias, strides, padding, dilation_rate, activation, True)


def dense(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, *, activation: Fused = None) -> Any:
    """Multiply by a matrix, add a bias and apply an activation in one pass.

    Args:
        x: float32 (..., features).
        kernel: float32 (features, units).
        bias: float32 (units,) or None.
        activation: as in `conv2d`.

    Returns:
        float32 (..., units).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> dense([[1.0, 2.0]], [[1.0], [10.0]], [0.5])
        array([[21.5]], dtype=float32)
    """
    x_array, w, b = to_float32(x, "dense", "x"), to_float32(kernel, "dense", "kernel"), optional_float32(bias, "dense")
    kind, alpha = fused_activation("dense", activation)
    y = _core.dense_forward(x_array, w, b, kind, alpha)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dz, db = before_activation(kind, alpha, y, dy, needs[2])
        return (
            _core.dense_backward_data(dz, w) if needs[0] else None,
            _core.dense_backward_weights(x_array, dz) if needs[1] else None,
            db,
        )

    return record("dense", y, (x, kernel, bias), vjp)


def conv_output_shape(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    groups: int = 1,
) -> tuple[int, ...]:
    """The shape that `conv1d`, `conv2d` or `conv3d` gives, by the rank of the shapes; nothing is computed.

    Example:
        >>> conv_output_shape((1, 7, 7, 3), (3, 3, 3, 8), strides=2)
        (1, 3, 3, 8)
    """
    return _shape("conv", x_shape, kernel_shape, strides, padding, dilation_rate, groups).y_shape


def conv_multiply_adds(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    groups: int = 1,
) -> int:
    """The multiply-adds of a convolution for one image of the batch.

    Example:
        >>> conv_multiply_adds((1, 28, 28, 192), (5, 5, 192, 32), padding="same")
        120422400
    """
    return _shape("conv", x_shape, kernel_shape, strides, padding, dilation_rate, groups).multiply_adds


def conv_algorithms(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: IntPerAxis = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> dict[str, str]:
    """The loops that each pass of a convolution runs through on this machine.

    The arguments are those of `conv2d`, for one to three axes.

    Returns:
        Names for "forward", "backward_data" and "backward_weights": "direct", "few rows" (a product of at most 8 rows
        with a matrix), "depthwise", "grouped" (groups side by side in a vector), "lines", "images" and "columns" (to
        few channels: along rows of pixels, across images, and a gradient from many channels), or Winograd's with the
        transform; "... in 4 phases" where a stride divides a gradient.

    Example:
        >>> conv_algorithms((8, 56, 56, 64), (3, 3, 64, 64), padding="same")["forward"]
        'winograd F(4x4, 3x3)'
    """
    rank = len(kernel_shape) - 2
    shape = (strides, padding, dilation_rate, groups, False, algorithm)
    return _core.ConvShape(f"conv{rank}d", rank, x_shape, kernel_shape, *shape).algorithms


def _shape(
    op: str,
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    groups: int,
) -> _core.ConvShape:
    rank = len(kernel_shape) - 2
    return _core.ConvShape(f"{op}{rank}d", rank, x_shape, kernel_shape, strides, padding, dilation_rate, groups, False)
