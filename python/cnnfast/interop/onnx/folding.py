"""Constants computed from constants, in NumPy: the arithmetic with shapes that exporters write down, and weights.

Sizes that are not fixed take part as `OpenSize`, so that a shape of which only the batch is open can be put together.
What would become too large is refused before it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.budget import checked_size
from cnnfast.interop.onnx.calls import Call, UnsupportedError, folder
from cnnfast.interop.onnx.tensors import Array, dtype_of


class OpenSize:
    """A size that is known only when the model computes.

    Args:
        axis: which axis's size it is; -1 for a number computed from sizes.
        of: the tensor that it was asked from.
    """

    __slots__ = ("axis", "of")

    def __init__(self, axis: int = -1, of: Any = None) -> None:
        self.axis, self.of = axis, of

    def __repr__(self) -> str:
        return "?"

    def _unless(self, other: Any, neutral: int) -> OpenSize:
        return self if isinstance(other, (int, float, np.number)) and other == neutral else OpenSize()

    def __add__(self, other: Any) -> OpenSize:
        return self._unless(other, 0)

    def __mul__(self, other: Any) -> Any:
        return 0 if isinstance(other, (int, np.integer)) and other == 0 else self._unless(other, 1)

    def __truediv__(self, other: Any) -> OpenSize:
        return self._unless(other, 1)

    def __rsub__(self, other: Any) -> OpenSize:
        return OpenSize()

    def __floor__(self) -> OpenSize:
        return self

    __radd__ = __sub__ = __add__
    __rmul__ = __mul__
    __floordiv__ = __truediv__
    __rtruediv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __neg__ = __rsub__
    __ceil__ = __trunc__ = __floor__

    def __eq__(self, other: object) -> bool:
        if other is self or (isinstance(other, (int, float, np.number)) and other < 0):
            return other is self
        raise UnsupportedError("what depends on an open size's value cannot be followed; give input_shapes that fix it")

    def __hash__(self) -> int:
        return id(self)

    __bool__ = __lt__ = __gt__ = __le__ = __ge__ = lambda self, *other: OpenSize.__eq__(self, None)


def settled(value: Any) -> Array:
    """An array of Python objects as integers, if all of them are.

    Raises:
        ValueError: a number has grown beyond 64 bits.
    """
    array = np.asarray(value)
    if array.dtype != object:
        return array
    numbers = [n for n in array.ravel() if isinstance(n, (int, np.integer))]
    if any(abs(int(n)) >= 1 << 63 for n in numbers):
        raise ValueError("a size of more than 64 bits")
    return array.astype(np.int64) if len(numbers) == array.size else array


def _sizes(call: Call, index: int) -> tuple[int, ...]:
    return tuple(call.integers(index))


@folder("Constant")
def _constant(call: Call) -> Any:
    for name, dtype in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float32),
                        ("value_floats", np.float32)):  # fmt: skip
        if call.attribute(name) is not None:
            return np.array(call.attribute(name), dtype)
    return call.required("value")


@folder("ConstantOfShape")
def _constant_of_shape(call: Call) -> Any:
    value = call.attribute("value", np.zeros(1, np.float32))
    shape = _sizes(call, 0)
    checked_size(call, shape, value.itemsize)
    return np.broadcast_to(value.reshape(()), shape)


@folder("Shape")
def _shape(call: Call) -> Any:
    sizes = np.array(call.given(0).shape, np.int64)
    return sizes[slice(call.attribute("start", 0), call.attribute("end"))]


@folder("Size")
def _size(call: Call) -> Any:
    return np.array(call.given(0).size, np.int64)


@folder("Cast")
def _cast(call: Call) -> Any:
    return _converted(call.given(0), dtype_of(call.required("to"), str(call)))


@folder("CastLike")
def _cast_like(call: Call) -> Any:
    return _converted(call.given(0), np.dtype(np.int64) if call.given(1).dtype == object else call.given(1).dtype)


def _converted(array: Array, dtype: np.dtype[Any]) -> Array:
    return array if array.dtype == object else array.astype(dtype)


@folder("Range")
def _range(call: Call) -> Any:
    start, limit, step = (call.scalar(index) for index in range(3))
    if step == 0 or not all(math.isfinite(n) for n in (start, limit, step)):
        raise ValueError(f"{call}: from {start} to {limit} in steps of {step} leads nowhere")
    count = max(math.ceil((limit - start) / step), 0)
    dtype = call.constant(0).dtype
    checked_size(call, (count,), dtype.itemsize)
    return (start + np.arange(count) * step).astype(dtype)


@folder("Identity", "Dropout")
def _identity(call: Call) -> Any:
    return call.given(0)


@folder("Gather")
def _gather(call: Call) -> Any:
    data, indices, axis = call.given(0), call.constant(1), call.attribute("axis", 0)
    checked_size(call, (indices.size, data.size // max(data.shape[axis], 1)), data.itemsize)
    return np.take(data, indices.astype(np.int64), axis=axis)


@folder("Unsqueeze")
def _unsqueeze(call: Call) -> Any:
    axes = call.integers_of(1, "axes")
    return np.expand_dims(call.given(0), tuple(axes or ()))


@folder("Squeeze")
def _squeeze(call: Call) -> Any:
    axes = call.integers_of(1, "axes")
    return np.squeeze(call.given(0), None if axes is None else tuple(axes))


@folder("Reshape")
def _reshape(call: Call) -> Any:
    data, shape = call.given(0), list(_sizes(call, 1))
    if not call.attribute("allowzero", 0):
        shape = [data.shape[place] if n == 0 else n for place, n in enumerate(shape)]
    return data.reshape(shape)


@folder("Flatten")
def _flatten(call: Call) -> Any:
    data = call.given(0)
    axis = call.attribute("axis", 1)
    axis += data.ndim if axis < 0 else 0
    return data.reshape(math.prod(data.shape[:axis]), -1)


@folder("Transpose")
def _transpose(call: Call) -> Any:
    return np.transpose(call.given(0), call.attribute("perm"))


@folder("Concat")
def _concat(call: Call) -> Any:
    parts = [call.given(index) for index in range(len(call.inputs))]
    checked_size(call, (sum(part.size for part in parts),), parts[0].itemsize)
    return np.concatenate(parts, axis=call.attribute("axis", 0))


@folder("Slice")
def _slice(call: Call) -> Any:
    return call.given(0)[slices(call, call.given(0).shape)]


def slices(call: Call, shape: Sequence[int | None]) -> tuple[slice, ...]:
    """What a Slice takes of each axis.

    Raises:
        ValueError: an axis is out of range, or a step is 0.
    """
    starts, ends = call.integers_of(1, "starts"), call.integers_of(2, "ends")
    if starts is None or ends is None:
        raise ValueError(f"{call}: starts or ends are missing")
    axes = call.integers_of(3, "axes")
    steps = call.integers_of(4, "steps") or [1] * len(starts)
    found = [slice(None)] * len(shape)
    for axis, start, end, step in zip(axes or range(len(starts)), starts, ends, steps, strict=False):
        if not -len(shape) <= axis < len(shape) or step == 0:
            raise ValueError(f"{call}: axis {axis} with step {step} of shape {tuple(shape)}")
        # Numbers before the first element end the walk backwards; Python would count them from the end.
        size = shape[axis]
        before = step < 0 and end < 0 and (end < -size if size is not None else end < -(1 << 30))
        found[axis] = slice(start, None if before else end, step)
    return tuple(found)


@folder("Split")
def _split(call: Call) -> Any:
    data = call.given(0)
    axis = call.attribute("axis", 0)
    return np.split(data, np.cumsum(split_sizes(call, data.shape[axis]))[:-1], axis=axis)


def split_sizes(call: Call, size: int | None) -> list[int]:
    """The lengths of a Split's pieces.

    Raises:
        ValueError: they are not known, or do not add up.
    """
    given = call.integers_of(1, "split")
    if given is None:
        if size is None:
            raise call.unsupported("the axis that is split is open; give input_shapes that fix it")
        count = call.attribute("num_outputs", len(call.node.outputs))
        if not 1 <= count <= len(call.node.outputs):
            raise ValueError(f"{call}: num_outputs={count} for {len(call.node.outputs)} outputs")
        each = -(-size // count)
        given = [max(min(each, size - each * place), 0) for place in range(count)]
    if (size is not None and sum(given) != size) or min(given, default=0) < 0:
        raise ValueError(f"{call}: pieces of {given} do not make up {size}")
    return given


@folder("Expand")
def _expand(call: Call) -> Any:
    data = call.given(0)
    if call.given(1).dtype == object:
        return _expanded_to_open(call, data, call.given(1).ravel().tolist())
    shape = np.broadcast_shapes(data.shape, _sizes(call, 1))
    checked_size(call, shape, data.itemsize)
    return np.broadcast_to(data, shape)


def _expanded_to_open(call: Call, data: Array, target: list[Any]) -> Arranged:
    """A constant repeated as often as a batch is long: zeros of that number are added to it."""
    places = [place for place, n in enumerate(target) if isinstance(n, OpenSize)]
    size = target[places[0]]
    shape = np.broadcast_shapes(data.shape, [1 if isinstance(n, OpenSize) else int(n) for n in target])
    if len(places) > 1 or not isinstance(size.of, Arranged) or shape[len(shape) - len(target) + places[0]] != 1:
        raise call.unsupported(f"to the open sizes {target}; give input_shapes that fix them")
    checked_size(call, (*shape, None))
    of: Arranged = size.of.apart()
    zeros = ops.zeros_like(ops.index(of.tensor, tuple(slice(None) if a == size.axis else 0 for a in of.order)))
    behind = tuple(range(1, len(target) - places[0]))
    column = ops.expand_dims(zeros, behind) if behind else zeros
    return Arranged(ops.add(np.broadcast_to(np.asarray(data, np.float32), shape), column))


@folder("Tile")
def _tile(call: Call) -> Any:
    data, repeats = call.given(0), _sizes(call, 1)
    checked_size(call, [n * r for n, r in zip(data.shape, repeats, strict=True)], data.itemsize)
    return np.tile(data, repeats)


@folder("Where")
def _where(call: Call) -> Any:
    return _broadcast(call, lambda condition, a, b: np.where(condition.astype(bool), a, b))


def _broadcast(call: Call, function: Callable[..., Any], dtype: Any = None) -> Any:
    arrays = [call.given(index) for index in range(len(call.inputs))]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    checked_size(call, shape, max(array.itemsize for array in arrays))
    result = np.asarray(function(*arrays))
    return result if dtype is None or result.dtype == object else result.astype(dtype)


def quotient(a: Any, b: Any) -> Any:
    """The quotient as ONNX has it: that of whole numbers is cut off towards zero."""
    if a.dtype == object or b.dtype == object:
        return np.floor_divide(a, b)
    if a.dtype.kind in "iu":
        return (np.sign(a) * np.sign(b) * (np.abs(a) // np.maximum(np.abs(b), 1))).astype(a.dtype)
    return np.divide(a, b)


def _power(a: Any, b: Any) -> Any:
    if a.dtype == object or b.dtype == object:
        raise UnsupportedError("a power of an open size cannot be followed; give input_shapes that fix it")
    return np.power(a, b)


def _same_type(function: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: _broadcast(call, function, call.given(0).dtype)


def _of_all(function: Callable[..., Any]) -> Callable[[Call], Any]:
    def combined(*arrays: Array) -> Any:
        result = arrays[0]
        for array in arrays[1:]:
            result = function(result, array)
        return result

    return _same_type(combined)


def _of_truth(function: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: _broadcast(call, function, bool)


_NUMPY: dict[str, Callable[..., Any]] = {
    "Sub": np.subtract, "Div": quotient, "Pow": _power, "Sqrt": np.sqrt, "Exp": np.exp, "Log": np.log,
    "Floor": np.floor, "Ceil": np.ceil, "Round": np.round, "Neg": np.negative, "Abs": np.abs, "Sign": np.sign,
    "Reciprocal": np.reciprocal, "Tanh": np.tanh, "Sin": np.sin, "Cos": np.cos,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Relu": lambda x: np.maximum(x, 0),
}  # fmt: skip
_LOGIC: dict[str, Callable[..., Any]] = {
    "Equal": np.equal, "Less": np.less, "LessOrEqual": np.less_equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor,
    "Not": np.logical_not, "IsNaN": np.isnan, "IsInf": np.isinf,
}  # fmt: skip

for _name, _function in _NUMPY.items():
    folder(_name)(_same_type(_function))
for _name, _function in {
    "Add": np.add,
    "Mul": np.multiply,
    "Sum": np.add,
    "Max": np.maximum,
    "Min": np.minimum,
}.items():
    folder(_name)(_of_all(_function))
for _name, _function in _LOGIC.items():
    folder(_name)(_of_truth(_function))


@folder("Mod")
def _mod(call: Call) -> Any:
    return _broadcast(call, np.fmod if call.attribute("fmod", 0) else np.mod)


@folder("Clip")
def _clip(call: Call) -> Any:
    low = call.scalar(1) if call.has(1) else call.attribute("min")
    high = call.scalar(2) if call.has(2) else call.attribute("max")
    return call.given(0) if low is None and high is None else np.clip(call.given(0), low, high)


@folder("MatMul")
def _matmul(call: Call) -> Any:
    a, b = call.constant(0), call.constant(1)
    checked_size(call, (a.size // max(a.shape[-1], 1), b.shape[-1]), a.itemsize)
    return np.matmul(a, b)


@folder("EyeLike")
def _eye_like(call: Call) -> Any:
    rows, columns = call.given(0).shape
    dtype = dtype_of(call.attribute("dtype"), str(call)) if call.attribute("dtype") else call.given(0).dtype
    return np.eye(rows, columns, call.attribute("k", 0), dtype)


@folder("NonZero")
def _nonzero(call: Call) -> Any:
    return np.array(np.nonzero(call.constant(0)), np.int64)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceProd": np.multiply.reduce, "ReduceSum": np.add.reduce, "ReduceMax": np.max, "ReduceMin": np.min,
    "ReduceMean": np.mean,
}  # fmt: skip


@folder(*_REDUCTIONS)
def _reduce(call: Call) -> Any:
    data = call.given(0)
    axes = call.integers_of(1, "axes")
    if not axes and call.attribute("noop_with_empty_axes", 0):
        return data
    function: Any = _REDUCTIONS[call.node.op_type]
    if data.dtype.kind == "b" and function is np.max:
        function = np.any
    how: dict[str, Any] = {"axis": tuple(axes) if axes else None, "keepdims": bool(call.attribute("keepdims", 1))}
    if data.dtype.kind == "f" and call.node.op_type in ("ReduceMax", "ReduceMin"):
        how["initial"] = -math.inf if call.node.op_type == "ReduceMax" else math.inf  # the result of nothing
    result = np.asarray(function(data, **how))
    return result if data.dtype == object else result.astype(data.dtype)
