"""Optimizers by name, from configurations and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnfast import configured
from cnnfast.optimizers.adadelta import Adadelta
from cnnfast.optimizers.adagrad import Adagrad
from cnnfast.optimizers.adam import Adam, AdamW
from cnnfast.optimizers.adamax import Adamax
from cnnfast.optimizers.base import Optimizer
from cnnfast.optimizers.ftrl import Ftrl
from cnnfast.optimizers.lamb import Lamb
from cnnfast.optimizers.lion import Lion
from cnnfast.optimizers.nadam import Nadam
from cnnfast.optimizers.rmsprop import RMSprop
from cnnfast.optimizers.sgd import SGD
from cnnfast.registration import get_registered_object

OptimizerLike = Optimizer | str | Mapping[str, Any]

_CLASSES: tuple[type[Optimizer], ...] = (
    Adadelta, Adagrad, Adam, Adamax, AdamW, Ftrl, Lamb, Lion, Nadam, RMSprop, SGD,
)  # fmt: skip
_BY_NAME = {c.__name__.lower(): c for c in _CLASSES}


def get(identifier: OptimizerLike, custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that an argument means.

    Args:
        identifier: a name ("sgd", "AdamW", in any case), an optimizer, or a dict of `class_name` and `config`.
        custom_objects: optimizers and schedules of your own, by class name.

    Raises:
        ValueError: no optimizer has that name.
        TypeError: nothing that can be an optimizer.

    Example:
        >>> get("adam").learning_rate
        0.001
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return _found(identifier, custom_objects)()
    if isinstance(identifier, Mapping):
        return deserialize(identifier, custom_objects)
    raise TypeError(f"optimizer expects a name or an Optimizer, got {identifier!r}")


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer's class and configuration, without its state, as a dict that JSON can hold.

    Example:
        >>> serialize(SGD(0.5))["config"]["learning_rate"]
        0.5
    """
    entry: dict[str, Any] = configured.serialize(optimizer, "the optimizer")
    return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer, without its state, that `serialize` made a dict of.

    Args:
        config: a dict of `class_name` and `config`.
        custom_objects: optimizers and schedules of your own, by class name.

    Raises:
        ValueError: no optimizer has that name.

    Example:
        >>> deserialize(serialize(SGD(0.5))).learning_rate
        0.5
    """
    optimizer: Optimizer = _found(config.get("class_name"), custom_objects).from_config(
        config.get("config", {}), custom_objects
    )
    return optimizer


def _found(name: Any, custom_objects: Mapping[str, Any] | None) -> type[Optimizer]:
    if custom_objects and name in custom_objects:
        found: type[Optimizer] = custom_objects[name]
        return found
    registered = get_registered_object(name) if isinstance(name, str) else None
    if isinstance(registered, type) and issubclass(registered, Optimizer):
        return registered
    if not isinstance(name, str) or name.lower() not in _BY_NAME:
        known = ", ".join(sorted(c.__name__ for c in _CLASSES))
        raise ValueError(f"optimizer {name!r} is not known; there are {known}")
    return _BY_NAME[name.lower()]
