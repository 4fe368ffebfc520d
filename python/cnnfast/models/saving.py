"""Models in files: one .safetensors file holds the weights, and the architecture as JSON in its metadata.

Loading executes nothing from the file: layers are looked up by name among those the library has (or the caller names),
and every weight is checked against the architecture before it is assigned.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import layers
from cnnfast.autograd import Variable
from cnnfast.layers.base import Layer, initial_weights_from
from cnnfast.layers.wrapper import make_wrapped_layers_with
from cnnfast.models.files import (
    ORDER,
    PathLike,
    as_stored,
    damage_as_value_error,
    may_write,
    opened,
    stored_weight,
    write_atomically,
    zeros_within,
)
from cnnfast.models.sharing import made_before, making_once, note_made, numbering
from cnnfast.models.training_state import PREFIX, restore_state, state_arrays, state_config
from cnnfast.naming import reserved_name
from cnnfast.registration import get_registered_name, known_objects

FORMAT = "cnnfast-model"
VERSION = 1

Arrays = dict[str, npt.NDArray[np.float32]]


def save_model(
    model: Any,
    filepath: PathLike,
    overwrite: bool = True,
    *,
    metadata: Mapping[str, Any] | None = None,
    include_optimizer: bool = True,
) -> None:
    """Write a model to one .safetensors file.

    The file appears whole or not at all: it is written beside its place and moved there when it is safely on the disk.

    Args:
        model: a built model.
        filepath: where.
        overwrite: whether an existing file is replaced.
        metadata: anything JSON can hold, to be read again with `read_metadata`: class names, preprocessing, a licence.
        include_optimizer: whether to keep the optimizer, its state, the loss and the metrics, to go on training.

    Raises:
        ValueError: the model is not built.
        TypeError: a layer's configuration or the metadata holds what JSON cannot.
        FileExistsError: there is such a file, and `overwrite` is False.
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save

    if not model.built:
        raise ValueError(f"{model.name}: a model without weights cannot be saved; build it first")
    named = named_weights(model)
    arrays: Arrays = {name: variable.numpy() for name, variable in named.items()}
    with numbering(model):
        architecture = {"class_name": get_registered_name(type(model)), "config": model.get_config()}
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "architecture": _json(architecture, "the architecture"),
        "user": _json(dict(metadata or {}), "metadata"),
        ORDER: _json(list(named), "names"),
    }
    if getattr(model, "built_for", None) is not None:
        header["built_for"] = _json(model.built_for, "the shape of the inputs")
    if include_optimizer and model.compiled and model.optimizer is not None:
        training = _training_config(model, named)
        if training is not None:
            header["training"] = _json(training, "the training configuration")
            arrays |= state_arrays(model.optimizer, named)
    write_atomically(may_write(filepath, overwrite), save(arrays, metadata=header))


def load_model(
    filepath: PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Read a model that `save_model` wrote.

    Args:
        filepath: the file.
        custom_objects: classes by name, for layers, optimizers and schedules that the library does not have.
        compile: whether to restore optimizer, loss and metrics too, if the file holds them.
        safe_mode: always True: files hold nothing that could be executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, is damaged, names an unknown layer, or its weights do not fit its architecture.
    """
    if not safe_mode:
        raise ValueError("load_model: safe_mode=False cannot be honoured: nothing in a file is ever executed")
    with opened(filepath) as file:
        header = file.metadata() or {}
        _check_format(filepath, header)
        names = list(file.keys())
        elements = sum(_elements(file.get_slice(name).get_shape()) for name in names)
        with damage_as_value_error(filepath):
            architecture = json.loads(header["architecture"])
            with initial_weights_from(zeros_within(elements)), making_once():
                model: Any = layer_from_config(architecture, custom_objects)
            if not model.built and "built_for" in header:
                with initial_weights_from(zeros_within(elements)):
                    model.build(json.loads(header["built_for"]))
            if not model.built:
                raise ValueError("the architecture does not tell the input's shape")
            training = json.loads(header["training"]) if compile and "training" in header else None
            if training is not None:
                model.compile_from_config(_compile_config(training), custom_objects)
        named = as_stored(named_weights(model), header, file, "layers" in architecture["config"])
        unknown = sorted(set(names) - set(named) - {n for n in names if n.startswith(PREFIX)})
        if unknown:
            raise ValueError(f"{filepath}: the weights {unknown[:5]} belong to no layer of the architecture")
        for name, variable in named.items():
            variable.assign(stored_weight(filepath, file, name, variable.shape))
        if training is not None:
            with damage_as_value_error(filepath):
                restore_state(model.optimizer, training, named, functools.partial(stored_weight, filepath, file))
    return model


def read_metadata(path: PathLike) -> dict[str, Any]:
    """The metadata that was given to `save_model`, without reading any weights.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model file or is damaged.
    """
    with opened(path) as file:
        header = file.metadata() or {}
        _check_format(path, header)
        with damage_as_value_error(path):
            user = json.loads(header.get("user", "{}"))
            if not isinstance(user, dict):
                raise ValueError("the metadata is no JSON object")
            return user


def layer_from_config(entry: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """Make a layer or model from its class's name and configuration.

    Raises:
        ValueError: no layer has that name, or the configuration does not fit it.

    Example:
        >>> layer_from_config({"class_name": "Dense", "config": {"units": 3}}).units
        3
    """
    from cnnfast.layers.operation import OperationLayer
    from cnnfast.models.model import Model
    from cnnfast.models.sequential import Sequential

    if isinstance(entry, Mapping) and isinstance(entry.get("layer"), Layer):
        made: Layer = entry["layer"]  # what several models of a foreign configuration hold
        return made
    if not isinstance(entry, Mapping) or not isinstance(entry.get("config"), Mapping):
        raise ValueError(f"a layer expects class_name and config, got {entry!r}")
    before = made_before(entry)
    if before is not None:
        return before
    name = entry.get("class_name")
    known: dict[Any, Any] = {
        **layers.BUILT_IN,
        "Model": Model,
        "OperationLayer": OperationLayer,
        "Functional": Model,
        "Sequential": Sequential,
        **known_objects(custom_objects),
    }
    cls = known.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"unknown layer {name!r}; pass its class in custom_objects={{{name!r}: ...}} if you trust it")
    try:
        if "custom_objects" in inspect.signature(cls.from_config).parameters:
            layer = cls.from_config(entry["config"], custom_objects)
        else:
            layer = cls.from_config(entry["config"])
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    if "name" not in entry["config"] and isinstance(entry.get("name"), str) and isinstance(layer, Layer):
        layer.name = reserved_name(entry["name"])  # a constructor that takes no name
    note_made(entry, layer)
    return layer


make_wrapped_layers_with(layer_from_config)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model, with fresh weights, from what `Model.to_json` returned.

    Args:
        json_string: the architecture.
        custom_objects: layer classes by name, beside the built-in ones.

    Raises:
        ValueError: it is no JSON, or no architecture of known layers.

    Example:
        >>> from cnnfast.models import Sequential
        >>> model = Sequential([layers.Input((3,)), layers.Dense(2)])
        >>> model_from_json(model.to_json()).count_params()
        8
    """
    try:
        with making_once():
            return layer_from_config(json.loads(json_string), custom_objects)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"model_from_json: {error}") from error


# Names of weights


def named_weights(model: Any) -> dict[str, Variable]:
    """A model's weights by path: the layers' names and the weight's, such as `conv2d/kernel`.

    Example:
        >>> from cnnfast.models import Sequential
        >>> list(named_weights(Sequential([layers.Input((2,)), layers.Dense(3, name="scores")])))
        ['scores/kernel', 'scores/bias']
    """
    found: dict[str, Variable] = {}
    seen: set[int] = set()

    def collect(layer: Any, prefix: str) -> None:
        for variable in (*layer._own_trained, *layer._own_kept):
            if id(variable) not in seen:
                seen.add(id(variable))
                path, count = f"{prefix}{variable.name}", 1
                while path in found:
                    path, count = f"{prefix}{variable.name}_{count}", count + 1
                found[path] = variable
        for part in layer.sublayers():
            collect(part, f"{prefix}{part.name}/")

    collect(model, "")
    return found


# Training state


def _training_config(model: Any, named: Mapping[str, Variable]) -> dict[str, Any] | None:
    """What `compile` was given, or None (with a warning) where a function of the user's own has no name to save."""
    try:
        return {**model.get_compile_config(), **state_config(model.optimizer, named)}
    except TypeError as error:
        warnings.warn(f"save: {error}; the model is saved without its training configuration", stacklevel=4)
        return None


def _compile_config(training: Mapping[str, Any]) -> dict[str, Any]:
    names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
    return {name: training[name] for name in names if name in training}


# Files


def _json(value: Any, what: str) -> str:
    try:
        return json.dumps(value, allow_nan=True, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"save: {what} holds what JSON cannot: {error}") from error


def _check_format(path: PathLike, header: Mapping[str, str]) -> None:
    if header.get("format") != FORMAT or "architecture" not in header:
        raise ValueError(f"{path}: holds tensors, but no model of this library")
    if header.get("version") != str(VERSION):
        raise ValueError(f"{path}: model format {header.get('version')} is not known here, only {VERSION}")


def _elements(shape: Any) -> int:
    return math.prod(int(n) for n in shape)
