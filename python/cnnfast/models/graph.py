"""The layers and calls between a model's inputs and outputs, put into an order in which they can be computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from cnnfast.autograd import Value, is_recording, to_float32
from cnnfast.layers.base import Layer
from cnnfast.layers.core import InputLayer
from cnnfast.layers.penalties import assigned_settings
from cnnfast.models.chains import with_chains
from cnnfast.models.folding import folded
from cnnfast.models.fusion import fused
from cnnfast.models.moments import with_moments
from cnnfast.models.steps import Step, note_last_uses, step_of
from cnnfast.ops.dtypes import real_array
from cnnfast.structure import arranged_like, leaves, map_leaves
from cnnfast.symbolic import KerasTensor, Node


class Graph:
    """What lies between the inputs and the outputs of a model.

    Args:
        inputs: symbolic tensors (or a structure of them) that hold the model's inputs.
        outputs: those that it computes.
        owner: the model's name, for messages.

    Raises:
        ValueError: an output does not depend on the inputs alone, or two layers have the same name.
        TypeError: something is not a symbolic tensor.
    """

    def __init__(self, inputs: Any, outputs: Any, owner: str = "Model") -> None:
        self.owner = owner
        self.input_structure, self.output_structure = inputs, outputs
        self.inputs = _tensors(owner, "inputs", inputs)
        self.outputs = _tensors(owner, "outputs", outputs)
        # The types of the inputs' elements, where some are not float32.
        self.dtypes = [t.dtype for t in self.inputs] if any(t.dtype != "float32" for t in self.inputs) else None
        self._given = {id(tensor): number for number, tensor in enumerate(self.inputs)}
        self.nodes = self._ordered_nodes()
        self.layers = self._ordered_layers()
        self._check_names()
        self._slots = self._number_slots()
        self._output_slots = [self._slots[id(tensor)] for tensor in self.outputs]
        self._steps: list[Step] = []
        self._folded: list[Step] | None = None
        self._chained: list[Step] | None = None
        self._planned_at = -1

    # Order

    def _ordered_nodes(self) -> list[Node]:
        """All calls, each after those that it takes results from."""
        order: dict[Node, None] = {}
        entered: dict[Layer, int] = {}
        for output in self.outputs:
            if id(output) in self._given:
                continue
            assert output.node is not None
            stack = [(output.node, self._enter(output.node, entered))] if output.node not in order else []
            while stack:
                node, parents = stack[-1]
                parent = next((p for p in parents if p not in order), None)
                if parent is None:
                    order[node] = None
                    stack.pop()
                else:
                    stack.append((parent, self._enter(parent, entered)))
        self._entered = entered
        return list(order)

    def _enter(self, node: Node, entered: dict[Layer, int]) -> Iterator[Node]:
        """The calls whose results a call takes (what the model is given comes from none); numbers layers as met."""
        entered.setdefault(node.layer, len(entered))
        if isinstance(node.layer, InputLayer):
            raise ValueError(
                f"{self.owner}: the outputs depend on Input {node.layer.name!r}, which is not among the inputs"
            )
        for tensor in node.inputs:
            if tensor.node is None and id(tensor) not in self._given:
                raise ValueError(f"{self.owner}: {tensor!r} was not made by a layer")
            if id(tensor) not in self._given:
                yield tensor.node  # type: ignore[misc]
            elif tensor.node is not None:
                entered.setdefault(tensor.node.layer, len(entered))

    def _ordered_layers(self) -> list[Layer]:
        """The layers, those farthest from the outputs first, and among equals those found first (Keras's order)."""
        node_depth: dict[Node, int] = {}
        layer_depth: dict[Layer, int] = {}
        makers = [tensor.node.layer for tensor in self.inputs if tensor.node is not None]
        for node in reversed(self.nodes):
            depth = max(node_depth.setdefault(node, 0), layer_depth.get(node.layer, 0))
            node_depth[node] = layer_depth[node.layer] = depth
            for tensor in node.inputs:
                parent = tensor.node
                if parent is None:
                    continue
                if id(tensor) not in self._given:
                    node_depth[parent] = max(node_depth.get(parent, 0), depth + 1)
                elif isinstance(parent.layer, InputLayer):
                    layer_depth[parent.layer] = max(layer_depth.get(parent.layer, 0), depth + 1)
        for layer in makers:
            if isinstance(layer, InputLayer):
                layer_depth.setdefault(layer, 0)
        found = sorted(layer_depth, key=lambda layer: self._entered.get(layer, -1))
        return sorted(found, key=lambda layer: -layer_depth[layer])

    def _check_names(self) -> None:
        names: set[str] = set()
        for layer in self.layers:
            if layer.name in names:
                raise ValueError(f"{self.owner}: two layers are named {layer.name!r}; names must be unique in a model")
            names.add(layer.name)

    # Computing

    def __getstate__(self) -> dict[str, Any]:
        # A copy, perhaps in another process, joins its steps itself.
        return {**vars(self), "_steps": [], "_folded": None, "_chained": None, "_planned_at": -1}

    def _number_slots(self) -> dict[int, int]:
        slots = dict(self._given)
        for node in self.nodes:
            for tensor in leaves(node.outputs):
                slots.setdefault(id(tensor), len(slots))
        return slots

    @property
    def steps(self) -> list[Step]:
        """The calls in order, joined where one pass computes several."""
        now = assigned_settings()
        if self._planned_at != now:
            # Between joined layers nothing can be penalised, and what they do is known to who joined them.
            self._steps, self._folded, self._chained, self._planned_at = self._plan(), None, None, now
        return self._steps

    def _plan(self) -> list[Step]:
        # Their numbers stay what they are, but in a copy the tensors are others.
        self._given = {id(tensor): number for number, tensor in enumerate(self.inputs)}
        self._slots = self._number_slots()
        steps = fused([step_of(node, self._slots) for node in self.nodes], self._output_slots)
        note_last_uses(steps, self._output_slots)
        return steps

    def inference_steps(self) -> list[Step]:
        """The steps with normalization folded into the weights before it."""
        steps, found = self.steps, self._folded
        if found is None:
            found = self._folded = folded(steps, self._output_slots)
        return found

    def recorded_steps(self) -> list[Step]:
        """The steps for a tape to note down: those in a row joined to chains, results to be normalized measured."""
        steps, found = self.steps, self._chained
        if found is None:
            found = with_moments(with_chains(steps, set(self._output_slots)))
            note_last_uses(found, self._output_slots)
            self._chained = found
        return found

    def run(
        self,
        values: list[Any],
        training: bool | None = None,
        observe: Callable[[Step, Callable[[], Any]], Any] | None = None,
        steps: list[Step] | None = None,
    ) -> Any:
        """Compute the outputs, in their structure, from one value for each of `inputs`.

        Args:
            values: what the inputs are.
            training: handed to every layer where it is not None.
            observe: called for every step with it and a function that makes it; returns what that returned.
            steps: other steps to the same results than `self.steps`.
        """
        if self.dtypes is not None:
            values = [_typed(self.owner, value, dtype) for value, dtype in zip(values, self.dtypes, strict=True)]
        slots: list[Any] = [None] * len(self._slots)
        slots[: len(values)] = values
        if steps is None:
            steps = self.recorded_steps() if observe is None and is_recording() else self.steps
        for step in steps:
            if observe is None:
                result = step.result(slots, training)
            else:
                result = observe(step, partial(step.result, slots, training))
            if len(step.outputs) == 1:
                # Of a function that returns a list it may be the only element.
                slots[step.outputs[0]] = result[0] if isinstance(result, (list, tuple)) else result
            else:
                for number, value in zip(step.outputs, leaves(result), strict=True):
                    slots[number] = value
            for number in step.last_used:
                slots[number] = None
        return arranged_like(self.output_structure, iter([slots[number] for number in self._output_slots]))

    def shapes(self, input_shapes: list[Any]) -> Any:
        """The outputs' shapes, in their structure, from one shape for each of `inputs`."""
        if len(input_shapes) != len(self.inputs):
            raise ValueError(f"{self.owner} expects {_inputs(len(self.inputs))}, got {len(input_shapes)}")
        tensors = {id(old): KerasTensor(shape, old.dtype) for old, shape in zip(self.inputs, input_shapes, strict=True)}

        def replaced(leaf: Any) -> Any:
            return tensors[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        for node in self.nodes:
            kwargs = {key: value for key, value in map_leaves(replaced, node.kwargs).items() if key != "training"}
            spec = node.layer.compute_output_spec(*map_leaves(replaced, node.args), **kwargs)
            tensors.update(zip(map(id, leaves(node.outputs)), leaves(spec), strict=True))
        found = [tensors[id(output)].shape for output in self.outputs]
        return arranged_like(self.output_structure, iter(found))

    def layer_calls(self) -> list[tuple[Layer, Any, Any]]:
        """Each call's layer with the shapes that enter and leave it."""
        return [(node.layer, _shapes(node.args[0]), _shapes(node.outputs)) for node in self.nodes]

    # Inputs

    def values_of(self, given: Any) -> list[Any]:
        """One value for each of `inputs`, from arguments in the inputs' structure or in a dict by the inputs' names.

        Raises:
            ValueError: there are too few or too many, or names are missing.
        """
        structure = self.input_structure
        if isinstance(given, dict) and isinstance(structure, dict) and len(structure) != len(self.inputs):
            return self._nested(structure, given)
        if isinstance(given, dict):
            keys = list(structure) if isinstance(structure, dict) else [t.name for t in self.inputs]
            missing = [key for key in keys if key not in given]
            if missing:
                raise ValueError(f"{self.owner} expects inputs named {keys}, got {list(given)}")
            return [given[key] for key in keys]
        if isinstance(structure, dict):
            raise ValueError(
                f"{self.owner} expects a dict with the inputs {list(structure)}, got {type(given).__name__}"
            )
        if not isinstance(structure, (list, tuple)):
            if isinstance(given, (list, tuple)) and len(given) == 1:
                return [given[0]]
            axes = len(self.inputs[0].shape)
            if isinstance(given, (list, tuple)) and given and all(np.ndim(part) == axes for part in given):
                raise ValueError(f"{self.owner} expects 1 input, got {len(given)}")
            return [given]
        values = leaves(given)
        if len(values) != len(self.inputs):
            raise ValueError(f"{self.owner} expects {len(self.inputs)} inputs, got {len(values)}")
        return values

    def _nested(self, structure: Any, given: Any) -> list[Any]:
        """The values of a deep structure, part by part; dicts may hold more than is asked for."""
        if isinstance(structure, dict) and isinstance(given, dict) and set(structure) <= set(given):
            return [value for key, part in structure.items() for value in self._nested(part, given[key])]
        if isinstance(structure, (list, tuple)) and isinstance(given, (list, tuple)) and len(structure) == len(given):
            return [value for pair in zip(structure, given, strict=True) for value in self._nested(*pair)]
        if isinstance(structure, (dict, list, tuple)) or isinstance(given, dict):
            raise ValueError(f"{self.owner} expects inputs in the structure {structure}, got another")
        return [given]


def _inputs(count: int) -> str:
    return "1 input" if count == 1 else f"{count} inputs"


def _tensors(owner: str, what: str, structure: Any) -> list[KerasTensor]:
    found = leaves(structure)
    for tensor in found:
        if not isinstance(tensor, KerasTensor):
            raise TypeError(f"{owner}: {what} expects tensors from Input and layers called on it, got {tensor!r}")
    if not found:
        raise ValueError(f"{owner}: {what} expects at least one tensor")
    return found


def _typed(owner: str, value: Any, dtype: str) -> Any:
    """An input as elements of the type that the model was made for."""
    if dtype == "float32":
        return value if isinstance(value, Value) else to_float32(value, owner)
    array = real_array(value, owner)
    with np.errstate(invalid="ignore"):
        return array if array.dtype == dtype else array.astype(dtype)


def _shapes(structure: Any) -> Any:
    return map_leaves(lambda leaf: tuple(getattr(leaf, "shape", ())), structure)
