"""What PyTorch calls the weights of each kind of layer, and how they lie there: one table, used in both directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnfast import layers
from cnnfast.autograd import Variable
from cnnfast.interop.torch.storages import Array

Shape = tuple[int, ...]
Rows = Any  # for each flattened value, which number it has in PyTorch's order; None where the orders agree


@dataclass(frozen=True)
class Slot:
    """A weight of a model, and the tensor of PyTorch's that holds the same numbers.

    Args:
        role: PyTorch's name within the module, as "weight".
        variable: the weight.
        path: its name in the model.
        shape: the tensor's.
        to_ours: makes the weight's values of the tensor's.
        to_torch: the inverse.
        change: what the two do, in words; empty where nothing changes.
    """

    role: str
    variable: Variable
    path: str
    shape: Shape
    to_ours: Callable[[Array], Array]
    to_torch: Callable[[Array], Array]
    change: str = ""

    def takes(self, shape: Shape) -> bool:
        """Whether a tensor of this shape can become the weight."""
        return shape == self.shape or (self.change == SLOPES and shape == (1,))


@dataclass(frozen=True)
class Part:
    """What is one module in PyTorch: a layer, or one of the convolutions of a separable one."""

    path: str
    slots: tuple[Slot, ...]

    @property
    def normalizes(self) -> bool:
        """Whether this is batch normalization."""
        return any(slot.role == "running_mean" for slot in self.slots)


SLOPES = "one slope per channel"


def parts_of(layer: Any, path: str, paths: Mapping[int, str], rows: Rows = None) -> Iterator[Part]:
    """The modules that a layer corresponds to, without those of its sublayers.

    Args:
        layer: a built layer.
        path: its name in the model.
        paths: the model's names of weights, by the variables' identities.
        rows: the order of a flattened input, in PyTorch's numbers.
    """

    def slot(role: str, variable: Variable | None, **how: Any) -> list[Slot]:
        return [] if variable is None else [_slot(role, variable, paths[id(variable)], **how)]

    def part(*slots: list[Slot], name: str = path) -> Part:
        return Part(name, tuple(entry for found in slots for entry in found))

    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        yield part(slot("weight", layer.depthwise_kernel, depthwise=True), name=f"{path}/depthwise")
        weight = slot("weight", layer.pointwise_kernel, axes=_reversed(layer.rank))
        yield part(weight, slot("bias", layer.bias), name=f"{path}/pointwise")
    elif isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        yield part(slot("weight", layer.kernel, depthwise=True), slot("bias", layer.bias))
    elif isinstance(layer, _CONVOLUTIONS):
        yield part(slot("weight", layer.kernel, axes=_reversed(layer.rank)), slot("bias", layer.bias))
    elif isinstance(layer, layers.Dense):
        yield part(slot("weight", layer.kernel, axes=(1, 0), rows=rows), slot("bias", layer.bias))
    elif isinstance(layer, layers.BatchNormalization):
        names = ("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean")
        slots = [slot(role, getattr(layer, name), rows=rows) for role, name in (*names, ("running_var", _VARIANCE))]
        yield part(*slots)
    elif isinstance(layer, (layers.LayerNormalization, layers.GroupNormalization)):
        pair = ("weight", layer.gamma), ("bias", layer.beta)
        yield part(*(slot(role, v, axes=_channels_first(v), rows=rows) for role, v in pair if v is not None))
    elif isinstance(layer, layers.PReLU):
        yield part(slot("weight", layer.alpha, slopes=True))
    else:
        own = [slot(_RENAMED.get(v.name, v.name), v) for v in (*layer._own_trained, *layer._own_kept)]
        if own:
            yield part(*own)


_VARIANCE = "moving_variance"
_RENAMED = {"kernel": "weight", "scale": "weight"}
_CONVOLUTIONS = (
    layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose,
)  # fmt: skip


def _reversed(rank: int) -> tuple[int, ...]:
    """PyTorch's (out, in, *window) as (*window, in, out), and the transposed convolution's likewise."""
    return (*range(2, rank + 2), 1, 0)


def _channels_first(variable: Variable) -> tuple[int, ...] | None:
    """The scales of whole images, (C, H, W), as (H, W, C)."""
    rank = len(variable.shape)
    return (*range(1, rank), 0) if rank > 1 else None


def _slot(
    role: str,
    variable: Variable,
    path: str,
    axes: tuple[int, ...] | None = None,
    rows: Rows = None,
    depthwise: bool = False,
    slopes: bool = False,
) -> Slot:
    shape = tuple(variable.shape)
    if depthwise:
        return _depthwise_slot(role, variable, path)
    if slopes:
        return _slopes_slot(role, variable, path)
    if axes is None and rows is None:
        return Slot(role, variable, path, shape, _same, _same)
    axes = axes or tuple(range(len(shape)))
    back = tuple(int(n) for n in np.argsort(axes))
    theirs = tuple(shape[n] for n in back)
    if rows is None:
        return Slot(role, variable, path, theirs, lambda w: w.transpose(axes), lambda w: w.transpose(back), _how(axes))
    order = np.argsort(rows)
    change = f"{_how(axes)}, rows permuted" if len(axes) > 1 else "permuted"
    return Slot(
        role, variable, path, theirs, lambda w: w.transpose(axes)[rows], lambda w: w[order].transpose(back), change
    )


def _same(array: Array) -> Array:
    return array


def _how(axes: tuple[int, ...]) -> str:
    return f"transposed {axes}"


def _depthwise_slot(role: str, variable: Variable, path: str) -> Slot:
    """PyTorch's (C * m, 1, *window) as (*window, C, m)."""
    shape = tuple(variable.shape)
    rank = len(shape) - 2
    to_last, to_first = (*range(1, rank + 1), 0), (rank, *range(rank))
    theirs = (shape[-2] * shape[-1], 1, *shape[:-2])
    return Slot(
        role,
        variable,
        path,
        theirs,
        lambda w: w.reshape(theirs[0], *theirs[2:]).transpose(to_last).reshape(shape),
        lambda w: w.reshape(*shape[:-2], theirs[0]).transpose(to_first).reshape(theirs),
        "(C * m, 1, ...) to (..., C, m)",
    )


def _slopes_slot(role: str, variable: Variable, path: str) -> Slot:
    """PyTorch's (C,) or (1,) for every pixel of an image."""
    shape = tuple(variable.shape)

    def back(alpha: Array) -> Array:
        if math.prod(shape[:-1]) != 1 and not (alpha == alpha[(0,) * (len(shape) - 1)]).all():
            raise ValueError(f"{path}: slopes that differ between pixels have no counterpart in PyTorch")
        return alpha[(0,) * (len(shape) - 1)]

    return Slot(role, variable, path, shape[-1:], lambda w: np.broadcast_to(w, shape), back, SLOPES)
