"""Weights alone in files, by the names of their layers."""

from __future__ import annotations

import json
import warnings
from typing import Any

from cnnfast.models.files import ORDER, PathLike, as_stored, may_write, opened, stored_weight, write_atomically
from cnnfast.models.saving import named_weights


def save_weights(model: Any, filepath: PathLike, overwrite: bool = True) -> None:
    """Write a model's weights; see `Model.save_weights`."""
    from safetensors.numpy import save

    _check_built(model, "save_weights")
    arrays = {name: variable.numpy() for name, variable in named_weights(model).items()}
    header = {"format": "cnnfast-weights", ORDER: json.dumps(list(arrays))}
    write_atomically(may_write(filepath, overwrite), save(arrays, metadata=header))


def load_weights(model: Any, filepath: PathLike, skip_mismatch: bool = False) -> None:
    """Read a model's weights; see `Model.load_weights`."""
    _check_built(model, "load_weights")
    found = {}
    with opened(filepath) as file:
        for name, variable in as_stored(named_weights(model), file.metadata() or {}, file).items():
            try:
                found[name] = (variable, stored_weight(filepath, file, name, variable.shape))
            except ValueError as error:
                if not skip_mismatch:
                    raise
                warnings.warn(f"load_weights: {error}; left as it is", stacklevel=4)
    for variable, array in found.values():
        variable.assign(array)


def _check_built(model: Any, owner: str) -> None:
    if not model.built:
        raise ValueError(f"{model.name}.{owner}: a model that is not built has no weights; build it or call it first")
