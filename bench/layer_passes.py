"""The passes of a layer as cnnfast computes them, each as a function without arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import cnnfast
from bench.shapes import FloatArray, Layer
from cnnfast import ops

EPSILON = 1e-5
SLOPE = 0.25  # below zero, of PReLU
RESPONSE = {"depth_radius": 2, "bias": 1.0, "alpha": 0.02, "beta": 0.75}  # of local response normalisation


def _convolution(layer: Layer) -> tuple[Callable[..., Any], dict[str, Any]]:
    arguments: dict[str, Any] = {"strides": layer.stride, "padding": layer.padding, "dilation_rate": layer.dilation}
    if layer.kind == "transposed":
        return getattr(ops, f"conv{layer.rank}d_transpose"), arguments
    if layer.depthwise:
        return getattr(ops, f"depthwise_conv{layer.rank}d"), arguments
    return getattr(ops, f"conv{layer.rank}d"), arguments | {"groups": layer.groups}


def _recorded(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Any, Callable[..., Any]]:
    """The result of an operation and its gradient, without what a tape adds for a single one."""
    with cnnfast.GradientTape(persistent=True) as tape:
        tape.watch([x for x in inputs if isinstance(x, cnnfast.Tensor)])
        y = function(*inputs)
    return y, tape._nodes[-1].vjp


def passes(layer: Layer, data: Mapping[str, FloatArray], algorithm: str | None = None) -> dict[str, Callable[[], Any]]:
    """Every pass of a layer by name.

    Args:
        layer: what to compute.
        data: `layer.data()`.
        algorithm: for `ops.conv1d` to `ops.conv3d`: the one to force.

    Returns:
        Functions that return one array, or weights' gradients as (dkernel, dbias).
    """
    return _conv_passes(layer, data, algorithm) if layer.is_conv else _other_passes(layer, data)


def _conv_passes(layer: Layer, data: Mapping[str, FloatArray], algorithm: str | None) -> dict[str, Callable[[], Any]]:
    operation, arguments = _convolution(layer)
    if algorithm is not None:
        arguments["algorithm"] = algorithm
    x, kernel, bias, dy = data["x"], data["kernel"], data["bias"], data["dy"]
    inputs = [cnnfast.Tensor(a) for a in (x, kernel, bias)]
    vjp = _recorded(lambda *a: operation(*a, **arguments), inputs)[1]
    return {
        "forward": lambda: operation(x, kernel, bias, **arguments),
        "backward_data": lambda: vjp(dy, (True, False, False))[0],
        "backward_weights": lambda: vjp(dy, (False, True, True))[1:],
    }


def _other_operation(layer: Layer) -> Callable[..., Any]:
    window = layer.window, layer.stride, layer.padding
    operations: dict[str, Callable[..., Any]] = {
        "batch_norm": lambda *a: ops.fused_batch_norm(*a, training=True, epsilon=EPSILON, activation="relu")[0],
        "layer_norm": lambda *a: ops.layer_normalization(*a, epsilon=EPSILON),
        "group_norm": lambda *a: ops.group_normalization(*a, layer.groups, EPSILON),
        "prelu": ops.prelu,
        "local_response": lambda x: ops.local_response_normalization(x, **RESPONSE),
        "max_pool": lambda x: ops.max_pool2d(x, *window),
        "average_pool": lambda x: ops.avg_pool2d(x, *window),
        "adaptive_max": lambda x: ops.adaptive_max_pool(x, layer.windows),
        "adaptive_average": lambda x: ops.adaptive_average_pool(x, layer.windows),
    }
    return operations[layer.kind]


def _other_passes(layer: Layer, data: Mapping[str, FloatArray]) -> dict[str, Callable[[], Any]]:
    """Forward as in training: with all that the gradient will need."""
    x, dy = cnnfast.Tensor(data["x"]), data["dy"]
    ones, zeros = np.ones(layer.channels, np.float32), np.zeros(layer.channels, np.float32)
    parameters: list[Any] = []
    if layer.kind in ("batch_norm", "layer_norm", "group_norm"):
        parameters = [cnnfast.Tensor(ones), cnnfast.Tensor(zeros)]
    elif layer.kind == "prelu":
        parameters = [cnnfast.Tensor(SLOPE * ones)]
    inputs = [x, *parameters, *([zeros, ones] if layer.kind == "batch_norm" else [])]
    compute = _other_operation(layer)
    vjp = _recorded(compute, inputs)[1]
    needs = [isinstance(a, cnnfast.Tensor) for a in inputs]

    def forward() -> Any:
        with cnnfast.GradientTape() as tape:
            tape.watch(x)
            return compute(*inputs)

    return {"forward": forward, "backward": lambda: vjp(dy, needs)[0]}


def algorithms(layer: Layer) -> dict[str, str]:
    """The algorithm that is chosen for every pass, where there is a choice."""
    if layer.kind != "conv":
        return {}
    taps = layer.kernel_shape[: layer.rank]
    return ops.conv_algorithms(
        layer.x_shape,
        (*taps, layer.channels // layer.groups, layer.filters),
        strides=layer.stride,
        padding=layer.padding,
        dilation_rate=layer.dilation,
        groups=layer.groups,
    )


def first_array(result: Any) -> FloatArray:
    """The array of a pass's result that is compared: the kernel's gradient of (dkernel, dbias)."""
    return np.asarray(result[0] if isinstance(result, (tuple, list)) else result)
