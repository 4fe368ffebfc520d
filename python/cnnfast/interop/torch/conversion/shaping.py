"""Shapes: flattening, views, permutations, parts of tensors and tensors of parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last, transposed
from cnnfast.interop.reshapes import reshaped
from cnnfast.interop.torch.conversion.calls import BATCH, Call, UnsupportedError, computes, converts, listed


@converts("Identity")
@computes("contiguous", "clone", "detach", "float", "alias")
def _identity(call: Call, x: Arranged, *args: Any, **kwargs: Any) -> Arranged:
    return x


# Sizes


def _sizes(x: Arranged) -> tuple[Any, ...]:
    return tuple(BATCH if n is None else n for n in x.shape)


@computes("size")
def _size(call: Call, x: Arranged, dim: int | None = None) -> Any:
    return _sizes(x) if dim is None else _sizes(x)[dim]


@computes("getattr")
def _attribute(call: Call, x: Arranged, name: str) -> Any:
    if name == "shape":
        return _sizes(x)
    if name == "ndim":
        return x.ndim
    raise UnsupportedError(f"the attribute {name!r} of a tensor is not supported")


@computes("dim", "ndimension")
def _dim(call: Call, x: Arranged) -> int:
    return x.ndim


# Views


def _viewed(x: Arranged, sizes: Sequence[int | None]) -> Arranged:
    """A tensor in another shape.

    One that lies as in PyTorch passes a permutation that moves nothing before it is flattened: the graph would look
    like an image's otherwise, which PyTorch flattens with the channels first.
    """
    if len(sizes) == 2 < x.ndim and x.in_order:
        x = Arranged(layers.Permute(tuple(range(1, x.ndim)))(x.tensor))
    return reshaped(x, sizes)


@computes("view", "reshape")
def _view(call: Call, x: Arranged, *shape: Any) -> Arranged:
    sizes = list(listed(shape))
    if any(n is BATCH for n in sizes[1:]) or not all(isinstance(n, int) or n is BATCH for n in sizes):
        raise UnsupportedError(f"a shape of {sizes}: the batch expects to be the first axis")
    return _viewed(x, [None if n is BATCH else n for n in sizes])


@computes("flatten")
def _flatten(call: Call, x: Arranged, start_dim: int = 0, end_dim: int = -1) -> Arranged:
    start, end = start_dim % x.ndim, end_dim % x.ndim
    if start == 0 and end > 0:
        raise UnsupportedError("joining the batch with other axes is not supported; give start_dim=1")
    shape = [None, *x.shape[1:]]
    joined: list[int | None] = [math.prod(n for n in shape[start : end + 1] if n is not None)] if start <= end else []
    return _viewed(x, [*shape[:start], *joined, *shape[end + 1 :]])


@converts("Flatten")
def _flatten_module(call: Call, x: Arranged) -> Arranged:
    return _flatten(call, x, call.module.start_dim, call.module.end_dim)


@computes("unflatten")
def _unflatten(call: Call, x: Arranged, dim: int, sizes: Sequence[int]) -> Arranged:
    place = dim % x.ndim
    shape = [None, *x.shape[1:]]
    return reshaped(x, [*shape[:place], *sizes, *shape[place + 1 :]])


@converts("Unflatten")
def _unflatten_module(call: Call, x: Arranged) -> Arranged:
    return _unflatten(call, x, call.module.dim, call.module.unflattened_size)


@computes("permute")
def _permute(call: Call, x: Arranged, *dims: Any) -> Arranged:
    return transposed(x, [int(n) for n in listed(dims)])


@computes("transpose", "swapaxes")
def _transpose(call: Call, x: Arranged, dim0: int, dim1: int) -> Arranged:
    axes = list(range(x.ndim))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return transposed(x, axes)


@computes("squeeze")
def _squeeze(call: Call, x: Arranged, dim: Any = None) -> Arranged:
    every = [axis for axis, n in enumerate(x.shape) if n == 1]
    given = every if dim is None else [n % x.ndim for n in (dim if isinstance(dim, (list, tuple)) else (dim,))]
    return reshaped(x, [None if not i else n for i, n in enumerate(x.shape) if i not in given or n != 1])


@computes("unsqueeze")
def _unsqueeze(call: Call, x: Arranged, dim: int) -> Arranged:
    place = dim % (x.ndim + 1)
    if place == 0:
        raise UnsupportedError("an axis in front of the batch is not supported")
    shape: list[Any] = [None, *x.shape[1:]]
    return reshaped(x, [*shape[:place], 1, *shape[place:]])


@converts("ChannelShuffle")
def _channel_shuffle(call: Call, x: Arranged) -> Arranged:
    groups, channels = call.module.groups, x.shape[1] or 0
    parts = reshaped(x, [None, groups, channels // groups, *x.shape[2:]])
    return reshaped(_transpose(call, parts, 1, 2), [None, channels, *x.shape[2:]])


@computes("pixel_shuffle")
def _pixel_shuffle(call: Call, x: Arranged, upscale_factor: int) -> Arranged:
    height, width, channels = (_fixed(x, axis) for axis in (2, 3, 1))
    r, c = upscale_factor, channels // upscale_factor**2
    parts = ops.transpose(layers.Reshape((height, width, c, r, r))(x.channels_last()), (0, 1, 4, 2, 5, 3))
    return from_channels_last(layers.Reshape((height * r, width * r, c))(parts))


@computes("pixel_unshuffle")
def _pixel_unshuffle(call: Call, x: Arranged, downscale_factor: int) -> Arranged:
    height, width, channels = (_fixed(x, axis) for axis in (2, 3, 1))
    r = downscale_factor
    parts = layers.Reshape((height // r, r, width // r, r, channels))(x.channels_last())
    turned = ops.transpose(parts, (0, 1, 3, 5, 2, 4))
    return from_channels_last(layers.Reshape((height // r, width // r, channels * r * r))(turned))


@converts("PixelShuffle")
def _pixel_shuffle_module(call: Call, x: Arranged) -> Arranged:
    return _pixel_shuffle(call, x, call.module.upscale_factor)


@converts("PixelUnshuffle")
def _pixel_unshuffle_module(call: Call, x: Arranged) -> Arranged:
    return _pixel_unshuffle(call, x, call.module.downscale_factor)


# Parts


@computes("cat", "concat", "concatenate")
def _cat(call: Call, tensors: Sequence[Any], dim: int = 0) -> Arranged:
    if not all(isinstance(x, Arranged) for x in tensors):
        raise UnsupportedError("constants among the tensors are not supported")
    axis = dim % tensors[0].ndim
    if axis == 0:
        raise UnsupportedError("joining along the batch is not supported")
    lead = next((x for x in tensors if not x.in_order), tensors[0]).apart()
    place = lead.place(axis)
    return lead.like(layers.Concatenate(place, name=call.name)([x.lying(lead.order) for x in tensors]))


@computes("stack")
def _stack(call: Call, tensors: Sequence[Any], dim: int = 0) -> Arranged:
    return _cat(call, [_unsqueeze(call, x, dim % (x.ndim + 1)) for x in tensors], dim % (tensors[0].ndim + 1))


def _fixed(x: Arranged, dim: int) -> int:
    size = x.shape[dim]
    if size is None:
        raise UnsupportedError("parts of the batch are not supported")
    return size


@computes("split")
def _split(call: Call, x: Arranged, split_size_or_sections: Any, dim: int = 0) -> list[Arranged]:
    size, given = _fixed(x, dim), split_size_or_sections
    sections = list(given) if isinstance(given, (list, tuple)) else [given] * (size // given)
    if sum(sections) < size:
        sections.append(size - sum(sections))
    x = x.apart()
    if len(sections) == 1:
        return [x]
    return [x.like(part) for part in ops.split(x.tensor, np.cumsum(sections)[:-1].tolist(), axis=x.place(dim))]


@computes("chunk")
def _chunk(call: Call, x: Arranged, chunks: int, dim: int = 0) -> list[Arranged]:
    return _split(call, x, -(-_fixed(x, dim) // chunks), dim)


@computes("unbind")
def _unbind(call: Call, x: Arranged, dim: int = 0) -> list[Arranged]:
    return [_squeeze(call, part, dim) for part in _split(call, x, 1, dim)]


@computes("getitem")
def _item(call: Call, x: Any, key: Any) -> Any:
    keys = list(key) if isinstance(key, tuple) else [key]
    if not all(isinstance(k, (int, slice)) or k in (None, Ellipsis) for k in keys):
        raise UnsupportedError("a part that is chosen by a tensor or list is not supported")
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (x.ndim - sum(k is not None for k in keys) + 1)
    x = x.apart()
    if isinstance(keys[0], int) or keys[0] is None or keys[0] != slice(None):
        raise UnsupportedError("a part of the batch is not supported")
    if None in keys:
        raise UnsupportedError("new axes are not supported; use unsqueeze")
    axes = [*keys, *[slice(None)] * (x.ndim - len(keys))]
    gone = [axis for axis, k in enumerate(axes) if isinstance(k, int)]
    y = x.tensor[tuple(axes[axis] for axis in x.order)]
    return Arranged(y, [axis - sum(g < axis for g in gone) for axis in x.order if axis not in gone])
