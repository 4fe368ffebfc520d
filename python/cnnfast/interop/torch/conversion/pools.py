"""Pooling over windows, over whole images, and adaptive."""

from __future__ import annotations

import math
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.torch.conversion.calls import Call, UnsupportedError, computes, converts, per_axis

_MAX: dict[int, Any] = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
_AVERAGE: dict[int, Any] = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D, 3: layers.AveragePooling3D}
_MAX_OPS: dict[int, Any] = {1: ops.max_pool1d, 2: ops.max_pool2d, 3: ops.max_pool3d}
_AVERAGE_OPS: dict[int, Any] = {1: ops.avg_pool1d, 2: ops.avg_pool2d, 3: ops.avg_pool3d}
_ADAPTIVE_MAX: dict[int, Any] = {
    1: layers.AdaptiveMaxPooling1D, 2: layers.AdaptiveMaxPooling2D, 3: layers.AdaptiveMaxPooling3D,
}  # fmt: skip
_ADAPTIVE_AVERAGE: dict[int, Any] = {
    1: layers.AdaptiveAveragePooling1D, 2: layers.AdaptiveAveragePooling2D, 3: layers.AdaptiveAveragePooling3D,
}  # fmt: skip
_GLOBAL_MAX: dict[int, Any] = {
    1: layers.GlobalMaxPooling1D, 2: layers.GlobalMaxPooling2D, 3: layers.GlobalMaxPooling3D,
}  # fmt: skip
_GLOBAL_AVERAGE: dict[int, Any] = {
    1: layers.GlobalAveragePooling1D, 2: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling3D,
}  # fmt: skip

Pairs = tuple[tuple[int, int], ...]


def _rank(x: Arranged) -> int:
    rank = x.ndim - 2
    if rank not in _MAX:
        raise UnsupportedError(f"from one to three spatial axes are supported, got shape {x.shape}")
    return rank


def _rounded_up(shape: Any, reaches: Any, strides: Any, pads: Pairs) -> Pairs:
    """Padding with which rounding down gives as many windows as rounding up; none begins behind the image."""
    found = []
    for size, reach, stride, (before, after) in zip(shape, reaches, strides, pads, strict=True):
        count = max(-(-(size + before + after - reach) // stride) + 1, 1)
        if count > 1 and (count - 1) * stride >= size + before:
            count -= 1
        found.append((before, max((count - 1) * stride + reach - size - before, 0)))
    return tuple(found)


@computes("max_pool1d", "max_pool2d", "max_pool3d")
def _max(
    call: Call, x: Arranged, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Arranged:  # fmt: skip
    if return_indices:
        raise UnsupportedError("return_indices=True is not supported")
    rank = _rank(x)
    sizes = per_axis(kernel_size, rank)
    strides = per_axis(stride, rank) if stride not in (None, ()) else sizes
    dilations = per_axis(dilation, rank)
    pads = tuple((n, n) for n in per_axis(padding, rank))
    if ceil_mode:
        pads = _rounded_up(x.shape[2:], [(k - 1) * d + 1 for k, d in zip(sizes, dilations, strict=True)], strides, pads)
    if any(map(any, pads)) or max(dilations) > 1:
        how: Any = pads if any(map(any, pads)) else "valid"
        return from_channels_last(_MAX_OPS[rank](x.channels_last(), sizes, strides, how, dilations))
    return from_channels_last(_MAX[rank](sizes, strides, name=call.name)(x.channels_last()))


@computes("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average(
    call: Call, x: Arranged, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Arranged:  # fmt: skip
    rank = _rank(x)
    sizes = per_axis(kernel_size, rank)
    strides = per_axis(stride, rank) if stride not in (None, ()) else sizes
    asked = tuple((n, n) for n in per_axis(padding, rank))
    pads = _rounded_up(x.shape[2:], sizes, strides, asked) if ceil_mode else asked
    tensor, counted = x.channels_last(), count_include_pad
    if divisor_override is not None:
        sums = ops.multiply(_AVERAGE_OPS[rank](tensor, sizes, strides, pads, True), float(math.prod(sizes)))
        return from_channels_last(ops.divide(sums, float(divisor_override)))
    if not any(map(any, pads)):
        return from_channels_last(_AVERAGE[rank](sizes, strides, name=call.name)(tensor))
    if counted and pads != asked:  # only the padding that was asked for counts
        if any(map(any, asked)):
            tensor = ops.pad(tensor, ((0, 0), *asked, (0, 0)))
        pads = tuple((0, max(new[1] - old[1], 0)) for new, old in zip(pads, asked, strict=True))
        counted = False
    return from_channels_last(_AVERAGE_OPS[rank](tensor, sizes, strides, pads, counted))


@computes("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive_average(call: Call, x: Arranged, output_size: Any) -> Arranged:
    return _adaptive(call, x, output_size, _ADAPTIVE_AVERAGE, _GLOBAL_AVERAGE)


@computes("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_max(call: Call, x: Arranged, output_size: Any, return_indices: bool = False) -> Arranged:
    if return_indices:
        raise UnsupportedError("return_indices=True is not supported")
    return _adaptive(call, x, output_size, _ADAPTIVE_MAX, _GLOBAL_MAX)


def _adaptive(call: Call, x: Arranged, output_size: Any, by_rank: Any, whole: Any) -> Arranged:
    rank = _rank(x)
    given = tuple(output_size) if isinstance(output_size, (list, tuple)) else (output_size,)
    given = given * rank if len(given) == 1 else given
    sizes = tuple(x.shape[2 + axis] if n is None else int(n) for axis, n in enumerate(given))
    if set(sizes) == {1}:
        return from_channels_last(whole[rank](keepdims=True, name=call.name)(x.channels_last()))
    return from_channels_last(by_rank[rank](sizes, name=call.name)(x.channels_last()))


@converts("MaxPool1d", "MaxPool2d", "MaxPool3d")
def _max_module(call: Call, x: Arranged) -> Arranged:
    m = call.module
    return _max(call, x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices)


@converts("AvgPool1d", "AvgPool2d", "AvgPool3d")
def _average_module(call: Call, x: Arranged) -> Arranged:
    m = call.module
    divisor = getattr(m, "divisor_override", None)
    return _average(call, x, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, divisor)


@converts("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d")
def _adaptive_average_module(call: Call, x: Arranged) -> Arranged:
    return _adaptive_average(call, x, call.module.output_size)


@converts("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d")
def _adaptive_max_module(call: Call, x: Arranged) -> Arranged:
    return _adaptive_max(call, x, call.module.output_size, call.module.return_indices)
