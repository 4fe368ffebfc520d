"""The passes of a layer in PyTorch, in both of its memory layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from bench.layer_passes import EPSILON, RESPONSE, SLOPE
from bench.shapes import FloatArray, Layer

Functions = dict[str, Callable[[], Any]]

_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
_aten = torch.ops.aten


def channels_first(x: FloatArray) -> torch.Tensor:
    """A contiguous copy with the channels after the batch."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def kernel_tensor(kernel: FloatArray) -> torch.Tensor:
    """Taps, in, out -> out, in, taps."""
    rank = kernel.ndim - 2
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(rank + 1, rank, *range(rank))))


def layouts(rank: int) -> dict[str, torch.memory_format]:
    """The memory layouts that PyTorch has for so many spatial axes."""
    found = {"contiguous": torch.contiguous_format}
    if rank in _CHANNELS_LAST:
        found["channels_last"] = _CHANNELS_LAST[rank]
    return found


def layer_passes(layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, Functions]:
    """Pass -> layout -> function."""
    make = _conv if layer.is_conv else {"max_pool": _max_pool, "average_pool": _average_pool}.get(layer.kind, _other)
    found: dict[str, Functions] = {name: {} for name in layer.passes}
    x, dy = channels_first(data["x"]), channels_first(data["dy"])
    for layout, memory_format in layouts(layer.rank).items():
        tensors = [t.contiguous(memory_format=memory_format) for t in (x, dy)]
        for name, function in make(layer, data, *tensors, memory_format).items():
            found[name][layout] = torch.no_grad()(function) if name == "forward" else function
    return found


def _conv(layer: Layer, data: Mapping[str, FloatArray], x: Any, dy: Any, memory_format: Any) -> Functions:
    kernel = data["kernel"]
    if layer.depthwise:
        kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    weight = kernel_tensor(kernel).contiguous(memory_format=memory_format)
    bias = torch.from_numpy(data["bias"])
    transposed, rank = layer.kind == "transposed", layer.rank
    stride, padding, dilation, none = ([v] * rank for v in (layer.stride, layer.padding, layer.dilation, 0))
    if transposed:
        function = getattr(F, f"conv_transpose{rank}d")

        def forward() -> Any:
            return function(x, weight, bias, stride, padding, none, layer.groups, dilation)
    else:
        function = getattr(F, f"conv{rank}d")

        def forward() -> Any:
            return function(x, weight, bias, stride, padding, dilation, layer.groups)

    def backward(*mask: bool) -> Any:
        return _aten.convolution_backward(
            dy, x, weight, [layer.filters], stride, padding, dilation, transposed, none, layer.groups, mask
        )

    return {
        "forward": forward,
        "backward_data": lambda: backward(True, False, False)[0],
        "backward_weights": lambda: backward(False, True, True)[1:],
    }


def _max_pool(layer: Layer, data: Mapping[str, FloatArray], x: Any, dy: Any, memory_format: Any) -> Functions:
    window, stride, padding = ([v, v] for v in (layer.window, layer.stride, layer.padding))
    winners = _aten.max_pool2d_with_indices(x, window, stride, padding)[1]
    return {
        "forward": lambda: _aten.max_pool2d_with_indices(x, window, stride, padding)[0],
        "backward": lambda: _aten.max_pool2d_with_indices_backward(
            dy, x, window, stride, padding, [1, 1], False, winners
        ),
    }


def _average_pool(layer: Layer, data: Mapping[str, FloatArray], x: Any, dy: Any, memory_format: Any) -> Functions:
    window, stride, padding = ([v, v] for v in (layer.window, layer.stride, layer.padding))
    return {
        "forward": lambda: F.avg_pool2d(x, window, stride, padding, count_include_pad=False),
        "backward": lambda: _aten.avg_pool2d_backward(dy, x, window, stride, padding, False, False, None),
    }


def _operation(layer: Layer, x: Any, gamma: Any, beta: Any) -> Any:
    if layer.kind == "batch_norm":
        return F.relu(F.batch_norm(x, None, None, gamma, beta, training=True, eps=EPSILON))
    if layer.kind == "layer_norm":  # over the channels, which are the last axis for it: a view where they lie there
        return F.layer_norm(x.movedim(1, -1), [layer.channels], gamma, beta, EPSILON).movedim(-1, 1)
    if layer.kind == "group_norm":
        return F.group_norm(x, layer.groups, gamma, beta, EPSILON)
    if layer.kind == "prelu":
        return F.prelu(x, gamma)
    if layer.kind == "local_response":  # which divides its alpha by the window
        size = 2 * int(RESPONSE["depth_radius"]) + 1
        return F.local_response_norm(x, size, RESPONSE["alpha"] * size, RESPONSE["beta"], RESPONSE["bias"])
    return (F.adaptive_max_pool2d if layer.kind == "adaptive_max" else F.adaptive_avg_pool2d)(x, layer.windows)


def _other(layer: Layer, data: Mapping[str, FloatArray], x: Any, dy: Any, memory_format: Any) -> Functions:
    """What modules do (batch normalisation with a ReLU), the gradient by autograd."""
    x = x.requires_grad_()
    gamma = torch.full([layer.channels], SLOPE if layer.kind == "prelu" else 1.0, requires_grad=True)
    beta = torch.zeros(layer.channels, requires_grad=True)

    def compute() -> Any:
        return _operation(layer, x, gamma, beta)

    y = compute()
    return {
        "forward": compute,
        "backward": lambda: torch.autograd.grad(
            y, (x, gamma, beta), dy, retain_graph=True, allow_unused=True, materialize_grads=False
        )[0],
    }


def to_array(layer: Layer, pass_: str, result: Any) -> FloatArray:
    """A function's result in cnnfast's layout."""
    tensor = (result[0] if isinstance(result, (tuple, list)) else result).detach()
    if pass_ != "backward_weights":
        return tensor.movedim(1, -1).numpy()
    kernel = tensor.permute(*range(2, tensor.ndim), 1, 0).numpy()
    return kernel.reshape(layer.kernel_shape) if layer.depthwise else kernel
