"""Convolutions and dense products with weights that stay what they are, for inference.

The engine keeps such weights in the form in which its loops read them, so that a call need not pack or transform them
anew. What these functions return is called with one float32 array (`is_float32`) and gives one; nothing is recorded.
"""

from __future__ import annotations

from cnnfast import _core
from cnnfast.autograd import FloatArray
from cnnfast.ops._fusion import Fused, fused_activation
from cnnfast.ops.conv import IntPerAxis, Padding

Prepared = _core.PreparedLayer

# What the engine applies while it writes besides `FUSED_ACTIVATIONS`. Their gradients need what they were given, which
# nobody keeps here.
INFERENCE_ACTIVATIONS = frozenset({"hard_sigmoid", "hard_silu", "selu", "silu", "softplus"})


def _engine_activation(op: str, activation: Fused) -> tuple[str, float]:
    if isinstance(activation, str) and activation in INFERENCE_ACTIVATIONS:
        return activation, 0.0
    return fused_activation(op, activation)


def sum_of_two(a: FloatArray, b: FloatArray) -> FloatArray:
    """`a + b` of one shape; nothing is recorded."""
    return _core.add(a, b)


def _convolution(
    op: str,
    rank: int,
    weights: tuple[FloatArray, FloatArray | None],
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    groups: int,
    activation: Fused,
    flip_kernel: bool = False,
    algorithm: str = "auto",
) -> Prepared:
    applied = _engine_activation(op, activation)
    return _core.PreparedConvolution(
        op, rank, *weights, strides, padding, dilation_rate, groups, *applied, flip_kernel, algorithm
    )


def prepared_convolution(
    rank: int,
    kernel: FloatArray,
    bias: FloatArray | None,
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    groups: int,
    activation: Fused,
    algorithm: str = "auto",
    flip_kernel: bool = False,
) -> Prepared:
    """`conv1d`, `conv2d` or `conv3d` by the rank, with these weights and arguments.

    Raises:
        ValueError: arguments do not fit; what does not fit an input is found when it comes.
    """
    weights = (kernel, bias)
    return _convolution(
        f"conv{rank}d", rank, weights, strides, padding, dilation_rate, groups, activation, flip_kernel, algorithm
    )


def prepared_depthwise(
    rank: int,
    kernel: FloatArray,
    bias: FloatArray | None,
    strides: IntPerAxis,
    padding: Padding,
    dilation_rate: IntPerAxis,
    activation: Fused,
) -> Prepared:
    """`depthwise_conv1d` or `depthwise_conv2d`, likewise."""
    channels, multiplier = kernel.shape[-2:]
    weights = (kernel.reshape(*kernel.shape[:-2], 1, channels * multiplier), bias)
    return _convolution(f"depthwise_conv{rank}d", rank, weights, strides, padding, dilation_rate, channels, activation)


def prepared_dense(kernel: FloatArray, bias: FloatArray | None, activation: Fused) -> Prepared:
    """`dense`, likewise."""
    name, alpha = _engine_activation("dense", activation)
    return _core.PreparedDense(kernel, bias, name, alpha)
