"""Pooling over windows and over whole images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.onnx.budget import checked_size, checked_tensor
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.windows import Window, window_of

_MAX: dict[int, Any] = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
_AVERAGE: dict[int, Any] = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D, 3: layers.AveragePooling3D}
_GLOBAL_MAX: dict[int, Any] = {
    1: layers.GlobalMaxPooling1D, 2: layers.GlobalMaxPooling2D, 3: layers.GlobalMaxPooling3D,
}  # fmt: skip
_GLOBAL_AVERAGE: dict[int, Any] = {
    1: layers.GlobalAveragePooling1D, 2: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling3D,
}  # fmt: skip
_MAX_OPS: dict[int, Any] = {1: ops.max_pool1d, 2: ops.max_pool2d, 3: ops.max_pool3d}
_AVERAGE_OPS: dict[int, Any] = {1: ops.avg_pool1d, 2: ops.avg_pool2d, 3: ops.avg_pool3d}
_CONV_OPS: dict[int, Any] = {1: ops.conv1d, 2: ops.conv2d, 3: ops.conv3d}


def _rank(call: Call, value: Arranged) -> int:
    rank = value.ndim - 2
    if rank not in _MAX:
        raise call.unsupported(f"from one to three spatial axes are supported, x has shape {value.shape}")
    return rank


def _rounded_up(call: Call, window: Window, shape: tuple[int | None, ...]) -> tuple[tuple[int, int], ...]:
    """Padding with which rounding down gives what rounding up would give without it.

    A last window that would lie wholly behind the image is left out.
    """
    pads = []
    for (before, after), size, stride, k, d in zip(
        window.pads, shape, window.strides, window.sizes, window.dilations, strict=True
    ):
        reach = (k - 1) * d + 1
        if size is None:
            pads.append((before, after + stride - 1))
            continue
        count = max(-(-(size + before + after - reach) // stride) + 1, 1)
        if count > 1 and (count - 1) * stride >= size + before:
            count -= 1
        pads.append((before, max((count - 1) * stride + reach - size - before, 0)))
    return tuple(pads)


def _windowed(call: Call, value: Arranged) -> tuple[Window, Any, bool]:
    """The window, the padding that an operation takes for it, and whether the end is padded beyond what is asked."""
    window = window_of(call, value.shape[2:])
    if not call.attribute("ceil_mode", 0) or window.padding == "same":
        return window, window.padding, False
    pads = _rounded_up(call, window, value.shape[2:])
    padding = pads if any(map(any, pads)) else "valid"
    return window, padding, any(new[1] > old[1] for new, old in zip(pads, window.pads, strict=True))


@operator("MaxPool")
def _max_pool(call: Call) -> Any:
    value = call.tensor(0)
    rank = _rank(call, value)
    window, padding, _ = _windowed(call, value)
    x = value.channels_last()
    if isinstance(padding, str) and max(window.dilations) == 1:
        y = _MAX[rank](window.sizes, window.strides, padding, name=call.name)(x)
    else:
        y = _MAX_OPS[rank](x, window.sizes, window.strides, padding, window.dilations)
    if call.outputs < 2:
        return from_channels_last(y)
    by_column = bool(call.attribute("storage_order", 0))
    places: Any = ops.max_pool_positions(x, window.sizes, window.strides, padding, window.dilations, by_column)
    return [from_channels_last(y), from_channels_last(places)]


@operator("MaxUnpool")
def _max_unpool(call: Call) -> Any:
    value = call.tensor(0)
    rank = _rank(call, value)
    given: Any = call.given(1)
    places = given if isinstance(given, Arranged) else Arranged(given)
    window = window_of(call, (None,) * rank)
    if None in value.shape[2:]:
        raise call.unsupported("open sizes; give input_shapes that fix them")
    size = [
        ((n or 1) - 1) * step + (k - 1) * d + 1 - sum(pads)
        for n, step, k, d, pads in zip(
            value.shape[2:], window.strides, window.sizes, window.dilations, window.pads, strict=True
        )
    ]
    wanted = call.integers(2)[2:] if call.has(2) else size
    if len(wanted) != rank or any(w < n for w, n in zip(wanted, size, strict=True)) or min(size) < 1:
        raise ValueError(f"{call}: output_shape {wanted} does not hold images of {size}")
    checked_tensor(call, (value.shape[0], *wanted, value.shape[1]))
    y = ops.max_unpool(value.channels_last(), ops.cast(places.channels_last(), "int64"), size)
    if wanted != size:
        y = ops.pad(y, [(0, 0), *((0, w - n) for w, n in zip(wanted, size, strict=True)), (0, 0)])
    return from_channels_last(y)


@operator("AveragePool")
def _average_pool(call: Call) -> Any:
    value = call.tensor(0)
    rank = _rank(call, value)
    window, padding, longer = _windowed(call, value)
    x, counted = value.channels_last(), bool(call.attribute("count_include_pad", 0))
    if max(window.dilations) > 1:
        sums = _window_sums(call, x, window, padding)
        if counted and not longer:
            return from_channels_last(ops.divide(sums, float(math.prod(window.sizes))))
        return from_channels_last(ops.divide(sums, _counts(call, value, window, padding, counted)))
    if isinstance(padding, str) and not (counted and padding == "same"):
        return from_channels_last(_AVERAGE[rank](window.sizes, window.strides, padding, name=call.name)(x))
    if counted and longer:  # only the padding that was asked for counts
        x = ops.pad(x, [(0, 0), *window.pads, (0, 0)])
        padding = tuple((0, p[1] - w[1]) for p, w in zip(padding, window.pads, strict=True))
        counted = False
    return from_channels_last(_AVERAGE_OPS[rank](x, window.sizes, window.strides, padding, counted))


def _window_sums(call: Call, x: Any, window: Window, padding: Any) -> Any:
    channels = x.shape[-1]
    if channels is None:
        raise call.unsupported("an open number of channels; give input_shapes that fix it")
    checked_size(call, (*window.sizes, channels))
    ones = np.ones((*window.sizes, 1, channels), np.float32)
    return _CONV_OPS[len(window.sizes)](
        x, ones, strides=window.strides, padding=padding, dilation_rate=window.dilations, groups=channels
    )


def _counts(call: Call, value: Arranged, window: Window, padding: Any, counted: bool) -> Any:
    """How many elements of each window count."""
    sizes = value.shape[2:]
    if None in sizes:
        raise call.unsupported("dilations with open sizes; give input_shapes that fix them")
    ones: Any = np.ones((1, *sizes, 1), np.float32)
    if counted:
        ones = np.pad(ones, [(0, 0), *window.pads, (0, 0)], constant_values=1)
        padding = tuple((0, p[1] - w[1]) for p, w in zip(padding, window.pads, strict=True))
    kernel = np.ones((*window.sizes, 1, 1), np.float32)
    return _CONV_OPS[len(window.sizes)](
        ones, kernel, strides=window.strides, padding=padding, dilation_rate=window.dilations
    )


@operator("LpPool")
def _lp_pool(call: Call) -> Any:
    value = call.tensor(0)
    _rank(call, value)
    window, padding, _ = _windowed(call, value)
    p = float(call.attribute("p", 2))
    powers = ops.power(ops.abs(value.channels_last()), p)
    return from_channels_last(ops.power(ops.maximum(_window_sums(call, powers, window, padding), 0.0), 1.0 / p))


@operator("GlobalMaxPool")
def _global_max(call: Call) -> Any:
    return _whole(call, _GLOBAL_MAX)


@operator("GlobalAveragePool")
def _global_average(call: Call) -> Any:
    return _whole(call, _GLOBAL_AVERAGE)


def _whole(call: Call, by_rank: dict[int, Any]) -> Arranged:
    value = call.tensor(0)
    layer = by_rank[_rank(call, value)](keepdims=True, name=call.name)
    return from_channels_last(layer(value.channels_last()))


@operator("GlobalLpPool")
def _global_lp(call: Call) -> Any:
    value = call.tensor(0)
    rank, p = _rank(call, value), float(call.attribute("p", 2))
    powers = ops.power(ops.abs(value.channels_last()), p)
    return from_channels_last(ops.power(ops.sum(powers, axis=tuple(range(1, 1 + rank)), keepdims=True), 1.0 / p))
