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

__all__ = [
    "activation",
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
