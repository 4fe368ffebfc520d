"""Operators that read and write elements at positions, which may be computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.budget import assumed, checked_tensor
from cnnfast.interop.onnx.calls import Call, operator


def _data(call: Call) -> Any:
    """The first input in the file's order; constants of whole numbers stay what they are."""
    if call.is_constant(0):
        array = call.constant(0)
        return array if array.dtype.kind in "iub" else call.weight(0)
    return call.tensor(0).plain()


def _positions(call: Call, index: int) -> Any:
    if call.is_constant(index):
        return call.constant(index).astype(np.int64)
    return ops.cast(call.tensor(index).plain(), "int64")


@operator("GatherElements")
def _gather_elements(call: Call) -> Any:
    data, positions = _data(call), _positions(call, 1)
    if len(data.shape) != len(positions.shape):
        raise ValueError(f"{call}: indices of shape {positions.shape} for data of shape {data.shape}")
    axis = call.attribute("axis", 0) % len(data.shape)
    # Along the other axes what lies behind the last index is left out.
    shorter = [a != axis and n != m for a, (n, m) in enumerate(zip(positions.shape, data.shape, strict=True))]
    if any(short and n is not None for short, n in zip(shorter, positions.shape, strict=True)):
        cut = [
            slice(n) if short and n is not None else slice(None)
            for short, n in zip(shorter, positions.shape, strict=True)
        ]
        data = ops.index(data, tuple(cut))
    return Arranged(ops.take_along_axis(data, positions, axis=axis))


@operator("GatherND")
def _gather_nd(call: Call) -> Any:
    data, positions, batch = _data(call), _positions(call, 1), int(call.attribute("batch_dims", 0))
    count = positions.shape[-1] if len(positions.shape) else None
    if count is None:
        raise ValueError(f"{call}: indices of shape {positions.shape} do not tell how many axes they index")
    checked_tensor(call, assumed((*positions.shape[:-1], *data.shape[batch + count :])))
    return Arranged(ops.gather_nd(data, positions, batch))


def _reduction(call: Call) -> str | None:
    kind = call.attribute("reduction", "none")
    if kind not in ("none", "add", "mul", "max", "min"):
        raise call.unsupported(f"reduction={kind!r} is not supported")
    return None if kind == "none" else kind


@operator("ScatterND")
def _scatter_nd(call: Call) -> Any:
    x, updates = call.tensor(0).plain(), call.tensor(2).plain()
    return Arranged(ops.scatter_update(x, _positions(call, 1), updates, _reduction(call)))


@operator("ScatterElements", "Scatter")
def _scatter_elements(call: Call) -> Any:
    x, updates = call.tensor(0).plain(), call.tensor(2).plain()
    axis = int(call.attribute("axis", 0))
    return Arranged(ops.scatter_along_axis(x, _positions(call, 1), updates, axis, _reduction(call)))


@operator("NonZero")
def _nonzero(call: Call) -> Any:
    found: Any = ops.nonzero(call.tensor(0).plain())
    return Arranged(found)


@operator("Compress")
def _compress(call: Call) -> Any:
    axis = call.attribute("axis")
    if call.is_constant(1):
        positions: Any = np.flatnonzero(call.constant(1))
    else:
        positions = ops.index(ops.nonzero(call.tensor(1).plain()), 0)
    return Arranged(ops.take(_data(call), positions, axis=axis))
