"""Differentiable operations: NumPy in and out, tensors while a tape records."""

from cnnfast.ops.activations import (
    activation,
    elu,
    gelu,
    leaky_relu,
    linear,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from cnnfast.ops.conv import (
    conv1d,
    conv2d,
    conv3d,
    conv_multiply_adds,
    conv_output_shape,
    dense,
    depthwise_conv1d,
    depthwise_conv2d,
)
from cnnfast.ops.conv_transpose import (
    conv1d_transpose,
    conv2d_transpose,
    conv3d_transpose,
)

__all__ = [
    "activation",
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "conv3d_transpose",
    "conv_multiply_adds",
    "conv_output_shape",
    "dense",
    "depthwise_conv1d",
    "depthwise_conv2d",
    "elu",
    "gelu",
    "leaky_relu",
    "linear",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]
