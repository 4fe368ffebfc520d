"""Pooling over windows, over whole images, and to a given size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import ops
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.convolutions import per_axis, window_padding
from cnnfast.interop.onnx_export.reductions import reduced
from cnnfast.interop.onnx_export.values import Value, channels_second
from cnnfast.layers.arguments import with_open_sizes


def pooled(
    b: Builder, kind: str, x: Value, pool_size: Any, strides: Any = None, padding: Any = "valid",
    dilation_rate: Any = 1, count_include_pad: bool = False, channels_first: bool = False,
) -> Value:  # fmt: skip
    """The maximum ("MaxPool") or mean ("AveragePool") of every window; padding never counts but where asked to."""
    rank = x.rank - 2
    channel = 1 if channels_first else -1
    x = b.channels_second(b.floats(x), channel)
    window, dilation = per_axis(pool_size, rank), per_axis(dilation_rate, rank)
    steps = window if strides is None else per_axis(strides, rank)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    attributes = window_padding("pool", x.stored[2:], reach, steps, padding)
    if "auto_pad" in attributes and max(dilation) > 1:
        raise ValueError(f"padding 'same' with dilation_rate above 1 expects fixed sizes, got shape {x.shape}")
    if max(dilation) > 1:
        attributes["dilations"] = dilation
    if kind == "AveragePool" and count_include_pad:
        attributes["count_include_pad"] = 1
    shape = with_open_sizes(
        lambda s: ops.pool_output_shape(s, window, steps, padding, dilation),
        (x.shape[0], *x.stored[2:], x.shape[channel]),
        enough=max(reach),
    )
    shape = shape if channel == -1 else (shape[0], shape[-1], *shape[1:-1])
    return b.made(kind, [x], shape, x.order, kernel_shape=window, strides=steps, **attributes)


def global_pooled(b: Builder, kind: str, x: Value, keepdims: bool = False, channels_first: bool = False) -> Value:
    """The maximum or mean of every channel."""
    x, keepdims = b.plain(b.floats(x)), bool(keepdims)
    channel = 1 if channels_first else x.rank - 1
    axes = tuple(a for a in range(1, x.rank) if a != channel)
    if x.order != channels_second(x.rank, channel):
        return reduced(b, "ReduceMax" if kind == "GlobalMaxPool" else "ReduceMean", x, axes, keepdims)
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    y = b.made(kind, [x], shape, x.order)
    return y if keepdims else b.made("Flatten", [y], (x.shape[0], x.shape[channel]), axis=1)


def adaptively_pooled(b: Builder, kind: str, x: Value, output_size: Any, channels_first: bool = False) -> Value:
    """The maximum or mean of a given number of windows per axis.

    Windows of one size are a pooling; others are cut out, reduced and joined again, axis by axis.

    Raises:
        ValueError: a size is open, and there is more than one window along it.
    """
    rank = x.rank - 2
    counts = per_axis(output_size, rank)
    axes = [a for a in range(1, x.rank) if a != (1 if channels_first else x.rank - 1)]
    sizes = [x.shape[a] for a in axes]
    if None not in sizes and not any((n or 0) % count for n, count in zip(sizes, counts, strict=True)):
        window = [(n or 0) // count for n, count in zip(sizes, counts, strict=True)]
        return pooled(b, kind, x, window, window, channels_first=channels_first)
    reduce = "ReduceMax" if kind == "MaxPool" else "ReduceMean"
    x = b.plain(b.floats(x))
    for axis, size, count in reversed(list(zip(axes, sizes, counts, strict=True))):
        if count == 1:
            x = reduced(b, reduce, x, (axis,), True)
        elif size is None:
            raise ValueError(f"output_size={counts} expects fixed sizes, got shape {x.shape}")
        elif size != count:
            x = _windows_along(b, reduce, x, axis, size, count)
    return x


def _windows_along(b: Builder, reduce: str, x: Value, axis: int, size: int, count: int) -> Value:
    place = b.integers([x.place(axis)])
    parts: list[Value] = []
    for i in range(count):
        begin, end = i * size // count, -(-(i + 1) * size // count)
        shape = (*x.shape[:axis], end - begin, *x.shape[axis + 1 :])
        part = b.made("Slice", [x, b.integers([begin]), b.integers([end]), place], shape, x.order)
        parts.append(reduced(b, reduce, part, (axis,), True) if end - begin > 1 else part)
    return b.made("Concat", parts, (*x.shape[:axis], count, *x.shape[axis + 1 :]), x.order, axis=x.place(axis))


def _first(layer: Any) -> bool:
    return bool(layer.data_format == "channels_first")


def _window_layer(kind: str) -> Callable[..., Value]:
    def convert(b: Builder, layer: Any, x: Value) -> Value:
        return pooled(b, kind, x, layer.pool_size, layer.strides, layer.padding, channels_first=_first(layer))

    return convert


def _global_layer(kind: str) -> Callable[..., Value]:
    return lambda b, layer, x: global_pooled(b, kind, x, layer.keepdims, _first(layer))


def _adaptive_layer(kind: str) -> Callable[..., Value]:
    return lambda b, layer, x: adaptively_pooled(b, kind, x, layer.output_size, _first(layer))


def _names(pattern: str) -> list[str]:
    return [pattern.format(rank) for rank in (1, 2, 3)]


LAYERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_names("MaxPooling{}D"), _window_layer("MaxPool")),
    **dict.fromkeys(_names("AveragePooling{}D"), _window_layer("AveragePool")),
    **dict.fromkeys(_names("GlobalMaxPooling{}D"), _global_layer("GlobalMaxPool")),
    **dict.fromkeys(_names("GlobalAveragePooling{}D"), _global_layer("GlobalAveragePool")),
    **dict.fromkeys(_names("AdaptiveMaxPooling{}D"), _adaptive_layer("MaxPool")),
    **dict.fromkeys(_names("AdaptiveAveragePooling{}D"), _adaptive_layer("AveragePool")),
}


def _max_op(
    b: Builder, x: Value, pool_size: Any = 2, strides: Any = None, padding: Any = "valid", dilation_rate: Any = 1
) -> Value:
    return pooled(b, "MaxPool", x, pool_size, strides, padding, dilation_rate)


def _average_op(
    b: Builder, x: Value, pool_size: Any = 2, strides: Any = None, padding: Any = "valid",
    count_include_pad: bool = False,
) -> Value:  # fmt: skip
    return pooled(b, "AveragePool", x, pool_size, strides, padding, count_include_pad=count_include_pad)


def _general(kind: str) -> Callable[..., Value]:
    def convert(
        b: Builder, inputs: Value, pool_size: Any, strides: Any = None, padding: Any = "valid", data_format: Any = None
    ) -> Value:
        return pooled(b, kind, inputs, pool_size, strides, padding, channels_first=data_format == "channels_first")

    return convert


OPERATIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), _max_op),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average_op),
    "max_pool": _general("MaxPool"),
    "average_pool": _general("AveragePool"),
    "global_max_pool": lambda b, x, keepdims=False: global_pooled(b, "GlobalMaxPool", x, keepdims),
    "global_avg_pool": lambda b, x, keepdims=False: global_pooled(b, "GlobalAveragePool", x, keepdims),
    "adaptive_max_pool": lambda b, x, output_size: adaptively_pooled(b, "MaxPool", x, output_size),
    "adaptive_average_pool": lambda b, x, output_size: adaptively_pooled(b, "AveragePool", x, output_size),
}
