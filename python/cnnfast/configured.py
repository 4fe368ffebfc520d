"""Configurations derived from constructors: what an object was made with is what makes it again."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from cnnfast.registration import get_registered_name, get_registered_object


def bound_arguments(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, defaults included and `**kwargs` flattened, without the first (`self`).

    Raises:
        TypeError: the arguments do not fit the signature.

    Example:
        >>> bound_arguments(inspect.signature(lambda self, a, b=2, **more: None), (None, 1), {"c": 3})
        {'a': 1, 'b': 2, 'c': 3}
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for (name, value), parameter in zip(
        list(bound.arguments.items())[1:], list(signature.parameters.values())[1:], strict=True
    ):
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
        else:
            arguments[name] = value
    return arguments


def remember_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that the object keeps the arguments it was made with, as `_arguments`.

    Subclasses call their parents' constructors; only the outermost call is remembered.

    Raises:
        TypeError: the arguments do not fit the constructor's signature.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def remembering(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_arguments" not in self.__dict__:
            try:
                self._arguments = bound_arguments(signature, (self, *args), kwargs)
            except TypeError as error:
                raise TypeError(f"{type(self).__name__}: {error}") from None
        init(self, *args, **kwargs)

    return remembering


def taken_by_constructor(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a configuration that a class's constructor takes.

    Example:
        >>> class Point:
        ...     def __init__(self, x): ...
        >>> taken_by_constructor(Point, {"x": 1, "name": "p"})
        {'x': 1}
    """
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return dict(config)
    return {key: value for key, value in config.items() if key in parameters}


class Configured:
    """Gives classes a `get_config` and `from_config` derived from their constructor's signature."""

    _arguments: Mapping[str, Any] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = remember_arguments(cls.__init__)  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as values that JSON can hold.

        Raises:
            TypeError: an argument is a function or object that has no name to be found by again.
        """
        return {key: serialize(value, f"{type(self).__name__}: {key}") for key, value in self._arguments.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an object from what `get_config` returned."""
        return cls(**config)


def serialize(value: Any, what: str) -> Any:
    """Turn a constructor argument into something JSON can hold.

    Numbers, text, None, lists and dicts stay as they are (tuples and arrays become lists), functions known by a name
    become that name and objects with a `get_config` become `{"class_name": ..., "config": ...}`.

    Raises:
        TypeError: anything else.

    Example:
        >>> serialize((3, 3), "Conv2D: kernel_size")
        [3, 3]
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [serialize(item, what) for item in value]
    if isinstance(value, dict):
        return {str(key): serialize(item, what) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return value.tolist()
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if hasattr(value, "get_config") and not isinstance(value, type):
        return {"class_name": get_registered_name(type(value)), "config": value.get_config()}
    name = getattr(value, "__name__", None)
    if name and get_registered_object(get_registered_name(value)) is value:
        return get_registered_name(value)
    if callable(value) and getattr(value, "__module__", "").startswith("cnnfast.") and "<" not in value.__qualname__:
        return name
    raise TypeError(f"{what} cannot be saved: {value!r} is not known by a name")


def look_up(kind: str, identifier: Any, by_name: Mapping[str, Callable[..., Any]]) -> Any:
    """The object that an argument means.

    Args:
        kind: what it is to be, for messages.
        identifier: a name, a dict of `class_name` and `config`, a class, or an object that can be called.
        by_name: what makes the objects that are known by a name.

    Raises:
        ValueError: the name is not known.
        TypeError: nothing of these.

    Example:
        >>> look_up("number", {"class_name": "complex", "config": {"imag": 2.0}}, {"complex": complex})
        2j
    """
    name, config = identifier, {}
    if isinstance(identifier, Mapping):
        name, config = identifier.get("class_name"), identifier.get("config", {})
    if isinstance(name, str):
        made = by_name.get(name) or get_registered_object(name)
        if made is None:
            raise ValueError(f"{kind} {name!r} is not known; there are {', '.join(sorted(by_name))}")
        if name not in by_name and not isinstance(made, type):
            return made
        return made.from_config(config) if hasattr(made, "from_config") else made(**config)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(f"{kind} expects a name, an object or a function, got {identifier!r}")
