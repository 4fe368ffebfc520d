"""Which code reads and writes a file of a model or of weights: chosen by the file's suffix, imported when needed."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cnnfast.models.files import PathLike, check_readable


class Format(NamedTuple):
    """The functions for a suffix, each as `module:name`, or None where there is none.

    They are called as `save(model, path, overwrite, **options)`, `load(path, custom_objects, compile, safe_mode)`,
    `save_weights(model, path, overwrite)` and `load_weights(model, path, skip_mismatch)`.
    """

    save: str | None = None
    load: str | None = None
    save_weights: str | None = None
    load_weights: str | None = None


_TORCH = Format(
    save_weights="cnnfast.interop.torch.writing:save_weights",
    load_weights="cnnfast.interop.torch.weights:load_weights",
)
_KERAS_H5 = Format(
    "cnnfast.interop.keras_h5:save_model",
    "cnnfast.interop.keras_h5:load_model",
    "cnnfast.interop.keras_h5:save_weights",
    "cnnfast.interop.keras_weights:load_weights",
)

# A suffix that ends in another one comes before it.
FORMATS: dict[str, Format] = {
    ".safetensors": Format(
        "cnnfast.models.saving:save_model",
        "cnnfast.models.saving:load_model",
        "cnnfast.models.weights:save_weights",
        "cnnfast.models.weights:load_weights",
    ),
    ".onnx": Format(save="cnnfast.interop.onnx_export:save_model", load="cnnfast.interop.onnx:load_model"),
    ".pth": _TORCH,
    ".pt": _TORCH,
    ".bin": _TORCH,
    ".cfg": Format(load="cnnfast.interop.darknet.loading:load_model"),
    ".weights": Format(
        save_weights="cnnfast.interop.darknet.loading:save_weights",
        load_weights="cnnfast.interop.darknet.loading:load_weights",
    ),
    ".keras": Format(
        "cnnfast.interop.keras_archive:save_model",
        "cnnfast.interop.keras_archive:load_model",
        None,
        "cnnfast.interop.keras_archive:load_weights",
    ),
    ".weights.h5": Format(
        save_weights="cnnfast.interop.keras_weights:save_weights",
        load_weights="cnnfast.interop.keras_weights:load_weights",
    ),
    ".h5": _KERAS_H5,
    ".hdf5": _KERAS_H5,
}


def function_for(path: PathLike, task: str) -> Callable[..., Any]:
    """The function that does a task with files of a path's suffix.

    Args:
        path: the file's path.
        task: a field's name of `Format`.

    Raises:
        FileNotFoundError: the task is to read a file that does not exist.
        IsADirectoryError: it is to read a folder.
        ValueError: the suffix is unknown, or nothing does that task with it; the message lists those that can be used.

    Example:
        >>> function_for("net.safetensors", "save").__name__
        'save_model'
    """
    if task.startswith("load"):
        check_readable(path)
    name = os.fspath(path).lower()
    suffix = next((suffix for suffix in FORMATS if name.endswith(suffix)), None)
    found = getattr(FORMATS[suffix], task) if suffix is not None else None
    if found is None:
        able = ", ".join(suffix for suffix, format in FORMATS.items() if getattr(format, task) is not None)
        raise ValueError(f"{task}: a file name with one of the endings {able} is expected, got {os.fspath(path)!r}")
    module, _, function = found.partition(":")
    result: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return result


def save_model(model: Any, filepath: PathLike, overwrite: bool = True, **options: Any) -> None:
    """Write a model to a file, in the format that its suffix names.

    Args:
        model: a built model.
        filepath: where.
        overwrite: whether an existing file is replaced.
        **options: the format's own; see `cnnfast.models.saving.save_model` for those of `.safetensors`.

    Raises:
        ValueError: the model is not built, or no format has that suffix.
        FileExistsError: there is such a file, and `overwrite` is False.
        OSError: the file cannot be written.
    """
    function_for(filepath, "save")(model, filepath, overwrite, **options)


def export_model(model: Any, filepath: PathLike, **options: Any) -> None:
    """Write a model as ONNX, whatever the file's name; see `cnnfast.interop.export_onnx`."""
    function: Callable[..., None] = importlib.import_module("cnnfast.interop.onnx_export").export_onnx
    function(model, filepath, **options)


def load_model(
    filepath: PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Read a model from a file, in the format that its suffix names.

    Args:
        filepath: the file.
        custom_objects: classes by name, for layers, optimizers and schedules that the library does not have.
        compile: whether to restore optimizer, loss and metrics too, if the file holds them.
        safe_mode: always True: nothing in a file is ever executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no format has that suffix, or the file is damaged, names what the library does not have, or its
            weights do not fit its architecture.
    """
    return function_for(filepath, "load")(filepath, custom_objects, compile, safe_mode)


def load_weights(model: Any, filepath: PathLike, skip_mismatch: bool = False, by_name: bool | None = None) -> None:
    """Read a model's weights from a file, in the format that its suffix names; see `Model.load_weights`."""
    function = function_for(filepath, "load_weights")
    if not by_name:
        function(model, filepath, skip_mismatch)
        return
    if "by_name" not in inspect.signature(function).parameters:
        raise ValueError("load_weights: by_name cannot be honoured: only .h5 files keep weights by their layers' names")
    function(model, filepath, skip_mismatch, by_name)
