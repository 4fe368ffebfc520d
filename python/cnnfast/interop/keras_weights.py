"""Keras 3's `.weights.h5`: weights, and what the optimizer remembers, by their layers' paths."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.interop import keras_optimizer
from cnnfast.interop.hdf5 import Contents, Group, hdf5_bytes, opened_hdf5
from cnnfast.interop.keras_paths import layer_paths, variables_at
from cnnfast.models.files import PathLike, may_write, write_atomically

OPTIMIZER = "optimizer"
_OLDER = "_layer_checkpoint_dependencies"  # what TensorFlow 2.13 wrote for "layers"

Assignments = list[tuple[Any, Any]]


def save_weights(model: Any, filepath: PathLike, overwrite: bool = True) -> None:
    """Write a model's weights, and its optimizer's state, to a `.weights.h5` file; see `Model.save_weights`."""
    check_built(model, "save_weights")
    write_atomically(may_write(filepath, overwrite), hdf5_bytes(weights_tree(model)))


def load_weights(model: Any, filepath: PathLike, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Read a model's weights, and its optimizer's state, from an HDF5 file of Keras 2 or 3, told by what is in it.

    Args:
        model: a built model.
        filepath: the file.
        skip_mismatch: see `Model.load_weights`.
        by_name: likewise.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or does not fit, or `by_name` is asked of a file without layers' names.
    """
    from cnnfast.interop.keras_ordered import ordered_root, ordered_weights

    check_built(model, "load_weights")
    with opened_hdf5(filepath) as contents:
        root = ordered_root(contents)
        if root is None:
            if by_name:
                raise ValueError("by_name cannot be honoured: the file tells layers by their places, not their names")
            assign_stored(model, contents, skip_mismatch)
            return
        for variable, array in ordered_weights(model, contents, root, skip_mismatch, by_name):
            variable.assign(array)


def assign_stored(model: Any, contents: Contents, skip_mismatch: bool = False) -> None:
    """Give a model, and its optimizer, what a file has of them, or nothing of it if something does not fit.

    Raises:
        ValueError: a weight is missing or has another shape.
    """
    found = stored_weights(model, contents, skip_mismatch)
    state = optimizer_state(model, contents)
    for variable, array in found:
        variable.assign(array)
    if state is not None:
        keras_optimizer.restore(model.optimizer, model.trainable_weights, state)


def weights_tree(model: Any, include_optimizer: bool = True) -> Group:
    """What a file is to hold of a model."""
    root = Group()
    for path, layer in layer_paths(model):
        variables = variables_at(layer)
        if path or variables:
            group = root.at(f"{path}/vars" if path else "vars")
            group.attributes["name"] = layer.name
            group.members |= {str(number): np.asarray(v.numpy()) for number, v in enumerate(variables)}
    if include_optimizer and getattr(model, "optimizer", None) is not None:
        group = root.at(f"{OPTIMIZER}/vars")
        group.attributes["name"] = model.optimizer.name
        arrays = keras_optimizer.state_of(model.optimizer, model.trainable_weights)
        group.members |= {str(number): array for number, array in enumerate(arrays)}
    return root


def stored_weights(model: Any, contents: Contents, skip_mismatch: bool = False) -> Assignments:
    """Each of a model's weights with its value in a file.

    Raises:
        ValueError: one is missing or has another shape, or the file has more at one of the model's layers.
    """
    older = _OLDER in contents.groups and "layers" not in contents.groups
    found: Assignments = []
    for path, layer in layer_paths(model):
        variables = variables_at(layer)
        place = f"{path}/vars" if path else "vars"
        try:
            found += _values(variables, contents, place.replace("layers", _OLDER) if older else place)
        except ValueError as error:
            if not skip_mismatch:
                raise ValueError(f"{type(layer).__name__} {layer.name!r}: {error}") from error
            warnings.warn(f"load_weights: {layer.name!r}: {error}; left as it is", stacklevel=5)
    return found


def _values(variables: Sequence[Any], contents: Contents, place: str) -> Assignments:
    names = contents.names(place)
    if len(names) != len(variables):
        raise ValueError(f"{place!r} expects {len(variables)} arrays, got {len(names)}")
    return [(v, contents.array(f"{place}/{number}", v.shape)) for number, v in enumerate(variables)]


def optimizer_state(model: Any, contents: Contents) -> list[Any] | None:
    """The arrays of the optimizer's state in a file, or None where it has none for this model's optimizer."""
    place = f"{OPTIMIZER}/vars"
    stored = len(contents.names(place))
    if not stored or getattr(model, "optimizer", None) is None:
        return None
    shapes = keras_optimizer.state_shapes(model.optimizer, model.trainable_weights)
    if stored not in (keras_optimizer.scalars_of(model.optimizer), len(shapes)):
        warnings.warn(
            f"the optimizer {model.optimizer.name!r} remembers {len(shapes)} arrays, the file has {stored} of it; "
            "it begins anew",
            stacklevel=5,
        )
        return None
    return [contents.array(f"{place}/{number}", shape) for number, shape in enumerate(shapes[:stored])]


def check_built(model: Any, owner: str) -> None:
    """Check that a model has weights.

    Raises:
        ValueError: it is not built.
    """
    if not model.built:
        raise ValueError(f"{model.name}.{owner}: a model that is not built has no weights; build it or call it first")
