"""Keras 3's `.keras` files: a zip archive of an architecture, weights, and the state of the training.

Nothing of an archive is put on the disk, and nothing in it is executed.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from cnnfast.interop.hdf5 import hdf5_bytes, opened_hdf5
from cnnfast.interop.keras_compile import compile_config_to_save, compile_loaded
from cnnfast.interop.keras_models import WRITTEN_AS, config_to_save, json_of, make_model, refuse_unsafe
from cnnfast.interop.keras_weights import assign_stored, check_built, weights_tree
from cnnfast.models.files import PathLike, check_readable, may_write, write_atomically

_CONFIG, _METADATA, _WEIGHTS, _PICKLED = "config.json", "metadata.json", "model.weights.h5", "model.weights.npz"
_LARGEST_EXPANSION = 100  # Keras compresses nothing


def save_model(
    model: Any,
    filepath: PathLike,
    overwrite: bool = True,
    *,
    metadata: Mapping[str, Any] | None = None,
    include_optimizer: bool = True,
) -> None:
    """Write a model to a `.keras` file that Keras 3 opens.

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
    training = compile_config_to_save(model, include_optimizer)
    if training is not None:
        config["compile_config"] = training
    about = {
        "keras_version": WRITTEN_AS,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(_METADATA, json.dumps(about))
        file.writestr(_CONFIG, json.dumps(config))
        file.writestr(_WEIGHTS, hdf5_bytes(weights_tree(model, training is not None)))
    write_atomically(may_write(filepath, overwrite), archive.getvalue())


def load_model(
    filepath: PathLike, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Read a model from a `.keras` file.

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
    with _opened(filepath) as archive:
        config = json_of(filepath, _read(filepath, archive, _CONFIG))
        with opened_hdf5(filepath, _weights(filepath, archive)) as contents:
            model = make_model(filepath, config, contents.elements(), custom_objects)
            if compile and config.get("compile_config"):
                compile_loaded(filepath, model, config["compile_config"], custom_objects)
            assign_stored(model, contents)
    return model


def load_weights(model: Any, filepath: PathLike, skip_mismatch: bool = False) -> None:
    """Read a model's weights, and its optimizer's state, from a `.keras` file; see `Model.load_weights`."""
    check_built(model, "load_weights")
    with _opened(filepath) as archive, opened_hdf5(filepath, _weights(filepath, archive)) as contents:
        assign_stored(model, contents, skip_mismatch)


# The archive


@contextlib.contextmanager
def _opened(filepath: PathLike) -> Iterator[zipfile.ZipFile]:
    name = os.fspath(filepath)
    check_readable(name)
    try:
        archive = zipfile.ZipFile(name)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ValueError(f"{name}: not a .keras file, or damaged: {error}") from error
    with archive:
        yield archive


def _weights(filepath: PathLike, archive: zipfile.ZipFile) -> bytes:
    names = archive.namelist()
    if _WEIGHTS not in names and _PICKLED in names:
        raise ValueError(
            f"{os.fspath(filepath)}: its weights, {_PICKLED}, are pickled Python objects, which could run code and are "
            "not read; save the model with weights in HDF5"
        )
    return _read(filepath, archive, _WEIGHTS)


def _read(filepath: PathLike, archive: zipfile.ZipFile, member: str) -> bytes:
    """A member's bytes: as many as it claims, which must be in proportion to what the file holds of it."""
    name = os.fspath(filepath)
    try:
        entry = archive.getinfo(member)
        if entry.file_size > _LARGEST_EXPANSION * entry.compress_size + (1 << 20):
            raise ValueError(f"claims {entry.file_size} bytes, of which the file holds {entry.compress_size}")
        with archive.open(entry) as file:
            data = file.read(entry.file_size + 1)
        if len(data) != entry.file_size:
            raise ValueError(f"claims {entry.file_size} bytes and has others")
    except KeyError as error:
        raise ValueError(f"{name}: {member} is missing, so this is no .keras file") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{name}: {member}: damaged: {error}") from error
    return data
