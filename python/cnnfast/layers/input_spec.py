"""What a layer says about the inputs that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnfast.structure import leaves


class InputSpec:
    """What an input of a layer has to be like; assigned to `input_spec` in a layer's constructor or `build`.

    Args:
        dtype: for information: layers are given float32.
        shape: its sizes, the batch first; None for one that may be any.
        ndim: its number of axes.
        max_ndim: the largest number of axes.
        min_ndim: the smallest number of axes.
        axes: sizes by axis.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or too much.
        name: the input's key where a dictionary is given.
        optional: not supported: every input is required.

    Raises:
        TypeError: `axes` is no dictionary by integers.
        ValueError: an axis is beyond the number of axes, or an argument cannot be honoured.

    Example:
        >>> from cnnfast import layers
        >>> class Images(layers.Layer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.input_spec = layers.InputSpec(ndim=4, axes={-1: 3})
        ...
        ...     def call(self, x):
        ...         return x
        >>> Images()(np.zeros((1, 8, 8, 1)))
        Traceback (most recent call last):
        ...
        ValueError: Images 'images': input expects size 3 along axis -1, got shape (1, 8, 8, 1)
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        if optional:
            raise ValueError("InputSpec: optional=True cannot be honoured: every input is required")
        self.dtype, self.name, self.optional = dtype, name, False
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.allow_last_axis_squeeze = bool(allow_last_axis_squeeze)
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise TypeError(f"InputSpec: axes expects a dictionary by integers, got {axes!r}") from None
        most = self.ndim if self.ndim is not None else max_ndim
        if most is not None and any(axis >= most for axis in self.axes):
            raise ValueError(f"InputSpec: axes expects axes below {most}, got {max(self.axes)}")

    def __repr__(self) -> str:
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        shown = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        return f"InputSpec({', '.join(shown)})"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InputSpec:
        """Make one of what `get_config` returned."""
        return cls(**config)


def check_input_spec(spec: Any, x: Any, owner: str) -> None:
    """Check a layer's input (or several) against its specification (or one for each).

    Raises:
        ValueError: an input does not fit, or there are too few or too many.

    Example:
        >>> check_input_spec(InputSpec(min_ndim=2), np.zeros((2, 3)), "layer")
    """
    if isinstance(spec, Mapping) and isinstance(x, Mapping):
        missing = [name for name in spec if name not in x]
        if missing:
            raise ValueError(f"{owner}: expects inputs named {list(spec)}, got {list(x)}")
        pairs = [(spec[name], x[name]) for name in spec]
    else:
        specs, inputs = leaves(spec), leaves(x)
        if len(specs) != len(inputs):
            raise ValueError(f"{owner}: expects {len(specs)} inputs, got {len(inputs)}")
        pairs = list(zip(specs, inputs, strict=True))
    for one, value in pairs:
        if one is not None and value is not None:
            _check(one, tuple(value.shape) if hasattr(value, "shape") else np.shape(value))


def _check(spec: InputSpec, shape: tuple[int | None, ...]) -> None:
    rank = len(shape)
    wanted = spec.shape
    if spec.allow_last_axis_squeeze and spec.ndim is not None:
        if rank == spec.ndim + 1 and shape[-1] == 1:
            shape, rank = shape[:-1], rank - 1
        elif rank == spec.ndim - 1 and wanted is not None and wanted[-1] == 1:
            wanted = wanted[:-1]
            rank = spec.ndim
    if spec.ndim is not None and rank != spec.ndim:
        raise ValueError(f"input expects {spec.ndim} axes, got shape {shape}")
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(f"input expects at most {spec.max_ndim} axes, got shape {shape}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(f"input expects at least {spec.min_ndim} axes, got shape {shape}")
    for axis, size in spec.axes.items():
        if size is not None and -len(shape) <= axis < len(shape) and shape[axis] not in (None, size):
            raise ValueError(f"input expects size {size} along axis {axis}, got shape {shape}")
    if wanted is not None and any(n not in (None, m) and m is not None for n, m in zip(wanted, shape, strict=True)):
        raise ValueError(f"input expects shape {spec.shape}, got {shape}")
