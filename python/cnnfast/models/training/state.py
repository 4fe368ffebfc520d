"""Everything that a training needs to go on as if it had not been interrupted, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnfast import random


def save_training_state(model: Any, path: str | os.PathLike[str], notes: Mapping[str, Any]) -> None:
    """Write weights, the optimizer's state and the states of the random numbers; whole or not at all.

    Args:
        model: a built model.
        path: the file, which is replaced if it is there.
        notes: anything JSON can hold, to be returned by `restore_training_state`.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save

    from cnnfast.models.files import write_atomically

    arrays = {f"weight.{i}": v.numpy() for i, v in enumerate(model.weights)}
    header = {
        "notes": dict(notes),
        "random": _plain(random.generator().bit_generator.state),
        "layers": [_plain(generator.bit_generator.state) for generator in _generators(model)],
    }
    optimizer = model.optimizer
    if optimizer is not None:
        header["calls"] = int(getattr(optimizer, "calls", optimizer.iterations))
        if isinstance(optimizer._learning_rate, float):
            header["learning_rate"] = float(optimizer._learning_rate)
        for i, variable in enumerate(model.weights):
            if optimizer.has_slots(variable):
                for j, (array,) in enumerate(optimizer.slots([variable])):
                    arrays[f"slot.{i}.{j}"] = array
        arrays |= {f"optimizer.{name}": v.numpy() for name, v in getattr(optimizer, "own_variables", {}).items()}
    write_atomically(Path(path), save(arrays, metadata={"state": json.dumps(header)}))


def restore_training_state(model: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Give a compiled model of the same architecture what `save_training_state` wrote.

    Args:
        model: a built and compiled model.
        path: the file.

    Returns:
        the notes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged or belongs to another model.
    """
    from cnnfast.models.files import opened

    with opened(path) as file:
        try:
            header = json.loads((file.metadata() or {})["state"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            notes: dict[str, Any] = header["notes"]
        except (KeyError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)}: no state of a training") from error
    weights = model.weights
    shapes = [arrays[f"weight.{i}"].shape for i in range(len(arrays)) if f"weight.{i}" in arrays]
    if shapes != [v.shape for v in weights]:
        raise ValueError(f"{os.fspath(path)}: the state of another model's training: its weights have other shapes")
    model.set_weights([arrays[f"weight.{i}"] for i in range(len(weights))])
    if "calls" in header:
        _restore_optimizer(model.optimizer, weights, header, arrays)
    for generator, state in zip(_generators(model), header["layers"], strict=True):
        generator.bit_generator.state = _arrays(state)
    random.generator().bit_generator.state = _arrays(header["random"])
    return notes


def _restore_optimizer(
    optimizer: Any, weights: list[Any], header: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    slots: dict[int, list[Any]] = {}
    for i in range(len(weights)):
        slots[i] = []
        while f"slot.{i}.{len(slots[i])}" in arrays:
            slots[i].append(arrays[f"slot.{i}.{len(slots[i])}"])
    optimized = [weights[i] for i, found in slots.items() if found]
    if optimized and hasattr(optimizer, "build"):
        optimizer.build(optimized)
    for i, found in slots.items():
        if found:
            optimizer.set_slots(weights[i], found)
    for name, variable in getattr(optimizer, "own_variables", {}).items():
        variable.assign(arrays[f"optimizer.{name}"])
    if "learning_rate" in header:
        optimizer.learning_rate = header["learning_rate"]
    if hasattr(optimizer, "calls"):
        optimizer.calls = header["calls"]
    else:
        optimizer.iterations = header["calls"]


def _generators(layer: Any) -> Iterator[np.random.Generator]:
    """The random numbers that layers with a seed of their own draw from."""
    for value in vars(layer).values():
        value = value._source if isinstance(value, random.SeedGenerator) else value
        if isinstance(value, np.random.Generator):
            yield value
    for part in dict.fromkeys(layer.sublayers()):
        yield from _generators(part)


def _plain(state: Any) -> Any:
    """A generator's state as JSON can hold it."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return {"array": state.tolist(), "dtype": str(state.dtype)} if isinstance(state, np.ndarray) else state


def _arrays(state: Any) -> Any:
    if isinstance(state, dict) and set(state) == {"array", "dtype"}:
        return np.array(state["array"], state["dtype"])
    return {key: _arrays(value) for key, value in state.items()} if isinstance(state, dict) else state
