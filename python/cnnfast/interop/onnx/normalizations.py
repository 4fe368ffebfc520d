"""Normalizations, and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last, rows_as_they_lie
from cnnfast.interop.onnx.calls import Call, operator


def _vectors(call: Call, value: Arranged, places: tuple[int, ...]) -> list[Any]:
    """Weights with one number for each channel.

    Raises:
        ValueError: one has another shape.
    """
    channels = value.shape[1] if value.ndim > 1 else None
    if channels is None:
        raise call.unsupported(f"a fixed number of channels is needed, x has shape {value.shape}")
    found = [call.weight(place) for place in places]
    for place, vector in zip(places, found, strict=True):
        if vector.shape != (channels,):
            raise ValueError(f"{call}: input {place} expects shape {(channels,)}, got {vector.shape}")
    return [rows_as_they_lie(value, vector) for vector in found]


@operator("BatchNormalization")
def _batch(call: Call) -> Any:
    value = call.tensor(0)
    if call.attribute("spatial", 1) != 1:
        raise call.unsupported("spatial=0 is not supported")
    scale, shift, mean, variance = _vectors(call, value, (1, 2, 3, 4))
    epsilon, momentum = float(call.attribute("epsilon", 1e-5)), float(call.attribute("momentum", 0.9))
    if call.attribute("training_mode", 0):
        return _with_batch_statistics(value, (scale, shift, mean, variance), epsilon, momentum)
    layer = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=call.name)
    if value.joined is not None:
        return value.like(call.layer(layer, value.tensor, (scale, shift, mean, variance)))
    return from_channels_last(call.layer(layer, value.channels_last(), (scale, shift, mean, variance)))


def _with_batch_statistics(value: Arranged, weights: Any, epsilon: float, momentum: float) -> list[Any]:
    """The normalized batch and the moving averages, which nobody keeps."""
    scale, shift, old_mean, old_variance = weights
    x = value.apart().channels_last()
    axes = tuple(range(x.ndim - 1))
    mean = ops.mean(x, axis=axes)
    centred = ops.subtract(x, mean)
    variance = ops.mean(ops.square(centred), axis=axes)
    y = ops.add(ops.multiply(centred, ops.multiply(ops.rsqrt(ops.add(variance, epsilon)), scale)), shift)
    averages = [
        Arranged(ops.add(ops.multiply(new, 1.0 - momentum), old * np.float32(momentum)))
        for new, old in ((mean, old_mean), (variance, old_variance))
    ]
    return [from_channels_last(y), *averages]


@operator("InstanceNormalization")
def _instance(call: Call) -> Any:
    value = call.tensor(0)
    weights = _vectors(call, value, (1, 2))
    layer = layers.GroupNormalization(-1, epsilon=float(call.attribute("epsilon", 1e-5)), name=call.name)
    return from_channels_last(call.layer(layer, value.channels_last(), weights))


@operator("GroupNormalization")
def _group(call: Call) -> Any:
    value, groups = call.tensor(0), int(call.required("num_groups"))
    channels = value.shape[1]
    if channels is None or groups < 1 or channels % groups:
        raise ValueError(f"{call}: {groups} groups do not divide the channels of shape {value.shape}")
    weights = [call.weight(1), call.weight(2)]
    if call.opset < 21:  # one number for each group then
        weights = [np.repeat(w, channels // groups) if w.shape == (groups,) else w for w in weights]
    layer = layers.GroupNormalization(groups, epsilon=float(call.attribute("epsilon", 1e-5)), name=call.name)
    return from_channels_last(call.layer(layer, value.channels_last(), weights))


@operator("LayerNormalization", "RMSNormalization")
def _layer(call: Call) -> Any:
    value = call.tensor(0).apart()
    first = value.axis(call.attribute("axis", -1))
    axes = tuple(range(first, value.ndim))
    sizes: list[Any] = [value.shape[axis] for axis in axes]
    if None in sizes or first == 0 or call.outputs > 1:
        return _layer_by_hand(call, value, axes)
    weights = [np.broadcast_to(call.weight(place), sizes) for place in (1, 2) if call.has(place)]
    x, order = value.tensor, value.order
    if sorted(value.place(axis) for axis in axes) != list(axes):
        x, order = value.plain(), tuple(range(value.ndim))
    inner = [order[place] - first for place in range(first, value.ndim)]
    weights = [w.transpose(inner) for w in weights]
    epsilon = float(call.attribute("epsilon", 1e-5))
    if call.node.op_type == "RMSNormalization":
        layer: Any = layers.RMSNormalization(list(axes), epsilon, name=call.name)
    else:
        layer = layers.LayerNormalization(list(axes), epsilon, center=call.has(2), name=call.name)
    return Arranged(call.layer(layer, x, weights), order)


def _layer_by_hand(call: Call, value: Arranged, axes: tuple[int, ...]) -> Any:
    """Over axes that no layer takes, open ones or the batch, or where the moments are asked for too."""
    x = value.plain()
    mean = ops.mean(x, axis=axes, keepdims=True)
    if call.node.op_type == "LayerNormalization":
        x = ops.subtract(x, mean)
    variance = ops.mean(ops.square(x), axis=axes, keepdims=True)
    inverse = ops.rsqrt(ops.add(variance, float(call.attribute("epsilon", 1e-5))))
    y = ops.multiply(ops.multiply(x, inverse), call.weight(1))
    y = ops.add(y, call.weight(2)) if call.has(2) else y
    return [Arranged(y), Arranged(mean), Arranged(inverse)]


@operator("LRN")
def _local_response(call: Call) -> Any:
    value, size = call.tensor(0), int(call.required("size"))
    alpha, beta = float(call.attribute("alpha", 1e-4)), float(call.attribute("beta", 0.75))
    bias = float(call.attribute("bias", 1.0))
    if size % 2 == 0:
        raise call.unsupported(f"size={size}: an odd number of channels is supported")
    y = ops.local_response_normalization(value.channels_last(), size // 2, bias, alpha / size, beta)
    return from_channels_last(y)


@operator("LpNormalization")
def _lp(call: Call) -> Any:
    value = call.tensor(0).apart()
    axis, p = value.place(call.attribute("axis", -1)), call.attribute("p", 2)
    x = value.tensor
    if p == 1:
        length = ops.sum(ops.abs(x), axis=axis, keepdims=True)
    elif p == 2:
        length = ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=True))
    else:
        raise call.unsupported(f"p={p} is not supported")
    return value.like(ops.divide(x, ops.where(ops.equal(length, 0.0), 1.0, length)))


@operator("MeanVarianceNormalization")
def _mean_variance(call: Call) -> Any:
    value = call.tensor(0).apart()
    axes = tuple(value.place(axis) for axis in call.attribute("axes", [0, 2, 3]))
    centred = ops.subtract(value.tensor, ops.mean(value.tensor, axis=axes, keepdims=True))
    spread = ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True))
    return value.like(ops.divide(centred, ops.add(spread, 1e-9)))


@operator("Dropout")
def _dropout(call: Call) -> Any:
    value = call.tensor(0)
    rate = float(call.scalar(1)) if call.has(1) else float(call.attribute("ratio", 0.5))
    if call.has(2) and bool(call.scalar(2)) and rate:
        raise call.unsupported("training_mode=1 asks for random numbers: train the model for that")
    results = [value.like(layers.Dropout(rate, name=call.name)(value.tensor)) if rate < 1 else value]
    if call.outputs > 1:
        results.append(value.like(ops.ones_like(value.tensor)))
    return results
