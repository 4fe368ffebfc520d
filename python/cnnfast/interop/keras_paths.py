"""Where Keras 3 keeps the weights of each layer in a file: paths made of attributes' and classes' names.

A model's layers are at `layers/CLASS`, the second of a class at `layers/CLASS_1`; what another layer holds is below
that one, under the attribute's name. Layers' own names are not in it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from cnnfast.autograd import Variable
from cnnfast.layers.base import Layer
from cnnfast.layers.wrapper import SpectralNormalization
from cnnfast.models.model import Model
from cnnfast.models.sequential import Sequential
from cnnfast.naming import snake_case


def layer_paths(model: Any) -> Iterator[tuple[str, Layer]]:
    """A model and all that it is made of, each once, with its path; the model's own is "".

    Args:
        model: any layer or model.

    Example:
        >>> from cnnfast import layers
        >>> model = Sequential([layers.Input((3,)), layers.Dense(2), layers.Dense(1, name="last")])
        >>> [path for path, _ in layer_paths(model)]
        ['', 'layers/dense', 'layers/dense_1']
    """
    return _walk(model, "", set())


def variables_at(layer: Layer) -> list[Variable]:
    """The weights that Keras keeps at a layer's own path, in its order."""
    shared = [layer.kernel] if isinstance(layer, SpectralNormalization) and layer.built else []
    return [*shared, *layer._own_trained, *layer._own_kept]


def _walk(layer: Layer, path: str, met: set[int]) -> Iterator[tuple[str, Layer]]:
    if id(layer) in met:
        return
    met.add(id(layer))
    yield path, layer
    parts = _parts(layer)
    for name, value in parts:
        below = f"{path}/{name}" if path else name
        if isinstance(value, Layer):
            yield from _walk(value, below, met)
        else:
            yield from _walk_items(value, below, met, set())


def _walk_items(items: Any, path: str, met: set[int], entered: set[int]) -> Iterator[tuple[str, Layer]]:
    """What a list, tuple or dict holds, named by classes and numbered."""
    if id(items) in entered:
        return
    entered.add(id(items))
    used: dict[str, int] = {}

    def numbered(name: str) -> str:
        count = used.get(name, 0)
        used[name] = count + 1
        return f"{path}/{name}_{count}" if count else f"{path}/{name}"

    for item in list(items.values() if isinstance(items, dict) else items):
        if isinstance(item, Layer):
            yield from _walk(item, numbered(_class_name(item)), met)
        elif isinstance(item, (list, tuple, dict)):
            yield from _walk_items(item, numbered("container"), met, entered)


def _parts(layer: Layer) -> Iterable[tuple[str, Any]]:
    """The attributes that may hold layers, in the order in which Keras looks at them."""
    is_graph = isinstance(layer, Model) and (isinstance(layer, Sequential) or layer._graph is not None)
    found = [("layers", layer.layers)] if is_graph else []  # type: ignore[attr-defined]
    base = Model if isinstance(layer, Model) else Layer
    names = {*vars(layer), *dir(type(layer))} - _names_of_every(base)
    if isinstance(layer, Model) and not is_graph:
        names.add("layers")
    for name in sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name):
        if name.startswith("__"):
            continue
        try:
            value = getattr(layer, name)
        except Exception:  # a property that has no value at present
            continue
        if isinstance(value, (Layer, list, tuple, dict)):
            found.append((name, value))
    return found


@functools.cache
def _names_of_every(base: type[Layer]) -> frozenset[str]:
    """The attributes that all layers, or all models, have."""
    own = {*vars(base(name="_")), *dir(base)}
    if base is Model:
        own |= {*vars(Sequential(name="_")), "_graph_layers", "_arguments"}
    return frozenset(own)


def _class_name(layer: Layer) -> str:
    """How Keras writes the class of a layer; a `Model` that is made of symbolic tensors is of a class of its own."""
    if type(layer) is Model and layer._graph is not None:
        return "functional"
    return snake_case(re.sub(r"\W", "", type(layer).__name__))
