"""Models of what Keras's files tell about their architecture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from cnnfast.interop.keras_weights import check_built
from cnnfast.layers.base import initial_weights_from
from cnnfast.models.files import PathLike, damage_as_value_error, zeros_within
from cnnfast.models.keras_config import from_keras_config, to_keras_config

WRITTEN_AS = "3.15.1"  # the version of Keras in whose form files are written


def refuse_unsafe(safe_mode: bool) -> None:
    """Check that nobody asks for code of a file to be run.

    Raises:
        ValueError: somebody does.
    """
    if not safe_mode:
        raise ValueError("load_model: safe_mode=False cannot be honoured: nothing in a file is ever executed")


def config_to_save(model: Any, metadata: Any) -> dict[str, Any]:
    """A model's architecture in Keras's form, as its files begin.

    Raises:
        ValueError: the model is not built, has what Keras has not, or metadata is given, for which there is no place.
    """
    if metadata is not None:
        raise ValueError("save: metadata cannot be honoured: only .safetensors files keep it")
    check_built(model, "save")
    return to_keras_config(model)


def json_of(filepath: PathLike, text: str | bytes) -> Any:
    """The JSON object of a file, in which there is no code.

    Raises:
        ValueError: it is no JSON object, or a layer in it is made of compiled Python code.
    """
    with damage_as_value_error(filepath):
        found = json.loads(text)
        if not isinstance(found, Mapping):
            raise ValueError(f"the architecture expects a JSON object, got {type(found).__name__}")
    _refuse_code(filepath, found)
    return found


def _refuse_code(filepath: PathLike, config: Any) -> None:
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            if _holds_code(value):
                raise ValueError(
                    f"{os.fspath(filepath)}: a layer of it is a Lambda with compiled Python code, which is never run; "
                    "make the model with a layer class of your own, and load the weights alone"
                )
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _holds_code(value: Mapping[str, Any]) -> bool:
    if value.get("class_name") == "__lambda__":
        return True
    config = value.get("config")
    if value.get("class_name") != "Lambda" or not isinstance(config, Mapping):
        return False
    # Keras 2 tells code, default values and the closure in a list.
    parts = ("function", "mask", "output_shape")
    return isinstance(config.get("function"), list) or any(config.get(f"{part}_type") == "lambda" for part in parts)


def make_model(
    filepath: PathLike, config: Mapping[str, Any], elements: int, custom_objects: Mapping[str, Any] | None
) -> Any:
    """A model whose weights are zeros, to be replaced by the file's.

    Args:
        filepath: the file, for messages.
        config: the architecture.
        elements: how many numbers the file holds.
        custom_objects: classes and functions by name.

    Raises:
        ValueError: the architecture is damaged, tells what the library does not have, or needs more weights.
    """
    with damage_as_value_error(filepath):
        with initial_weights_from(zeros_within(elements)):
            model = from_keras_config(config, custom_objects)
            shape = (config.get("build_config") or {}).get("input_shape")
            if not model.built and shape is not None:
                model.build(shape)
        if not model.built:
            raise ValueError("the architecture does not tell the input's shape")
        return model
