"""What layers are given, and the shapes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cnnfast.autograd import Value, to_float32
from cnnfast.structure import leaves, map_leaves
from cnnfast.symbolic import Shape, is_shape


def as_arrays(x: Any, owner: str) -> Any:
    """The inputs of a layer as float32, in the structure they came in; a list of numbers is one array.

    Example:
        >>> as_arrays([[1, 2]], "layer")
        array([[1., 2.]], dtype=float32)
    """
    if isinstance(x, Value):
        return x
    if isinstance(x, dict) or (isinstance(x, (list, tuple)) and any(hasattr(leaf, "shape") for leaf in leaves(x))):
        return map_leaves(lambda leaf: leaf if isinstance(leaf, Value) else to_float32(leaf, owner), x)
    return to_float32(x, owner)


def open_batch(shapes: Any) -> Any:
    """Shapes with the size of the batch left open, in their structure.

    Example:
        >>> open_batch([(2, 3), (2, 4)])
        [(None, 3), (None, 4)]
    """
    if is_shape(shapes):
        return (None, *shapes[1:])
    parts = shapes.items() if isinstance(shapes, dict) else enumerate(shapes)
    found = {key: open_batch(part) for key, part in parts}
    return found if isinstance(shapes, dict) else type(shapes)(found.values())


def is_tuple_of(value: Any, cls: type) -> bool:
    """Whether a value is a tuple that holds an object of a class.

    Example:
        >>> is_tuple_of((1, "a"), str)
        True
    """
    return isinstance(value, tuple) and any(isinstance(item, cls) for item in value)


def fixed_size(owner: str, shape: Shape, axes: Sequence[int]) -> int:
    """The product of some of a shape's sizes.

    Raises:
        ValueError: one of them is not fixed.
    """
    sizes = [shape[axis] for axis in axes]
    if None in sizes:
        raise ValueError(f"{owner}: expected an input of fixed size, got {tuple(shape)}")
    return math.prod(n for n in sizes if n is not None)
