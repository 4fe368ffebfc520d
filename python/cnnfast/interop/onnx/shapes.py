"""Operators that change shapes and keep the elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.interop.channels_first import Arranged, from_channels_last, transposed
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.folding import OpenSize, settled
from cnnfast.interop.reshapes import reshaped


@operator("Shape")
def _shape(call: Call) -> Any:
    value = call.tensor(0)
    sizes = [OpenSize(axis, value) if n is None else n for axis, n in enumerate(value.shape)]
    sizes = sizes[slice(call.attribute("start", 0), call.attribute("end"))]
    return objects(sizes)


def objects(values: list[Any]) -> Any:
    """A vector of integers, with open sizes among them."""
    array = np.empty(len(values), object)
    array[:] = values
    return settled(array) if values else np.zeros(0, np.int64)


@operator("Size")
def _size(call: Call) -> Any:
    shape = call.tensor(0).shape
    if None in shape:
        raise call.unsupported("some sizes are open; give input_shapes that fix them")
    return np.array(math.prod(n for n in shape if n is not None), np.int64)


@operator("Reshape")
def _reshape(call: Call) -> Any:
    value = call.tensor(0)
    if call.has(1):
        if not call.is_constant(1):
            call.constant(1)
        given = list(call.given(1).ravel())
    else:
        given = list(call.required("shape"))
    allow_zero = bool(call.attribute("allowzero", 0))
    target = [None if isinstance(n, int) and n == 0 and not allow_zero else n for n in map(_number, given)]
    return reshaped(value, followed(call, value, target))


def _number(n: Any) -> Any:
    return n if isinstance(n, OpenSize) else int(n)


def followed(call: Call, value: Arranged, target: list[Any]) -> list[int | None]:
    """A target shape with its open sizes as None or -1, where they can be told."""
    shape = value.shape
    sizes: list[int | None] = []
    for place, n in enumerate(target):
        if not isinstance(n, OpenSize):
            sizes.append(n)
        # The batch has one size in a model; other axes must be those of this very tensor.
        elif place < len(shape) and shape[place] is None and n.axis == place and (place == 0 or _same(n.of, value)):
            sizes.append(None)
        elif -1 not in target and sum(isinstance(m, OpenSize) for m in target) - sizes.count(None) == 1:
            sizes.append(-1)
        else:
            raise call.unsupported(f"from {shape} to {target}: give input_shapes that fix the open sizes")
    return sizes


def _same(a: Any, b: Arranged) -> bool:
    return isinstance(a, Arranged) and a.tensor is b.tensor


@operator("Flatten")
def _flatten(call: Call) -> Any:
    value = call.tensor(0)
    axis = call.attribute("axis", 1)
    axis += value.ndim if axis < 0 else 0
    if axis == 0:
        return reshaped(value, [1, -1])
    if axis == 1:
        return reshaped(value, [None, -1])
    rows = value.shape[:axis]
    if None not in rows:
        return reshaped(value, [math.prod(n for n in rows if n is not None), -1])
    columns = value.shape[axis:]
    if None in columns:
        raise call.unsupported(f"axis={axis} of {value.shape}: give input_shapes that fix the open sizes")
    return reshaped(value, [-1, math.prod(n for n in columns if n is not None)])


@operator("Transpose")
def _transpose(call: Call) -> Any:
    value = call.tensor(0)
    return transposed(value, call.attribute("perm") or range(value.ndim)[::-1])


@operator("Squeeze")
def _squeeze(call: Call) -> Any:
    value = call.tensor(0).apart()
    axes = call.integers_of(1, "axes")
    if axes is None:
        axes = [axis for axis, n in enumerate(value.shape) if n == 1]
    gone = {value.axis(axis) for axis in axes}
    if not gone:
        return value
    y = ops.squeeze(value.tensor, tuple(sorted(value.place(axis) for axis in gone)))
    return Arranged(y, without(value.order, gone))


def without(order: tuple[int, ...], gone: set[int]) -> list[int]:
    """An order after some of the original's axes have gone.

    Example:
        >>> without((0, 2, 3, 1), {2, 3})
        [0, 1]
    """
    return [axis - sum(g < axis for g in gone) for axis in order if axis not in gone]


@operator("Unsqueeze")
def _unsqueeze(call: Call) -> Any:
    value = call.tensor(0).apart()
    axes = call.integers_of(1, "axes")
    rank = value.ndim + len(axes or ())
    new = sorted(axis % rank for axis in axes or ())
    old = [axis for axis in range(rank) if axis not in new]
    # The new axes go where the original has them; where the rest lies otherwise, that is as good as anywhere.
    y = ops.expand_dims(value.tensor, tuple(new))
    order: list[int] = []
    lying = iter(value.order)
    for place in range(rank):
        order.append(place if place in new else old[next(lying)])
    return Arranged(y, order)


@operator("DepthToSpace")
def _depth_to_space(call: Call) -> Any:
    value, block = call.tensor(0), int(call.required("blocksize"))
    if call.attribute("mode", "DCR") == "DCR":
        return from_channels_last(ops.depth_to_space(value.channels_last(), block))
    # Channels before blocks: brought into the other order first.
    x, channels = value.channels_last(), value.shape[1]
    if channels is None or channels % block**2:
        raise ValueError(f"{call}: {channels} channels do not divide into blocks of {block} by {block}")
    positions = np.arange(channels).reshape(channels // block**2, block**2).T.ravel()
    return from_channels_last(ops.depth_to_space(ops.take(x, positions, axis=-1), block))


@operator("SpaceToDepth")
def _space_to_depth(call: Call) -> Any:
    value, block = call.tensor(0), int(call.required("blocksize"))
    y = ops.space_to_depth(value.channels_last(), block)
    if call.attribute("mode", "DCR") == "CRD" and y.shape[-1] is not None:
        channels = y.shape[-1]
        y = ops.take(y, np.arange(channels).reshape(block**2, channels // block**2).T.ravel(), axis=-1)
    return from_channels_last(y)
