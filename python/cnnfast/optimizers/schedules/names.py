"""Schedules from configurations and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnfast import configured
from cnnfast.optimizers.schedules import cosine, decay
from cnnfast.optimizers.schedules.base import LearningRateSchedule

_CLASSES: dict[str, type[LearningRateSchedule]] = {
    c.__name__: c
    for c in (
        cosine.CosineDecay,
        cosine.CosineDecayRestarts,
        decay.ExponentialDecay,
        decay.InverseTimeDecay,
        decay.PiecewiseConstantDecay,
        decay.PolynomialDecay,
    )
}


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A schedule as a dict of `class_name` and `config` that JSON can hold.

    Example:
        >>> serialize(decay.ExponentialDecay(0.1, 100, 0.5))["class_name"]
        'ExponentialDecay'
    """
    entry: dict[str, Any] = configured.serialize(learning_rate_schedule, "the schedule")
    return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` made a dict of.

    Args:
        config: a dict of `class_name` and `config`.
        custom_objects: schedules of your own, by class name.

    Raises:
        ValueError: no schedule has that name, or this is no such dict.

    Example:
        >>> deserialize(serialize(decay.ExponentialDecay(0.1, 100, 0.5))).decay_rate
        0.5
    """
    known: dict[str, Any] = _CLASSES | dict(custom_objects or {})
    name = config.get("class_name") if isinstance(config, Mapping) else None
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"schedule {name!r} is not known; there are {', '.join(sorted(known))}")
    schedule: LearningRateSchedule = known[name].from_config(config.get("config", {}))
    return schedule
