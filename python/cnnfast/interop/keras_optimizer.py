"""What an optimizer remembers as the list of arrays that Keras keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.optimizers import RMSprop
from cnnfast.optimizers.state import ACCUMULATOR, AVERAGE

Arrays = list[npt.NDArray[Any]]


def slot_groups(optimizer: Any) -> list[tuple[str, ...]]:
    """The slots in Keras's order: groups one after the other, within a group all slots of a variable together.

    Example:
        >>> from cnnfast.optimizers import Adam
        >>> slot_groups(Adam(use_ema=True, amsgrad=True))
        [('average',), ('momentum', 'velocity'), ('velocity_hat',)]
    """
    shared = [(name,) for name in (AVERAGE, ACCUMULATOR) if name in optimizer.slot_names]
    own = tuple(name for name in optimizer.slot_names if name not in (AVERAGE, ACCUMULATOR))
    if isinstance(optimizer, RMSprop):
        return [*shared, *((name,) for name in own)]
    later = tuple(name for name in own if name == "velocity_hat")
    together = tuple(name for name in own if name not in later)
    return [*shared, *([together] if together else []), *([later] if later else [])]


def scalars_of(optimizer: Any) -> int:
    """How many arrays there are before the first step: the count of steps, and the learning rate if it is a number."""
    return 1 + _has_rate(optimizer)


def state_shapes(optimizer: Any, variables: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes of the arrays in Keras's order.

    Args:
        optimizer: any.
        variables: the model's trainable weights, in their order.
    """
    scalars: list[tuple[int, ...]] = [()] * scalars_of(optimizer)
    slots = [v.shape for group in slot_groups(optimizer) for v in variables for _ in group]
    return [*scalars, *slots, *(v.shape for v in optimizer.own_variables.values())]


def state_of(optimizer: Any, variables: Sequence[Any]) -> Arrays:
    """The arrays in Keras's order; without slots if the optimizer has not taken a step yet.

    Args:
        optimizer: any.
        variables: the model's trainable weights, in their order.
    """
    arrays: Arrays = [np.array(optimizer.calls, np.int64)]
    if _has_rate(optimizer):
        arrays.append(np.array(float(optimizer.learning_rate), np.float32))
    if not optimizer.built:
        return arrays
    slots = dict(zip(optimizer.slot_names, optimizer.slots(list(variables)), strict=True))
    for group in slot_groups(optimizer):
        arrays += [slots[name][number] for number in range(len(variables)) for name in group]
    return arrays + [v.numpy() for v in optimizer.own_variables.values()]


def restore(optimizer: Any, variables: Sequence[Any], arrays: Sequence[npt.NDArray[Any]]) -> None:
    """Give an optimizer what `state_of` returned, or what Keras keeps of one that has not taken a step yet.

    Args:
        optimizer: made from its configuration.
        variables: the model's trainable weights, in their order.
        arrays: of the shapes that `state_shapes` tells, or the scalars alone.
    """
    left = list(arrays)
    calls = int(left.pop(0))
    rate = float(left.pop(0)) if _has_rate(optimizer) else None
    if left:
        slots: dict[str, Arrays] = {}
        for group in slot_groups(optimizer):
            chunk, left = left[: len(group) * len(variables)], left[len(group) * len(variables) :]
            slots |= {name: chunk[number :: len(group)] for number, name in enumerate(group)}
        optimizer.build(list(variables))
        for number, variable in enumerate(variables):
            optimizer.set_slots(variable, [slots[name][number] for name in optimizer.slot_names])
        for own, array in zip(optimizer.own_variables.values(), left, strict=True):
            own.assign(array)
    optimizer.calls = calls
    # Kept in float32; the configuration's number may be the same one, told more exactly.
    if rate is not None and np.float32(optimizer.learning_rate) != np.float32(rate):
        optimizer.learning_rate = rate


def _has_rate(optimizer: Any) -> bool:
    return isinstance(optimizer._learning_rate, float)
