"""What layers are made with, in Keras's form: initializers, regularizers, constraints, activations, arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Layers that Keras does not have: told as classes that somebody has registered, which Keras asks for. Users may
# register classes under the same names; the module tells which are meant.
OURS_ALONE = ("LocalResponseNormalization", "Maxout", "Whitening")
OUR_PACKAGE, OUR_MODULE = "cnnfast", "cnnfast.layers"
_ARRAYS = ("__numpy__", "__tensor__", "__array__")
_CODE = ("__lambda__", "lambda", "Lambda")


def is_ours_alone(given: Mapping[str, Any]) -> bool:
    """Whether a configuration tells a layer of this library that Keras does not have.

    Files of before name no module, nor does Keras where it cannot tell.
    """
    name = given.get("class_name")
    registered = name in OURS_ALONE and given.get("registered_name") == f"{OUR_PACKAGE}>{name}"
    return registered and given.get("module") in (None, OUR_MODULE)


class Objects:
    """Translates arguments of layers.

    Args:
        custom: classes and functions by name.
        make_layer: makes a layer of its configuration.
    """

    def __init__(self, custom: Mapping[str, Any], make_layer: Callable[[Any], Any]) -> None:
        self.custom, self._make_layer = custom, make_layer

    def custom_name(self, given: Mapping[str, Any]) -> str | None:
        """The name under which the user gave what a configuration tells, or None."""
        if is_ours_alone(given) and given.get("module") is not None:
            return None
        registered = given.get("registered_name")
        names = [registered, given.get("class_name")]
        if isinstance(registered, str):
            names.append(registered.rpartition(">")[2])
        return next((name for name in names if isinstance(name, str) and name in self.custom), None)

    def value(self, owner: str, key: str, value: Any) -> Any:
        """One argument as this library takes it.

        Raises:
            ValueError: it holds code, or a function that nobody gave.
        """
        if isinstance(value, str):
            return self.custom[value] if _names_object(key) and value in self.custom else value
        if isinstance(value, (list, tuple)):
            return [self.value(owner, key, item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if "class_name" not in value or "config" not in value:
            return {name: self.value(owner, key, item) for name, item in value.items()}
        return self._object(owner, key, value)

    def _object(self, owner: str, key: str, value: Mapping[str, Any]) -> Any:
        name, config = value["class_name"], value["config"]
        if name in _ARRAYS:
            return array_of(config)
        if name == "function" and isinstance(config, str):
            return self._function(owner, key, value)
        if name in _CODE and key != "layer":
            raise ValueError(f"{owner}: {key} holds a function's code, which is not run; make the layer yourself")
        if key == "layer" or (key == "activation" and self.custom_name(value) is None):
            return self._make_layer(value)
        if key == "seed":  # a SeedGenerator's; its state is not in the configuration
            return config.get("seed")
        config = {part: self.value(owner, part, item) for part, item in dict(config or {}).items() if part != "dtype"}
        own = self.custom_name(value)
        if own is None:
            return {"class_name": name, "config": config}
        cls = self.custom[own]
        return cls.from_config(config) if hasattr(cls, "from_config") else cls(**config)

    def _function(self, owner: str, key: str, value: Mapping[str, Any]) -> Any:
        name = value["config"]
        own = self.custom_name({"registered_name": value.get("registered_name"), "class_name": name})
        if own is not None:
            return self.custom[own]
        if key in ("function", "output_shape"):
            raise ValueError(f"{owner}: unknown function {name!r}; pass it in custom_objects={{{name!r}: ...}}")
        return name.rpartition(">")[2]


def _names_object(key: str) -> bool:
    return key in ("activation", "function", "output_shape") or key.endswith(
        ("_initializer", "_regularizer", "_constraint")
    )


def array_of(config: Mapping[str, Any]) -> Any:
    """The array of a configuration's values and data type.

    Raises:
        ValueError: the data type is not one of numbers, or the values do not make an array of it.

    Example:
        >>> array_of({"value": [1, 2], "dtype": "float32"})
        array([1., 2.], dtype=float32)
    """
    try:
        dtype = np.dtype(config.get("dtype", "float32"))
        if dtype.kind not in "biuf":
            raise TypeError
        return np.array(config["value"], dtype)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"an array expects numbers and their type, got {str(config)[:200]}") from None
