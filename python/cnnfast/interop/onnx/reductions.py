"""Reductions along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.shapes import without


def _l1(x: Any, **how: Any) -> Any:
    return ops.sum(ops.abs(x), **how)


def _sum_square(x: Any, **how: Any) -> Any:
    return ops.sum(ops.square(x), **how)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceSum": ops.sum, "ReduceMean": ops.mean, "ReduceMax": ops.max, "ReduceMin": ops.min, "ReduceProd": ops.prod,
    "ReduceL1": _l1, "ReduceL2": lambda x, **how: ops.sqrt(_sum_square(x, **how)), "ReduceSumSquare": _sum_square,
    "ReduceLogSum": lambda x, **how: ops.log(ops.sum(x, **how)), "ReduceLogSumExp": ops.logsumexp,
}  # fmt: skip


@operator(*_REDUCTIONS)
def _reduce(call: Call) -> Any:
    kind = call.node.op_type
    value = call.tensor(0).apart()
    axes = call.integers_of(1, "axes")
    if not axes:
        if call.attribute("noop_with_empty_axes", 0):
            return value
        axes = list(range(value.ndim))
    gone = {value.axis(axis) for axis in axes}
    keep = bool(call.attribute("keepdims", 1))
    places = tuple(sorted(value.place(axis) for axis in gone))
    if kind == "ReduceMean" and value.ndim == 4 and value.order == (0, 2, 3, 1) and gone == {2, 3}:
        y = layers.GlobalAveragePooling2D(keepdims=keep, name=call.name)(value.tensor)
    else:
        y = _REDUCTIONS[kind](value.tensor, axis=places, keepdims=keep)
    return Arranged(y, value.order if keep else without(value.order, gone))


@operator("ArgMax", "ArgMin")
def _position(call: Call) -> Any:
    value = call.tensor(0).apart()
    axis = value.axis(call.attribute("axis", 0))
    place, keep = value.place(axis), bool(call.attribute("keepdims", 1))
    find = ops.argmax if call.node.op_type == "ArgMax" else ops.argmin
    if call.attribute("select_last_index", 0):
        size = value.shape[axis]
        if size is None:
            raise call.unsupported("select_last_index along an open axis; give input_shapes that fix it")
        y = ops.subtract(float(size - 1), find(ops.flip(value.tensor, place), axis=place, keepdims=keep))
    else:
        y = find(value.tensor, axis=place, keepdims=keep)
    return Arranged(y, value.order if keep else without(value.order, {axis}))
