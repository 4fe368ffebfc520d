"""Convolutions of every kind: layers and operations alike end in one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.interop.onnx_export.activations import activation_operation
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.values import Value
from cnnfast.layers.arguments import with_open_sizes
from cnnfast.symbolic import Shape

Array = npt.NDArray[Any]
Pads = list[tuple[int, int]]


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """One number per axis, from one for all or one for each."""
    return tuple(int(n) for n in value) if isinstance(value, (tuple, list)) else (int(value),) * rank


def window_padding(
    what: str, sizes: Shape, reach: Sequence[int], strides: Sequence[int], padding: Any
) -> dict[str, Any]:
    """The attributes that say how a window's input is padded.

    "same" depends on the size only where a window longer than a pixel moves by more than one: such open sizes are left
    to SAME_UPPER, which means the same.
    """
    if isinstance(padding, str):
        if padding == "valid":
            return {}
        return _same_padding(what, sizes, reach, strides)
    pairs = [_pair(p) for p in padding] if isinstance(padding, (tuple, list)) else [_pair(padding)] * len(sizes)
    return pads_attribute(pairs)


def _same_padding(what: str, sizes: Shape, reach: Sequence[int], strides: Sequence[int]) -> dict[str, Any]:
    pairs: Pads = []
    for size, length, stride in zip(sizes, reach, strides, strict=True):
        if size is None and stride > 1 and length > 1:
            return {"auto_pad": "SAME_UPPER"}
        total = length - 1 if size is None else max((-(-size // stride) - 1) * stride + length - size, 0)
        pairs.append((total // 2, total - total // 2) if length > 1 else (0, 0))
    return pads_attribute(pairs)


def fixed(what: str, weight: Any) -> Any:
    """A weight that is known when the model is written.

    Raises:
        ValueError: it is computed by the model.
    """
    if isinstance(weight, Value):
        raise ValueError(f"{what} expects a weight or a constant, got what the model computes")
    return weight


def _pair(padding: Any) -> tuple[int, int]:
    before, after = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    return int(before), int(after)


def pads_attribute(pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The pads as ONNX lists them; nothing where there are none."""
    if not any(before or after for before, after in pairs):
        return {}
    return {"pads": [before for before, _ in pairs] + [after for _, after in pairs]}


def output_channels_first(kernel: Array) -> Array:
    """A kernel (..., in, out) as ONNX has it: (out, in, ...)."""
    return np.moveaxis(kernel, (-1, -2), (0, 1))


def depthwise_as_grouped(kernel: Array) -> Array:
    """A kernel (..., channels, multiplier) as that of a convolution with a group for every channel."""
    return output_channels_first(kernel.reshape(*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1]))


def convolved(
    b: Builder, x: Value, kernel: Any, bias: Any, *, strides: Any = 1, padding: Any = "valid", dilation_rate: Any = 1,
    groups: int = 1, depthwise: bool = False, channels_first: bool = False, name: str = "kernel",
) -> Value:  # fmt: skip
    """A convolution of images with their channels last in the model, or second."""
    rank = x.rank - 2
    channel = 1 if channels_first else -1
    x = b.channels_second(b.floats(x), channel)
    shape = tuple(np.shape(fixed("kernel", kernel)))
    window = shape[:rank]
    steps, dilation = per_axis(strides, rank), per_axis(dilation_rate, rank)
    if depthwise:
        groups, shape = shape[-2], (*window, 1, shape[-2] * shape[-1])
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    sizes = x.stored[2:]
    pads = window_padding("conv", sizes, reach, steps, padding)
    if "auto_pad" in pads and max(dilation) > 1:
        raise ValueError(
            "padding 'same' with strides and dilation_rate above 1 expects fixed sizes: runtimes differ in what they "
            f"make of open ones; got shape {x.shape}"
        )
    weights = b.weight(kernel, name, depthwise_as_grouped if depthwise else output_channels_first, "conv")
    y_shape = with_open_sizes(
        lambda s: ops.conv_output_shape(
            s, shape, strides=steps, padding=padding, dilation_rate=dilation, groups=groups
        ),
        (x.shape[0], *sizes, x.shape[channel]),
        enough=max(reach),
    )
    optional: dict[str, Any] = {"group": groups} if groups > 1 else {}
    if max(dilation) > 1:
        optional["dilations"] = dilation
    (y,) = b.node(
        "Conv", [x, weights, None if bias is None else b.weight(bias, "bias")],
        kernel_shape=window, strides=steps, **pads, **optional,
    )  # fmt: skip
    return Value(y, _restored(y_shape, channel), x.order)


def _restored(shape: Shape, channel: int) -> Shape:
    """A shape with the channels last, as the model has it."""
    return shape if channel == -1 else (shape[0], shape[-1], *shape[1:-1])


def transposed_padding(
    window: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: Any, extra: Any
) -> dict[str, Any]:
    """The pads and output_padding of a transposed convolution.

    An output is (n - 1) * stride + reach long, with so much cut off and added; none of it depends on n, so that open
    sizes need no SAME_UPPER, which would cut off the odd pixel at the other end.
    """
    rank = len(window)
    pads: Pads = []
    added: list[int] = []
    more: Any = (None,) * rank if extra is None else per_axis(extra, rank)
    for axis, (k, s, d, e) in enumerate(zip(window, strides, dilation, more, strict=True)):
        reach = (k - 1) * d + 1
        if padding == "valid":
            before, surplus = 0, max(s - reach, 0) if e is None else e
        elif padding == "same":
            surplus = s - reach if e is None else e - 2 * (reach // 2)
            before = max(-surplus, 0) // 2
        else:
            pair = padding[axis] if isinstance(padding, (tuple, list)) else padding
            before, after = _pair(pair)
            surplus = (e or 0) - before - after
        # What is cut off or added behind: surplus is what the output is longer than (n - 1) * stride + reach.
        end = surplus + before
        pads.append((before, max(-end, 0)))
        added.append(max(end, 0))
    found = pads_attribute(pads)
    return found | ({"output_padding": added} if any(added) else {})


def conv_transposed(
    b: Builder, x: Value, kernel: Any, bias: Any, *, strides: Any = 1, padding: Any = "valid",
    output_padding: Any = None, dilation_rate: Any = 1, channels_first: bool = False,
) -> Value:  # fmt: skip
    """A transposed convolution of images with their channels last in the model, or second."""
    rank = x.rank - 2
    channel = 1 if channels_first else -1
    x = b.channels_second(b.floats(x), channel)
    shape = tuple(np.shape(fixed("kernel", kernel)))
    window, steps, dilation = shape[:rank], per_axis(strides, rank), per_axis(dilation_rate, rank)
    more: dict[str, Any] = {"strides": steps, "padding": padding, "output_padding": output_padding}
    y_shape = with_open_sizes(
        lambda s: ops.conv_transpose_output_shape(s, shape, dilation_rate=dilation, **more),
        (x.shape[0], *x.stored[2:], x.shape[channel]),
        enough=max((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)),
    )
    optional: dict[str, Any] = {"dilations": dilation} if max(dilation) > 1 else {}
    weights = b.weight(kernel, "kernel", output_channels_first, "transposed")
    (y,) = b.node(
        "ConvTranspose", [x, weights, None if bias is None else b.weight(bias, "bias")],
        kernel_shape=window, strides=steps, **optional,
        **transposed_padding(window, steps, dilation, padding, output_padding),
    )  # fmt: skip
    return Value(y, _restored(y_shape, channel), x.order)


# Layers


def _window(layer: Any) -> dict[str, Any]:
    return {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation_rate,
        "channels_first": layer.data_format == "channels_first",
    }


def _conv(b: Builder, layer: Any, x: Value) -> Value:
    return convolved(b, x, layer.kernel, layer.bias, groups=layer.groups, **_window(layer))


def _depthwise(b: Builder, layer: Any, x: Value) -> Value:
    return convolved(b, x, layer.kernel, layer.bias, depthwise=True, **_window(layer))


def _separable(b: Builder, layer: Any, x: Value) -> Value:
    y = convolved(b, x, layer.depthwise_kernel, None, depthwise=True, name="depthwise_kernel", **_window(layer))
    first = layer.data_format == "channels_first"
    return convolved(b, y, layer.pointwise_kernel, layer.bias, name="pointwise_kernel", channels_first=first)


def _transposed(b: Builder, layer: Any, x: Value) -> Value:
    return conv_transposed(b, x, layer.kernel, layer.bias, output_padding=layer.output_padding, **_window(layer))


LAYERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _conv),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
}

# Operations


def _conv_op(
    b: Builder, x: Value, kernel: Any, bias: Any = None, *, strides: Any = 1, padding: Any = "valid",
    dilation_rate: Any = 1, groups: int = 1, activation: str | None = None, flip_kernel: bool = False,
    algorithm: str = "auto",
) -> Any:  # fmt: skip
    if flip_kernel:
        raise ValueError("flip_kernel=True cannot be written as ONNX: turn the kernel itself")
    y = convolved(b, x, kernel, bias, strides=strides, padding=padding, dilation_rate=dilation_rate, groups=groups)
    return activation_operation(b, y, activation)


def _depthwise_op(
    b: Builder, x: Value, kernel: Any, bias: Any = None, *, strides: Any = 1, padding: Any = "valid",
    dilation_rate: Any = 1, activation: str | None = None,
) -> Any:  # fmt: skip
    y = convolved(b, x, kernel, bias, strides=strides, padding=padding, dilation_rate=dilation_rate, depthwise=True)
    return activation_operation(b, y, activation)


def _transposed_op(
    b: Builder, x: Value, kernel: Any, bias: Any = None, *, activation: Any = None, **window: Any
) -> Any:
    return activation_operation(b, conv_transposed(b, x, kernel, bias, **window), activation)


def _general(depthwise: bool) -> Callable[..., Value]:
    def convert(
        b: Builder, inputs: Value, kernel: Any, strides: Any = 1, padding: Any = "valid",
        data_format: str | None = None, dilation_rate: Any = 1,
    ) -> Value:  # fmt: skip
        first = data_format == "channels_first"
        groups = 1 if depthwise else (inputs.shape[1 if first else -1] or 1) // np.shape(kernel)[-2]
        return convolved(
            b, inputs, kernel, None, strides=strides, padding=padding, dilation_rate=dilation_rate, groups=groups,
            depthwise=depthwise, channels_first=first,
        )  # fmt: skip

    return convert


def _general_transposed(
    b: Builder, inputs: Value, kernel: Any, strides: Any = 1, padding: Any = "valid", output_padding: Any = None,
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Value:  # fmt: skip
    return conv_transposed(
        b, inputs, kernel, None, strides=strides, padding=padding, output_padding=output_padding,
        dilation_rate=dilation_rate, channels_first=data_format == "channels_first",
    )  # fmt: skip


OPERATIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _conv_op),
    **dict.fromkeys(("depthwise_conv1d", "depthwise_conv2d"), _depthwise_op),
    **dict.fromkeys(("conv1d_transpose", "conv2d_transpose", "conv3d_transpose"), _transposed_op),
    "conv": _general(False),
    "depthwise_conv": _general(True),
    "conv_transpose": _general_transposed,
}
