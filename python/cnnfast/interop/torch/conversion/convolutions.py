"""Convolutions, transposed ones, and dense layers."""

from __future__ import annotations

from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.torch.conversion.calls import Call, UnsupportedError, converts, flattened, rows_of, state_of
from cnnfast.interop.torch.conversion.padding import padded

_CONV: dict[int, Any] = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
_DEPTHWISE: dict[int, Any] = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}
_TRANSPOSE: dict[int, Any] = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}


@converts("Conv1d", "Conv2d", "Conv3d")
def _conv(call: Call, x: Arranged) -> Arranged:
    module = call.module
    rank = len(module.kernel_size)
    pads = _padding(module)
    tensor = x.channels_last()
    if module.padding_mode != "zeros":
        tensor = padded(tensor, ((0, 0), *pads, (0, 0)), module.padding_mode)
        pads = ((0, 0),) * rank
    settings: dict[str, Any] = {
        "strides": module.stride,
        "padding": pads if any(map(any, pads)) else "valid",
        "dilation_rate": module.dilation,
        "use_bias": module.bias is not None,
        "name": call.name,
    }

    def make() -> Any:
        groups, each = module.groups, module.out_channels // module.groups
        if groups == module.in_channels and groups > 1 and rank in _DEPTHWISE:
            return _DEPTHWISE[rank](module.kernel_size, depth_multiplier=each, **settings)
        return _CONV[rank](module.out_channels, module.kernel_size, groups=groups, **settings)

    return from_channels_last(call.weighted(make, tensor))


def _padding(module: Any) -> tuple[tuple[int, int], ...]:
    if module.padding == "valid":
        return ((0, 0),) * len(module.kernel_size)
    if module.padding == "same":
        totals = [d * (k - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)]
        return tuple((n // 2, n - n // 2) for n in totals)
    return tuple((n, n) for n in module.padding)


@converts("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
def _conv_transpose(call: Call, x: Arranged, output_size: Any = None) -> Arranged:
    module = call.module
    if output_size is not None:
        raise UnsupportedError("output_size is not supported; give output_padding to the module")
    settings: dict[str, Any] = {
        "strides": module.stride,
        "padding": tuple((n, n) for n in module.padding),
        "output_padding": module.output_padding,
        "dilation_rate": module.dilation,
        "use_bias": module.bias is not None,
    }
    cls, groups = _TRANSPOSE[len(module.kernel_size)], module.groups
    filters = module.out_channels // groups
    if groups == 1:
        y = call.weighted(lambda: cls(filters, module.kernel_size, name=call.name, **settings), x.channels_last())
        return from_channels_last(y)
    # A layer for each group of channels, side by side.
    weights, parts = state_of(module), []
    for number, part in enumerate(ops.split(x.channels_last(), groups, axis=-1)):
        ins, outs = module.in_channels // groups, slice(number * filters, (number + 1) * filters)
        own = {"weight": weights["weight"][number * ins : (number + 1) * ins]}
        if "bias" in weights:
            own["bias"] = weights["bias"][outs]
        group = Call(call.described, f"{call.name}.{number}", None, {})
        layer = cls(filters, module.kernel_size, name=group.name, **settings)
        parts.append(group.weighted(lambda layer=layer: layer, part, weights=own))  # type: ignore[misc]
    return from_channels_last(layers.Concatenate()(parts))


@converts("Linear")
def _linear(call: Call, x: Arranged) -> Arranged:
    module = call.module

    def make() -> Any:
        return layers.Dense(module.out_features, use_bias=module.bias is not None, name=call.name)

    x = flattened(x)
    if x.joined is not None:
        return Arranged(call.weighted(make, x.tensor, rows_of(x)))
    order = x.order if x.order[-1] == x.ndim - 1 else tuple(range(x.ndim))
    return Arranged(call.weighted(make, x.lying(order)), order)
