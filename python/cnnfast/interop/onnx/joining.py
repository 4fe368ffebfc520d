"""Tensors put together from others, and taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.folding import split_sizes


@operator("Concat")
def _concat(call: Call) -> Any:
    values = [call.given(index) for index in range(len(call.inputs))]
    tensors = [value for value in values if isinstance(value, Arranged)]
    if any(value.ndim != tensors[0].ndim for value in values):
        raise ValueError(f"{call}: operands of {[value.ndim for value in values]} axes cannot be joined")
    lead = next((value for value in tensors if not value.in_order), tensors[0]).apart()
    axis = call.attribute("axis", 1 if call.opset < 4 else None)
    if axis is None:
        raise ValueError(f"{call}: attribute axis is missing")
    if len(values) == 1:
        return lead
    place = lead.place(axis)
    lying = [
        value.lying(lead.order) if isinstance(value, Arranged) else np.asarray(value, np.float32).transpose(lead.order)
        for value in values
    ]
    if len(tensors) == len(values) and place:
        return lead.like(layers.Concatenate(place, name=call.name)(lying))
    return lead.like(ops.concatenate(lying, axis=place))


@operator("Split")
def _split(call: Call) -> Any:
    value = call.tensor(0).apart()
    axis = call.attribute("axis", 0)
    sizes = split_sizes(call, value.shape[axis])
    cuts = np.cumsum(sizes)[:-1].tolist()
    parts = ops.split(value.tensor, cuts, axis=value.place(axis))
    return [value.like(part) for part in parts]
