"""What Keras has under `keras.saving`: files, registered classes, and objects as configurations."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from cnnfast import layers
from cnnfast.configured import serialize
from cnnfast.layers.base import Layer
from cnnfast.models import formats
from cnnfast.models.formats import function_for, load_model, save_model
from cnnfast.models.keras_config import from_keras_config
from cnnfast.models.saving import layer_from_config
from cnnfast.registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    known_objects,
    register_keras_serializable,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

# Where classes that are no layers are looked for by their names.
_MODULES = ("initializers", "regularizers", "constraints", "losses", "metrics", "optimizers.schedules", "optimizers")


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write a model's weights; see `Model.save_weights`.

    Raises:
        ValueError: the model is not built, or no format has that suffix.
        FileExistsError: there is such a file, and `overwrite` is False.

    Example:
        >>> model = layers.Dense(2)(layers.Input((3,))).node.layer
        >>> save_weights(model, "dense.safetensors")
    """
    function_for(filepath, "save_weights")(model, filepath, overwrite)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool | None = None) -> None:
    """Read a model's weights; see `Model.load_weights`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or does not fit.

    Example:
        >>> model = layers.Dense(2)(layers.Input((3,))).node.layer
        >>> save_weights(model, "dense.safetensors")
        >>> load_weights(model, "dense.safetensors")
    """
    formats.load_weights(model, filepath, skip_mismatch, by_name)


def serialize_keras_object(obj: Any) -> Any:
    """An object as something JSON can hold: its class, where that is, and its configuration.

    Args:
        obj: a layer, model, initializer, loss, ..., a function known by a name, or a list or dict of such things.

    Raises:
        TypeError: it has no name to be found by again.

    Example:
        >>> serialize_keras_object(layers.Flatten(name="flat"))["class_name"]
        'Flatten'
    """
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(item) for key, item in obj.items()}
    told = serialize(obj, "serialize_keras_object: the object")
    if isinstance(told, dict) and hasattr(obj, "get_config"):
        registered = get_registered_name(type(obj))
        name = None if registered == type(obj).__name__ else registered
        return {"module": type(obj).__module__, **told, "registered_name": name}
    return told


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any
) -> Any:
    """The object that `serialize_keras_object` told, here or in Keras.

    Args:
        config: a dict of `class_name` and `config`; anything else is returned as it is, lists item by item.
        custom_objects: classes and functions of your own by name.
        safe_mode: always True: nothing that a configuration holds is executed.
        **kwargs: none are supported.

    Raises:
        ValueError: the class is unknown, the configuration does not fit it, or `safe_mode` is False.
        TypeError: there are other arguments.

    Example:
        >>> deserialize_keras_object(serialize_keras_object(layers.Dense(3))).units
        3
    """
    if kwargs:
        raise TypeError(f"deserialize_keras_object: unexpected keyword arguments {list(kwargs)}")
    if not safe_mode:
        raise ValueError("deserialize_keras_object: safe_mode=False cannot be honoured: no code is ever executed")
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(item, custom_objects) for item in config]
    if isinstance(config, str):
        return known_objects(custom_objects).get(config, config)
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: deserialize_keras_object(item, custom_objects) for key, item in config.items()}
    return _made(config, custom_objects)


def _made(entry: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    name, config = entry["class_name"], entry["config"]
    module = entry.get("module")
    kind = module.split(".") if isinstance(module, str) else []
    known = known_objects(custom_objects)
    if name == "function":
        return known.get(config, config)
    own = known.get(str(entry.get("registered_name"))) or known.get(name)
    if own is not None and not (isinstance(own, type) and issubclass(own, Layer)):
        return own.from_config(config) if hasattr(own, "from_config") else own
    for place in _MODULES:
        if kind[:1] in (["keras"], ["cnnfast"]) and place.split(".")[0] not in kind:
            continue
        cls = getattr(importlib.import_module(f"cnnfast.{place}"), name, None)
        if isinstance(cls, type) and (kind or name not in layers.BUILT_IN):
            return cls.from_config({k: v for k, v in config.items() if k != "dtype"})  # type: ignore[attr-defined]
    if kind[:1] == ["keras"]:
        return from_keras_config(entry, custom_objects)
    return layer_from_config(entry, custom_objects)
