"""What a model was compiled with, in Keras's form: optimizer, losses and metrics."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from cnnfast import losses, metrics, optimizers
from cnnfast.models.files import PathLike, damage_as_value_error
from cnnfast.models.keras_config.arguments import float32_only
from cnnfast.optimizers import schedules
from cnnfast.registration import known_objects

Custom = Mapping[str, Any]

# What Keras 2 wrote of its optimizers, and asks for nothing here.
_WITHOUT_MEANING = ("is_legacy_optimizer", "jit_compile")
# Metrics that get their meaning from the shapes of labels and predictions.
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def compile_as_keras_did(model: Any, config: Mapping[str, Any], custom_objects: Custom | None = None) -> None:
    """Compile a model as the `compile_config` of a `.keras` file says.

    Args:
        model: a model.
        config: the configuration: `optimizer`, `loss`, `loss_weights`, `metrics`, `weighted_metrics`.
        custom_objects: optimizers, schedules, losses and metrics of your own, by name.

    Raises:
        ValueError: something in it is not known here.
    """
    custom = known_objects(custom_objects)
    graph = model._graph_if_known()
    one_output = graph is not None and len(graph.outputs) == 1
    model.compile(
        optimizer=_optimizer(config.get("optimizer"), custom),
        loss=_each(config.get("loss"), lambda entry: _loss(entry, custom)),
        loss_weights=config.get("loss_weights"),
        metrics=_each(_unwrapped(config.get("metrics"), one_output), lambda entry: _metric(entry, custom)),
        weighted_metrics=_each(
            _unwrapped(config.get("weighted_metrics"), one_output), lambda entry: _metric(entry, custom)
        ),
    )


def compile_loaded(path: PathLike, model: Any, config: Mapping[str, Any], custom_objects: Custom | None) -> None:
    """`compile_as_keras_did` for a model that was read from a file.

    Raises:
        ValueError: something in the configuration is not known here; the message tells how to do without it.
    """
    try:
        with damage_as_value_error(path):
            compile_as_keras_did(model, config, custom_objects)
    except ValueError as error:
        raise ValueError(f"{error}; compile=False loads the model without optimizer, loss and metrics") from error


def compile_config_to_save(model: Any, wanted: bool) -> dict[str, Any] | None:
    """`keras_compile_config` for a model's file; None, with a warning where it cannot be told, if there is nothing."""
    if not (wanted and model.compiled):
        return None
    try:
        return keras_compile_config(model)
    except TypeError as error:
        # Of save_model, which Model.save calls.
        warnings.warn(f"save: {error}; the model is saved without its training configuration", stacklevel=5)
        return None


def keras_compile_config(model: Any) -> dict[str, Any]:
    """What `compile` was given, as Keras 3 reads it.

    Raises:
        TypeError: a function or object in it has no name to be found by again.
    """
    config = model.get_compile_config()
    optimizer = _told("keras.optimizers", config["optimizer"])
    if optimizer is not None and isinstance(optimizer["config"].get("learning_rate"), Mapping):
        rate = _told("keras.optimizers.schedules", optimizer["config"]["learning_rate"])
        optimizer["config"] = {**optimizer["config"], "learning_rate": rate}
    found = {"optimizer": optimizer, "loss": _each(config["loss"], lambda entry: _told("keras.losses", entry))}
    found["loss_weights"] = config["loss_weights"]
    for key in ("metrics", "weighted_metrics"):
        found[key] = _each(config[key], lambda entry: _told("keras.metrics", entry))
    return {**found, "run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}


def _told(module: str, entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    config = dict(entry["config"])
    if isinstance(config.get("fn"), str):
        name = config["fn"]
        config["fn"] = {"module": module, "class_name": "function", "config": name, "registered_name": name}
    name = entry["class_name"]
    if not hasattr(importlib.import_module(module.replace("keras.", "cnnfast.")), name):  # a class of the user's own
        return {"module": None, "class_name": name.rpartition(">")[2], "config": config, "registered_name": name}
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def _each(entries: Any, translate: Callable[[Any], Any]) -> Any:
    """One object, or a list or dict of them, each translated."""
    if entries is None or isinstance(entries, str) or (isinstance(entries, Mapping) and "class_name" in entries):
        return None if entries is None else translate(entries)
    if isinstance(entries, Mapping):
        return {key: _each(entry, translate) for key, entry in entries.items()}
    return [_each(entry, translate) for entry in entries]


def _unwrapped(given: Any, one_output: bool) -> Any:
    """Keras 2 told the metrics of the only output in a list of their own."""
    nested = one_output and isinstance(given, list) and len(given) == 1 and isinstance(given[0], list)
    return given[0] if nested else given


def _optimizer(entry: Any, custom: Custom) -> Any:
    if entry is None or isinstance(entry, str):
        return None if entry is None else optimizers.get(entry, custom)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("config"), Mapping):
        raise ValueError(f"an optimizer expects class_name and config, got {str(entry)[:200]}")
    config = {key: value for key, value in entry["config"].items() if key not in _WITHOUT_MEANING}
    if "lr" in config:  # an older name
        config.setdefault("learning_rate", config.pop("lr"))
    decay = config.pop("decay", None)
    if decay:
        config["learning_rate"] = schedules.InverseTimeDecay(config["learning_rate"], 1, decay)
    name = _custom_name(entry, custom) or entry.get("class_name")
    return optimizers.deserialize({"class_name": name, "config": config}, custom)


def _loss(entry: Any, custom: Custom) -> Any:
    if isinstance(entry, str):
        return custom.get(entry, entry)
    name = _custom_name(entry, custom)
    if name is None and entry.get("class_name") == "function":
        return entry["config"]
    return _made(entry, name, custom, losses.deserialize)


def _metric(entry: Any, custom: Custom) -> Any:
    if isinstance(entry, str):
        return entry if entry in _BY_SHAPE else custom.get(entry, entry)
    name = _custom_name(entry, custom)
    if name is None and entry.get("class_name") == "function":
        return entry["config"]
    return _made(entry, name, custom, metrics.deserialize)


def _made(entry: Mapping[str, Any], name: str | None, custom: Custom, deserialize: Callable[..., Any]) -> Any:
    if name is not None and not isinstance(custom[name], type):
        return custom[name]  # a function
    config = dict(entry.get("config") or {})
    float32_only(str(entry.get("class_name")), config.pop("dtype", None))
    if isinstance(config.get("fn"), Mapping):
        config["fn"] = config["fn"].get("config")
    return deserialize({"class_name": name or entry.get("class_name"), "config": config}, custom)


def _custom_name(entry: Mapping[str, Any], custom: Custom) -> str | None:
    """The name under which the user gave what is told, or None."""
    registered = entry.get("registered_name")
    names = [registered, entry.get("class_name"), entry.get("config")]
    if isinstance(registered, str):
        names.append(registered.rpartition(">")[2])
    return next((name for name in names if isinstance(name, str) and name in custom), None)
