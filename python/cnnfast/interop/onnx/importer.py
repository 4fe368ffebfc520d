"""From a graph's nodes to a model: constants are computed, everything else becomes layers and operations."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, channels_last_order
from cnnfast.interop.onnx import handlers
from cnnfast.interop.onnx.budget import Budget
from cnnfast.interop.onnx.calls import FOLDERS, HANDLERS, Call, NotConstantError, UnsupportedError
from cnnfast.interop.onnx.folding import settled
from cnnfast.interop.onnx.reading import FunctionData, GraphData, NodeData, Reference, taken
from cnnfast.interop.onnx.result_types import result_types
from cnnfast.interop.onnx.standard_functions import standard_function
from cnnfast.interop.onnx.tensors import Array, dtype_of
from cnnfast.models import Model
from cnnfast.naming import reserved_name
from cnnfast.symbolic import KerasTensor

handlers.load()

# What a damaged file may lead to in code that was written for sound ones.
BREAKAGE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError, AssertionError,
)  # fmt: skip
_DEEPEST = 32  # functions and graphs within each other


class Importer:
    """Builds a model from a graph.

    Args:
        graph: what was read.
        source: what to call it in messages.
        channels_last: whether images have the channels last where they enter and leave the model.
        input_shapes: sizes of inputs, in the file's order, in place of those in the file.
        constants: values for inputs that are to be fixed.
    """

    def __init__(
        self,
        graph: GraphData,
        source: str,
        channels_last: bool = True,
        input_shapes: Mapping[str, Sequence[int | None]] | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        self.graph, self.source, self.channels_last = graph, source, channels_last
        self.input_shapes, self.given = dict(input_shapes or {}), dict(constants or {})
        for what, names in (("input_shapes", self.input_shapes), ("constants", self.given)):
            unknown = [name for name in names if name not in graph.inputs]
            if unknown:
                raise ValueError(f"{source}: {what} names {unknown}; the inputs are {list(graph.inputs)}")
        self.values: dict[str, Any] = {}
        self.dtypes: dict[str, np.dtype[Any]] = {}
        self.origins: dict[str, tuple[str, ...]] = {}
        self.names: set[str] = set()
        self.inputs: list[Any] = []
        self.shared: dict[Any, tuple[Any, Any]] = {}
        self.budget = Budget(sum(array.nbytes for array in graph.constants.values()))

    # Inputs and outputs

    def results(self) -> list[Any]:
        """Run all nodes; returns the values of the graph's outputs, constants among them."""
        for node in self.graph.nodes:
            reserved_name(_layer_name(node.name))  # what operations are called must not take it
        for name, array in self.graph.constants.items():
            self.note(name, array, array.dtype, ())
        for name, (kind, sizes) in self.graph.inputs.items():
            dtype = dtype_of(kind, f"{self.source}: input {name!r}")
            if name in self.given:
                self.note(name, np.asarray(self.given[name]), dtype, ())
            else:
                self.note(name, self.entered(name, dtype, sizes), dtype, (name,))
        self.run(self.graph.nodes, self.graph.outputs, 0)
        missing = [name for name in self.graph.outputs if name not in self.values]
        if missing:
            raise ValueError(f"{self.source}: nothing makes the outputs {missing}")
        return [self.values[name] for name in self.graph.outputs]

    def model(self, name: str | None) -> Any:
        """The model.

        Raises:
            ValueError: nothing enters it, or an output is a size that is open.
        """
        found = self.results()
        if not self.inputs:
            raise UnsupportedError(
                f"{self.source}: nothing enters the model: it has no inputs, or all are in constants"
            )
        outputs = [
            self.left(value) if isinstance(value, Arranged) else self.constant_output(output, value)
            for output, value in zip(self.graph.outputs, found, strict=True)
        ]
        inputs = self.inputs[0] if len(self.inputs) == 1 else self.inputs
        return Model(inputs, outputs[0] if len(outputs) == 1 else outputs, name=name)

    def entered(self, name: str, dtype: np.dtype[Any], sizes: Sequence[int | str | None] | None) -> Arranged:
        """An input's tensor."""
        if name in self.input_shapes:
            sizes = list(self.input_shapes[name])
        if sizes is None:
            raise ValueError(f"{self.source}: the sizes of input {name!r} are not known; give them in input_shapes")
        shape = tuple(n if isinstance(n, int) else None for n in sizes)
        if not shape or 0 in shape:
            raise NotConstantError(f"{self.source}: input {name!r} of shape {shape} must be in constants", (name,))
        order = channels_last_order(len(shape)) if self.channels_last else tuple(range(len(shape)))
        self.budget.tried(f"{self.source}: input {name!r}", shape)
        lying = tuple(shape[axis] for axis in order)
        kind = dtype.name if dtype.kind in "iub" else None
        given = re.sub(r"[^\w.\-]", "_", name)
        tensor = layers.Input(batch_shape=lying, dtype=kind, name=self.unique(given))
        self.inputs.append(tensor)
        return Arranged(tensor, order)

    def left(self, value: Arranged) -> Any:
        """An output's tensor: images with the channels last where they are computed so and are wanted so."""
        if self.channels_last and value.joined is None and value.order == channels_last_order(value.ndim):
            return value.tensor
        return value.plain()

    def constant_output(self, name: str, value: Array) -> Any:
        """The tensor of an output that is the same for all inputs: the only row of a table."""
        if value.dtype == object:
            raise UnsupportedError(f"{self.source}: the output {name!r} is an open size; give input_shapes that fix it")
        table = value[None] if value.dtype.kind in "iub" else value[None].astype(np.float32)
        nothing = ops.index(self.inputs[0], slice(0, 0))  # a model's tensors are computed from its inputs
        return ops.take(np.ascontiguousarray(table), ops.count_nonzero(nothing), axis=0)

    # Nodes

    def note(self, name: str, value: Any, dtype: np.dtype[Any], origins: tuple[str, ...]) -> None:
        """Keep a value under its name."""
        self.values[name], self.dtypes[name], self.origins[name] = value, dtype, origins

    def unique(self, name: str) -> str:
        """A layer's name that no other layer has."""
        found, number = name, 0
        while found in self.names:
            number += 1
            found = f"{name}_{number}"
        self.names.add(found)
        return reserved_name(found)

    def run(self, nodes: Sequence[NodeData], wanted: Iterable[str], depth: int) -> None:
        """Compute or describe the nodes of a graph or function, whose outputs are wanted."""
        if depth > _DEEPEST:
            raise ValueError(f"{self.source}: functions or graphs lie more than {_DEEPEST} deep in each other")
        read = {*wanted, *(name for node in nodes for name in taken(node))}
        for node in nodes:
            self.budget.node(self.source)
            self.run_node(node, depth, read)

    def run_node(self, node: NodeData, depth: int, read: set[str]) -> None:
        """Compute or describe one node."""
        missing = [name for name in node.inputs if name and name not in self.values]
        if missing:
            raise ValueError(f"{self.source}: node {node.name!r} takes {missing[0]!r}, which nothing makes")
        call = Call(
            node,
            [self.values[name] if name else None for name in node.inputs],
            [self.dtypes[name] if name else None for name in node.inputs],
            [self.origins[name] if name else () for name in node.inputs],
            "",
            self.budget,
            self.shared,
            read,
        )
        function = self.graph.functions.get((node.domain, node.op_type))
        if function is not None:
            self.call_function(function, call.node.attributes, call, depth)
            return
        if node.op_type == "If" and not node.domain:
            self.run_branch(call, depth)
            return
        if handlers.is_unknown(node):
            defined = standard_function(call)
            if defined is not None:
                self.call_function(*defined, call, depth)
                return
        results = self.computed(call)
        if len(results) < call.outputs:
            raise call.unsupported(f"output {len(results)} is not supported")
        origins = tuple(dict.fromkeys(name for names in call.origins for name in names))
        kinds = result_types(call, len(results))
        for name, value, kind in zip(node.outputs, results, kinds, strict=False):
            if not name:
                continue
            if isinstance(value, Arranged) and not isinstance(value.tensor, KerasTensor):
                value = np.asarray(value.plain()).astype(kind)
            if isinstance(value, Arranged):
                self.budget.tried(call, value.shape)
                self.note(name, value, kind, origins or tuple(self.graph.inputs))
            else:
                array = self.settled(call, value)
                known = array.dtype != object
                self.note(name, array, array.dtype if known else np.dtype(np.int64), () if known else origins)

    def settled(self, call: Call, value: Any) -> Array:
        """A constant that was computed, if it is not too large."""
        try:
            array = settled(value)
        except ValueError as error:
            raise ValueError(f"{call}: {error}") from None
        sources = [given for given in call.inputs if isinstance(given, np.ndarray)]
        if not any(np.may_share_memory(array, given) for given in sources):
            self.budget.make(call, array.nbytes)
        return array

    def computed(self, call: Call) -> list[Any]:
        """A node's results."""
        kind = call.node.op_type
        if call.node.domain:
            raise call.unsupported(f"operators of the domain {call.node.domain!r} are not supported")
        constant = not any(isinstance(value, Arranged) for value in call.inputs)
        handler = FOLDERS.get(kind) if constant else HANDLERS.get(kind)
        if constant and handler is None and call.has(0):
            handler = HANDLERS.get(kind)
        if handler is None:
            known = kind in HANDLERS or kind in FOLDERS
            reason = (
                "constants as its only inputs are not supported" if constant else "computing with it is not supported"
            )
            raise call.unsupported(reason if known else handlers.reason_against(kind))
        call.name = self.unique(_layer_name(call.node.name)) if not constant else "constant"
        try:
            with np.errstate(all="ignore"):
                found = handler(call)
        except (UnsupportedError, NotConstantError):
            raise
        except BREAKAGE as error:
            text = str(error) or type(error).__name__
            raise ValueError(text if text.startswith(str(call)) else f"{call}: {text}") from error
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def call_function(self, function: FunctionData, attributes: dict[str, Any], call: Call, depth: int) -> None:
        """Run the nodes of a function that the file, or the standard, defines."""
        inner = self.within()
        for place, name in enumerate(function.inputs):
            if place < len(call.node.inputs) and call.node.inputs[place]:
                source = call.node.inputs[place]
                inner.note(name, self.values[source], self.dtypes[source], self.origins[source])
        nodes = []
        for node in function.nodes:
            resolved = {
                key: attributes.get(value.name) if isinstance(value, Reference) else value
                for key, value in node.attributes.items()
            }
            kept = {key: value for key, value in resolved.items() if value is not None}
            known = [name if name in inner.values or name not in function.inputs else "" for name in node.inputs]
            name = f"{call.node.name}.{node.name}"
            nodes.append(NodeData(node.op_type, node.domain, name, known, node.outputs, kept, node.opset))
        inner.run(nodes, function.outputs, depth + 1)
        self.take_over(inner, function.outputs, call)

    def run_branch(self, call: Call, depth: int) -> None:
        """Run the branch of an If whose condition is constant."""
        branch = call.attribute("then_branch" if bool(call.scalar(0)) else "else_branch")
        if not isinstance(branch, GraphData):
            raise ValueError(f"{call}: a branch is missing")
        inner = self.within()
        inner.values.update(self.values)
        inner.dtypes.update(self.dtypes)
        inner.origins.update(self.origins)
        for name, array in branch.constants.items():
            inner.note(name, array, array.dtype, ())
        inner.run(branch.nodes, branch.outputs, depth + 1)
        self.take_over(inner, list(branch.outputs), call)

    def within(self) -> Importer:
        """An importer for a function's or branch's own names, with the same model."""
        inner = copy.copy(self)
        inner.values, inner.dtypes, inner.origins = {}, {}, {}
        return inner

    def take_over(self, inner: Importer, outputs: Sequence[str], call: Call) -> None:
        """Keep what a function or branch has computed under the names of the node's outputs."""
        for name, source in zip(call.node.outputs, outputs, strict=False):
            if name and source not in inner.values:
                raise ValueError(f"{call}: nothing makes its output {source!r}")
            if name:
                self.note(name, inner.values[source], inner.dtypes[source], inner.origins[source])


def _layer_name(name: str) -> str:
    """A node's name as a layer's: without what separates the parts of weights' names."""
    return re.sub(r"[^\w.\-]+", "_", name.strip("/")) or "node"
