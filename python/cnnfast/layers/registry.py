"""Layers as configurations, and made of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnfast import configured
from cnnfast.layers.base import Layer
from cnnfast.layers.wrapper import made_of_config


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as a dict of `class_name` and `config` that JSON can hold, without its weights.

    Raises:
        TypeError: it was made with something that has no name.

    Example:
        >>> from cnnfast.layers import Flatten
        >>> serialize(Flatten(name="flat"))["class_name"]
        'Flatten'
    """
    entry: dict[str, Any] = configured.serialize(layer, "the layer")
    return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer, with fresh weights, that `serialize` made a dict of.

    Args:
        config: a dict of `class_name` and `config`.
        custom_objects: classes of your own by name.

    Raises:
        ValueError: no layer has that name, or the configuration does not fit it.

    Example:
        >>> from cnnfast.layers import Dense
        >>> deserialize(serialize(Dense(3))).units
        3
    """
    return made_of_config(config, custom_objects)
