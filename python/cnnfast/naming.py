"""Names for objects that were given none, made from their classes' names."""

from __future__ import annotations

import re

_next_suffix: dict[str, int] = {}


def snake_case(class_name: str) -> str:
    """A class's name in lower case with underscores between its words.

    Example:
        >>> snake_case("MeanIoU"), snake_case("KLDivergence")
        ('mean_io_u', 'kl_divergence')
    """
    spaced = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", spaced).lower()


def unique_name(class_name: str) -> str:
    """A name that was not given before: `conv2d`, `conv2d_1`, ...

    Example:
        >>> unique_name("SomeLayer"), unique_name("SomeLayer")
        ('some_layer', 'some_layer_1')
    """
    prefix = snake_case(class_name)
    count = _next_suffix.get(prefix, 0)
    _next_suffix[prefix] = count + 1
    return f"{prefix}_{count}" if count else prefix


def reserved_name(name: str) -> str:
    """Keep a name that an object was given (or loaded with) from being made up for another one."""
    prefix, _, number = name.rpartition("_")
    if not (prefix and number.isdecimal() and len(number) < 10):
        prefix, number = name, "0"
    _next_suffix[prefix] = max(_next_suffix.get(prefix, 0), int(number) + 1)
    return name


def forget_names() -> None:
    """Let the names that are made up begin anew.

    Example:
        >>> forget_names()
        >>> unique_name("OtherLayer")
        'other_layer'
    """
    _next_suffix.clear()
    _counts.clear()


_counts: dict[str, int] = {}


def counted(prefix: str) -> int:
    """How often this was asked for a prefix, this time included.

    Example:
        >>> counted("some"), counted("some")
        (1, 2)
    """
    _counts[prefix] = _counts.get(prefix, 0) + 1
    return _counts[prefix]
