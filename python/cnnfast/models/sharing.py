"""Layers that several models, or parts of one, hold: told by a number, so that they are one again when read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from cnnfast.layers.base import Layer
from cnnfast.layers.core import InputLayer
from cnnfast.layers.operation import OperationLayer
from cnnfast.registration import get_registered_name

_numbers: ContextVar[Mapping[Any, int] | None] = ContextVar("_numbers", default=None)
_made: ContextVar[dict[Any, Layer] | None] = ContextVar("_made", default=None)


def shared_layers(model: Any) -> dict[Any, int]:
    """A number for each layer that is held more than once.

    Example:
        >>> from cnnfast import Model, layers
        >>> shared, x = layers.Dense(2), layers.Input((2,))
        >>> inner = Model(x, shared(x))
        >>> list(shared_layers(Model(x, layers.Add()([inner(x), shared(x)]))).values())
        [1]
    """
    met: dict[Any, int] = {}
    pending = [model]
    while pending:
        for part in _held(pending.pop()):
            if not isinstance(part, (InputLayer, OperationLayer)):
                met[part] = met.get(part, 0) + 1
                if met[part] == 1:
                    pending.append(part)
    often = [layer for layer, count in met.items() if count > 1]
    return {layer: number for number, layer in enumerate(often, 1)}


def _held(holder: Any) -> list[Any]:
    from cnnfast.models.model import Model
    from cnnfast.models.sequential import Sequential

    if isinstance(holder, Sequential):
        return list(holder._layers)
    if isinstance(holder, Model):
        graph = holder._graph_if_known()
        return [] if graph is None else list(graph.layers)
    return [part for part in (getattr(holder, "layer", None),) if isinstance(part, Layer)]


@contextmanager
def numbering(model: Any) -> Iterator[None]:
    """A block in which configurations of a model's parts tell which layers are shared."""
    token = _numbers.set(shared_layers(model))
    try:
        yield
    finally:
        _numbers.reset(token)


def layer_entry(layer: Any) -> dict[str, Any]:
    """A layer's class, configuration and name, and its number where it is shared."""
    entry = {"class_name": get_registered_name(type(layer)), "config": layer.get_config(), "name": layer.name}
    number = (_numbers.get() or {}).get(layer)
    return entry if number is None else {**entry, "shared_object_id": number}


@contextmanager
def making_once() -> Iterator[None]:
    """A block in which a layer of a number is made once, however often it is told."""
    token = _made.set({})
    try:
        yield
    finally:
        _made.reset(token)


def made_before(entry: Mapping[str, Any]) -> Layer | None:
    """The layer that an earlier entry of the same number told of."""
    made = _made.get()
    return None if made is None else made.get(_number(entry))


def note_made(entry: Mapping[str, Any], layer: Any) -> None:
    """Keep a layer for further entries of its number."""
    made, number = _made.get(), _number(entry)
    if made is not None and number is not None:
        made[number] = layer


def _number(entry: Mapping[str, Any]) -> int | None:
    number = entry.get("shared_object_id")
    return number if isinstance(number, int) else None
