"""Operators that choose, repeat or surround elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.budget import assumed, checked_tensor
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.folding import OpenSize, slices

_PADDING: dict[int, Any] = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}


@operator("Slice")
def _slice(call: Call) -> Any:
    value = call.tensor(0).apart()
    found = slices(call, value.shape)
    if all(part == slice(None) for part in found):
        return value
    return value.like(ops.index(value.tensor, tuple(found[axis] for axis in value.order)))


@operator("Gather")
def _gather(call: Call) -> Any:
    axis = call.attribute("axis", 0)
    if call.is_constant(0):  # rows of a table, as an embedding has
        table: Any = call.constant(0)
        if table.dtype.kind not in "iub":  # numbers of classes stay whole, however large they are
            table = call.weight(0)
        indices = call.tensor(1).plain()
        whole = ops.cast(indices, "int64")
        return Arranged(ops.take(table, whole, axis=axis))
    value = call.tensor(0).apart()
    axis = value.axis(axis)
    if not call.is_constant(1):
        whole = ops.cast(call.tensor(1).plain(), "int64")
        return Arranged(ops.take(value.plain(), whole, axis=axis))
    positions = call.constant(1).astype(np.int64)
    size = value.shape[axis]
    if size is not None and positions.size and not (-size <= positions.min() and positions.max() < size):
        raise ValueError(f"{call}: indices from {-size} to {size - 1} are expected, got {positions.ravel()[:10]}")
    checked_tensor(call, [*(n for a, n in enumerate(value.shape) if a != axis), positions.size])
    if positions.ndim == 1:
        return value.like(ops.take(value.tensor, positions, axis=value.place(axis)))
    if positions.ndim == 0:
        place = value.place(axis)
        y = ops.index(value.tensor, (slice(None),) * place + (int(positions),))
        return Arranged(y, [a - (a > axis) for a in value.order if a != axis])
    return Arranged(ops.take(value.plain(), positions, axis=axis))


@operator("Expand")
def _expand(call: Call) -> Any:
    value = call.tensor(0)
    if not call.is_constant(1):
        call.constant(1)
    given = list(call.given(1).ravel())
    missing = len(given) - value.ndim
    shape = [None] * max(missing, 0) + list(value.shape)
    repeats = []
    given = [1] * max(-missing, 0) + given
    for place, (size, wanted) in enumerate(zip([1] * max(missing, 0) + list(value.shape), given, strict=True)):
        if isinstance(wanted, OpenSize):
            if size is None and (wanted.axis == place - max(missing, 0)):
                repeats.append(1)
                continue
            raise call.unsupported(f"to an open size of {shape}; give input_shapes that fix it")
        if wanted in (1, size):
            repeats.append(1)
        elif size == 1:
            repeats.append(int(wanted))
        else:
            raise ValueError(f"{call}: {value.shape} does not expand to {given}")
    return _repeated(call, value, repeats)


@operator("Tile")
def _tile(call: Call) -> Any:
    value, repeats = call.tensor(0), call.integers(1)
    if len(repeats) != value.ndim:
        raise ValueError(f"{call}: {value.ndim} repeats are expected, got {repeats}")
    return _repeated(call, value, repeats)


def _repeated(call: Call, value: Arranged, repeats: list[int]) -> Arranged:
    """Every axis several times; new ones in front where there are more numbers than axes."""
    if all(n == 1 for n in repeats) and len(repeats) == value.ndim:
        return value
    sizes = [*[1] * (len(repeats) - value.ndim), *value.shape]
    checked_tensor(call, [n * r for n, r in zip(assumed(sizes), repeats, strict=True)])
    if len(repeats) > value.ndim:
        x = ops.expand_dims(value.plain(), tuple(range(len(repeats) - value.ndim)))
        return Arranged(ops.tile(x, repeats))
    value = value.apart()
    return value.like(ops.tile(value.tensor, [repeats[axis] for axis in value.order]))


@operator("Pad")
def _pad(call: Call) -> Any:
    value = call.tensor(0).apart()
    rank = value.ndim
    numbers = call.integers_of(1, "pads")
    if numbers is None:
        numbers = list(call.required("paddings"))
    axes = [value.axis(a) for a in call.integers(3)] if call.has(3) else list(range(rank))
    if len(numbers) != 2 * len(axes):
        raise ValueError(f"{call}: {2 * len(axes)} numbers are expected as pads, got {numbers}")
    pairs = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        pairs[axis] = (numbers[place], numbers[place + len(axes)])
    checked_tensor(call, [n + max(a + b, 0) for n, (a, b) in zip(assumed(value.shape), pairs, strict=True)])
    x, lying = value.tensor, [pairs[axis] for axis in value.order]
    if any(n < 0 for pair in lying for n in pair):  # less than nothing is cut off
        x = ops.index(x, tuple(slice(max(-a, 0), -max(-b, 0) or None) for a, b in lying))
        lying = [(max(a, 0), max(b, 0)) for a, b in lying]
    fill = float(call.scalar(2)) if call.has(2) else float(call.attribute("value", 0.0))
    mode = call.attribute("mode", "constant")
    if mode == "constant":
        if fill == 0 and rank - 2 in _PADDING and not any(lying[0]) and not any(lying[-1]):
            layer = _PADDING[rank - 2](lying[1:-1] if rank > 3 else lying[1], name=call.name)
            return value.like(layer(x))
        return value.like(ops.pad(x, lying, constant_values=fill))
    if mode == "wrap":
        for axis, (before, after) in enumerate(lying):
            x = _wrapped(call, x, axis, before, after)
        return value.like(x)
    if mode not in ("reflect", "edge"):
        raise call.unsupported(f"mode={mode!r} is not supported")
    return value.like(ops.pad(x, lying, mode=mode))


def _wrapped(call: Call, x: Any, axis: int, before: int, after: int) -> Any:
    if not before and not after:
        return x
    size = x.shape[axis]
    if size is None:
        raise call.unsupported("mode='wrap' along an open axis; give input_shapes that fix it")
    return ops.take(x, np.arange(-before, size + after) % size, axis=axis)


@operator("ConstantOfShape", "Range")
def _of_open_size(call: Call) -> Any:
    call.constant(0)
    raise call.unsupported("its inputs must be constant; give input_shapes that fix open sizes")


@operator("EyeLike")
def _of_values(call: Call) -> Any:
    call.constant(0)
    raise call.unsupported("what its result's shape depends on must be constant")


@operator("CumSum")
def _cumsum(call: Call) -> Any:
    value = call.tensor(0).apart()
    place = value.place(int(call.scalar(1)))
    x = value.tensor
    if call.attribute("reverse", 0):
        x = ops.flip(x, place)
    y = ops.cumsum(x, axis=place)
    if call.attribute("exclusive", 0):
        y = ops.subtract(y, x)
    return value.like(ops.flip(y, place) if call.attribute("reverse", 0) else y)


@operator("CumProd")
def _cumprod(call: Call) -> Any:
    value = call.tensor(0).apart()
    place = value.place(int(call.scalar(1)))
    x = ops.flip(value.tensor, place) if call.attribute("reverse", 0) else value.tensor
    if call.attribute("exclusive", 0):  # a one comes first, and the last element has no part
        cut = (*(slice(None),) * place, slice(0, 1))
        ones = ops.ones_like(ops.index(x, cut))
        x = ops.concatenate([ones, ops.index(x, (*(slice(None),) * place, slice(0, -1)))], axis=place)
    y = ops.cumprod(x, axis=place)
    return value.like(ops.flip(y, place) if call.attribute("reverse", 0) else y)


@operator("Trilu")
def _trilu(call: Call) -> Any:
    value = call.tensor(0)
    k = int(call.scalar(1)) if call.has(1) else 0
    return Arranged((ops.triu if call.attribute("upper", 1) else ops.tril)(value.plain(), k))


@operator("TopK")
def _top_k(call: Call) -> Any:
    value = call.tensor(0).apart()
    axis = call.attribute("axis", -1)
    k = int(call.scalar(1)) if call.has(1) else int(call.required("k"))
    x = ops.moveaxis(value.tensor, value.place(axis), -1)
    if not call.attribute("largest", 1):
        x = ops.negative(x)
    values, positions = ops.top_k(x, k)
    if not call.attribute("largest", 1):
        values = ops.negative(values)
    return [value.like(ops.moveaxis(y, -1, value.place(axis))) for y in (values, positions)]


@operator("OneHot")
def _one_hot(call: Call) -> Any:
    value, depth = call.tensor(0), int(call.scalar(1))
    off, on = (float(n) for n in call.constant(2).ravel())
    call.dtype = call.dtypes[2]
    checked_tensor(call, (*value.shape, depth))
    # Negative numbers count from the end.
    labels = ops.mod(value.plain(), float(depth))
    y = ops.one_hot(labels, depth, axis=call.attribute("axis", -1))
    inside = ops.logical_and(ops.greater_equal(value.plain(), -depth), ops.less(value.plain(), depth))
    shown = ops.multiply(y, ops.expand_dims(ops.cast(inside, "float32"), call.attribute("axis", -1)))
    return Arranged(ops.add(ops.multiply(shown, on - off), off))
