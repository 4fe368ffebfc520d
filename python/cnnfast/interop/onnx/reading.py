"""ONNX files read into plain Python: nodes in an order in which they can be computed, constants, inputs and outputs."""

from __future__ import annotations

import heapq
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnfast.extras import require
from cnnfast.interop.onnx.tensors import Array, array_of

OLDEST_OPSET = 6  # in which what networks use is as in 7, apart from broadcasting
_OWN_DOMAINS = ("", "ai.onnx")


_LARGEST_FILE = (1 << 31) - 1

# What files that this library wrote say of their inputs and outputs, among their metadata.
DATA_FORMAT = "cnnfast.data_format"


@dataclass
class NodeData:
    """A node of the file.

    Attributes:
        op_type: the operator's name.
        domain: what it belongs to; empty for the standard's own.
        name: the node's name, or one made of the operator's and the first output's.
        inputs: names of values, empty for one that is left out.
        outputs: likewise.
        attributes: Python numbers, strings, lists, arrays and `GraphData`.
        opset: the version of the standard.
    """

    op_type: str
    domain: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    opset: int


@dataclass
class GraphData:
    """A graph: inputs and outputs by name, with element type and sizes (None where open; no sizes if unknown)."""

    name: str
    nodes: list[NodeData]
    constants: dict[str, Array]
    inputs: dict[str, tuple[int, list[int | str | None] | None]]
    outputs: dict[str, int]
    functions: Mapping[tuple[str, str], FunctionData] = field(default_factory=dict)
    channels_last: bool = False  # whether the file says that its inputs and outputs lie so


@dataclass
class FunctionData:
    """A function that a file defines itself."""

    inputs: list[str]
    outputs: list[str]
    nodes: list[NodeData]


def read(source: Any) -> tuple[GraphData, str]:
    """Read a model.

    Args:
        source: a path, the bytes of a file, or a ModelProto.

    Returns:
        The graph, and what to call the source in messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ONNX model, or a damaged one.
    """
    onnx = require("onnx", "reading ONNX files", "onnx")
    folder: Path | None = None
    if isinstance(source, onnx.ModelProto):
        model, name = source, "the model"
    else:
        data: bytes
        if isinstance(source, (bytes, bytearray, memoryview)):
            data, name = bytes(source), "the bytes"
        else:
            path, name = Path(os.fspath(source)), os.fspath(source)
            folder = path.parent
            if path.is_dir():
                raise IsADirectoryError(f"{name}: a folder, not an ONNX file")
            if path.exists() and not path.is_file():
                raise ValueError(f"{name}: not a regular file")
            if path.is_file() and path.stat().st_size > _LARGEST_FILE:
                raise ValueError(
                    f"{name}: {path.stat().st_size} bytes are more than an ONNX file holds, 2 GiB; the weights of "
                    "larger models lie in files beside it"
                )
            data = path.read_bytes()
        model = onnx.ModelProto()
        try:
            model.ParseFromString(data)
        except Exception as error:  # protobuf's own class depends on how it was built
            raise ValueError(f"{name}: not an ONNX file, or damaged: {error}") from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ValueError(f"{name}: not an ONNX file: it holds no graph")
    return _Reader(folder, name).model(model), name


class _Reader:
    def __init__(self, folder: Path | None, source: str) -> None:
        self.folder, self.source = folder, source
        self.files: dict[Path, int] = {}

    def model(self, model: Any) -> GraphData:
        opset = self.opset(model.opset_import)
        functions = {}
        for function in model.functions:
            functions[function.domain, function.name] = self.function(function, opset)
        graph = self.graph(model.graph, opset)
        graph.functions = functions
        texts = {entry.key: entry.value for entry in model.metadata_props}
        graph.channels_last = texts.get(DATA_FORMAT) == "channels_last"
        return graph

    def function(self, function: Any, opset: int) -> FunctionData:
        own = self.opset(function.opset_import) if function.opset_import else opset
        nodes = [self.node(node, own, place) for place, node in enumerate(function.node)]
        ordered = in_order(nodes, set(function.input), f"{self.source}: function {function.name}")
        return FunctionData(list(function.input), list(function.output), ordered)

    def opset(self, imports: Any) -> int:
        version = next((int(entry.version) for entry in imports if entry.domain in _OWN_DOMAINS), None)
        if version is None:
            return OLDEST_OPSET + 1  # nothing of the standard's own can be in it
        if version < OLDEST_OPSET:
            raise ValueError(f"{self.source}: opset {version} is too old; from opset 7 on files can be read")
        return version

    def graph(self, graph: Any, opset: int, outer: bool = True) -> GraphData:
        constants: dict[str, Array] = {}
        for tensor in graph.initializer:
            what = f"{self.source}: initializer {tensor.name!r}"
            if tensor.name in constants or not tensor.name:
                raise ValueError(f"{what}: a name of its own is expected")
            constants[tensor.name] = array_of(tensor, self.folder, what, self.files)
        if graph.sparse_initializer:
            raise ValueError(f"{self.source}: sparse initializers are not supported")
        inputs = {}
        for info in graph.input:
            if info.name in inputs:
                raise ValueError(f"{self.source}: two inputs are named {info.name!r}")
            if info.name not in constants:  # old files list what is constant too
                inputs[info.name] = self.described(info) if outer else (0, None)
        nodes = [self.node(node, opset, place) for place, node in enumerate(graph.node)]
        if outer:
            nodes = in_order(nodes, {*inputs, *constants}, self.source)
        outputs = {info.name: int(info.type.tensor_type.elem_type) for info in graph.output}
        if len(outputs) < len(graph.output):
            raise ValueError(f"{self.source}: two outputs have the same name")
        return GraphData(graph.name, nodes, constants, inputs, outputs)

    def described(self, info: Any) -> tuple[int, list[int | str | None] | None]:
        """Element type and sizes of an input."""
        if not info.type.HasField("tensor_type"):
            kind = info.type.WhichOneof("value")
            raise ValueError(f"{self.source}: input {info.name!r} is of {kind or 'no type'}, tensors are supported")
        tensor = info.type.tensor_type
        if not tensor.HasField("shape"):
            return int(tensor.elem_type), None
        sizes: list[int | str | None] = []
        for dim in tensor.shape.dim:
            known = dim.HasField("dim_value") and dim.dim_value >= 0
            sizes.append(int(dim.dim_value) if known else dim.dim_param or None)
        return int(tensor.elem_type), sizes

    def node(self, node: Any, opset: int, place: int) -> NodeData:
        first = next((name for name in node.output if name), "")
        name = node.name or first or f"{node.op_type}_{place}"
        attributes = {}
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                attributes[attribute.name] = Reference(attribute.ref_attr_name)
            else:
                attributes[attribute.name] = self.attribute(attribute, opset, f"{self.source}: node {name!r}")
        domain = "" if node.domain in _OWN_DOMAINS else node.domain
        return NodeData(node.op_type, domain, name, list(node.input), list(node.output), attributes, opset)

    def attribute(self, attribute: Any, opset: int, what: str) -> Any:
        kind, what = attribute.type, f"{what}, attribute {attribute.name!r}"
        if kind == 1:
            return float(attribute.f)
        if kind == 2:
            return int(attribute.i)
        if kind == 3:
            return attribute.s.decode("utf-8", "replace")
        if kind == 4:
            return array_of(attribute.t, self.folder, what, self.files)
        if kind == 5:
            return self.graph(attribute.g, opset, outer=False)
        if kind == 6:
            return [float(value) for value in attribute.floats]
        if kind == 7:
            return [int(value) for value in attribute.ints]
        if kind == 8:
            return [value.decode("utf-8", "replace") for value in attribute.strings]
        return Unsupported(f"{what} is of type {kind}, which is not supported")


def function_of(function: Any, opset: int, source: str) -> FunctionData:
    """Read a FunctionProto by itself.

    Args:
        function: the message.
        opset: the version of the standard, where the function names none.
        source: what to call it in messages.

    Raises:
        ValueError: it is damaged.
    """
    return _Reader(None, source).function(function, opset)


@dataclass
class Reference:
    """An attribute of a function's node that is the function's own."""

    name: str


@dataclass
class Unsupported:
    """An attribute that cannot be read; an error only if it is asked for."""

    reason: str


def in_order(nodes: list[NodeData], known: set[str], source: str) -> list[NodeData]:
    """Nodes, each after those whose results it takes.

    Raises:
        ValueError: two nodes give a value of the same name, one takes a value that nothing gives, or they take each
            other's results.
    """
    made: dict[str, int] = {}
    for number, node in enumerate(nodes):
        for name in node.outputs:
            if name and (name in made or name in known):
                raise ValueError(f"{source}: node {node.name!r} makes {name!r}, which something else makes too")
            made[name] = number
    waits: list[set[int]] = []
    followers: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        needed = set()
        for name in taken(node):
            if name in made:
                needed.add(made[name])
            elif name not in known:
                raise ValueError(f"{source}: node {node.name!r} takes {name!r}, which nothing makes")
        waits.append(needed)
        for other in needed:
            followers.setdefault(other, []).append(number)
    ready = [number for number, needed in enumerate(waits) if not needed]  # the smallest first: as in the file
    ordered = []
    while ready:
        number = heapq.heappop(ready)
        ordered.append(nodes[number])
        for follower in followers.get(number, []):
            waits[follower].discard(number)
            if not waits[follower]:
                heapq.heappush(ready, follower)
    if len(ordered) < len(nodes):
        stuck = next(node.name for node, needed in zip(nodes, waits, strict=True) if needed)
        raise ValueError(f"{source}: node {stuck!r} waits for its own result, in a circle")
    return ordered


def taken(node: NodeData) -> list[str]:
    """What a node takes from outside, also within the graphs that it holds."""
    found = [name for name in node.inputs if name]
    for value in node.attributes.values():
        if isinstance(value, GraphData):
            own = {*value.constants, *value.inputs, *(name for inner in value.nodes for name in inner.outputs)}
            found += [name for inner in value.nodes for name in taken(inner) if name not in own]
            found += [name for name in value.outputs if name not in own]
    return found
