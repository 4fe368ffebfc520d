"""What converters of PyTorch's nodes are given, and the tables that they are looked up in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast.interop.channels_first import Arranged, rows_as_they_lie
from cnnfast.interop.torch.layouts import parts_of
from cnnfast.interop.torch.storages import Array

# Converters by the names of module classes, and of functions and methods: what has the same name does the same.
MODULES: dict[str, Callable[..., Any]] = {}
FUNCTIONS: dict[str, Callable[..., Any]] = {}


class _Batch:
    """The number of examples in a batch, which is open."""

    def __repr__(self) -> str:
        return "the size of the batch, which is open"


BATCH = _Batch()


class UnsupportedError(ValueError):
    """A node does what models of this library cannot."""


class Call:
    """One node of a traced module.

    Args:
        described: the node in words, for messages.
        name: what its layer is to be called.
        module: the module that is called, if one is.
        made: the layers that modules have become, for those that are called more than once.
        kind: the function's name, if one is called.
    """

    def __init__(self, described: str, name: str, module: Any, made: dict[int, Any], kind: str = "") -> None:
        self.described, self.name, self.module, self._made, self.kind = described, name, module, made, kind

    def layer(self, make: Callable[[], Any]) -> Any:
        """The layer of the module: a new one, or that of its first call."""
        if self.module is None:
            return make()
        if id(self.module) not in self._made:
            self._made[id(self.module)] = make()
        return self._made[id(self.module)]

    def weighted(self, make: Callable[[], Any], x: Any, rows: Any = None, weights: Any = None) -> Any:
        """Call the module's layer, and give it the module's weights.

        Args:
            make: makes the layer.
            x: the tensor that enters it.
            rows: for each value of a flattened image, which number it has in PyTorch's order.
            weights: arrays by PyTorch's names; the module's own by default.
        """
        layer = self.layer(make)
        y = layer(x)
        given = state_of(self.module) if weights is None else weights
        for part in parts_of(layer, layer.name, {id(v): v.name for v in layer.weights}, rows):
            for slot in part.slots:
                slot.variable.assign(np.ascontiguousarray(slot.to_ours(given[slot.role]), np.float32))
        return y


def state_of(module: Any) -> dict[str, Array]:
    """A module's own parameters and buffers."""
    found = {**module._parameters, **module._buffers}
    return {name: as_array(value) for name, value in found.items() if value is not None}


def as_array(value: Any) -> Array:
    """A PyTorch tensor as an array of float32, or of integers."""
    array = value.detach().cpu()
    return np.asarray((array.float() if array.is_floating_point() else array).numpy())


def flattened(value: Arranged) -> Arranged:
    """A flattened image as it lies where that is an image's usual order; otherwise brought into PyTorch's.

    So the graph tells in which order a dense layer's rows are, to others who bring weights for the same module.
    """
    if value.joined is None:
        return value
    return value if value.joined[1] == (*range(1, len(value.joined[1])), 0) else value.apart()


def rows_of(value: Arranged) -> Any:
    """For each value of a flattened image as it lies, its number in PyTorch's order; None where that is the same."""
    size = value.shape[-1]
    return None if value.joined is None or size is None else rows_as_they_lie(value, np.arange(size))


def converts(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Note a converter of module classes."""

    def note(convert: Callable[..., Any]) -> Callable[..., Any]:
        MODULES.update(dict.fromkeys(names, convert))
        return convert

    return note


def computes(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Note a converter of functions and methods, whose arguments are theirs behind the `Call`."""

    def note(convert: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(names, convert))
        return convert

    return note


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """One number for each axis, from one for all or several."""
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return tuple(int(n) for n in (values * rank if len(values) == 1 else values))


def listed(dims: Sequence[Any]) -> tuple[Any, ...]:
    """The axes or sizes of methods that take them one by one or in one list."""
    return tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], (list, tuple)) else tuple(dims)
