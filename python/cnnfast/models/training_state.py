"""What an optimizer remembers, as arrays by name and as JSON, so that a training goes on bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import Variable
from cnnfast.optimizers import Optimizer

Arrays = dict[str, npt.NDArray[np.float32]]
Named = Mapping[str, Variable]

# What the names of an optimizer's arrays in a file begin with: optimizer.SLOT/WEIGHT, or optimizer.NAME.
PREFIX = "optimizer."


def state_arrays(optimizer: Optimizer, named: Named) -> Arrays:
    """The optimizer's arrays: the slots of the named weights, and variables of its own.

    Args:
        optimizer: any.
        named: the model's weights by path.
    """
    met = {name: variable for name, variable in named.items() if optimizer.has_slots(variable)}
    slots = optimizer.slots(list(met.values()))
    arrays = {
        f"{PREFIX}{slot}/{name}": array
        for slot, found in zip(optimizer.slot_names, slots, strict=True)
        for name, array in zip(met, found, strict=True)
    }
    return arrays | {f"{PREFIX}{name}": variable.numpy() for name, variable in optimizer.own_variables.items()}


def state_config(optimizer: Optimizer, named: Named) -> dict[str, Any]:
    """The rest of the optimizer's state, as JSON can hold it: its count, and which weights it treats apart."""
    names = {variable._key: name for name, variable in named.items()}
    return {
        "iterations": optimizer.calls,
        "optimized": [names[v._key] for v in optimizer.optimized if v._key in names],
        "undecayed": [names[v._key] for v in optimizer.undecayed(named.values())],
        "multipliers": {
            name: v.learning_rate_multiplier for name, v in named.items() if v.learning_rate_multiplier != 1.0
        },
    }


def restore_state(
    optimizer: Optimizer, config: Mapping[str, Any], named: Named, read: Callable[[str, tuple[int, ...]], Any]
) -> None:
    """Give a new optimizer the state that was saved.

    Args:
        optimizer: made from its configuration.
        config: what `state_config` returned.
        named: the model's weights by path.
        read: gives the array of a name, checked to have a shape.

    Raises:
        KeyError: an entry is missing, or names a weight that the model does not have.
        ValueError: an array is missing or has another shape.
    """
    optimized = {name: named[name] for name in config["optimized"]}
    if optimized:
        optimizer.build(list(optimized.values()))
    for name, variable in optimized.items():
        shapes = [(f"{PREFIX}{slot}/{name}", variable.shape) for slot in optimizer.slot_names]
        optimizer.set_slots(variable, [read(*each) for each in shapes])
    for name, variable in optimizer.own_variables.items():
        variable.assign(read(f"{PREFIX}{name}", variable.shape))
    if config["undecayed"]:
        optimizer.exclude_from_weight_decay(_found(named, config["undecayed"]))
    for name, multiplier in config["multipliers"].items():
        named[name].learning_rate_multiplier = float(multiplier)
    optimizer.calls = config["iterations"]


def _found(named: Named, names: Iterable[str]) -> list[Variable]:
    return [named[name] for name in names]
