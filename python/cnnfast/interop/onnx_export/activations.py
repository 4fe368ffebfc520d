"""Activation functions, as operations, as layers, and as what other layers apply to their outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfast import activations
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.elementwise import binary, clip, fitted, scaled, square, unary, where
from cnnfast.interop.onnx_export.reductions import reduced
from cnnfast.interop.onnx_export.values import Value, normal_axes

_SELU: dict[str, Any] = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


def relu6(b: Builder, x: Value) -> Value:  # noqa: D103
    return clip(b, x, 0.0, 6.0)


def leaky_relu(b: Builder, x: Value, negative_slope: float = 0.2) -> Value:  # noqa: D103
    return b.like("LeakyRelu", b.floats(x), alpha=float(negative_slope))


def elu(b: Builder, x: Value, alpha: float = 1.0) -> Value:  # noqa: D103
    return b.like("Elu", b.floats(x), alpha=float(alpha))


def celu(b: Builder, x: Value, alpha: float = 1.0) -> Value:  # noqa: D103
    return b.like("Celu", b.floats(x), alpha=float(alpha))


def selu(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Selu", b.floats(x), **_SELU)


def silu(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Mul", x, b.like("Sigmoid", b.floats(x)))


def gelu(b: Builder, x: Value, approximate: bool = True) -> Value:
    """One node from version 20 on, its parts before."""
    x = b.floats(x)
    if b.opset >= 20:
        return b.like("Gelu", x, approximate="tanh" if approximate else "none")
    if approximate:
        bent = b.like("Add", x, scaled(b, b.like("Mul", square(b, x), x), 0.044715))
        gate = b.like("Tanh", scaled(b, bent, math.sqrt(2 / math.pi)))
    else:
        gate = b.like("Erf", b.like("Div", x, b.number(math.sqrt(2))))
    return scaled(b, b.like("Mul", x, scaled(b, gate, offset=1.0)), 0.5)


def hard_sigmoid(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("HardSigmoid", b.floats(x), alpha=1 / 6, beta=0.5)


def hard_silu(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("HardSwish", b.floats(x)) if b.opset >= 14 else b.like("Mul", x, hard_sigmoid(b, x))


def hard_tanh(b: Builder, x: Value) -> Value:  # noqa: D103
    return clip(b, x, -1.0, 1.0)


def log_sigmoid(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Neg", b.like("Softplus", b.like("Neg", b.floats(x))))


def tanh_shrink(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Sub", b.floats(x), b.like("Tanh", b.floats(x)))


def soft_shrink(b: Builder, x: Value, threshold: float = 0.5) -> Value:  # noqa: D103
    return b.like("Shrink", b.floats(x), lambd=float(threshold), bias=float(threshold))


def hard_shrink(b: Builder, x: Value, threshold: float = 0.5) -> Value:  # noqa: D103
    return b.like("Shrink", b.floats(x), lambd=float(threshold), bias=0.0)


def threshold(b: Builder, x: Value, threshold: float, default_value: float) -> Value:  # noqa: D103
    return where(b, binary(b, "Greater", x, threshold, dtype="bool"), x, default_value)


def squareplus(b: Builder, x: Value, b_: float = 4.0) -> Value:
    """Half of `x + sqrt(x ** 2 + b)`."""
    root = b.like("Sqrt", scaled(b, square(b, x), offset=float(b_)))
    return scaled(b, b.like("Add", b.floats(x), root), 0.5)


def mish(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Mul", x, b.like("Tanh", b.like("Softplus", b.floats(x))))


def sparse_sigmoid(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("HardSigmoid", b.floats(x), alpha=0.5, beta=0.5)


def sparse_plus(b: Builder, x: Value) -> Value:  # noqa: D103
    return where(b, binary(b, "Less", x, 1.0, dtype="bool"), square(b, sparse_sigmoid(b, x)), x)


def softmax(b: Builder, x: Value, axis: int = -1) -> Value:  # noqa: D103
    x = b.plain(b.floats(x))
    return b.like("Softmax", x, axis=x.place(axis))


def log_softmax(b: Builder, x: Value, axis: int = -1) -> Value:  # noqa: D103
    x = b.plain(b.floats(x))
    return b.like("LogSoftmax", x, axis=x.place(axis))


def glu(b: Builder, x: Value, axis: int = -1) -> Value:
    """The first half times the sigmoid of the second."""
    x = b.plain(b.floats(x))
    (a,) = normal_axes(axis, x.rank)
    size = x.shape[a]
    if size is None or size % 2:
        raise ValueError(f"glu: expects an even, fixed size along axis {axis}, got shape {x.shape}")
    first, second = b.node("Split", [x, b.integers([size // 2] * 2)], 2, axis=x.place(a))
    shape = (*x.shape[:a], size // 2, *x.shape[a + 1 :])
    return b.like("Mul", Value(first, shape, x.order), b.like("Sigmoid", Value(second, shape, x.order)))


def sparsemax(b: Builder, x: Value, axis: int = -1) -> Value:
    """The projection onto the vectors with sum 1: by sorting, as `cnnfast.ops.sparsemax` does it."""
    x = b.plain(b.floats(x))
    (a,) = normal_axes(axis, x.rank)
    size, place = x.shape[a], x.place(a)
    if size is None:
        raise ValueError(f"sparsemax: expects a fixed size along axis {axis}, got shape {x.shape}")
    values, _ = b.node("TopK", [x, b.integers([size])], 2, axis=place)
    descending = Value(values, x.shape, x.order)
    (sums,) = b.node("CumSum", [descending, b.constant(np.int64(place))])
    column = (size, *(1,) * (x.rank - 1 - place))
    counts = b.constant(np.arange(1, size + 1, dtype=np.float32).reshape(column))
    thresholds = b.like("Div", scaled(b, Value(sums, x.shape, x.order), offset=-1.0), counts)
    positive = b.floats(b.like("Greater", descending, thresholds, dtype="bool"))
    (count,) = b.node("ReduceSum", [positive, b.integers([place])], keepdims=1)
    (last,) = b.node("Sub", [count, b.number(1.0)])
    (index,) = b.node("Cast", [last], to=b.onnx.TensorProto.INT64)
    (taken,) = b.node("GatherElements", [thresholds, index], axis=place)
    return b.like("Relu", b.like("Sub", x, taken))


def maxout(b: Builder, x: Value, num_pieces: int, axis: int = -1) -> Value:
    """The largest of every few consecutive entries: every so manieth slice, and the maximum of these."""
    x = b.plain(b.floats(x))
    (a,) = normal_axes(axis, x.rank)
    size = x.shape[a]
    if size is None:
        raise ValueError(f"maxout: expects a fixed size along axis {axis}, got shape {x.shape}")
    ends, places, steps = b.integers([size]), b.integers([x.place(a)]), b.integers([num_pieces])
    slices = [b.node("Slice", [x, b.integers([i]), ends, places, steps])[0] for i in range(num_pieces)]
    shape = (*x.shape[:a], size // num_pieces, *x.shape[a + 1 :])
    return b.made("Max", slices, shape, x.order)


def prelu(b: Builder, x: Value, alpha: Any) -> Value:
    """A rectifier with slopes of its own."""
    x = b.plain(b.floats(x))
    rank, order = x.rank, x.order
    return b.like("PRelu", x, b.weight(alpha, "alpha", lambda a: fitted(a, rank, order), (rank, order)))


def _several_axes(b: Builder, x: Value, axes: tuple[int, ...]) -> Value:
    """Softmax over several axes together."""
    x = b.plain(x)
    powers = b.like("Exp", b.like("Sub", x, reduced(b, "ReduceMax", x, axes, True)))
    return b.like("Div", powers, reduced(b, "ReduceSum", powers, axes, True))


def general_relu(
    b: Builder, x: Value, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    """The general form of the rectifier."""
    if threshold == 0.0 and negative_slope == 0.0:
        return b.like("Relu", b.floats(x)) if max_value is None else clip(b, x, 0.0, max_value)
    if threshold == 0.0:
        y = leaky_relu(b, x, negative_slope)
    else:
        below = scaled(b, scaled(b, b.floats(x), offset=-threshold), negative_slope)
        y = where(b, binary(b, "GreaterOrEqual", x, threshold, dtype="bool"), x, below)
    return y if max_value is None else clip(b, y, None, max_value)


def _same(b: Builder, x: Value) -> Value:
    return x


# By their names in cnnfast.activations, called with x alone.
_BY_NAME: dict[str, Callable[..., Any]] = {
    "celu": celu, "elu": elu, "exponential": unary("Exp"), "gelu": lambda b, x: gelu(b, x, False), "glu": glu,
    "hard_shrink": hard_shrink, "hard_sigmoid": hard_sigmoid, "hard_silu": hard_silu, "hard_tanh": hard_tanh,
    "leaky_relu": leaky_relu, "linear": _same, "log_sigmoid": log_sigmoid, "log_softmax": log_softmax, "mish": mish,
    "relu": unary("Relu"), "relu6": relu6, "selu": selu, "sigmoid": unary("Sigmoid"), "silu": silu,
    "soft_shrink": soft_shrink, "softmax": softmax, "softplus": unary("Softplus"), "softsign": unary("Softsign"),
    "sparse_plus": sparse_plus, "sparse_sigmoid": sparse_sigmoid, "sparsemax": sparsemax, "squareplus": squareplus,
    "tanh": unary("Tanh"), "tanh_shrink": tanh_shrink,
}  # fmt: skip

OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: function for name, function in _BY_NAME.items() if name not in ("exponential", "gelu", "linear")},
    "gelu": gelu, "hard_swish": hard_silu, "linear": _same, "maxout": maxout, "prelu": prelu, "swish": silu,
    "threshold": threshold,
}  # fmt: skip


def named_activation(function: Any) -> Callable[[Builder, Value], Any] | None:
    """What converts a function of `cnnfast.activations`; None for any other."""
    name = getattr(function, "__name__", "")
    known = getattr(activations, name, None) is function and name in _BY_NAME
    return _BY_NAME[name] if known else None


def activation_operation(b: Builder, x: Value, name: str | None, **params: Any) -> Any:
    """`ops.activation`, by name."""
    if isinstance(name, (tuple, list)):  # as convolutions take leaky ReLU with a slope
        name, params = name[0], {"negative_slope": name[1]}
    name = "linear" if name is None else name
    return gelu(b, x, **{"approximate": False, **params}) if name == "gelu" else OPERATIONS[name](b, x, **params)


def _softmax_layer(b: Builder, layer: Any, x: Value) -> Value:
    return softmax(b, x, layer.axis[0]) if len(layer.axis) == 1 else _several_axes(b, x, layer.axis)


LAYERS: dict[str, Callable[..., Any]] = {
    "ReLU": lambda b, layer, x: general_relu(b, x, layer.negative_slope, layer.max_value, layer.threshold),
    "LeakyReLU": lambda b, layer, x: leaky_relu(b, x, layer.negative_slope),
    "ELU": lambda b, layer, x: elu(b, x, layer.alpha),
    "PReLU": lambda b, layer, x: prelu(b, x, layer.alpha),
    "Softmax": _softmax_layer,
    "Maxout": lambda b, layer, x: maxout(b, x, x.shape[layer.axis] // layer.num_units, layer.axis),
}
