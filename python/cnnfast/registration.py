"""Classes and functions of users' own that configurations name: registered for good, or known within a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
]

_Registered = TypeVar("_Registered", bound=Callable[..., Any])

_objects: dict[str, Any] = {}
_names: dict[Any, str] = {}
_scopes: list[Mapping[str, Any]] = []


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[_Registered], _Registered]:
    """Let configurations name a class or function of your own, so that models with it are read without being told it.

    Args:
        package: the first part of its name there, `package>name`.
        name: the second part; its own name by default.

    Raises:
        ValueError: a class has no `get_config`.

    Example:
        >>> from cnnfast import layers
        >>> @register_keras_serializable("mine")
        ... class Halved(layers.Layer):
        ...     def call(self, x):
        ...         return x / 2.0
        >>> get_registered_name(Halved)
        'mine>Halved'
    """

    def register(target: _Registered) -> _Registered:
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(f"register_keras_serializable: {target.__name__} has no get_config()")
        full = f"{package}>{name or target.__name__}"
        _objects[full], _names[target] = target, full
        return target

    return register


def get_registered_name(obj: Any) -> str:
    """The name by which configurations know a class or function: the registered one, or its own.

    Example:
        >>> get_registered_name(dict)
        'dict'
    """
    try:
        found = _names.get(obj)
    except TypeError:  # callable objects need not be hashable
        found = None
    return found or str(obj.__name__)


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None
) -> Any:
    """The class or function of a name, or None: from the blocks around, those registered, then those given.

    Args:
        name: the name, as `get_registered_name` tells it.
        custom_objects: more of them by name.
        module_objects: more of them by name, which come last.

    Example:
        >>> get_registered_object("nothing of this name") is None
        True
    """
    for known in (*reversed(_scopes), _objects, custom_objects or {}, module_objects or {}):
        if name in known:
            return known[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """What is registered, by name: the dictionary itself, which may be changed.

    Example:
        >>> get_custom_objects()["nine"] = lambda x: 9.0
        >>> del get_custom_objects()["nine"]
    """
    return _objects


def known_objects(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything of users' own that a configuration may name; what is given here counts most."""
    found = dict(_objects)
    for scope in _scopes:
        found |= scope
    return found | dict(custom_objects or {})


class CustomObjectScope:
    """A block in which configurations may name these classes and functions.

    Args:
        custom_objects: by name.

    Example:
        >>> from cnnfast import layers
        >>> class Tripled(layers.Layer):
        ...     def call(self, x):
        ...         return x * 3.0
        >>> with CustomObjectScope({"Tripled": Tripled}):
        ...     get_registered_object("Tripled").__name__
        'Tripled'
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        _scopes.append(self.custom_objects)
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.pop()


custom_object_scope = CustomObjectScope
