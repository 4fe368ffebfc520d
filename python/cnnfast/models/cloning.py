"""Copies of models: the same layers anew, with fresh weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast.layers.base import Layer
from cnnfast.layers.core import Input, InputLayer
from cnnfast.models.graph import Graph
from cnnfast.models.model import Model
from cnnfast.models.sequential import Sequential
from cnnfast.structure import arranged_like, leaves, map_leaves
from cnnfast.symbolic import KerasTensor


def clone_model(
    model: Model, input_tensors: Any = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Model:
    """A model of the same layers, made anew: the weights are initialised afresh and nothing is shared.

    Args:
        model: a functional model or a `Sequential`.
        input_tensors: symbolic tensors to build the copy on, in the structure of the model's inputs.
        clone_function: called with each layer (but not with inputs) and returns the one to take its place; a layer made
            from the layer's configuration by default. With it, layers can be replaced, or shared by returning them.

    Raises:
        ValueError: the model is a subclass whose structure is not known.
        TypeError: `clone_function` returns something else than a layer.

    Example:
        >>> from cnnfast import layers
        >>> model = Sequential([layers.Input((4,)), layers.Dense(2)])
        >>> copy = clone_model(model)
        >>> copy.count_params(), copy.layers[0] is model.layers[0]
        (10, False)
    """
    make = clone_function or _fresh

    def clone(layer: Layer) -> Layer:
        made = make(layer)
        if not isinstance(made, Layer):
            raise TypeError(f"clone_model: clone_function expects to return a layer, got {made!r}")
        return made

    if isinstance(model, Sequential):
        copies = [clone(layer) for layer in model.layers]
        start = [input_tensors] if input_tensors is not None else []
        if not start and model.built:
            start = [Input(model.input_shape[1:], dtype=model.input.dtype)]
        return _class_of(model, Sequential)([*start, *copies], name=model.name)
    inputs, outputs = _replayed(model._known_graph(), input_tensors, clone)
    return _class_of(model, Model)(inputs, outputs, name=model.name)


def _class_of(model: Model, base: type[Model]) -> Any:
    """The model's own class, with its steps of training, where its constructor takes what the base's does."""
    if type(model).__init__ is not base.__init__:
        raise ValueError(
            f"clone_model: {type(model).__name__} has a constructor of its own; make another with it, or from_config"
        )
    return type(model)


def _fresh(layer: Layer) -> Layer:
    if isinstance(layer, Model):
        return clone_model(layer)
    return type(layer).from_config(layer.get_config())


def _replayed(graph: Graph, input_tensors: Any, clone: Callable[[Layer], Layer]) -> tuple[Any, Any]:
    """The graph's inputs and outputs over new tensors and cloned layers."""
    if input_tensors is None:
        new_inputs = [Input(t.shape[1:], t.shape[0], t.dtype, name=t.name) for t in graph.inputs]
    else:
        new_inputs = leaves(input_tensors)
    if len(new_inputs) != len(graph.inputs):
        raise ValueError(f"clone_model: input_tensors expects {len(graph.inputs)} tensors, got {len(new_inputs)}")
    tensors = {id(old): new for old, new in zip(graph.inputs, new_inputs, strict=True)}
    copies: dict[Layer, Layer] = {}

    def replaced(leaf: Any) -> Any:
        return tensors[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

    for node in graph.nodes:
        if node.layer not in copies:
            copies[node.layer] = node.layer if isinstance(node.layer, InputLayer) else clone(node.layer)
        made = copies[node.layer](*map_leaves(replaced, node.args), **map_leaves(replaced, node.kwargs))
        for old, new in zip(leaves(node.outputs), leaves(made), strict=True):
            tensors[id(old)] = new
    outputs = arranged_like(graph.output_structure, iter([tensors[id(t)] for t in graph.outputs]))
    return arranged_like(graph.input_structure, iter(new_inputs)), outputs
