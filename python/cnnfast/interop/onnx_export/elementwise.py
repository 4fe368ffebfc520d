"""What is computed element by element: functions of one value, and of several that broadcast together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import to_float32
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.values import Order, Value, plain_order
from cnnfast.layers.merging import broadcast_shape
from cnnfast.symbolic import Shape

Operand = Any  # a Value, or what to_float32 takes


def unary(kind: str) -> Callable[[Builder, Value], Value]:
    """The converter of a function that is one node."""
    return lambda b, x: b.like(kind, b.floats(x))


def common_order(values: Sequence[Value]) -> Order:
    """The order in which values meet: that of the largest, and of several that whose axes lie otherwise."""
    return max(values, key=lambda v: (v.size(), v.order != plain_order(v.rank))).order


def fitted(array: Any, rank: int, order: Order) -> Any:
    """A constant as it broadcasts with a tensor of that rank and order; axes of length 1 in front are left out."""
    array = np.asarray(array)
    if array.ndim:
        array = array.reshape((1,) * (rank - array.ndim) + array.shape).transpose(order)
        while array.ndim and array.shape[0] == 1:
            array = array[0]
    return array


def aligned(b: Builder, operands: Sequence[Operand], at: int = 0, floats: bool = True) -> tuple[list[Any], Value]:
    """Operands of one rank and order, and a value of their common shape and order.

    Args:
        b: the graph.
        operands: values, and constants among them.
        at: where the axes are put in that those of lower rank lack.
        floats: whether truth values become numbers.
    """
    given = [x if isinstance(x, Value) else _array(x, floats) for x in operands]
    if len([x for x in given if isinstance(x, Value)]) > 1 or any(getattr(x, "ndim", 0) for x in given):
        given = [b.plain(x) if isinstance(x, Value) else x for x in given]
    rank = max(x.rank if isinstance(x, Value) else x.ndim for x in given)
    values = [x for x in given if isinstance(x, Value)]
    order = common_order([v for v in values if v.rank == rank] or [Value("", (1,) * rank, plain_order(rank))])
    shape = functools.reduce(_broadcast, [_padded(x.shape, rank, at) for x in given])
    placed: list[Any] = []
    for x in given:
        if isinstance(x, Value):
            whole = b.with_rank(b.floats(x) if floats else x, rank, at, order)
            placed.append(whole)
        else:
            placed.append(b.constant(fitted(x, rank, order)))
    columns = values[0].columns if len(values) == 1 else None
    return placed, Value("", shape, order, values[0].dtype, columns)


def _array(x: Any, floats: bool) -> Any:
    array = np.asarray(x)
    return array if array.dtype == bool and not floats else to_float32(x)


def _padded(shape: Sequence[int | None], rank: int, at: int) -> Shape:
    return (*shape[:at], *(1,) * (rank - len(shape)), *shape[at:])


def _broadcast(first: Shape, second: Shape) -> Shape:
    return broadcast_shape("broadcasting", first, second)


def binary(b: Builder, kind: str, x1: Operand, x2: Operand, at: int = 0, dtype: str = "float32") -> Value:
    """A node of two operands that broadcast; constants may be among them."""
    floats = dtype == "float32" or kind in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")
    (first, second), result = aligned(b, (x1, x2), at, floats)
    (name,) = b.node(kind, [first, second])
    return Value(name, result.shape, result.order, dtype, result.columns)


def pair(kind: str) -> Callable[[Builder, Operand, Operand], Value]:
    """The converter of an operation of two operands."""
    return lambda b, x1, x2: binary(b, kind, x1, x2)


def comparison(kind: str) -> Callable[[Builder, Operand, Operand], Value]:
    """The converter of a comparison, whose results are truth values."""
    return lambda b, x1, x2: binary(b, kind, x1, x2, dtype="bool")


def truth(b: Builder, x: Operand) -> Operand:
    """What counts as true: truth values as they are, numbers that are not zero."""
    if not isinstance(x, Value):
        return np.asarray(x).astype(bool)
    return x if x.dtype == "bool" else b.like("Cast", x, dtype="bool", to=b.onnx.TensorProto.BOOL)


def logical(kind: str) -> Callable[[Builder, Operand, Operand], Value]:
    """The converter of an operation on truth values."""
    return lambda b, x1, x2: binary(b, kind, truth(b, x1), truth(b, x2), dtype="bool")


def inverted(b: Builder, x: Value) -> Value:
    """Truth values turned round."""
    return b.like("Not", truth(b, x))


def not_equal(b: Builder, x1: Operand, x2: Operand) -> Value:  # noqa: D103
    return inverted(b, binary(b, "Equal", x1, x2, dtype="bool"))


def where(b: Builder, condition: Operand, x1: Operand, x2: Operand) -> Value:
    """One of two values, element by element."""
    (test, first, second), result = _chosen(b, truth(b, condition), x1, x2)
    (name,) = b.node("Where", [test, first, second])
    return Value(name, result.shape, result.order, "float32", result.columns)


def _chosen(b: Builder, condition: Operand, x1: Operand, x2: Operand) -> tuple[list[Any], Value]:
    x1, x2 = (b.floats(x) if isinstance(x, Value) else to_float32(x) for x in (x1, x2))
    return aligned(b, (condition, x1, x2), floats=False)


def clip(b: Builder, x: Value, x_min: Any = None, x_max: Any = None) -> Value:
    """Numbers held between two bounds."""
    x = b.floats(x)
    if all(bound is None or (not isinstance(bound, Value) and np.ndim(bound) == 0) for bound in (x_min, x_max)):
        low, high = (None if bound is None else b.number(float(to_float32(bound))) for bound in (x_min, x_max))
        return b.like("Clip", x, low, high)
    x = x if x_min is None else binary(b, "Max", x, x_min)
    return x if x_max is None else binary(b, "Min", x, x_max)


def square(b: Builder, x: Value) -> Value:  # noqa: D103
    x = b.floats(x)
    return b.like("Mul", x, x)


def rsqrt(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Reciprocal", b.like("Sqrt", b.floats(x)))


def scaled(b: Builder, x: Value, scale: float = 1.0, offset: float = 0.0) -> Value:
    """`x * scale + offset`."""
    if scale != 1.0:
        x = b.like("Mul", x, b.number(scale))
    return b.like("Add", x, b.number(offset)) if offset else x


def _logarithm(base: float) -> Callable[[Builder, Value], Value]:
    return lambda b, x: scaled(b, b.like("Log", b.floats(x)), float(1 / np.log(base)))


def rounded(b: Builder, x: Value, decimals: int = 0) -> Value:  # noqa: D103
    if decimals == 0:
        return b.like("Round", b.floats(x))
    return scaled(b, b.like("Round", scaled(b, b.floats(x), 10.0**decimals)), 10.0**-decimals)


def truncated(b: Builder, x: Value) -> Value:  # noqa: D103
    return b.like("Mul", b.like("Sign", b.floats(x)), b.like("Floor", b.like("Abs", b.floats(x))))


def floor_divide(b: Builder, x1: Operand, x2: Operand) -> Value:  # noqa: D103
    return b.like("Floor", binary(b, "Div", x1, x2))


def mod(b: Builder, x1: Operand, x2: Operand) -> Value:
    """The remainder, with the sign of the divisor."""
    whole = floor_divide(b, x1, x2)
    return binary(b, "Sub", x1, binary(b, "Mul", x2, whole))


def _from(kind: str, offset: float, before: bool) -> Callable[[Builder, Value], Value]:
    if before:
        return lambda b, x: b.like(kind, scaled(b, b.floats(x), offset=offset))
    return lambda b, x: scaled(b, b.like(kind, b.floats(x)), offset=offset)


def _same(b: Builder, x: Value) -> Value:
    return x


def cast(b: Builder, x: Value, dtype: Any) -> Value:
    """As another type; floats are float32."""
    wanted = np.dtype(dtype)
    if wanted.kind == "b":
        return truth(b, x)
    if wanted.kind == "f" or wanted.name == x.dtype:
        return b.floats(x) if wanted.kind == "f" else x
    return b.like("Cast", x, dtype=wanted.name, to=b.onnx.helper.np_dtype_to_tensor_dtype(wanted))


def _asked(kind: str) -> Callable[[Builder, Value], Value]:
    return lambda b, x: b.like(kind, b.floats(x), dtype="bool")


def _finite(b: Builder, x: Value) -> Value:
    x = b.floats(x)
    return inverted(b, b.like("Or", b.like("IsNaN", x, dtype="bool"), b.like("IsInf", x, dtype="bool")))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "abs": unary("Abs"), "absolute": unary("Abs"), "arccos": unary("Acos"), "arccosh": unary("Acosh"),
    "arcsin": unary("Asin"), "arcsinh": unary("Asinh"), "arctan": unary("Atan"), "arctanh": unary("Atanh"),
    "ceil": unary("Ceil"), "cos": unary("Cos"), "cosh": unary("Cosh"), "exp": unary("Exp"), "floor": unary("Floor"),
    "log": unary("Log"), "negative": unary("Neg"), "reciprocal": unary("Reciprocal"), "sign": unary("Sign"),
    "sin": unary("Sin"), "sinh": unary("Sinh"), "sqrt": unary("Sqrt"), "tan": unary("Tan"),
    "expm1": _from("Exp", -1.0, False), "log1p": _from("Log", 1.0, True), "log2": _logarithm(2.0),
    "log10": _logarithm(10.0), "exp2": lambda b, x: b.like("Exp", scaled(b, b.floats(x), float(np.log(2.0)))),
    "square": square, "rsqrt": rsqrt, "round": rounded, "trunc": truncated, "clip": clip, "where": where, "cast": cast,
    "add": pair("Add"), "subtract": pair("Sub"), "multiply": pair("Mul"), "divide": pair("Div"),
    "true_divide": pair("Div"), "power": pair("Pow"), "maximum": pair("Max"), "minimum": pair("Min"),
    "floor_divide": floor_divide, "mod": mod, "equal": comparison("Equal"), "not_equal": not_equal,
    "less": comparison("Less"), "less_equal": comparison("LessOrEqual"), "greater": comparison("Greater"),
    "greater_equal": comparison("GreaterOrEqual"), "logical_and": logical("And"), "logical_or": logical("Or"),
    "logical_xor": logical("Xor"), "logical_not": inverted, "isnan": _asked("IsNaN"),
    "isinf": _asked("IsInf"), "isfinite": _finite, "stop_gradient": _same, "copy": _same,
    "convert_to_tensor": _same, "array": lambda b, x, dtype=None: x if dtype is None else cast(b, x, dtype),
}  # fmt: skip


def _merge(kind: str) -> Callable[[Builder, Any, list[Value]], Value]:
    """The converter of a layer that joins its inputs two by two; axes that are missing come behind the batch."""
    return lambda b, layer, x: functools.reduce(lambda first, second: binary(b, kind, first, second, at=1), x)


def _average(b: Builder, layer: Any, x: list[Value]) -> Value:
    return scaled(b, _merge("Add")(b, layer, x), 1 / len(x))


LAYERS: dict[str, Callable[..., Any]] = {
    "Add": _merge("Add"), "Subtract": _merge("Sub"), "Multiply": _merge("Mul"), "Maximum": _merge("Max"),
    "Minimum": _merge("Min"), "Average": _average,
}  # fmt: skip
