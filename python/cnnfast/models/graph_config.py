"""Graphs of layers as configurations, in the form that Keras writes.

A tensor is told by the layer that made it, the number of that layer's call within the model, and its number among the
call's outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnfast.configured import serialize
from cnnfast.layers.base import Layer
from cnnfast.layers.core import InputLayer
from cnnfast.models.graph import Graph
from cnnfast.models.sharing import layer_entry
from cnnfast.structure import leaves
from cnnfast.symbolic import KerasTensor, Node


def graph_config(graph: Graph) -> dict[str, Any]:
    """The layers, their calls, and which tensors are inputs and outputs."""
    calls: dict[Layer, list[Node]] = {layer: [] for layer in graph.layers}
    # An input that is another layer's output gets an Input of its own.
    inputs: dict[int, InputLayer] = {}
    for tensor in graph.inputs:
        made_by = None if tensor.node is None else tensor.node.layer
        source = (
            made_by if isinstance(made_by, InputLayer) else InputLayer(tensor.shape[1:], tensor.shape[0], tensor.dtype)
        )
        inputs[id(tensor)] = source
        calls.setdefault(source, [])
    for node in graph.nodes:
        calls[node.layer].append(node)
    history = {id(node): (layer.name, number) for layer, nodes in calls.items() for number, node in enumerate(nodes)}

    def place(tensor: KerasTensor) -> list[Any]:
        if id(tensor) in inputs:
            return [inputs[id(tensor)].name, 0, 0]
        name, number = history[id(tensor.node)]
        return [name, number, tensor.index]

    def argument(value: Any) -> Any:
        if isinstance(value, KerasTensor):
            config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": place(value)}
            return {"class_name": "__keras_tensor__", "config": config}
        if isinstance(value, slice):
            return {"class_name": "__slice__", "config": {"start": value.start, "stop": value.stop, "step": value.step}}
        if value is Ellipsis:
            return {"class_name": "__ellipsis__", "config": {}}
        if isinstance(value, tuple):
            return {"class_name": "__tuple__", "items": [argument(item) for item in value]}
        if isinstance(value, list):
            return [argument(item) for item in value]
        if isinstance(value, dict):
            return {key: argument(item) for key, item in value.items()}
        if isinstance(value, np.ndarray):
            return {"class_name": "__array__", "config": {"value": value.tolist(), "dtype": str(value.dtype)}}
        return serialize(value, f"{graph.owner}: an argument of a layer's call")

    return {
        "layers": [
            {
                **layer_entry(layer),
                "inbound_nodes": [
                    {"args": [argument(a) for a in node.args], "kwargs": argument(node.kwargs)} for node in nodes
                ],
            }
            for layer, nodes in calls.items()
        ],
        "input_layers": _places(graph.input_structure, place),
        "output_layers": _places(graph.output_structure, place),
    }


def _places(structure: Any, place: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _places(part, place) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_places(part, place) for part in structure]
    return place(structure)


def graph_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """Make the layers and call them again; returns the inputs and outputs in their structure.

    Raises:
        ValueError: a call takes what no layer of the configuration makes.
    """
    from cnnfast.models.saving import layer_from_config

    layers: dict[str, Layer] = {}
    pending: list[tuple[str, int, Mapping[str, Any]]] = []
    made: dict[tuple[str, int], list[KerasTensor]] = {}
    for entry in config["layers"]:
        layer = layer_from_config(entry, custom_objects)
        name = entry.get("name", layer.name)
        if name in layers:
            raise ValueError(f"two layers are named {name!r}")
        layers[name] = layer
        if isinstance(layer, InputLayer):
            made[name, 0] = [layer.output]
        else:
            pending += [(name, number, call) for number, call in enumerate(entry.get("inbound_nodes", []))]
    while pending:
        waiting = []
        for name, number, call in pending:
            needed = _histories([call["args"], call["kwargs"]])
            # A layer's calls are made in their order, which is how they are numbered.
            if all(key in made for key in needed) and (number == 0 or (name, number - 1) in made):
                args = [_argument(a, made) for a in call["args"]]
                made[name, number] = leaves(layers[name](*args, **_argument(call["kwargs"], made)))
            else:
                waiting.append((name, number, call))
        if len(waiting) == len(pending):
            raise ValueError(f"the calls of {sorted({name for name, _, _ in waiting})} take what no layer makes")
        pending = waiting
    return _tensors_at(config["input_layers"], made), _tensors_at(config["output_layers"], made)


def _histories(value: Any) -> list[tuple[str, int]]:
    """The calls whose results an argument holds."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            name, number, _ = value["config"]["keras_history"]
            return [(name, number)]
        value = list(value.values())
    if isinstance(value, list):
        return [key for item in value for key in _histories(item)]
    return []


def _argument(value: Any, made: Mapping[tuple[str, int], list[KerasTensor]]) -> Any:
    if isinstance(value, list):
        return [_argument(item, made) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("class_name")
    if kind == "__keras_tensor__":
        name, number, index = value["config"]["keras_history"]
        return made[name, number][index]
    if kind == "__slice__":
        return slice(*(value["config"][key] for key in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__tuple__":
        return tuple(_argument(item, made) for item in value["items"])
    if kind == "__array__":
        return np.array(value["config"]["value"], value["config"]["dtype"])
    return {key: _argument(item, made) for key, item in value.items()}


def _tensors_at(places: Any, made: Mapping[tuple[str, int], list[KerasTensor]]) -> Any:
    if isinstance(places, Mapping):
        return {key: _tensors_at(part, made) for key, part in places.items()}
    if len(places) == 3 and isinstance(places[0], str):
        name, number, index = places
        if (name, number) not in made or not 0 <= index < len(made[name, number]):
            raise ValueError(f"no layer makes the tensor {places}")
        return made[name, number][index]
    return [_tensors_at(part, made) for part in places]
