"""Sums, products and other functions of elements, of tensors that broadcast together; sums along axes; products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, elementwise
from cnnfast.interop.torch.conversion.calls import Call, UnsupportedError, as_array, computes


def _operand(value: Any) -> Any:
    if isinstance(value, (Arranged, int, float)):
        return value
    if hasattr(value, "detach"):
        return as_array(value)
    raise UnsupportedError(f"an operand of type {type(value).__name__} is not supported")


def _combined(function: Callable[..., Any], a: Any, b: Any) -> Arranged:
    return elementwise(function, _operand(a), _operand(b))


@computes("add", "iadd", "add_")
def _add(call: Call, input: Any, other: Any, alpha: float = 1) -> Arranged:
    if alpha != 1:
        return _combined(lambda a, b: ops.add(a, ops.multiply(b, float(alpha))), input, other)
    if isinstance(input, Arranged) and isinstance(other, Arranged) and input.shape == other.shape:
        return elementwise(lambda a, b: layers.Add(name=call.name)([a, b]), input, other)
    return _combined(ops.add, input, other)


@computes("sub", "subtract", "isub", "sub_")
def _subtract(call: Call, input: Any, other: Any, alpha: float = 1) -> Arranged:
    if alpha != 1:
        return _combined(lambda a, b: ops.subtract(a, ops.multiply(b, float(alpha))), input, other)
    return _combined(ops.subtract, input, other)


@computes("rsub")
def _reversed_subtract(call: Call, input: Any, other: Any) -> Arranged:
    return _combined(ops.subtract, other, input)


@computes("div", "divide", "truediv", "true_divide", "itruediv", "div_")
def _divide(call: Call, input: Any, other: Any, rounding_mode: str | None = None) -> Arranged:
    if rounding_mode is not None:
        raise UnsupportedError(f"rounding_mode={rounding_mode!r} is not supported")
    return _combined(ops.divide, input, other)


def _two(function: Callable[..., Any], *names: str) -> None:
    computes(*names)(lambda call, input, other: _combined(function, input, other))


_two(ops.multiply, "mul", "multiply", "imul", "mul_")
_two(ops.power, "pow", "ipow")
_two(ops.maximum, "maximum")
_two(ops.minimum, "minimum")


def _one(function: Callable[..., Any], *names: str) -> None:
    computes(*names)(lambda call, input: input.like(function(input.tensor)))


_one(ops.negative, "neg", "negative")
for _name in ("abs", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "sin", "cos", "reciprocal", "sign", "expm1"):
    _one(getattr(ops, _name), _name)


@computes("expand_as")
def _expand_as(call: Call, input: Arranged, other: Arranged) -> Arranged:
    return elementwise(lambda a, b: ops.add(a, ops.zeros_like(b)), input, other)


def _axes(x: Arranged, dim: Any) -> tuple[int, ...]:
    if dim is None or dim == () or dim == []:
        return tuple(range(x.ndim))
    return tuple(axis % x.ndim for axis in (dim if isinstance(dim, (list, tuple)) else (dim,)))


def _reduced(x: Arranged, gone: tuple[int, ...], keepdim: bool, function: Callable[..., Any]) -> Arranged:
    if 0 in gone:
        raise UnsupportedError("a result without the batch's axis is not supported")
    x = x.apart()
    y = function(x.tensor, axis=tuple(sorted(x.place(axis) for axis in gone)), keepdims=keepdim)
    if keepdim:
        return Arranged(y, x.order)
    return Arranged(y, [axis - sum(g < axis for g in gone) for axis in x.order if axis not in gone])


_GLOBAL: dict[int, Any] = {
    3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D, 5: layers.GlobalAveragePooling3D,
}  # fmt: skip


@computes("mean")
def _mean(call: Call, input: Arranged, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Arranged:
    gone = _axes(input, dim)
    last = (0, *range(2, input.ndim), 1)
    if input.ndim in _GLOBAL and set(gone) == set(range(2, input.ndim)) and input.apart().order == last:
        y = _GLOBAL[input.ndim](keepdims=keepdim, name=call.name)(input.channels_last())
        return Arranged(y, last) if keepdim else Arranged(y)
    return _reduced(input, gone, keepdim, ops.mean)


@computes("sum")
def _sum(call: Call, input: Arranged, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Arranged:
    return _reduced(input, _axes(input, dim), keepdim, ops.sum)


@computes("amax")
def _amax(call: Call, input: Arranged, dim: Any = (), keepdim: bool = False) -> Arranged:
    return _reduced(input, _axes(input, dim), keepdim, ops.max)


@computes("amin")
def _amin(call: Call, input: Arranged, dim: Any = (), keepdim: bool = False) -> Arranged:
    return _reduced(input, _axes(input, dim), keepdim, ops.min)


@computes("normalize")
def _normalize(call: Call, input: Arranged, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Arranged:
    if p != 2 or dim % input.ndim == 0:
        raise UnsupportedError(f"p={p} along axis {dim} is not supported")
    x = input.apart()
    length = ops.sqrt(ops.sum(ops.square(x.tensor), axis=x.place(dim), keepdims=True))
    return x.like(ops.divide(x.tensor, ops.maximum(length, float(eps))))


@computes("matmul", "bmm")
def _matmul(call: Call, input: Any, other: Any) -> Arranged:
    tensors = [v.plain() if isinstance(v, Arranged) else as_array(v) for v in (input, other)]
    return Arranged(ops.matmul(*tensors))
