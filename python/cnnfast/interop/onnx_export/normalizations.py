"""Normalization: of batches, examples, groups of channels, and of neighbouring channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast.interop.onnx_export.activations import activation_operation
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.elementwise import binary, fitted, scaled, square
from cnnfast.interop.onnx_export.reductions import reduced, variance
from cnnfast.interop.onnx_export.values import Value, normal_axes


def batch_normalized(
    b: Builder, x: Value, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float, axis: int = -1
) -> Value:
    """Batch normalization with kept averages."""
    x = b.channels_second(b.floats(x), axis)
    channels = int(np.size(mean))
    parameters = [
        b.weight(gamma, "gamma") if gamma is not None else b.constant(np.ones(channels, np.float32), "gamma"),
        b.weight(beta, "beta") if beta is not None else b.constant(np.zeros(channels, np.float32), "beta"),
        b.weight(mean, "moving_mean"),
        b.weight(variance, "moving_variance"),
    ]
    return b.like("BatchNormalization", x, *parameters, epsilon=float(epsilon))


def layer_normalized(b: Builder, x: Value, gamma: Any, beta: Any, axis: Any = -1, epsilon: float = 1e-3) -> Value:
    """Normalization over some axes, which are moved to the end: one node from version 17 on, its parts before."""
    axes = normal_axes(axis, x.rank)
    x = b.ordered(b.floats(x), (*(a for a in range(x.rank) if a not in axes), *axes))
    sizes = [x.shape[a] for a in axes]
    if None in sizes:
        raise ValueError(f"axis={axis} expects fixed sizes, got shape {x.shape}")
    shape = tuple(n or 0 for n in sizes)
    scale = b.constant(np.ones(shape, np.float32), "gamma") if gamma is None else _shaped(b, gamma, "gamma", shape)
    shift = None if beta is None else _shaped(b, beta, "beta", shape)
    if b.opset >= 17:
        return b.like("LayerNormalization", x, scale, shift, axis=-len(axes), epsilon=float(epsilon))
    centred = b.like("Sub", x, reduced(b, "ReduceMean", x, axes, True))
    spread = b.like("Sqrt", scaled(b, variance(b, x, axes, True), offset=float(epsilon)))
    y = b.like("Mul", b.like("Div", centred, spread), scale)
    return y if shift is None else b.like("Add", y, shift)


def _shaped(b: Builder, weight: Any, name: str, shape: tuple[int, ...]) -> str:
    return b.weight(weight, name, lambda array: array.reshape(shape), shape)


def _fitted(b: Builder, weight: Any, name: str, x: Value, axes: Sequence[int]) -> str:
    """A weight over some of the model's axes as it broadcasts with a value."""
    shape = tuple(x.shape[a] if a in axes else 1 for a in range(x.rank))
    return b.weight(weight, name, lambda array: fitted(array.reshape(shape), x.rank, x.order), (shape, x.order))


def rms_normalized(b: Builder, x: Value, scale: Any, axis: Any = -1, epsilon: float = 1e-6) -> Value:
    """Values divided by the root of their mean square."""
    x = b.plain(b.floats(x))
    axes = normal_axes(axis, x.rank)
    squares = scaled(b, reduced(b, "ReduceMean", square(b, x), axes, True), offset=float(epsilon))
    y = b.like("Div", x, b.like("Sqrt", squares))
    return y if scale is None else b.like("Mul", y, _fitted(b, scale, "scale", x, axes))


def group_normalized(
    b: Builder, x: Value, gamma: Any, beta: Any, groups: int, epsilon: float = 1e-3, axis: int = -1
) -> Value:
    """Normalization of groups of channels: as instances of so many channels, whose pixels are all that is in one."""
    (channel,) = normal_axes(axis, x.rank)
    x = b.channels_second(b.floats(x), channel)
    count = groups if groups != -1 else int(x.shape[channel] or 0)
    instances = b.made("Reshape", [x, b.integers([0, count, -1])], (x.shape[0], count, None))
    ones, zeros = b.constant(np.ones(count, np.float32)), b.constant(np.zeros(count, np.float32))
    y = b.like("InstanceNormalization", instances, ones, zeros, epsilon=float(epsilon))
    y = restored(b, y, x)
    if gamma is not None:
        y = b.like("Mul", y, _fitted(b, gamma, "gamma", y, (channel,)))
    return y if beta is None else b.like("Add", y, _fitted(b, beta, "beta", y, (channel,)))


def restored(b: Builder, y: Value, x: Value) -> Value:
    """Values that were reshaped, in the shape that they had before."""
    if None not in x.stored[1:]:
        return b.reshaped(y, [0, *x.stored[1:]], x.shape, x.order)
    (shape,) = b.node("Shape", [x])
    return b.made("Reshape", [y, shape], x.shape, x.order)


def local_response(
    b: Builder, x: Value, depth_radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Value:
    """Division by a power of the neighbouring channels' squares; runtimes know it for images, so others become some."""
    if not (alpha > 0 and beta > 0):
        raise ValueError(f"alpha={alpha} and beta={beta} cannot be written as ONNX: they must be positive there")
    x = b.channels_second(b.floats(x))
    size = 2 * int(depth_radius) + 1
    images = x
    if x.rank != 4:
        channels = int(x.shape[-1] or 0)
        images = b.made("Reshape", [x, b.integers([-1, channels, 1, 1] if x.rank < 3 else [0, channels, -1, 1])],
                        (x.shape[0], channels, None, 1))  # fmt: skip
    y = b.like("LRN", images, size=size, alpha=float(alpha) * size, beta=float(beta), bias=float(bias))
    return y if images is x else restored(b, y, x)


def whitened(b: Builder, layer: Any, x: Value) -> Value:
    """Examples without their mean, times a matrix."""
    row = b.plain(b.flattened(b.ordered(b.floats(x))))
    y = b.made(
        "MatMul", [b.like("Sub", row, b.weight(layer.mean, "mean")), b.weight(layer.matrix, "matrix")],
        (x.shape[0], layer.matrix.shape[1]),
    )  # fmt: skip
    if layer.method == "pca":
        return y
    return b.reshaped(y, [0, *(n or 0 for n in x.shape[1:])], x.shape)


def normalized_by_data(b: Builder, layer: Any, x: Value) -> Value:
    """The layer that was adapted to data, or given a mean and a variance."""
    mean, spread = layer.mean, np.maximum(np.sqrt(layer.variance), np.float32(1e-7))
    if layer.invert:
        return binary(b, "Add", binary(b, "Mul", x, spread), mean)
    return binary(b, "Div", binary(b, "Sub", x, mean), spread)


def _batch_op(
    b: Builder, x: Value, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None,
    epsilon: float = 1e-3,
) -> Value:  # fmt: skip
    return batch_normalized(b, x, scale, offset, mean, variance, epsilon, axis)


def _fused_op(
    b: Builder, x: Value, gamma: Any, beta: Any, mean: Any, variance: Any, *, epsilon: float = 1e-3,
    training: bool = False, activation: str | None = None, residual: Any = None,
) -> Any:  # fmt: skip
    if training:
        raise ValueError("fused_batch_norm in training cannot be written as ONNX: a file is for inference")
    y = batch_normalized(b, x, gamma, beta, mean, variance, epsilon)
    return activation_operation(b, y if residual is None else binary(b, "Add", y, residual), activation)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "batch_normalization": _batch_op,
    "fused_batch_norm": _fused_op,
    "layer_normalization": lambda b, x, gamma=None, beta=None, axis=-1, epsilon=1e-3: layer_normalized(
        b, x, gamma, beta, axis, epsilon
    ),
    "rms_normalization": rms_normalized,
    "group_normalization": group_normalized,
    "local_response_normalization": local_response,
}


def _rescaled(b: Builder, layer: Any, x: Value) -> Value:
    y = binary(b, "Mul", x, layer.scale)
    return binary(b, "Add", y, layer.offset) if layer.offset.any() else y


LAYERS: dict[str, Callable[..., Any]] = {
    "BatchNormalization": lambda b, layer, x: batch_normalized(
        b, x, layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance, layer.epsilon, layer.axis
    ),
    "LayerNormalization": lambda b, layer, x: layer_normalized(
        b, x, layer.gamma, layer.beta, layer.axis, layer.epsilon
    ),
    "RMSNormalization": lambda b, layer, x: rms_normalized(b, x, layer.scale, layer.axis, layer.epsilon),
    "GroupNormalization": lambda b, layer, x: group_normalized(
        b, x, layer.gamma, layer.beta, layer.groups, layer.epsilon, layer.axis
    ),
    "LocalResponseNormalization": lambda b, layer, x: local_response(
        b, x, layer.depth_radius, layer.bias, layer.alpha, layer.beta
    ),
    "Whitening": whitened,
    "Rescaling": _rescaled,
    "Normalization": normalized_by_data,
}
