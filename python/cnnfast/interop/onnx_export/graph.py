"""The walk over a model's calls: every layer and operation is handed to what converts it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cnnfast import layers, ops
from cnnfast.interop.onnx_export import (
    activations,
    convolutions,
    elementwise,
    normalizations,
    pooling,
    positions,
    products,
    reductions,
    resizing,
    shaping,
)
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.values import Value, plain_order
from cnnfast.layers.activated import Activated
from cnnfast.layers.base import Layer
from cnnfast.layers.operation import OperationLayer
from cnnfast.models.graph import Graph
from cnnfast.models.model import Model
from cnnfast.structure import leaves, map_leaves
from cnnfast.symbolic import KerasTensor, Node, is_shape

_TOPICS = (
    elementwise, activations, reductions, convolutions, pooling, normalizations, products, shaping, resizing,
    positions,
)  # fmt: skip

# Layers that do nothing outside training.
_TRAINING_ONLY = (
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity", "InputLayer",
    "RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
    "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
)  # fmt: skip


def _unchanged(b: Builder, layer: Any, x: Any) -> Any:
    return x


def _activation_layer(b: Builder, layer: Any, x: Value) -> Any:
    return activated(b, x, layer.activation)


def _time_distributed(b: Builder, layer: Any, x: Value) -> Value:
    """A layer on every step: the steps become examples, and examples become steps again."""
    x = b.ordered(x)
    steps = x.shape[1]
    examples = b.reshaped(x, [-1, *_sizes_behind(b, x, 2)], (None, *x.shape[2:]))
    y = b.plain(call_layer(b, layer.layer, (examples,), {}))
    y = b.ordered(y, (0, *(a for a in y.order if a != 0)))
    batch = b.shape_of(x, slice(0, 1)) if steps is None or None in y.shape[1:] else -1
    time = b.shape_of(x, slice(1, 2)) if steps is None else steps
    shape = (x.shape[0], steps, *y.shape[1:])
    order = (0, 1, *(a + 1 for a in y.order[1:]))
    return b.reshaped(y, [batch, time, *_sizes_behind(b, y, 1)], shape, order)


def _sizes_behind(b: Builder, x: Value, place: int) -> list[Any]:
    """The sizes from one place on, as numbers, or as what the graph computes where one is open."""
    stored = x.stored[place:]
    return list(stored) if None not in stored else [b.shape_of(x, slice(place, x.rank))]


_BY_NAME: dict[str, Callable[..., Any]] = {
    name: convert for topic in _TOPICS for name, convert in getattr(topic, "LAYERS", {}).items()
} | {
    **dict.fromkeys(_TRAINING_ONLY, _unchanged),
    "Activation": _activation_layer,
    "SpectralNormalization": lambda b, layer, x: call_layer(b, layer.layer, (x,), {}),
    "TimeDistributed": _time_distributed,
}

# By the classes themselves: a subclass may compute something else.
LAYERS: dict[type, Callable[..., Any]] = {layers.BUILT_IN[name]: convert for name, convert in _BY_NAME.items()}

OPERATIONS: dict[str, Callable[..., Any]] = {
    name: convert for topic in _TOPICS for name, convert in topic.OPERATIONS.items()
} | {"activation": activations.activation_operation}


def run(b: Builder, graph: Graph, inputs: list[Value]) -> list[Value]:
    """Write the calls of a graph; returns the values of its outputs."""
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        args, kwargs = (map_leaves(lambda leaf: values.get(id(leaf), leaf), part) for part in (node.args, node.kwargs))
        found = leaves(call_layer(b, node.layer, args, kwargs))
        for tensor, value in zip(leaves(node.outputs), found, strict=True):
            values[id(tensor)] = _of_shape(value, tensor)
    return [values[id(tensor)] for tensor in graph.outputs]


def _of_shape(value: Value, tensor: KerasTensor) -> Value:
    """A value with the shape that the model knows it has."""
    if value.rank != len(tensor.shape):
        raise AssertionError(f"{value} should have shape {tensor.shape}")
    return replace(value, shape=tensor.shape)


def call_layer(b: Builder, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Write one call of a layer, with its activation.

    Raises:
        ValueError: it cannot be written; the message names the layer.
    """
    with b.within(layer.name, f"{type(layer).__name__} {layer.name}"), naming(b, layer):
        kwargs = dict(kwargs)
        if kwargs.pop("training", False):
            raise ValueError("training=True cannot be written as ONNX: a file is for inference")
        if isinstance(layer, OperationLayer):
            return _operation(b, layer.function, args, kwargs)
        if isinstance(layer, Model) and _is_graph(layer):
            graph = layer._known_graph()
            found = iter(run(b, graph, graph.values_of(args[0])))
            return map_leaves(lambda _: next(found), graph.output_structure)
        convert = LAYERS.get(type(layer))
        if convert is None or kwargs or len(args) != 1:
            return _traced(b, layer, args, kwargs)
        y = convert(b, layer, args[0])
        return activated(b, y, layer.activation) if isinstance(layer, Activated) else y


def _is_graph(model: Model) -> bool:
    known = type(model).call is Model.call
    if known:
        model._known_graph()  # says what is missing
    return known


class _CannotWriteError(ValueError):
    """An error that names the layer already."""


@contextmanager
def naming(b: Builder, layer: Any) -> Iterator[None]:
    """A block in which errors get the names of the layers, from the outermost on."""
    try:
        yield
    except _CannotWriteError:
        raise
    except ValueError as error:
        raise _CannotWriteError(f"{type(layer).__name__} {b.path!r}: {error}") from error
    except (TypeError, AttributeError, LookupError, ArithmeticError, AssertionError) as error:
        what = f"the operation {layer.function!r}" if isinstance(layer, OperationLayer) else "this use of it"
        raise _CannotWriteError(
            f"{type(layer).__name__} {b.path!r}: {what} cannot be written as ONNX with these arguments ({error})"
        ) from error


def _operation(b: Builder, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    convert = OPERATIONS.get(name)
    if convert is None:
        raise ValueError(f"the operation {name!r} cannot be written as ONNX")
    module, _, short = name.rpartition(".")
    function = getattr(ops.image if module else ops, short)
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    first, *others = bound.args
    if isinstance(first, (list, tuple)) and name not in _OF_SEVERAL and _holds_values(first):
        first = shaping.stack(b, first)
    elif not isinstance(first, Value) and name not in _CONSTANT_FIRST and not _holds_values(first):
        first = b.value(first)
    if name in activations.OPERATIONS and isinstance(first, Value):
        first = b.floats(first)
    return convert(b, first, *others, **bound.kwargs)


# Operations whose first argument is a list of arrays.
_OF_SEVERAL = frozenset({"concatenate", "hstack", "stack", "vstack"})


# Operations whose converters see to constants themselves, or whose first argument is no array.
_CONSTANT_FIRST = frozenset({
    "add", "divide", "dot", "einsum", "equal", "floor_divide", "greater", "greater_equal", "less", "less_equal",
    "logical_and", "logical_or", "logical_xor", "matmul", "maximum", "minimum", "mod", "multiply", "not_equal", "power",
    "scatter", "subtract", "take", "tensordot", "true_divide", "where",
})  # fmt: skip


def _holds_values(x: Any) -> bool:
    return any(isinstance(leaf, (Value, str)) for leaf in leaves(x))


def activated(b: Builder, x: Value, activation: Any) -> Any:
    """What an activation function makes of a value."""
    convert = activations.named_activation(activation)
    if convert is not None:
        return convert(b, x)
    if isinstance(activation, Layer):
        return call_layer(b, activation, (x,), {})
    return _noted(b, activation, (x,), {}, f"the activation {activation!r}")


def _traced(b: Builder, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A layer of a class that is not known: its `call` is made on symbolic tensors, and what it calls is written."""
    if layer._call_takes_training:
        kwargs = {**kwargs, "training": False}
    return _noted(b, layer.call, args, kwargs, "its call")


def _noted(b: Builder, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], what: str) -> Any:
    """What a function calls, written.

    Raises:
        ValueError: it does something that cannot be described.
    """
    given = [leaf for leaf in leaves([args, kwargs]) if isinstance(leaf, Value)]
    tensors = {id(value): KerasTensor(value.shape) for value in given}
    for tensor in tensors.values():
        Node(layers.Identity(), (), {}, tensor)

    def replaced(leaf: Any) -> Any:
        return tensors.get(id(leaf), leaf)

    try:
        made = function(*map_leaves(replaced, args), **map_leaves(replaced, kwargs))
        graph = Graph([tensors[id(value)] for value in given], made, what)
    except Exception as error:
        raise ValueError(
            f"{what} cannot be written as ONNX: it must be made of layers and cnnfast.ops that do not ask for values "
            f"or open sizes ({error})"
        ) from error
    found = iter(run(b, graph, given))
    for node in graph.nodes:  # the layers forget these calls
        node.layer._inbound_nodes.remove(node)
    return map_leaves(lambda _: next(found), graph.output_structure)


def graph_of(model: Any) -> Graph:
    """The model's graph; of a subclass with a `call` of its own, a graph of that call.

    Raises:
        ValueError: the shapes of the inputs are not known.
    """
    if type(model).call is Model.call:
        graph: Graph = model._known_graph()
        return graph
    if model.built_for is None:
        raise ValueError(f"{model.name}: the shapes of its inputs are not known; call it with data, or build it")
    inputs = _inputs_of(model.built_for)
    outputs = model(inputs, training=False)
    del model._inbound_nodes[-1]
    return Graph(inputs, outputs, model.name)


def _inputs_of(shapes: Any) -> Any:
    if is_shape(shapes):
        return layers.Input(batch_shape=tuple(shapes))
    if isinstance(shapes, dict):
        return {key: _inputs_of(part) for key, part in shapes.items()}
    return [_inputs_of(part) for part in shapes]


def input_value(name: str, tensor: KerasTensor, order: tuple[int, ...] | None) -> Value:
    """What an input of the model is in the graph."""
    return Value(name, tensor.shape, plain_order(tensor.ndim) if order is None else order)
