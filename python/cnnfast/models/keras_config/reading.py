"""Models made of what Keras tells about its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnfast import layers
from cnnfast.layers.base import Layer
from cnnfast.models.keras_config import graphs
from cnnfast.models.keras_config.arguments import argument_name, float32_only, input_dtype, takes, without_meaning
from cnnfast.models.keras_config.objects import Objects, is_ours_alone
from cnnfast.models.keras_config.operations import is_operation, operation_entry
from cnnfast.models.model import Model
from cnnfast.models.saving import layer_from_config
from cnnfast.registration import known_objects

_FUNCTIONAL = ("Functional", "Model")


def from_keras_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model (or layer), with fresh weights, of a configuration that Keras 3 or Keras 2 wrote.

    Args:
        config: what `json.loads(model.to_json())` gives there: `class_name`, `config` and, since Keras 3, `module`.
        custom_objects: your own classes and functions by name, for those that neither library has.

    Raises:
        ValueError: it is no such configuration, names a class that is unknown, or asks for what cannot be honoured.

    Example:
        >>> layer = {"class_name": "Dense", "config": {"units": 2, "dtype": "float32", "batch_input_shape": [None, 3]}}
        >>> from_keras_config({"class_name": "Sequential", "config": {"name": "net", "layers": [layer]}}).count_params()
        8
    """
    try:
        model = Reader(custom_objects).made(config)
        shape = _build_shape(config)
        if shape is not None and isinstance(model, Layer) and not model.built:
            model._build_once(shape)
        return model
    except (TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
        raise ValueError(f"from_keras_config: {what or type(error).__name__}") from error


def _build_shape(config: Mapping[str, Any]) -> Any:
    """The shape of the input that a model was built for, where the configuration tells one."""
    build = config.get("build_config")
    return build.get("input_shape") if isinstance(build, Mapping) else None


class Reader:
    """Translates configurations into those of this library.

    Args:
        custom_objects: classes and functions by name.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None = None) -> None:
        self.custom = known_objects(custom_objects)
        self.objects = Objects(self.custom, self.made)
        self._shared: dict[Any, Layer] = {}

    def made(self, given: Any) -> Any:
        """The layer or model that a configuration tells."""
        return layer_from_config(self.entry(given), self.custom)

    def entry(self, given: Any) -> dict[str, Any]:
        """A layer's configuration as `layer_from_config` takes it."""
        if not isinstance(given, Mapping) or not isinstance(given.get("class_name"), str) or "config" not in given:
            raise ValueError(f"from_keras_config: a layer expects class_name and config, got {str(given)[:200]}")
        number = given.get("shared_object_id")
        if number is None:
            return self._entry(given)
        # Several models hold this layer.
        if number not in self._shared:
            self._shared[number] = layer_from_config(self._entry(given), self.custom)
        return {"layer": self._shared[number]}

    def _entry(self, given: Mapping[str, Any]) -> dict[str, Any]:
        name, config = given["class_name"], given["config"]
        own = self.objects.custom_name(given)
        if own is not None:
            return {"class_name": own, "config": self._custom_config(own, config)}
        if is_operation(given):
            return operation_entry(given)
        if not _of_keras(given):
            raise ValueError(f"unknown layer {name!r}; pass its class in custom_objects={{{name!r}: ...}}")
        if name == "Sequential":
            return {"class_name": name, "config": self._sequential(config)}
        if not isinstance(config, Mapping):
            raise ValueError(f"from_keras_config: config of {name} expects a dictionary, got {str(config)[:200]}")
        if name in _FUNCTIONAL and "input_layers" in config:
            return {"class_name": "Functional", "config": self._functional(config)}
        if name in ("InputLayer", "Input"):
            return {"class_name": "InputLayer", "config": _input_config(config)}
        cls = layers.BUILT_IN.get(name)
        if cls is None:
            raise ValueError(f"unknown layer {name!r}; pass its class in custom_objects={{{name!r}: ...}}")
        return {"class_name": name, "config": self._layer_config(cls, config)}

    def _layer_config(self, cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a layer of this library."""
        owner, found = cls.__name__, {}
        for given, value in config.items():
            key = argument_name(owner, given)
            if key == "dtype":
                float32_only(owner, value)
            elif key in ("batch_input_shape", "batch_shape"):
                found["input_shape"] = value[1:]
            elif key == "axis" and owner == "BatchNormalization" and isinstance(value, list) and len(value) == 1:
                found[key] = value[0]
            elif takes(cls, key):
                found[key] = self.objects.value(owner, key, value)
            else:
                without_meaning(owner, key, value)
        return found

    def _custom_config(self, name: str, config: Any) -> Any:
        """What a class of the user's own is given: what Keras would give it, without a data type that is ours too."""
        if not isinstance(config, Mapping):
            return config
        cls = self.custom[name]
        if "input_layers" in config and isinstance(cls, type) and issubclass(cls, Model):
            return self._functional(config)
        found = dict(config)
        if "dtype" in found:
            float32_only(name, found.pop("dtype"))
        return found

    # Models

    def _sequential(self, config: Any) -> dict[str, Any]:
        if isinstance(config, list):  # the first versions told no name
            config = {"layers": config}
        if not isinstance(config, Mapping) or not isinstance(config.get("layers"), (list, tuple)):
            raise ValueError(f"from_keras_config: Sequential expects a list of layers, got {str(config)[:200]}")
        float32_only("Sequential", config.get("dtype"))
        entries = [self.entry(layer) for layer in config["layers"]]
        found = {"name": config.get("name"), "trainable": config.get("trainable", True), "layers": entries}
        first = entries[0] if entries else {}
        begins = first.get("class_name") == "InputLayer" or "input_shape" in first.get("config", ())
        if not begins and "layer" not in first:
            found["build_input_shape"] = config.get("build_input_shape")
        return found

    def _functional(self, config: Mapping[str, Any]) -> dict[str, Any]:
        float32_only("Functional", config.get("dtype"))
        entries = []
        for given in config["layers"]:
            entry = dict(self.entry(given))
            name = given.get("name", given["config"].get("name") if isinstance(given["config"], Mapping) else None)
            if not isinstance(name, str):
                raise ValueError(f"from_keras_config: a layer of {config.get('name')!r} has no name")
            calls = [graphs.call(node, self.custom) for node in given.get("inbound_nodes") or []]
            entry["inbound_nodes"] = [graphs.with_arguments(call, entry.get("operation")) for call in calls]
            entries.append({**entry, "name": name})
        places = {key: graphs.unwrapped(config[key]) for key in ("input_layers", "output_layers")}
        graphs.count_from_zero(config["layers"], entries, places)
        return {"name": config.get("name"), "trainable": config.get("trainable", True), "layers": entries, **places}


def _of_keras(given: Mapping[str, Any]) -> bool:
    """Whether a class is Keras's own, or this library's, rather than one that somebody registered there."""
    module, registered = given.get("module"), given.get("registered_name")
    if is_ours_alone(given):
        return True
    foreign = isinstance(registered, str) and ">" in registered
    return not foreign and (module is None or module.split(".")[0] in ("keras", "tensorflow", "tf_keras"))


def _input_config(config: Mapping[str, Any]) -> dict[str, Any]:
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if shape is None and "shape" in config:
        shape = [config.get("batch_size"), *config["shape"]]
    found: dict[str, Any] = {"batch_shape": shape, "dtype": input_dtype(config.get("dtype"))}
    for key, value in config.items():
        if key in ("name", "trainable"):
            found[key] = value
        elif key not in ("batch_shape", "batch_input_shape", "shape", "batch_size", "dtype"):
            without_meaning("InputLayer", key, value)
    return found
