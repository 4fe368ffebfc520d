"""Arguments that several layers read in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnfast.arguments import positive_int
from cnnfast.layers.base import Shape

Sizes = int | Sequence[int]


def per_axis(owner: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """One positive int per spatial axis, from one for all or one for each.

    Raises:
        ValueError: another number of them, or one is not positive.

    Example:
        >>> per_axis("Conv2D", "strides", 2, 2)
        (2, 2)
    """
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,) * rank
    if len(values) != rank:
        raise ValueError(f"{owner}: {name} expects an integer or {rank} of them, got {value}")
    return tuple(positive_int(owner, name, v) for v in values)


def checked_data_format(owner: str, data_format: str | None) -> str:
    """Where the channels are: "channels_last", also for None, or "channels_first".

    Raises:
        ValueError: anything else.

    Example:
        >>> checked_data_format("Conv2D", None)
        'channels_last'
    """
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"{owner}: data_format expects 'channels_last' or 'channels_first', got {data_format!r}")
    return data_format or "channels_last"


def checked_rank(owner: str, input_shape: Shape, ndim: int, axes: str) -> None:
    """Check an input's number of axes.

    Raises:
        ValueError: it has another number of axes than `ndim`.
    """
    if len(input_shape) != ndim:
        hint = ""
        if len(input_shape) == ndim - 1:
            hint = "; where the channel axis is missing, add it: x[..., None]"
        raise ValueError(f"{owner} expects x of shape ({axes}), got {_shown(input_shape)}{hint}")


def _shown(shape: Shape) -> str:
    return "(" + ", ".join(["N", *("?" if n is None else str(n) for n in shape[1:])]) + ")"


def with_open_sizes(
    shape_function: Callable[[tuple[int, ...]], tuple[int, ...]], input_shape: Shape, enough: int
) -> Shape:
    """Apply a function of shapes where sizes may be None: these stay None in the output, axis by axis.

    Args:
        shape_function: takes and returns fixed shapes.
        input_shape: the shape with None in it.
        enough: a size that the function can take in the place of any None.

    Example:
        >>> with_open_sizes(lambda shape: (*shape[:2], 8), (None, 28, 3), 1)
        (None, 28, 8)
    """
    output = shape_function(tuple(enough if n is None else n for n in input_shape))
    return tuple(None if i < len(input_shape) - 1 and input_shape[i] is None else n for i, n in enumerate(output))
