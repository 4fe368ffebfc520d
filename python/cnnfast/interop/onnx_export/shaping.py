"""Values in another shape or order, joined, cut and padded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnfast.autograd import to_float32
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.elementwise import common_order
from cnnfast.interop.onnx_export.values import Value, normal_axes, plain_order, without_axes
from cnnfast.symbolic import Shape

_END = (1 << 63) - 1  # as far as an axis goes

# Order and shape


def reshape(b: Builder, x: Value, newshape: Any) -> Value:
    """Another shape, the batch included."""
    sizes = [int(n) for n in (newshape if isinstance(newshape, (tuple, list)) else (newshape,))]
    return _reshaped(b, x, sizes, x.shape)


def _reshaped(b: Builder, x: Value, sizes: Sequence[int], shape: Shape) -> Value:
    """A reshape in the model's order; 0 keeps a size, and what -1 gives is left open."""
    if len(sizes) == 2 and sizes[1] == -1 and sizes[0] in (0, shape[0]) and x.rank > 2:
        return b.flattened(x)
    kept = tuple(shape[i] if n == 0 else None if n == -1 else n for i, n in enumerate(sizes))
    return b.made("Reshape", [b.ordered(x), b.integers(sizes)], kept, None, x.dtype)


def transpose(b: Builder, x: Value, axes: Sequence[int] | None = None) -> Value:
    """The axes in another order: only what the model calls them changes."""
    x = b.plain(x)
    return x.transposed(tuple(reversed(range(x.rank))) if axes is None else tuple(a % x.rank for a in axes))


def moveaxis(b: Builder, x: Value, source: Any, destination: Any) -> Value:  # noqa: D103
    given = [[a] if isinstance(a, int) else list(a) for a in (source, destination)]
    sources, places = ([int(a) % x.rank for a in axes] for axes in given)
    order = [a for a in range(x.rank) if a not in sources]
    for place, a in sorted(zip(places, sources, strict=True)):
        order.insert(place, a)
    return transpose(b, x, order)


def swapaxes(b: Builder, x: Value, axis1: int, axis2: int) -> Value:  # noqa: D103
    order = list(range(x.rank))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(b, x, order)


def squeeze(b: Builder, x: Value, axis: Any = None) -> Value:  # noqa: D103
    x = b.plain(x)
    axes = tuple(a for a, n in enumerate(x.shape) if n == 1) if axis is None else normal_axes(axis, x.rank)
    shape = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return b.made("Squeeze", [x, b.integers(x.places(axes))], shape, without_axes(x.order, axes), x.dtype)


def expand_dims(b: Builder, x: Value, axis: Any) -> Value:  # noqa: D103
    count = 1 if isinstance(axis, int) else len(axis)
    for a in normal_axes(axis, x.rank + count):
        x = b.with_rank(x, x.rank + 1, a)
    return x


def broadcast_to(b: Builder, x: Value, shape: Any) -> Value:  # noqa: D103
    sizes = tuple(int(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    return b.made("Expand", [b.ordered(x), b.integers(sizes)], sizes, None, x.dtype)


# Several values


def _values(b: Builder, xs: Sequence[Any]) -> list[Any]:
    """Values and arrays of one type: integers stay integers where all are of the same type."""
    kinds = {x.dtype if isinstance(x, Value) else np.asarray(x).dtype.name for x in xs}
    if len(kinds) == 1 and kinds != {"float32"} and all(isinstance(x, Value) for x in xs):
        return [b.plain(x) for x in xs]
    return [b.plain(b.floats(x)) if isinstance(x, Value) else to_float32(x) for x in xs]


def concatenate(b: Builder, xs: Sequence[Any], axis: int = 0) -> Value:
    """Values, and constants among them, joined along an axis."""
    given = _values(b, xs)
    order = common_order([x for x in given if isinstance(x, Value)])
    (a,) = normal_axes(axis, len(order))
    sizes = [x.shape[a] for x in given]
    shape = list(next(x for x in given if isinstance(x, Value)).shape)
    shape[a] = None if None in sizes else sum(n or 0 for n in sizes)
    parts: list[Any] = [b.ordered(x, order) if isinstance(x, Value) else b.constant(x.transpose(order)) for x in given]
    kind = next(x.dtype for x in given if isinstance(x, Value))
    return b.made("Concat", parts, tuple(shape), order, kind, axis=order.index(a))


def stack(b: Builder, x: Sequence[Any], axis: int = 0) -> Value:
    """Values side by side along a new axis."""
    parts = [expand_dims(b, part, axis) if isinstance(part, Value) else np.expand_dims(part, axis) for part in x]
    return concatenate(b, parts, axis)


def hstack(b: Builder, xs: Sequence[Any]) -> Value:  # noqa: D103
    return concatenate(b, xs, 0 if len(xs[0].shape) == 1 else 1)


# Parts


def sliced(b: Builder, x: Value, bounds: Sequence[tuple[int, int | None, int | None, int]]) -> Value:
    """Parts along some axes: (axis, begin, end, step) each; None as an end is as far as it goes."""
    x = b.plain(x)
    bounds = [part for part in bounds if part[1:] != (0, None, 1)]
    if not bounds:
        return x
    shape = list(x.shape)
    for axis, begin, end, step in bounds:
        size = shape[axis]
        shape[axis] = None if size is None else len(range(*slice(begin, end, step).indices(size)))
    far = [(-_END if step < 0 else _END) if end is None else end for _, _, end, step in bounds]
    begins = [(_END if step < 0 else 0) if begin is None else begin for _, begin, _, step in bounds]
    inputs: list[list[int]] = [begins, far, [x.place(axis) for axis, *_ in bounds], [step for *_, step in bounds]]
    return b.made("Slice", [x, *(b.integers(i) for i in inputs)], tuple(shape), x.order, x.dtype)


def index(b: Builder, x: Value, key: Any) -> Value:
    """`x[key]` with integers, slices, `...`, None, and one vector of positions."""
    parts = list(key) if isinstance(key, tuple) else [key]
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if Ellipsis not in [p for p in parts if p is None or isinstance(p, type(Ellipsis))]:
        parts.append(Ellipsis)
    at = next(i for i, part in enumerate(parts) if part is Ellipsis)
    parts[at : at + 1] = [slice(None)] * (x.rank - used)
    bounds: list[tuple[int, int | None, int | None, int]] = []
    gone: list[int] = []
    added: list[int] = []
    taken: list[tuple[int, Any]] = []
    axis = 0
    for part in parts:
        if part is None:
            added.append(axis - len(gone) + len(added))
            continue
        if isinstance(part, slice):
            step = 1 if part.step is None else int(part.step)
            begin = 0 if part.start is None and step > 0 else part.start
            bounds.append((axis, begin, part.stop, step))
        elif isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            bounds.append((axis, int(part), None if part == -1 else int(part) + 1, 1))
            gone.append(axis)
        else:
            positions = np.asarray(part)
            if positions.ndim != 1 or positions.dtype.kind not in "iu" or taken:
                raise ValueError(f"index: {part!r} cannot be written as ONNX")
            taken.append((axis, positions))
        axis += 1
    y = sliced(b, x, bounds)
    for place, positions in taken:
        y = take(b, y, positions, place)
    y = squeeze(b, y, tuple(gone)) if gone else y
    return expand_dims(b, y, added) if added else y


def take(b: Builder, x: Any, indices: Any, axis: int | None = None) -> Value:
    """Elements at positions along an axis; the positions, or what they are taken from, may be computed."""
    if isinstance(indices, Value):
        return _looked_up(b, x, indices, axis)
    if axis is None:
        x, axis = b.made("Reshape", [b.ordered(x), b.integers([-1])], (None,), None, x.dtype), 0
    positions = np.asarray(indices)
    x = b.plain(x) if positions.ndim == 1 else b.ordered(x)
    (a,) = normal_axes(axis, x.rank)
    size = x.shape[a]
    if size is not None:
        positions = np.where(positions < 0, positions + size, positions)
    shape = (*x.shape[:a], *positions.shape, *x.shape[a + 1 :])
    order = x.order if positions.ndim == 1 else plain_order(len(shape))
    inputs: list[Value | str] = [x, b.constant(positions.astype(np.int64))]
    return b.made("Gather", inputs, shape, order, x.dtype, axis=x.place(a))


def _looked_up(b: Builder, x: Any, indices: Value, axis: int | None) -> Value:
    """Elements of a table, which may be a weight, at positions that the graph computes."""
    known = x if isinstance(x, Value) else b.value(x) if _is_whole(x) else None
    table = b.ordered(known) if known is not None else b.weight(x, "table")
    shape, dtype = tuple(np.shape(x)), known.dtype if known is not None else "float32"
    if axis is None:
        shape = (None if None in shape else math.prod(n for n in shape if n is not None),)
        table, axis = b.made("Reshape", [table, b.integers([-1])], shape, None, dtype), 0
    (a,) = normal_axes(axis, len(shape))
    positions = b.ordered(indices)
    if positions.dtype != "int64":
        positions = b.like("Cast", positions, dtype="int64", to=b.onnx.TensorProto.INT64)
    return b.made("Gather", [table, positions], (*shape[:a], *indices.shape, *shape[a + 1 :]), None, dtype, axis=a)


def _is_whole(x: Any) -> bool:
    """Whether a table holds integers or truth values, which stay what they are."""
    return isinstance(x, np.ndarray) and x.dtype.kind in "iub"


def split(b: Builder, x: Value, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    """Pieces along an axis."""
    x = b.plain(x)
    (a,) = normal_axes(axis, x.rank)
    size = x.shape[a]
    if size is None:
        raise ValueError(f"split: expects a fixed size along axis {axis}, got shape {x.shape}")
    if isinstance(indices_or_sections, (tuple, list, np.ndarray)):
        cuts = [0, *(int(n) for n in indices_or_sections), size]
        lengths = [len(range(size)[begin:end]) for begin, end in itertools.pairwise(cuts)]
        if sum(lengths) != size:
            raise ValueError(f"split: cuts {indices_or_sections} that overlap cannot be written as ONNX")
    else:
        lengths = [size // int(indices_or_sections)] * int(indices_or_sections)
    names = b.node("Split", [x, b.integers(lengths)], len(lengths), axis=x.place(a))
    shapes = [(*x.shape[:a], n, *x.shape[a + 1 :]) for n in lengths]
    return [replace(x, name=name, shape=shape) for name, shape in zip(names, shapes, strict=True)]


def unstack(b: Builder, x: Value, num: int | None = None, axis: int = 0) -> list[Value]:  # noqa: D103
    size = x.shape[axis]
    return [squeeze(b, part, axis) for part in split(b, x, int(size or 0), axis)]


def flip(b: Builder, x: Value, axis: Any = None) -> Value:  # noqa: D103
    return sliced(b, x, [(a, None, None, -1) for a in normal_axes(axis, x.rank)])


def roll(b: Builder, x: Value, shift: Any, axis: Any = None) -> Value:
    """The end of an axis moved to its beginning."""
    if axis is None:
        raise ValueError("roll: axis=None cannot be written as ONNX")
    shifts, axes = ([n] if isinstance(n, int) else list(n) for n in (shift, axis))
    for n, a in zip(shifts, axes, strict=True):
        size = x.shape[a]
        if size is None:
            raise ValueError(f"roll: expects a fixed size along axis {a}, got shape {x.shape}")
        if n % size:
            (place,), cut = normal_axes(a, x.rank), size - n % size
            x = concatenate(b, [sliced(b, x, [(place, cut, None, 1)]), sliced(b, x, [(place, 0, cut, 1)])], place)
    return x


# Repeated and padded


def tile(b: Builder, x: Value, repeats: Any) -> Value:  # noqa: D103
    counts = [int(n) for n in repeats] if isinstance(repeats, (tuple, list)) else [int(repeats)]
    x = b.with_rank(b.plain(x), max(x.rank, len(counts)))
    counts = [1] * (x.rank - len(counts)) + counts
    shape = tuple(None if n is None else n * count for n, count in zip(x.shape, counts, strict=True))
    return b.made("Tile", [x, b.integers([counts[a] for a in x.order])], shape, x.order, x.dtype)


def repeat(b: Builder, x: Value, repeats: Any, axis: int | None = None) -> Value:  # noqa: D103
    if axis is None:
        raise ValueError("repeat: axis=None cannot be written as ONNX")
    (a,) = normal_axes(axis, x.rank)
    size = x.shape[a]
    if size is None:
        raise ValueError(f"repeat: expects a fixed size along axis {axis}, got shape {x.shape}")
    return take(b, x, np.repeat(np.arange(size), repeats), a)


def padded(b: Builder, x: Value, pairs: Sequence[Sequence[int]], mode: str = "constant", value: float = 0.0) -> Value:
    """A border of (before, after) elements along each of the model's axes."""
    x = b.plain(b.floats(x))
    if not any(n for pair in pairs for n in pair):
        return x
    if mode not in ("constant", "edge", "reflect"):
        raise ValueError(f"pad: mode {mode!r} cannot be written as ONNX")
    shape = tuple(None if n is None else n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True))
    widths = [pairs[a][0] for a in x.order] + [pairs[a][1] for a in x.order]
    fill = b.number(value) if mode == "constant" else None
    return b.made("Pad", [x, b.integers(widths), fill], shape, x.order, mode=mode)


def pad(b: Builder, x: Value, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Value:  # noqa: D103
    pairs = np.broadcast_to(np.asarray(pad_width), (x.rank, 2)).tolist()
    return padded(b, x, pairs, mode, 0.0 if constant_values is None else float(constant_values))


# Blocks of pixels


def depth_to_space(b: Builder, x: Value, block_size: int, data_format: str = "channels_last") -> Value:
    """Channels spread over blocks of pixels, the block's place before the channel as in the model."""
    first = data_format == "channels_first"
    x = b.channels_second(b.floats(x), 1 if first else -1)
    n, c, h, w = x.stored
    sizes = (n, None if c is None else c // block_size**2, *(None if s is None else s * block_size for s in (h, w)))
    return _blocks(b, "DepthToSpace", x, sizes, first, blocksize=int(block_size), mode="DCR")


def space_to_depth(b: Builder, x: Value, block_size: int, data_format: str = "channels_last") -> Value:
    """Blocks of pixels as channels."""
    first = data_format == "channels_first"
    x = b.channels_second(b.floats(x), 1 if first else -1)
    n, c, h, w = x.stored
    sizes = (n, None if c is None else c * block_size**2, *(None if s is None else s // block_size for s in (h, w)))
    return _blocks(b, "SpaceToDepth", x, sizes, first, blocksize=int(block_size))


def _blocks(b: Builder, kind: str, x: Value, stored: Shape, first: bool, **attributes: Any) -> Value:
    shape = stored if first else (stored[0], *stored[2:], stored[1])
    return b.made(kind, [x], shape, x.order, **attributes)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "broadcast_to": broadcast_to, "concatenate": concatenate, "depth_to_space": depth_to_space,
    "expand_dims": expand_dims, "flip": flip, "fliplr": lambda b, x: flip(b, x, 1),
    "flipud": lambda b, x: flip(b, x, 0),
    "get_item": index, "hstack": hstack, "index": index, "moveaxis": moveaxis, "pad": pad,
    "ravel": lambda b, x: reshape(b, x, (-1,)), "repeat": repeat, "reshape": reshape, "roll": roll,
    "space_to_depth": space_to_depth, "split": split, "squeeze": squeeze, "stack": stack, "swapaxes": swapaxes,
    "take": take, "tile": tile, "transpose": transpose, "unstack": unstack,
    "vstack": lambda b, xs: concatenate(b, [expand_dims(b, x, 0) if len(x.shape) == 1 else x for x in xs], 0),
}  # fmt: skip


# Layers


def _flatten(b: Builder, layer: Any, x: Value) -> Value:
    if layer.data_format == "channels_first" and x.rank > 1:
        x = moveaxis(b, x, 1, -1)
    return b.flattened(x)


def _reshape_layer(b: Builder, layer: Any, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    return replace(_reshaped(b, x, (0, *layer.target_shape), x.shape), shape=shape)


def _pad_pairs(layer: Any, pairs: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    none = (0, 0)
    return [none, none, *pairs] if layer.data_format == "channels_first" else [none, *pairs, none]


def _cropping(b: Builder, layer: Any, x: Value) -> Value:
    start = 2 if layer.data_format == "channels_first" else 1
    pairs = enumerate(layer.cropping, start)
    return sliced(b, x, [(a, before, -after if after else None, 1) for a, (before, after) in pairs])


def _repeat_vector(b: Builder, layer: Any, x: Value) -> Value:
    return tile(b, expand_dims(b, x, 1), (1, layer.n, 1))


LAYERS: dict[str, Callable[..., Any]] = {
    "Flatten": _flatten,
    "Reshape": _reshape_layer,
    "Permute": lambda b, layer, x: transpose(b, x, (0, *layer.dims)),
    "RepeatVector": _repeat_vector,
    "Concatenate": lambda b, layer, x: concatenate(b, x, layer.axis),
    **{f"ZeroPadding{n}D": lambda b, layer, x: padded(b, x, _pad_pairs(layer, layer.padding)) for n in (1, 2, 3)},
    **{f"Cropping{n}D": _cropping for n in (1, 2, 3)},
}
