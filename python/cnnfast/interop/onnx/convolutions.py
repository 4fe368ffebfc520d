"""Conv and ConvTranspose."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import layers
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.windows import Window, window_of

_CONV: dict[int, Any] = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
_DEPTHWISE: dict[int, Any] = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}
_TRANSPOSE: dict[int, Any] = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}


def _checked(call: Call, value: Arranged, weights: np.ndarray[Any, Any]) -> int:
    """The number of spatial axes."""
    rank = value.ndim - 2
    if rank not in _CONV:
        raise call.unsupported(f"from one to three spatial axes are supported, x has shape {value.shape}")
    if weights.ndim != value.ndim:
        raise ValueError(f"{call}: weights of shape {weights.shape} do not fit x of shape {value.shape}")
    if value.shape[1] is None:
        raise call.unsupported("the number of channels must be fixed; give input_shapes")
    return rank


def _bias(call: Call, count: int) -> list[Any]:
    if not call.has(2):
        return []
    bias = call.weight(2)
    if bias.shape != (count,):
        raise ValueError(f"{call}: a bias of shape {(count,)} is expected, got {bias.shape}")
    return [bias]


@operator("Conv")
def _conv(call: Call) -> Any:
    value, weights = call.tensor(0), call.weight(1)
    rank = _checked(call, value, weights)
    window = window_of(call, value.shape[2:], weights.shape[2:])
    groups, channels, filters = call.attribute("group", 1), value.shape[1], weights.shape[0]
    if groups < 1 or weights.shape[1] * groups != channels or filters % groups:
        raise ValueError(f"{call}: weights {weights.shape} in {groups} groups do not fit {channels} channels")
    bias = _bias(call, filters)
    spatial = tuple(range(2, 2 + rank))
    settings: dict[str, Any] = {
        "strides": window.strides,
        "padding": window.padding,
        "dilation_rate": window.dilations,
        "use_bias": bool(bias),
        "name": call.name,
    }
    if groups == channels and groups > 1 and rank in _DEPTHWISE:
        each = filters // groups
        kernel = weights.reshape(groups, each, *weights.shape[2:]).transpose(*spatial, 0, 1)
        layer = _DEPTHWISE[rank](window.sizes, depth_multiplier=each, **settings)
    else:
        kernel = weights.transpose(*spatial, 1, 0)
        layer = _CONV[rank](filters, window.sizes, groups=groups, **settings)
    return from_channels_last(call.layer(layer, value.channels_last(), [kernel, *bias]))


@operator("ConvTranspose")
def _conv_transpose(call: Call) -> Any:
    value, weights = call.tensor(0), call.weight(1)
    rank = _checked(call, value, weights)
    groups, channels = call.attribute("group", 1), value.shape[1]
    if groups < 1 or weights.shape[0] != channels or weights.shape[0] % groups:
        raise ValueError(f"{call}: weights {weights.shape} in {groups} groups do not fit {channels} channels")
    window = window_of(call, value.shape[2:], weights.shape[2:], transposed=True)
    pads, extra = _cut_off(call, window, value.shape[2:])
    kernel = weights.transpose(*range(2, 2 + rank), 1, 0)
    bias = _bias(call, weights.shape[1] * groups)
    settings: dict[str, Any] = {
        "strides": window.strides,
        "padding": pads,
        "output_padding": extra,
        "dilation_rate": window.dilations,
    }
    if groups == 1:
        layer = _TRANSPOSE[rank](weights.shape[1], window.sizes, use_bias=bool(bias), name=call.name, **settings)
        return from_channels_last(call.layer(layer, value.channels_last(), [kernel, *bias]))
    return from_channels_last(_in_groups(call, value, kernel, bias, groups, settings, window))


def _in_groups(
    call: Call, value: Arranged, kernel: Any, bias: list[Any], groups: int, settings: dict[str, Any], window: Window
) -> Any:
    """A layer for each group of channels, side by side."""
    from cnnfast import ops

    rank, filters = kernel.ndim - 2, kernel.shape[-2]
    parts = ops.split(value.channels_last(), groups, axis=-1)
    each = kernel.shape[-1] // groups
    results = []
    for number, part in enumerate(parts):
        layer = _TRANSPOSE[rank](
            filters, window.sizes, use_bias=bool(bias), name=f"{call.name}_group_{number}", **settings
        )
        own = [b[number * filters : (number + 1) * filters] for b in bias]
        results.append(call.layer(layer, part, [kernel[..., number * each : (number + 1) * each], *own]))
    return layers.Concatenate()(results)


def _cut_off(call: Call, window: Window, shape: tuple[int | None, ...]) -> tuple[Any, Any]:
    """What is cut off from a transposed convolution, and by how much its end is longer than the least."""
    rank = len(window.sizes)
    extra = [int(n) for n in call.attribute("output_padding", [0] * rank)]
    wanted = call.attribute("output_shape")
    auto = call.attribute("auto_pad", "NOTSET")
    reaches = [(k - 1) * d + 1 for k, d in zip(window.sizes, window.dilations, strict=True)]
    if wanted is None and auto in ("NOTSET", "VALID"):
        pads = [(0, 0)] * rank if auto == "VALID" else [tuple(pair) for pair in window.pads]
        return tuple(_longer(call, pads, extra, window.strides))
    totals = []
    for axis in range(rank):
        stride, reach = window.strides[axis], reaches[axis]
        if wanted is None:  # the output is stride times as long
            totals.append(max(reach - stride + extra[axis], 0) if reach + extra[axis] >= stride else 0)
            extra[axis] = max(extra[axis], stride - reach) if reach < stride else extra[axis]
            continue
        size = shape[axis]
        if size is None:
            raise call.unsupported("output_shape with an open size; give input_shapes that fix it")
        full = stride * (size - 1) + extra[axis] + reach
        target = int(wanted[-rank:][axis])
        totals.append(max(full - target, 0))
        extra[axis] += max(target - full, 0)
    # The odd one is cut off at the end for SAME_UPPER and at the start otherwise.
    pads = [(t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals]
    return tuple(_longer(call, pads, extra, window.strides))


def _longer(call: Call, pads: list[Any], extra: list[int], strides: tuple[int, ...]) -> tuple[Any, Any]:
    """Where the end is to be longer by a stride or more, less is cut off instead."""
    found = []
    for axis, (before, after) in enumerate(pads):
        moved = min(after, extra[axis])
        extra[axis] -= moved
        found.append((before, after - moved))
        if extra[axis] >= strides[axis]:
            raise call.unsupported(f"output_padding is longer than strides {strides} allow")
    return tuple(found), tuple(extra)
