"""Activations: modules, functions and methods of one name are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, elementwise, from_channels_last
from cnnfast.interop.torch.conversion.calls import Call, UnsupportedError, computes, converts

_Function = Callable[[Any], Any]


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> _Function:
    if beta == 1:
        return ops.softplus
    return lambda x: ops.divide(ops.softplus(ops.multiply(x, float(beta))), float(beta))


def _hardtanh(min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> _Function:
    if (min_val, max_val) == (0.0, 6.0):
        return ops.relu6
    return lambda x: ops.clip(x, float(min_val), float(max_val))


def _gelu(approximate: str = "none") -> _Function:
    return lambda x: ops.gelu(x, approximate=approximate == "tanh")


def _rrelu(lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> _Function:
    raise UnsupportedError("slopes that are drawn in training are not supported; LeakyReLU has fixed ones")


def _plain(function: _Function) -> Callable[..., _Function]:
    return lambda inplace=False: function


# By the functions' names: what makes the function of their arguments.
_MAKERS: dict[str, Callable[..., _Function]] = {
    "relu6": _plain(ops.relu6),
    "leaky_relu": lambda negative_slope=0.01, inplace=False: (
        lambda x: ops.leaky_relu(x, negative_slope=float(negative_slope))
    ),
    "elu": lambda alpha=1.0, inplace=False: lambda x: ops.elu(x, alpha=float(alpha)),
    "selu": _plain(ops.selu),
    "celu": lambda alpha=1.0, inplace=False: lambda x: ops.celu(x, float(alpha)),
    "gelu": _gelu,
    "silu": _plain(ops.silu),
    "mish": _plain(ops.mish),
    "sigmoid": _plain(ops.sigmoid),
    "tanh": _plain(ops.tanh),
    "softplus": _softplus,
    "softsign": _plain(ops.softsign),
    "hardswish": _plain(ops.hard_silu),
    "hardsigmoid": _plain(ops.hard_sigmoid),
    "hardtanh": _hardtanh,
    "hardshrink": lambda lambd=0.5: lambda x: ops.hard_shrink(x, float(lambd)),
    "softshrink": lambda lambd=0.5: lambda x: ops.soft_shrink(x, float(lambd)),
    "tanhshrink": _plain(ops.tanh_shrink),
    "logsigmoid": _plain(ops.log_sigmoid),
    "threshold": lambda threshold, value, inplace=False: lambda x: ops.threshold(x, float(threshold), float(value)),
    "rrelu": _rrelu,
}

# The modules of those functions, and which attributes their arguments are.
_MODULES = {
    "ReLU6": ("relu6",), "LeakyReLU": ("leaky_relu", "negative_slope"), "ELU": ("elu", "alpha"), "SELU": ("selu",),
    "CELU": ("celu", "alpha"), "GELU": ("gelu", "approximate"), "SiLU": ("silu",), "Mish": ("mish",),
    "Sigmoid": ("sigmoid",), "Tanh": ("tanh",), "Softplus": ("softplus", "beta", "threshold"),
    "Softsign": ("softsign",), "Hardswish": ("hardswish",), "Hardsigmoid": ("hardsigmoid",),
    "Hardtanh": ("hardtanh", "min_val", "max_val"), "Hardshrink": ("hardshrink", "lambd"),
    "Softshrink": ("softshrink", "lambd"), "Tanhshrink": ("tanhshrink",), "LogSigmoid": ("logsigmoid",),
    "Threshold": ("threshold", "threshold", "value"), "RReLU": ("rrelu",),
}  # fmt: skip


def _note_function(name: str, maker: Callable[..., _Function]) -> None:
    def convert(call: Call, x: Arranged, *args: Any, **kwargs: Any) -> Arranged:
        return x.like(maker(*args, **kwargs)(x.tensor))

    computes(name, f"{name}_")(convert)


def _note_module(name: str, function: str, attributes: tuple[str, ...]) -> None:
    def convert(call: Call, x: Arranged) -> Arranged:
        arguments = {attribute: getattr(call.module, attribute) for attribute in attributes}
        return x.like(_MAKERS[function](**arguments)(x.tensor))

    converts(name)(convert)


for _name, _maker in _MAKERS.items():
    _note_function(_name, _maker)
for _name, (_function_name, *_attributes) in _MODULES.items():
    _note_module(_name, _function_name, tuple(_attributes))


@converts("ReLU")
@computes("relu", "relu_")
def _relu(call: Call, x: Arranged, inplace: bool = False) -> Arranged:
    return x.like(layers.ReLU(name=call.name)(x.tensor))


@converts("PReLU")
def _prelu(call: Call, x: Arranged) -> Arranged:
    x = x.apart()
    order = (0, *range(2, x.ndim), 1) if x.ndim > 2 else tuple(range(x.ndim))
    shared = list(range(1, x.ndim - 1)) or None
    y = call.weighted(lambda: layers.PReLU(shared_axes=shared, name=call.name), x.lying(order))
    return Arranged(y, order)


@computes("softmax", "log_softmax", "softmin")
def _softmax(call: Call, x: Arranged, dim: int | None = None, dtype: Any = None, **other: Any) -> Arranged:
    kind = call.kind
    axis = (1 if x.ndim in (2, 4) else 0) if dim is None else dim  # as PyTorch chooses, with a warning
    if axis % x.ndim == 0:
        raise UnsupportedError("a softmax over the batch is not supported")
    x = x.apart()
    tensor = ops.negative(x.tensor) if kind == "softmin" else x.tensor
    if kind == "log_softmax":
        return x.like(ops.log_softmax(tensor, axis=x.place(axis)))
    return x.like(layers.Softmax(x.place(axis) if x.place(axis) < x.ndim - 1 else -1)(tensor))


@converts("Softmax", "LogSoftmax", "Softmin")
def _softmax_module(call: Call, x: Arranged) -> Arranged:
    names = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Softmin": "softmin"}
    call.kind = names[type(call.module).__name__]
    return _softmax(call, x, call.module.dim)


@converts("Softmax2d")
def _softmax_2d(call: Call, x: Arranged) -> Arranged:
    return from_channels_last(layers.Softmax(-1)(x.channels_last()))


@computes("glu")
def _glu(call: Call, x: Arranged, dim: int = -1) -> Arranged:
    x = x.apart()
    return x.like(ops.glu(x.tensor, axis=x.place(dim)))


@converts("GLU")
def _glu_module(call: Call, x: Arranged) -> Arranged:
    return _glu(call, x, call.module.dim)


@computes("clamp", "clip", "clamp_")
def _clamp(call: Call, x: Arranged, min: float | None = None, max: float | None = None) -> Arranged:
    if min is not None and max is not None:
        return x.like(ops.clip(x.tensor, float(min), float(max)))
    if max is not None:
        return elementwise(lambda t: ops.minimum(t, float(max)), x)
    return x if min is None else elementwise(lambda t: ops.maximum(t, float(min)), x)
