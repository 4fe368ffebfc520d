"""The graph as an ONNX model: inputs and outputs by name, what nobody reads left out, shapes inferred."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

import cnnfast
from cnnfast.interop.onnx.reading import DATA_FORMAT
from cnnfast.interop.onnx_export.builder import Array, Builder
from cnnfast.interop.onnx_export.graph import graph_of, input_value, run
from cnnfast.interop.onnx_export.values import Value, channels_second, plain_order

_LIMIT = (1 << 31) - (1 << 20)  # what a message may hold, less room for all but the weights
_BESIDE = 1 << 10  # weights of so many bytes lie in a file of their own where one file cannot hold all
_AXES = {1: "W", 2: "HW", 3: "DHW"}


def onnx_model(
    onnx: Any, model: Any, opset: int, channels_first: bool, metadata: Mapping[str, Any], beside: str
) -> tuple[Any, list[Array]]:
    """The model as a `ModelProto`.

    Args:
        onnx: the package.
        model: the model.
        opset: the version of the operators.
        channels_first: whether images enter and leave with the channels second.
        metadata: texts by key.
        beside: the name of a file for the weights, where these are too large for one file.

    Returns:
        The message, and the arrays that lie one after another in the other file, none if there is no need of it.

    Raises:
        ValueError: a layer cannot be written.
    """
    graph = graph_of(model)
    b = Builder(onnx, opset)
    names = _names([t.name for t in graph.inputs], [t.node.layer.name if t.node else t.name for t in graph.outputs])
    for name in names[0] + names[1]:
        b.unique(name)
    inputs = [
        input_value(name, tensor, _outer_order(tensor.ndim, channels_first))
        for name, tensor in zip(names[0], graph.inputs, strict=True)
    ]
    found = run(b, graph, inputs)
    outputs = [b.ordered(value, _outer_order(value.rank, channels_first)) for value in found]
    _name_outputs(b, outputs, names[0], names[1])
    outputs = [Value(n, v.shape, v.order, v.dtype) for n, v in zip(names[1], outputs, strict=True)]
    return _assembled(b, model, inputs, outputs, metadata, channels_first, beside)


def _outer_order(rank: int, channels_first: bool) -> tuple[int, ...]:
    return channels_second(rank) if channels_first and rank > 2 else plain_order(rank)


def _names(inputs: list[str], outputs: list[str]) -> tuple[list[str], list[str]]:
    """Names that differ, for the inputs and for the outputs."""
    taken: set[str] = set()

    def unique(name: str, other: str) -> str:
        found, count = name, 1
        while found in taken:
            found, count = f"{name}{other}_{count}", count + 1
        taken.add(found)
        return found

    return [unique(n, "") for n in inputs], [unique(n, "_output") for n in outputs]


def _name_outputs(b: Builder, outputs: list[Value], inputs: list[str], names: list[str]) -> None:
    """Let the nodes that make the outputs call them by the model's names."""
    renamed: dict[str, str] = {}
    for value, name in zip(outputs, names, strict=True):
        if value.name in inputs or value.name in renamed or value.name in b.constants:
            b.nodes.append(b.onnx.helper.make_node("Identity", [value.name], [name], name=f"{name}/Identity"))
        else:
            renamed[value.name] = name
    for node in b.nodes:
        for part in (node.input, node.output):
            for i, old in enumerate(part):
                part[i] = renamed.get(old, old)


def _needed(b: Builder, outputs: list[Value]) -> tuple[list[Any], list[str]]:
    """The nodes whose results reach an output, and the constants that these take."""
    wanted = {value.name for value in outputs}
    nodes = []
    for node in reversed(b.nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    return nodes[::-1], [name for name in b.constants if name in wanted]


def _assembled(
    b: Builder, model: Any, inputs: list[Value], outputs: list[Value], metadata: Mapping[str, Any],
    channels_first: bool, beside: str,
) -> tuple[Any, list[Array]]:  # fmt: skip
    helper = b.onnx.helper
    nodes, kept = _needed(b, outputs)
    tensors, apart = _stored(b, kept, beside)
    kinds = {v.dtype: helper.np_dtype_to_tensor_dtype(np.dtype(v.dtype)) for v in (*inputs, *outputs)}
    graph = helper.make_graph(
        nodes,
        _identifier(model.name),
        [helper.make_tensor_value_info(v.name, kinds[v.dtype], _open_names(v, inputs)) for v in inputs],
        [helper.make_tensor_value_info(v.name, kinds[v.dtype], _batch_named(v)) for v in outputs],
        tensors,
        doc_string=f"{type(model).__name__} {model.name}: {_shown(inputs)} to {_shown(outputs)}",
    )  # fmt: skip
    opsets = [helper.make_opsetid("", b.opset)]
    whole = helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="cnnfast",
        producer_version=cnnfast.__version__,
    )
    texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in metadata.items()}
    helper.set_model_props(whole, {DATA_FORMAT: "channels_first" if channels_first else "channels_last", **texts})
    return b.onnx.shape_inference.infer_shapes(whole, check_type=True, strict_mode=True, data_prop=True), apart


def _stored(b: Builder, names: list[str], beside: str) -> tuple[list[Any], list[Array]]:
    """Constants as messages; where they are too large together, large ones name their place in a file beside."""
    arrays = {name: np.asarray(b.constants[name]) for name in names}
    if sum(array.nbytes for array in arrays.values()) <= _LIMIT:
        return [b.onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()], []
    tensors, apart, offset = [], [], 0
    for name, array in arrays.items():
        if array.nbytes < _BESIDE:
            tensors.append(b.onnx.numpy_helper.from_array(array, name))
            continue
        tensor = b.onnx.TensorProto(name=name, dims=array.shape, data_location=b.onnx.TensorProto.EXTERNAL)
        tensor.data_type = b.onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        for key, text in (("location", beside), ("offset", str(offset)), ("length", str(array.nbytes))):
            tensor.external_data.add(key=key, value=text)
        tensors.append(tensor)
        apart.append(array)
        offset += array.nbytes
    return tensors, apart


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in name) or "model"


def _shown(values: list[Value]) -> str:
    return ", ".join(f"{v.name} ({', '.join(str(n or '?') for n in _batch_named(v))})" for v in values)


def _batch_named(value: Value) -> list[int | str | None]:
    sizes: list[int | str | None] = list(value.stored)
    if sizes and sizes[0] is None and value.order[0] == 0:
        sizes[0] = "N"
    return sizes


def _open_names(value: Value, inputs: list[Value]) -> list[int | str | None]:
    """The sizes, with names for open ones: N, and D, H and W, those of each input by themselves."""
    letters = _AXES.get(value.rank - 2, "")
    prefix = f"{value.name}_" if len(inputs) > 1 else ""
    named = ["N", *(prefix + c for c in letters), f"{prefix}C"] if letters else ["N", *(
        f"{prefix}axis_{i}" for i in range(1, value.rank))]  # fmt: skip
    return [named[a] if value.shape[a] is None else value.shape[a] for a in value.order]
