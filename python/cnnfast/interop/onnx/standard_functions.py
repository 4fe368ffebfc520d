"""Operators that the standard itself defines by others: what they consist of, for one use of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast.extras import require
from cnnfast.interop.onnx.calls import Call
from cnnfast.interop.onnx.reading import FunctionData, function_of
from cnnfast.interop.onnx.tensors import number_of


def standard_function(call: Call) -> tuple[FunctionData, dict[str, Any]] | None:
    """What an operator consists of, and its attributes with those that are left out.

    Returns:
        None where the standard does not define it by others.
    """
    onnx = require("onnx", "reading ONNX files", "onnx")
    try:
        schema = onnx.defs.get_schema(call.node.op_type, max_inclusive_version=call.opset, domain="")
    except onnx.defs.SchemaError:
        return None
    if schema.has_function:
        body = schema.function_body
    elif schema.has_context_dependent_function:
        body = _fitting(onnx, schema, call)
    else:
        return None
    if body is None:
        return None
    defaults = {
        name: onnx.helper.get_attribute_value(given.default_value)
        for name, given in schema.attributes.items()
        if given.default_value.type
    }
    known = {name: v.decode() if isinstance(v, bytes) else v for name, v in defaults.items()}
    return function_of(body, call.opset, f"operator {call.node.op_type}"), {**known, **call.node.attributes}


def _fitting(onnx: Any, schema: Any, call: Call) -> Any:
    """The function that the standard makes for these attributes and inputs; None if it makes none."""
    if any(not isinstance(value, (int, float, str, list)) for value in call.node.attributes.values()):
        return None
    names = [f"x{place}" if call.has(place) else "" for place in range(len(call.inputs))]
    node = onnx.helper.make_node(call.node.op_type, names, call.node.outputs, **call.node.attributes)
    types = []
    for place, value in enumerate(call.inputs):
        dtype = call.dtypes[place]
        shape = None if value is None else [n if isinstance(n, int) else None for n in np.shape(value)]
        kind = number_of(dtype) if dtype is not None else 0
        types.append(onnx.helper.make_tensor_type_proto(kind, shape).SerializeToString())
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= call.opset]
    version = max(versions, default=schema.since_version)
    data = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
    body = onnx.FunctionProto()
    body.ParseFromString(data)
    return body if body.node else None
