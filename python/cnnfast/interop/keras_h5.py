"""Keras's HDF5 files of whole models, `.h5` and `.hdf5`, as Keras 2 wrote them and Keras 3 still does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cnnfast.interop import keras_optimizer
from cnnfast.interop.hdf5 import Contents, Group, hdf5_bytes, opened_hdf5
from cnnfast.interop.keras_compile import compile_config_to_save, compile_loaded
from cnnfast.interop.keras_models import WRITTEN_AS, config_to_save, json_of, make_model, refuse_unsafe
from cnnfast.interop.keras_ordered import (
    MODEL,
    add_optimizer,
    add_ordered_weights,
    ordered_root,
    ordered_weights,
    stored_optimizer,
)
from cnnfast.interop.keras_weights import check_built
from cnnfast.models.files import PathLike, may_write, write_atomically


def save_model(
    model: Any,
    filepath: PathLike,
    overwrite: bool = True,
    *,
    metadata: Mapping[str, Any] | None = None,
    include_optimizer: bool = True,
) -> None:
    """Write a model to an HDF5 file that Keras opens.

    Args:
        model: a built model.
        filepath: where.
        overwrite: whether an existing file is replaced.
        metadata: None: the format has no place for it.
        include_optimizer: whether to keep the optimizer, its state, the loss and the metrics, to go on training.

    Raises:
        ValueError: the model is not built, or has what Keras has not; or `metadata` is given.
        FileExistsError: there is such a file, and `overwrite` is False.
        OSError: the file cannot be written.
    """
    config = config_to_save(model, metadata)
    root = _about()
    root.attributes["model_config"] = json.dumps(
        {key: config[key] for key in ("class_name", "config", "build_config") if key in config}
    )
    add_ordered_weights(root.at(MODEL), model)
    root.at(MODEL).attributes |= _about().attributes
    training = compile_config_to_save(model, include_optimizer and model.optimizer is not None)
    if training is not None:
        told = {key: training[key] for key in ("loss", "metrics", "weighted_metrics", "loss_weights")}
        root.attributes["training_config"] = json.dumps({**told, "optimizer_config": training["optimizer"]})
        add_optimizer(root, model)
    write_atomically(may_write(filepath, overwrite), hdf5_bytes(root))


def save_weights(model: Any, filepath: PathLike, overwrite: bool = True) -> None:
    """Write a model's weights to an HDF5 file, as Keras 2 did; see `Model.save_weights`."""
    check_built(model, "save_weights")
    root = _about()
    add_ordered_weights(root, model)
    write_atomically(may_write(filepath, overwrite), hdf5_bytes(root))


def load_model(
    filepath: PathLike, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a model from an HDF5 file of Keras.

    Args:
        filepath: the file.
        custom_objects: classes and functions by name, for what the library does not have.
        compile: whether to restore optimizer, loss and metrics too, if the file holds them.
        safe_mode: always True: nothing in a file is ever executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, is damaged, holds code or what the library does not have, or its weights do not
            fit its architecture.
    """
    refuse_unsafe(safe_mode)
    with opened_hdf5(filepath) as contents:
        text = contents.text("", "model_config")
        if text is None or MODEL not in contents.groups:
            raise ValueError("holds no architecture; if these are weights alone, make the model and call load_weights")
        model = make_model(filepath, json_of(filepath, text), contents.elements(), custom_objects)
        root = ordered_root(contents)
        found = ordered_weights(model, contents, MODEL if root is None else root)
        for variable, array in found:
            variable.assign(array)
        if compile:
            _compile(filepath, model, contents, custom_objects)
    return model


def _compile(filepath: PathLike, model: Any, contents: Contents, custom: Mapping[str, Any] | None) -> None:
    text = contents.text("", "training_config")
    if text is None:
        return
    training = json_of(filepath, text)
    compile_loaded(filepath, model, {**training, "optimizer": training.get("optimizer_config")}, custom)
    state = None if model.optimizer is None else stored_optimizer(model, contents)
    if state is not None:
        keras_optimizer.restore(model.optimizer, model.trainable_weights, state)


def _about() -> Group:
    return Group({"keras_version": WRITTEN_AS, "backend": "torch"})
