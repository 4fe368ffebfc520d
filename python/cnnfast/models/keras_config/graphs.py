"""The calls between a functional model's layers, as Keras 3 and Keras 2 tell them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_TENSOR = "__keras_tensor__"


def call(node: Any, custom: Mapping[str, Any]) -> dict[str, Any]:
    """One call of a layer as `{"args", "kwargs"}`.

    Args:
        node: a dict of `args` and `kwargs` (Keras 3), or a list of `[layer, call, output, kwargs]` (Keras 2).
        custom: functions and classes by name.

    Raises:
        ValueError: it is neither.

    Example:
        >>> call([["conv", 0, 0, {}]], {})["args"][0]["config"]
        {'keras_history': ['conv', 0, 0]}
    """
    if isinstance(node, Mapping):
        # Version 3 notes down `training` as it was when the model was made, but the model's own overrules it.
        kwargs = {k: v for k, v in node.get("kwargs", {}).items() if k != "training" and (k, v) != ("mask", None)}
        return {"args": [_argument(a) for a in node.get("args", [])], "kwargs": _argument(kwargs), "since": 3}
    if not isinstance(node, (list, tuple)) or not node:
        raise ValueError(f"from_keras_config: a call expects args and kwargs, got {str(node)[:200]}")
    sources = [node] if isinstance(node[0], str) else node
    tensors: list[Any] = []
    kwargs = {}
    for source in sources:
        if not isinstance(source, (list, tuple)) or not 3 <= len(source) <= 4:
            raise ValueError(f"from_keras_config: a call expects [layer, call, output], got {str(source)[:200]}")
        constant = source[0] == "_CONSTANT_VALUE"
        tensors.append(_argument(source[2]) if constant else _reference(source[:3]))
        kwargs = dict(source[3]) if len(source) == 4 else {}
    kwargs = {key: _old_argument(v) for key, v in kwargs.items() if not (key in ("mask", "name") and v is None)}
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kwargs, "since": 2}


def _reference(place: Sequence[Any]) -> dict[str, Any]:
    name, number, index = place
    if not isinstance(name, str) or type(number) is not int or type(index) is not int or number < 0 or index < 0:
        raise ValueError(f"from_keras_config: a tensor expects [layer, call, output], got {str(place)[:200]}")
    return {"class_name": _TENSOR, "config": {"keras_history": [name, number, index]}}


def _argument(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_argument(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == _TENSOR and isinstance(config, Mapping):
        return _reference(config["keras_history"])
    if kind in ("__numpy__", "__tensor__"):
        return {"class_name": "__array__", "config": config}
    return {key: _argument(item) for key, item in value.items()}


def _old_argument(value: Any) -> Any:
    """Keras 2 tells a tensor among the keyword arguments by its place alone."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and type(value[1]) is int:
        return _reference(value)
    return _argument(value)


def with_arguments(given: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]] | None) -> dict[str, Any]:
    """A call as the function takes it that an operation has become."""
    return given if change is None else {**given, **change(given)}


def unwrapped(places: Any) -> Any:
    """The place of the only tensor of a list, which is not told apart from that tensor alone.

    Example:
        >>> unwrapped([["dense", 0, 0]])
        ['dense', 0, 0]
    """
    return places[0] if isinstance(places, (list, tuple)) and len(places) == 1 else places


def count_from_zero(given: Sequence[Mapping[str, Any]], entries: list[dict[str, Any]], places: dict[str, Any]) -> None:
    """Number the calls of models within the model from 0, as all others are.

    Keras keeps the first number for the call that a model makes of itself: version 2 wherever it tells a call, version
    3 only where it tells the outputs.
    """
    models = {e["name"] for e, g in zip(entries, given, strict=True) if _is_model(g)}
    calls = [c for entry in entries for c in entry["inbound_nodes"]]
    old = any(c.get("since") == 2 for c in calls)
    inside = [h for c in calls for h in _histories([c["args"], c["kwargs"]]) if h[0] in models]
    copied = {key: _copied(value) for key, value in places.items()}
    outside = [h for h in _places(copied["output_layers"]) if h[0] in models]
    for name in models:
        for group in [inside + outside] if old else [outside]:
            found = [history for history in group if history[0] == name]
            if found and all(history[1] > 0 for history in found):
                for history in found:
                    history[1] -= 1
    places.update(copied)
    for c in calls:
        c.pop("since", None)


def _is_model(given: Mapping[str, Any]) -> bool:
    config = given.get("config")
    sequential = given.get("class_name") == "Sequential" and "module" not in given
    return sequential or (isinstance(config, Mapping) and "input_layers" in config)


def _histories(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, Mapping):
        if value.get("class_name") == _TENSOR:
            yield value["config"]["keras_history"]
            return
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _histories(item)


def _copied(places: Any) -> Any:
    if isinstance(places, Mapping):
        return {key: _copied(part) for key, part in places.items()}
    return [_copied(part) if isinstance(part, (list, tuple, Mapping)) else part for part in places]


def _places(places: Any) -> Iterator[list[Any]]:
    if isinstance(places, Mapping):
        places = list(places.values())
    if len(places) == 3 and isinstance(places[0], str):
        yield places
    else:
        for part in places:
            yield from _places(part)
