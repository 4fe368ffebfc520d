"""Nested lists, tuples and dicts of things, such as a model's several inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """What nested lists, tuples and dicts hold, in order.

    Example:
        >>> leaves({"a": 1, "b": [2, (3,)]})
        [1, 2, 3]
    """
    if isinstance(structure, dict):
        structure = list(structure.values())
    if not isinstance(structure, (list, tuple)):
        return [structure]
    found: list[Any] = []
    for part in structure:
        if isinstance(part, (list, tuple, dict)):
            found.extend(leaves(part))
        else:
            found.append(part)
    return found


def arranged_like(structure: Any, values: Iterator[Any]) -> Any:
    """Values arranged as `leaves` found those of `structure`.

    Example:
        >>> arranged_like({"a": 1, "b": [2, 3]}, iter("xyz"))
        {'a': 'x', 'b': ['y', 'z']}
    """
    if isinstance(structure, dict):
        return {key: arranged_like(part, values) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        nested = (list, tuple, dict)
        parts = [arranged_like(part, values) if isinstance(part, nested) else next(values) for part in structure]
        if isinstance(structure, list):
            return parts
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    return next(values)


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """The structure with a function of each leaf in its place.

    Example:
        >>> map_leaves(str, [1, (2, 3)])
        ['1', ('2', '3')]
    """
    if not isinstance(structure, (list, tuple, dict)):
        return function(structure)
    return arranged_like(structure, iter([function(leaf) for leaf in leaves(structure)]))
