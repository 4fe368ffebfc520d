"""What Keras is told about a model of this library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnfast import layers
from cnnfast.configured import serialize
from cnnfast.layers.base import Layer
from cnnfast.layers.core import InputLayer
from cnnfast.layers.operation import OperationLayer
from cnnfast.models.graph_config import graph_config
from cnnfast.models.keras_config.objects import OUR_MODULE, OUR_PACKAGE, OURS_ALONE
from cnnfast.models.keras_config.operations import keras_operation
from cnnfast.models.model import Model
from cnnfast.models.sequential import Sequential
from cnnfast.models.sharing import shared_layers
from cnnfast.registration import get_registered_name
from cnnfast.symbolic import is_shape, shapes_of

Shared = Mapping[Any, int]

# Arguments that some of its layers do not take.
_NOT_TAKEN = {f"SpatialDropout{rank}D": ("trainable",) for rank in (1, 2, 3)}
_OBJECTS = {"_initializer": "initializers", "_regularizer": "regularizers", "_constraint": "constraints"}


def to_keras_config(model: Any) -> dict[str, Any]:
    """A model's architecture in Keras 3's form, which `keras.models.model_from_json` reads as JSON.

    Weights of the one fit the other in their order, as `get_weights` gives and `set_weights` takes them. Classes of
    your own are told by their names and `get_config`; whoever reads them gives the classes in `custom_objects`. So are
    layers of this library that Keras lacks, such as `LocalResponseNormalization`; this library finds them itself.

    Args:
        model: a `Sequential`, a model made of symbolic tensors, or a layer.

    Raises:
        ValueError: it holds an argument that this library alone has, or a class that is not a layer's.
        TypeError: a layer was made with something that has no name.

    Example:
        >>> net = Sequential([layers.Input((3,)), layers.Dense(2)])
        >>> config = to_keras_config(net)
        >>> config["class_name"], config["config"]["layers"][0]["config"]["batch_shape"]
        ('Sequential', [None, 3])
    """
    return _entry(model, shared_layers(model))


def _entry(layer: Any, shared: Shared) -> dict[str, Any]:
    entry = _unshared(layer, shared)
    return {**entry, "shared_object_id": shared[layer]} if layer in shared else entry


def _unshared(layer: Any, shared: Shared) -> dict[str, Any]:
    if not type(layer).__module__.startswith("cnnfast."):
        return _own(layer, shared)
    if isinstance(layer, Sequential):
        return _told("keras", layer, _sequential(layer, shared))
    if isinstance(layer, Model):
        entry = _told("keras.src.models.functional", layer, _functional(layer, shared))
        return {**entry, "class_name": "Functional", "registered_name": "Functional"}
    if isinstance(layer, InputLayer):
        return _told("keras.layers", layer, _input(layer))
    name = type(layer).__name__
    if layers.BUILT_IN.get(name) is not type(layer):
        raise ValueError(f"to_keras_config: Keras has no layer {name}")
    if name in OURS_ALONE:
        return {**_told(OUR_MODULE, layer, _layer(layer, shared)), "registered_name": f"{OUR_PACKAGE}>{name}"}
    return _told("keras.layers", layer, _layer(layer, shared))


def _own(layer: Any, shared: Shared) -> dict[str, Any]:
    """A layer or model of a class of the user's own."""
    cls = type(layer)
    made_of_tensors = isinstance(layer, Model) and layer._graph is not None and cls.__init__ is Model.__init__
    config = _functional(layer, shared) if made_of_tensors else layer.get_config()
    registered = get_registered_name(cls)
    # Where it is said to be in no module, a class under our package's name would be ours.
    nowhere = cls.__module__ == "__main__" and not registered.startswith(f"{OUR_PACKAGE}>")
    return {**_told(None if nowhere else cls.__module__, layer, config), "registered_name": registered}


def _told(module: str | None, layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    entry = {"module": module, "class_name": type(layer).__name__, "config": config, "registered_name": None}
    shape = _built_for(layer)
    return entry if shape is None else {**entry, "build_config": {"input_shape": shape}}


def _built_for(layer: Any) -> Any:
    """The shape of a layer's first call, where one array enters it."""
    if isinstance(layer, Sequential):
        return list(layer.input_shape) if layer.built else None
    if isinstance(layer, Model):
        return layer.built_for
    if isinstance(layer, InputLayer) or not layer._inbound_nodes or not layer.built:
        return None
    shape = shapes_of(layer._inbound_nodes[0].args[0])
    return list(shape) if is_shape(shape) else None


def _policy() -> dict[str, Any]:
    config = {"name": "float32"}
    return {"module": "keras", "class_name": "DTypePolicy", "config": config, "registered_name": None}


def _input(layer: InputLayer) -> dict[str, Any]:
    tensor = layer.output
    return {
        "batch_shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "sparse": False,
        "ragged": False,
        "name": layer.name,
    }


def _layer(layer: Layer, shared: Shared) -> dict[str, Any]:
    config = layer.get_config()
    if "kernel_size" in config and isinstance(config.get("padding"), (int, tuple, list)):
        raise ValueError(
            f"to_keras_config: {layer.name}: Keras has no padding={config['padding']!r}; put a ZeroPadding layer "
            "before it, or save as .safetensors"
        )
    if config.pop("learning_rate_multiplier", 1.0) != 1.0:
        raise ValueError(f"to_keras_config: {layer.name}: Keras has no learning_rate_multiplier")
    for key in ("input_shape", *_NOT_TAKEN.get(type(layer).__name__, ())):
        config.pop(key, None)
    found = {key: _value(key, value, layer, shared) for key, value in config.items()}
    return {**found, "dtype": _policy()}


def _value(key: str, value: Any, layer: Any, shared: Shared) -> Any:
    if key == "layer":
        return _entry(layer.layer, shared)
    if key == "activation" and isinstance(layer.activation, Layer):
        return _entry(layer.activation, shared)
    if isinstance(value, Mapping) and set(value) == {"class_name", "config"}:
        kind = next((kind for suffix, kind in _OBJECTS.items() if key.endswith(suffix)), None)
        module = f"keras.{kind}" if kind else "keras.random" if key == "seed" else None
        if module is not None:
            return {"module": module, **value, "registered_name": None}
    return value


def _sequential(model: Sequential, shared: Shared) -> dict[str, Any]:
    entries = [_entry(layer, shared) for layer in model._layers]
    shape = list(model.input_shape) if model.built else None
    if model.built and not (model._layers and isinstance(model._layers[0], InputLayer)):
        first = InputLayer(batch_shape=shape)
        entries.insert(0, _entry(first, shared))
    config = {"name": model.name, "trainable": model.trainable, "dtype": _policy(), "layers": entries}
    return config if shape is None else {**config, "build_input_shape": shape}


def _functional(model: Model, shared: Shared) -> dict[str, Any]:
    told = graph_config(model._known_graph())
    by_name = {layer.name: layer for layer in model._known_graph().layers}
    models, entries = set(), []
    for given in told["layers"]:
        layer = by_name.get(given["name"])
        nodes = [{key: _argument(value) for key, value in node.items()} for node in given["inbound_nodes"]]
        if layer is None:  # an Input that stands for another layer's output
            layer = InputLayer.from_config(given["config"])
        if isinstance(layer, OperationLayer):
            entries.append(_operation(layer, nodes))
            continue
        if isinstance(layer, Model) and not isinstance(layer, Sequential):
            models.add(layer.name)
        entries.append({**_entry(layer, shared), "name": layer.name, "inbound_nodes": nodes})
    # In the places of outputs, Keras keeps the first number for a model's call of itself.
    outputs = _shifted(told["output_layers"], models)
    config = {"name": model.name, "trainable": model.trainable, "layers": entries}
    return {**config, "input_layers": told["input_layers"], "output_layers": outputs}


def _operation(layer: OperationLayer, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    calls = []
    for node in nodes:
        kwargs = {key: value for key, value in node["kwargs"].items() if key != "training"}
        written = keras_operation(layer.function, layer.name, node["args"], kwargs)
        found = {"module": written.module, "class_name": written.class_name, "config": written.config}
        if entry and found != entry:
            raise ValueError(f"to_keras_config: {layer.name} is called in several ways, which Keras cannot tell")
        entry = found
        calls.append({"args": written.args, "kwargs": {}})
    return {**entry, "registered_name": entry["class_name"], "name": layer.name, "inbound_nodes": calls}


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(item) for item in value]
    if not isinstance(value, Mapping):
        return serialize(value, "to_keras_config: an argument")
    if value.get("class_name") == "__tuple__":
        return [_argument(item) for item in value["items"]]
    if value.get("class_name") == "__array__":
        return {"class_name": "__numpy__", "config": value["config"]}
    if value.get("class_name") in ("__keras_tensor__", "__slice__", "__ellipsis__"):
        return dict(value)
    return {key: _argument(item) for key, item in value.items()}


def _shifted(places: Any, models: set[str]) -> Any:
    if isinstance(places, Mapping):
        return {key: _shifted(part, models) for key, part in places.items()}
    if len(places) == 3 and isinstance(places[0], str):
        return [places[0], places[1] + (places[0] in models), places[2]]
    return [_shifted(part, models) for part in places]
