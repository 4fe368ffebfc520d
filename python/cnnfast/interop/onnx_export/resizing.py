"""Images enlarged, shrunk and cut to a size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.convolutions import per_axis
from cnnfast.interop.onnx_export.shaping import padded, sliced, take
from cnnfast.interop.onnx_export.values import Value
from cnnfast.ops.image.filters import taps
from cnnfast.symbolic import Shape

# How runtimes interpolate as the library does: pixels are areas, weights outside the image are left out.
_MODES: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "bicubic": {
        "mode": "cubic",
        "coordinate_transformation_mode": "half_pixel",
        "cubic_coeff_a": -0.5,
        "exclude_outside": 1,
    },
}
_REPEATED = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def upsampled(b: Builder, x: Value, size: Any, interpolation: str = "nearest", channels_first: bool = False) -> Value:
    """Images enlarged by whole factors."""
    rank = x.rank - 2
    factors = per_axis(size, rank)
    axes = _spatial(x.rank, channels_first)
    shape = _with_sizes(x.shape, axes, [None if x.shape[a] is None else (x.shape[a] or 0) * f
                                        for a, f in zip(axes, factors, strict=True)])  # fmt: skip
    if interpolation not in (*_MODES, "nearest"):
        return _filtered(b, x, axes, [n or 0 for n in shape], interpolation, False)
    x = b.channels_second(b.floats(x), 1 if channels_first else -1)
    scales = b.constant(np.array([1, 1, *factors], np.float32))
    attributes = _REPEATED if interpolation == "nearest" or max(factors) == 1 else _MODES[interpolation]
    return b.made("Resize", [x, None, scales], shape, x.order, **attributes)


def resized(
    b: Builder, images: Value, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, data_format: str | None = None,
) -> Value:  # fmt: skip
    """Images in another size, perhaps cut or framed first."""
    x, first = b.floats(images), data_format == "channels_first"
    if x.rank != 4:
        raise ValueError(f"resize expects a batch of images, got shape {x.shape}")
    axes = _spatial(x.rank, first)
    target = [int(n) for n in size]
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        x = _in_proportion(b, x, axes, target, fill_value if pad_to_aspect_ratio else None)
    sizes = [x.shape[a] for a in axes]
    shape = _with_sizes(x.shape, axes, target)
    shrinks = any(n is None or n > new for n, new in zip(sizes, target, strict=True))
    if interpolation == "nearest" and None not in sizes:
        for a, new in zip(axes, target, strict=True):
            positions = taps(x.shape[a] or 0, new, "nearest", False).positions[:, 0]
            x = x if new == x.shape[a] else take(b, x, positions, a)
        return x
    # Some runtimes shrink by cubic filters only where the channels come second, and move transpositions themselves.
    as_matrix = shrinks and (antialias or (interpolation == "bicubic" and None not in sizes))
    if interpolation == "nearest" or (interpolation in _MODES and not as_matrix):
        x = b.channels_second(x, 1 if first else -1)
        nearest = {
            "mode": "nearest",
            "coordinate_transformation_mode": "half_pixel",
            "nearest_mode": "round_prefer_ceil",
        }
        (whole,) = b.node("Concat", [b.shape_of(x, slice(0, 2)), b.integers(target)], axis=0)
        return b.made("Resize", [x, None, None, whole], shape, x.order, **_MODES.get(interpolation, nearest))
    return _filtered(b, x, axes, [n or 0 for n in shape], interpolation, antialias)


def _spatial(rank: int, channels_first: bool) -> list[int]:
    """The axes behind the batch that are not the channels."""
    return list(range(2, rank)) if channels_first else list(range(1, rank - 1))


def _with_sizes(shape: Shape, axes: Sequence[int], sizes: Sequence[int | None]) -> Shape:
    new = dict(zip(axes, sizes, strict=True))
    return tuple(new.get(a, n) for a, n in enumerate(shape))


def _filtered(b: Builder, x: Value, axes: Sequence[int], sizes: Sequence[int], filter: str, antialias: bool) -> Value:
    """Filters that runtimes do not have, as a product with a matrix for each axis.

    Raises:
        ValueError: a size is open.
    """
    for axis in axes:
        old, new = x.shape[axis], sizes[axis]
        if old is None:
            raise ValueError(
                f"interpolation {filter!r} (antialias={antialias}) expects fixed sizes, got shape {x.shape}"
            )
        if old == new:
            continue
        matrix = taps(old, new, filter, antialias).matrix(old)
        x = b.ordered(x, (*(a for a in x.order if a != axis), axis))
        shape = _with_sizes(x.shape, [axis], [new])
        x = b.made("MatMul", [x, b.constant(matrix.T.copy(), "filter")], shape, x.order)
    return x


def _in_proportion(b: Builder, x: Value, axes: Sequence[int], target: Sequence[int], fill: float | None) -> Value:
    """The largest part with the target's proportions, or with `fill` the image in a frame that has them."""
    height, width = (x.shape[a] for a in axes)
    if height is None or width is None:
        raise ValueError(f"resizing in proportion expects fixed sizes, got shape {x.shape}")
    wanted = width * target[0] // target[1], height * target[1] // target[0]
    if fill is not None:
        pairs = [[0, 0] for _ in range(x.rank)]
        for a, n, new in zip(axes, (height, width), wanted, strict=True):
            pairs[a] = [(max(n, new) - n) // 2] * 2
        return padded(b, x, pairs, value=fill)
    sizes = [max(min(n, new), 1) for n, new in zip((height, width), wanted, strict=True)]
    return _middle(b, x, axes, sizes)


def _middle(b: Builder, x: Value, axes: Sequence[int], sizes: Sequence[int]) -> Value:
    bounds = []
    for a, new in zip(axes, sizes, strict=True):
        begin = ((x.shape[a] or 0) - new) // 2
        bounds.append((a, begin, begin + new, 1))
    return sliced(b, x, bounds)


def _center_crop(b: Builder, layer: Any, x: Value) -> Value:
    axes = _spatial(x.rank, layer.data_format == "channels_first")
    target = [layer.height, layer.width]
    sizes = [x.shape[a] for a in axes]
    if None in sizes:
        raise ValueError(f"expects images of fixed size, got shape {x.shape}")
    if any((n or 0) < new for n, new in zip(sizes, target, strict=True)):
        return resized(b, x, target, crop_to_aspect_ratio=True, data_format=layer.data_format)
    return _middle(b, x, axes, target)


def _resizing(b: Builder, layer: Any, x: Value) -> Value:
    return resized(
        b, x, (layer.height, layer.width), layer.interpolation, layer.antialias, layer.crop_to_aspect_ratio,
        layer.pad_to_aspect_ratio, fill_value=layer.fill_value, data_format=layer.data_format,
    )  # fmt: skip


def _upsampling(b: Builder, layer: Any, x: Value) -> Value:
    return upsampled(b, x, layer.size, layer.interpolation, layer.data_format == "channels_first")


OPERATIONS: dict[str, Callable[..., Any]] = {"upsample": upsampled, "image.resize": resized}

LAYERS: dict[str, Callable[..., Any]] = {
    **{f"UpSampling{n}D": _upsampling for n in (1, 2, 3)},
    "Resizing": _resizing,
    "CenterCrop": _center_crop,
    "RandomCrop": lambda b, layer, x: resized(
        b, x, (layer.height, layer.width), crop_to_aspect_ratio=True, data_format=layer.data_format
    ),
}
