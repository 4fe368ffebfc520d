"""Arithmetic, comparisons and logic, element by element with broadcasting."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, elementwise
from cnnfast.interop.onnx.budget import checked_tensor
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.tensors import dtype_of
from cnnfast.symbolic import KerasTensor


def _is_whole(call: Call) -> bool:
    return call.dtypes[0] is not None and call.dtypes[0].kind in "iu"


def _operands(call: Call) -> list[Any]:
    values = [call.given(index) for index in range(len(call.inputs))]
    if call.opset < 7 and call.attribute("broadcast", 0) and "axis" in call.node.attributes and len(values) == 2:
        # Formerly the second operand's axes began at `axis`.
        a, b = values
        behind = range(b.ndim, a.ndim - call.attribute("axis") % a.ndim)
        if isinstance(b, Arranged):
            values = [a, Arranged(ops.expand_dims(b.plain(), tuple(behind))) if behind else b]
        else:
            values = [a, np.expand_dims(b, tuple(behind))]
    if not any(isinstance(v, Arranged) for v in values):
        values[0] = call.tensor(0)
    values = [v if isinstance(v, Arranged) else np.asarray(v, np.float32) for v in values]
    fixed = np.broadcast_shapes(*([n or 1 for n in v.shape] for v in values))
    widest = max((v.shape for v in values), key=len)
    checked_tensor(call, [None if n is None else m for n, m in zip(widest, fixed, strict=True)])
    return values


def _same_shapes(values: list[Any]) -> bool:
    return all(isinstance(v, Arranged) and v.shape == values[0].shape for v in values) and len(values) > 1


@operator("Add", "Sum")
def _add(call: Call) -> Any:
    values = _operands(call)
    if len(values) == 1:
        return values[0]
    if _same_shapes(values) and values[0].ndim > 1:
        return elementwise(lambda *xs: layers.Add(name=call.name)(list(xs)), *values)
    return elementwise(lambda *xs: functools.reduce(ops.add, xs), *values)


@operator("Mean")
def _mean(call: Call) -> Any:
    values = _operands(call)
    return elementwise(lambda *xs: ops.divide(functools.reduce(ops.add, xs), float(len(xs))), *values)


@operator("Sub")
def _subtract(call: Call) -> Any:
    return elementwise(ops.subtract, *_operands(call))


@operator("Mul")
def _multiply(call: Call) -> Any:
    return elementwise(ops.multiply, *_operands(call))


@operator("Div")
def _divide(call: Call) -> Any:
    if _is_whole(call):
        return elementwise(lambda a, b: ops.trunc(ops.divide(a, b)), *_operands(call))
    return elementwise(ops.divide, *_operands(call))


@operator("Mod")
def _mod(call: Call) -> Any:
    a_sign = bool(call.attribute("fmod", 0))
    if a_sign:  # the sign of the first operand
        return elementwise(lambda a, b: ops.subtract(a, ops.multiply(ops.trunc(ops.divide(a, b)), b)), *_operands(call))
    return elementwise(ops.mod, *_operands(call))


@operator("Pow")
def _power(call: Call) -> Any:
    result = elementwise(ops.power, *_operands(call))
    return result.like(ops.trunc(result.tensor)) if _is_whole(call) else result


@operator("Max")
def _maximum(call: Call) -> Any:
    return elementwise(lambda *xs: functools.reduce(ops.maximum, xs), *_operands(call))


@operator("Min")
def _minimum(call: Call) -> Any:
    return elementwise(lambda *xs: functools.reduce(ops.minimum, xs), *_operands(call))


_UNARY: dict[str, Callable[..., Any]] = {
    "Abs": ops.abs, "Neg": ops.negative, "Sign": ops.sign, "Sqrt": ops.sqrt, "Exp": ops.exp, "Log": ops.log,
    "Reciprocal": ops.reciprocal, "Floor": ops.floor, "Ceil": ops.ceil, "Round": ops.round, "Sin": ops.sin,
    "Cos": ops.cos, "Tan": ops.tan, "Asin": ops.arcsin, "Acos": ops.arccos, "Atan": ops.arctan, "Sinh": ops.sinh,
    "Cosh": ops.cosh, "Asinh": ops.arcsinh, "Acosh": ops.arccosh, "Atanh": ops.arctanh, "Not": ops.logical_not,
    "IsNaN": ops.isnan,
}  # fmt: skip


@operator(*_UNARY)
def _unary(call: Call) -> Any:
    value = call.tensor(0)
    return value.like(_UNARY[call.node.op_type](value.tensor))


@operator("IsInf")
def _isinf(call: Call) -> Any:
    value, x = call.tensor(0), call.tensor(0).tensor
    found = ops.isinf(x)
    if not call.attribute("detect_negative", 1):
        found = ops.logical_and(found, ops.greater(x, 0.0))
    if not call.attribute("detect_positive", 1):
        found = ops.logical_and(found, ops.less(x, 0.0))
    return value.like(found)


@operator("Erf")
def _erf(call: Call) -> Any:
    # gelu(x) is x / 2 * (1 + erf(x / sqrt(2))).
    value = call.tensor(0)
    z = ops.multiply(value.tensor, float(np.sqrt(2.0)))
    safe = ops.where(ops.equal(z, 0.0), 1.0, z)
    ratio = ops.subtract(ops.multiply(ops.divide(ops.gelu(z, approximate=False), safe), 2.0), 1.0)
    return value.like(ops.where(ops.equal(z, 0.0), 0.0, ratio))


_COMPARISONS: dict[str, Callable[..., Any]] = {
    "Equal": ops.equal, "Less": ops.less, "LessOrEqual": ops.less_equal, "Greater": ops.greater,
    "GreaterOrEqual": ops.greater_equal, "And": ops.logical_and, "Or": ops.logical_or, "Xor": ops.logical_xor,
}  # fmt: skip


@operator(*_COMPARISONS)
def _compare(call: Call) -> Any:
    return elementwise(_COMPARISONS[call.node.op_type], *_operands(call))


@operator("Where")
def _where(call: Call) -> Any:
    return elementwise(ops.where, *_operands(call))


@operator("Cast", "CastLike")
def _cast(call: Call) -> Any:
    value = call.given(0)
    if call.node.op_type == "Cast":
        to = dtype_of(call.required("to"), str(call))
    elif call.dtypes[1] is None:
        raise ValueError(f"{call}: input 1 is missing")
    else:
        to = call.dtypes[1]
    call.dtype = to
    if not isinstance(value, Arranged):
        return value.astype(to)
    source = call.dtypes[0]
    if to.kind == "b":
        return value.like(ops.not_equal(value.tensor, 0.0))
    if to.kind in "iu" and (source is None or source.kind == "f"):
        return value.like(ops.trunc(value.tensor))
    whole = isinstance(value.tensor, KerasTensor) and value.tensor.dtype != "float32"
    return value.like(ops.cast(value.tensor, "float32")) if to.kind == "f" and whole else value


@operator("Identity")
def _identity(call: Call) -> Any:
    return call.given(0)
