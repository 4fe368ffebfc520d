"""Weights as Keras 2's HDF5 files keep them: by the order of the layers, and within a layer by theirs.

A group's attribute `layer_names` lists the layers, each one's `weight_names` its weights: those that train first.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import Variable
from cnnfast.interop import keras_optimizer
from cnnfast.interop.hdf5 import Contents, Group
from cnnfast.interop.keras_weights import Assignments
from cnnfast.models.saving import named_weights

MODEL = "model_weights"
_OPTIMIZER = "optimizer_weights"
# Where this library keeps an optimizer's state: Keras 3 cannot train a model any more whose state it reads.
_OWN_OPTIMIZER = "optimizer_state"
_TOP = "top_level_model_weights"
_LARGEST_LIST = 60_000  # bytes of an attribute; longer lists are cut into several


def ordered_root(contents: Contents) -> str | None:
    """The group with the layers' weights, or None where a file is in another form."""
    if contents.texts("", "layer_names") is not None:
        return ""
    return MODEL if MODEL in contents.groups and contents.texts(MODEL, "layer_names") is not None else None


def ordered_weights(
    model: Any, contents: Contents, root: str, skip_mismatch: bool = False, by_name: bool = False
) -> Assignments:
    """Each of a model's weights with its value in a file.

    Args:
        model: a built model.
        contents: the file.
        root: what `ordered_root` returned.
        skip_mismatch: whether to leave out, with a warning, what does not fit.
        by_name: whether a layer gets what the file has under its name, and layers without any are left as they are.

    Raises:
        ValueError: the numbers of layers or weights differ, or shapes.
    """
    stored = [(name, _weight_places(contents, _join(root, name))) for name in contents.texts(root, "layer_names") or []]
    if by_name:
        layers = {layer.name: layer for layer in model.layers}
        pairs = [(layers[name], places) for name, places in stored if name in layers]
    else:
        layers_with = [layer for layer in model.layers if layer.weights]
        places_of = [places for _, places in stored if places]
        if len(layers_with) != len(places_of):
            raise ValueError(f"the model has {len(layers_with)} layers with weights, the file {len(places_of)}")
        pairs = list(zip(layers_with, places_of, strict=True))
    if _join(root, _TOP) in contents.groups:
        pairs.append((model, _weight_places(contents, _join(root, _TOP))))
    found: Assignments = []
    for layer, places in pairs:
        try:
            found += _values(_ordered(layer, model), places, contents)
        except ValueError as error:
            if not skip_mismatch:
                raise ValueError(f"{type(layer).__name__} {layer.name!r}: {error}") from error
            warnings.warn(f"load_weights: {layer.name!r}: {error}; left as it is", stacklevel=5)
    return found


def add_ordered_weights(root: Group, model: Any) -> None:
    """Put a model's weights into a group of a file that is to be written."""
    _add_names(root, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        names = {id(v): f"{layer.name}/{name}" for name, v in named_weights(layer).items()}
        _add_arrays(root.at(layer.name), {names[id(v)]: v.numpy() for v in _ordered(layer, model)})
    _add_arrays(root.at(_TOP), {v.name: v.numpy() for v in _ordered(model, model)})


def add_optimizer(root: Group, model: Any) -> None:
    """Put an optimizer's state into a file that is to be written."""
    arrays = keras_optimizer.state_of(model.optimizer, model.trainable_weights)
    name = model.optimizer.name
    _add_arrays(root.at(_OWN_OPTIMIZER), {f"{name}/{number}": array for number, array in enumerate(arrays)})


def stored_optimizer(model: Any, contents: Contents) -> list[Any] | None:
    """The arrays of the optimizer's state in Keras 3's order, or None (with a warning if there are others)."""
    group = next((name for name in (_OPTIMIZER, _OWN_OPTIMIZER) if name in contents.groups), None)
    if group is None:
        return None
    variables, optimizer = model.trainable_weights, model.optimizer
    names = contents.texts(group, "weight_names") or []
    shapes = keras_optimizer.state_shapes(optimizer, variables)
    scalars = keras_optimizer.scalars_of(optimizer)
    places = [f"{group}/{name}" for name in names]
    has_rate = len(names) > 1 and "learning_rate" in names[1]
    rate: list[Any] = []
    if scalars == 2 and not has_rate and names and _shape(contents, places[0]) == () and len(names) == len(shapes) - 1:
        # Keras 2 kept the learning rate in the configuration alone.
        rate = [np.array(float(optimizer.learning_rate), np.float32)]
        if names[0].endswith("iter:0"):
            places = [places[0], *_grouped_by_variable(places[1:], optimizer, len(variables))]
    shapes = [*shapes[:1], *shapes[1 + len(rate) :]]
    if len(places) not in (len(shapes), scalars - len(rate)):
        warnings.warn(
            f"the optimizer {optimizer.name!r} remembers {len(shapes)} arrays, the file has {len(places)} of it; it "
            "begins anew",
            stacklevel=5,
        )
        return None
    found = [contents.array(place, shape) for place, shape in zip(places, shapes, strict=False)]
    return [*found[:1], *rate, *found[1:]]


def _grouped_by_variable(places: list[str], optimizer: Any, count: int) -> list[str]:
    """Keras 2's first optimizers kept one slot of all variables after the other."""
    slots = {name: places[i * count : (i + 1) * count] for i, name in enumerate(optimizer.slot_names)}
    groups = keras_optimizer.slot_groups(optimizer)
    used = count * len(slots)
    return [slots[name][i] for group in groups for i in range(count) for name in group] + places[used:]


def _ordered(layer: Any, model: Any) -> list[Variable]:
    """A layer's weights, those that train first; of the model itself only its own."""
    if layer is model:
        return [*layer._own_trained, *layer._own_kept]
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _values(variables: Sequence[Variable], places: Sequence[str], contents: Contents) -> Assignments:
    if len(places) != len(variables):
        raise ValueError(f"expects {len(variables)} weights, got {len(places)}")
    return [(v, contents.array(place, v.shape)) for v, place in zip(variables, places, strict=True)]


def _weight_places(contents: Contents, group: str) -> list[str]:
    if group not in contents.groups:
        raise ValueError(f"the group {group!r} is missing")
    return [_join(group, name) for name in contents.texts(group, "weight_names") or []]


def _shape(contents: Contents, place: str) -> Any:
    return contents.arrays[place].shape if place in contents.arrays else None


def _join(group: str, name: str) -> str:
    return f"{group}/{name}".strip("/")


def _add_arrays(group: Group, arrays: dict[str, Any]) -> None:
    _add_names(group, "weight_names", list(arrays))
    for name, array in arrays.items():
        folder, _, last = name.rpartition("/")
        group.at(folder).members[last] = array


def _add_names(group: Group, attribute: str, names: list[str]) -> None:
    width = max([1, *(len(name.encode()) for name in names)])
    most = max(1, _LARGEST_LIST // width)
    if len(names) <= most:
        group.attributes[attribute] = names
        return
    for number, start in enumerate(range(0, len(names), most)):
        group.attributes[f"{attribute}{number}"] = names[start : start + most]
