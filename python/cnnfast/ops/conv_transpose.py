"""Transposed convolutions: the gradient of a convolution to its input, as an operation of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops._fusion import Fused, before_activation, fused_activation, optional_float32
from cnnfast.ops.conv import IntPerAxis, Padding


def _conv_transpose(
    op: str,
    rank: int,
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None,
    strides: IntPerAxis,
    padding: Padding,
    output_padding: IntPerAxis | None,
    dilation_rate: IntPerAxis,
    activation: Fused,
) -> Any:
    x_array, w, b = to_float32(x, op, "x"), to_float32(kernel, op, "kernel"), optional_float32(bias, op)
    shape = _core.ConvShape.transposed(
        op, rank, x_array.shape, w.shape, strides, padding, output_padding, dilation_rate
    )
    kind, alpha = fused_activation(op, activation)
    y = _core.conv_backward_data(shape, x_array, w, b, kind, alpha)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dz, db = before_activation(kind, alpha, y, dy, needs[2])
        return (
            _core.conv_forward(shape, dz, w) if needs[0] else None,
            _core.conv_backward_weights(shape, dz, x_array) if needs[1] else None,
            db,
        )

    return record(op, y, (x, kernel, bias), vjp)


def conv1d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    output_padding: IntPerAxis | None = None,
    dilation_rate: IntPerAxis = 1,
    activation: Fused = None,
) -> Any:
    """Transposed convolution of sequences: `conv2d_transpose` for x (N, W, C) and kernel (KW, K, C).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> conv1d_transpose([[[1.0], [2.0]]], [[[1.0]], [[1.0]]], strides=2).ravel()
        array([1., 1., 2., 2.], dtype=float32)
    """
    return _conv_transpose(
        "conv1d_transpose", 1, x, kernel, bias, strides, padding, output_padding, dilation_rate, activation
    )


def conv2d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    output_padding: IntPerAxis | None = None,
    dilation_rate: IntPerAxis = 1,
    activation: Fused = None,
) -> Any:
    """Spread every input value over a window of outputs: the transpose of `conv2d` (Zeiler et al. 2010).

    Args:
        x: float32 (N, H, W, C).
        kernel: float32 (KH, KW, K, C): channels out before channels in, as in Keras.
        bias: float32 (K,) or None.
        strides: the distance between neighbouring windows in the output; one positive integer, or one per axis.
        padding: that of the convolution which this one transposes. "valid": outputs of length
            (size - 1) * stride + max(k, stride). "same": size * stride. Numbers or pairs: k less both sides.
        output_padding: None, or how much longer each output axis is than the least that its input needs.
        dilation_rate: one positive integer, or one per axis.
        activation: as in `conv2d`.

    Returns:
        float32 (N, OH, OW, K).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> import numpy as np
        >>> conv2d_transpose(np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)))[0, :, :, 0]
        array([[1., 2., 1.],
               [2., 4., 2.],
               [1., 2., 1.]], dtype=float32)
    """
    return _conv_transpose(
        "conv2d_transpose", 2, x, kernel, bias, strides, padding, output_padding, dilation_rate, activation
    )


def conv3d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    output_padding: IntPerAxis | None = None,
    dilation_rate: IntPerAxis = 1,
    activation: Fused = None,
) -> Any:
    """Transposed convolution of volumes: `conv2d_transpose` for x (N, D, H, W, C) and kernel (KD, KH, KW, K, C).

    Raises:
        TypeError: an array is not made of real numbers.
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> import numpy as np
        >>> conv3d_transpose(np.ones((1, 1, 1, 1, 2)), np.ones((2, 2, 2, 3, 2))).shape
        (1, 2, 2, 2, 3)
    """
    return _conv_transpose(
        "conv3d_transpose", 3, x, kernel, bias, strides, padding, output_padding, dilation_rate, activation
    )


def conv_transpose_output_shape(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    output_padding: IntPerAxis | None = None,
    dilation_rate: IntPerAxis = 1,
) -> tuple[int, ...]:
    """The shape that `conv1d_transpose` to `conv3d_transpose` give, by the rank of the shapes; nothing is computed.

    Raises:
        ValueError: shapes or arguments do not fit; the message says which.

    Example:
        >>> conv_transpose_output_shape((1, 7, 7, 3), (4, 4, 8, 3), strides=2, padding="same")
        (1, 14, 14, 8)
    """
    return _shape(x_shape, kernel_shape, strides, padding, output_padding, dilation_rate).x_shape


def conv_transpose_multiply_adds(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    *,
    strides: IntPerAxis = 1,
    padding: Padding = "valid",
    output_padding: IntPerAxis | None = None,
    dilation_rate: IntPerAxis = 1,
) -> int:
    """The multiply-adds of a transposed convolution for one image of the batch.

    Example:
        >>> conv_transpose_multiply_adds((1, 7, 7, 3), (4, 4, 8, 3), strides=2, padding="same")
        18816
    """
    return _shape(x_shape, kernel_shape, strides, padding, output_padding, dilation_rate).multiply_adds


def _shape(
    x_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: IntPerAxis,
    padding: Padding,
    output_padding: IntPerAxis | None,
    dilation_rate: IntPerAxis,
) -> _core.ConvShape:
    rank = len(kernel_shape) - 2
    return _core.ConvShape.transposed(
        f"conv{rank}d_transpose", rank, x_shape, kernel_shape, strides, padding, output_padding, dilation_rate
    )
