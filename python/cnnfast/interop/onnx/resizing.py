"""Resize and Upsample.

Every axis is resized for itself: a nearest neighbour is chosen by number, and an interpolation is a product with a
matrix that holds the filter's weights. Whole factors, which need no sizes to be known, have layers of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.onnx.budget import assumed, checked_size, checked_tensor
from cnnfast.interop.onnx.calls import Call, operator
from cnnfast.interop.onnx.folding import OpenSize
from cnnfast.interop.onnx.tensors import Array

_NEAREST: dict[int, Any] = {1: layers.UpSampling1D, 2: layers.UpSampling2D, 3: layers.UpSampling3D}


class _Way(NamedTuple):
    """How values are found between the given ones."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    exclude_outside: bool
    antialias: bool
    extrapolation: float


class _Axis(NamedTuple):
    """One axis: its size before (None where open) and after, the factor, and the region for crops."""

    old: int | None
    new: int | None
    scale: float
    region: tuple[float, float]


@operator("Upsample")
def _upsample(call: Call) -> Any:
    value = call.tensor(0).apart()
    scales = call.weight(1).ravel().tolist() if call.has(1) else call.attribute("scales")
    if scales is None:
        raise call.unsupported("scales are missing")
    mode = call.attribute("mode", "nearest")
    return _resized(call, value, _scaled(call, value, scales), _old_way(mode))


def _old_way(mode: str) -> _Way:
    return _Way(mode, "asymmetric", "floor", -0.75, False, False, 0.0)


@operator("Resize")
def _resize(call: Call) -> Any:
    value = call.tensor(0).apart()
    if call.opset < 11:
        scales = call.weight(1).ravel().tolist()
        return _resized(call, value, _scaled(call, value, scales), _old_way(call.attribute("mode", "nearest")))
    way = _Way(
        call.attribute("mode", "nearest"),
        call.attribute("coordinate_transformation_mode", "half_pixel"),
        call.attribute("nearest_mode", "round_prefer_floor"),
        float(call.attribute("cubic_coeff_a", -0.75)),
        bool(call.attribute("exclude_outside", 0)),
        bool(call.attribute("antialias", 0)),
        float(call.attribute("extrapolation_value", 0.0)),
    )
    chosen = [value.axis(axis) for axis in call.attribute("axes", range(value.ndim))]
    regions = [(0.0, 1.0)] * value.ndim
    if way.coordinates == "tf_crop_and_resize":
        roi = call.weight(1).ravel().tolist()
        for place, axis in enumerate(chosen):
            regions[axis] = roi[place], roi[place + len(chosen)]
    if call.has(2) and np.size(call.given(2)):
        scales = [1.0] * value.ndim
        for axis, scale in zip(chosen, call.weight(2).ravel().tolist(), strict=True):
            scales[axis] = scale
        return _resized(call, value, _scaled(call, value, scales, regions), way)
    return _resized(call, value, _sized(call, value, chosen, regions), way)


def _scaled(
    call: Call, value: Arranged, scales: Sequence[float], regions: Sequence[tuple[float, float]] | None = None
) -> list[_Axis]:
    if len(scales) != value.ndim or not all(0 < s < 1e6 for s in scales):
        raise ValueError(f"{call}: a positive factor for each axis of {value.shape} is expected, got {scales}")
    regions = regions or [(0.0, 1.0)] * value.ndim
    # In the file's precision, as other runtimes do: 20 * 0.7 is 14, not a little less.
    return [
        _Axis(old, None if old is None else math.floor(np.float32(old) * np.float32(scale)), scale, region)
        for old, scale, region in zip(value.shape, scales, regions, strict=True)
    ]


def _sized(call: Call, value: Arranged, chosen: list[int], regions: Sequence[tuple[float, float]]) -> list[_Axis]:
    if not call.is_constant(3):
        call.constant(3)
    given: dict[int, Any] = dict(zip(chosen, call.given(3).ravel(), strict=True))
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        whole = {axis: int(n) for axis, n in zip(chosen, call.integers(3), strict=True)}
        ratios = [whole[axis] / _fixed(call, value, axis) for axis in chosen]
        scale = min(ratios) if policy == "not_larger" else max(ratios)
        sizes = {axis: math.floor(scale * _fixed(call, value, axis) + 0.5) for axis in chosen}
        return [_axis_to(call, value, axis, sizes.get(axis), regions[axis], scale) for axis in range(value.ndim)]
    return [_axis_to(call, value, axis, given.get(axis), regions[axis]) for axis in range(value.ndim)]


def _axis_to(
    call: Call, value: Arranged, axis: int, new: Any, region: tuple[float, float], scale: float | None = None
) -> _Axis:
    old = value.shape[axis]
    if new is None or (isinstance(new, OpenSize) and old is None and new.axis == axis):
        return _Axis(old, old, 1.0, region)
    if isinstance(new, OpenSize):
        raise call.unsupported("an open size as the new one; give input_shapes that fix it")
    size = _fixed(call, value, axis)
    return _Axis(size, int(new), int(new) / size if scale is None else scale, region)


def _fixed(call: Call, value: Arranged, axis: int) -> int:
    size = value.shape[axis]
    if size is None:
        raise call.unsupported("sizes for an open axis; give input_shapes that fix it")
    return size


def _resized(call: Call, value: Arranged, axes: list[_Axis], way: _Way) -> Arranged:
    if way.mode not in ("nearest", "linear", "cubic"):
        raise call.unsupported(f"mode={way.mode!r} is not supported")
    olds = assumed([None] * len(axes))
    checked_tensor(call, [math.ceil(n * a.scale) if a.new is None else a.new for n, a in zip(olds, axes, strict=True)])
    factors = [round(a.scale) for a in axes]
    whole = factors[:2] == [1, 1] and all(a.scale == f for a, f in zip(axes, factors, strict=True))
    rank = value.ndim - 2
    if max(factors) == 1 and whole and way.coordinates != "tf_crop_and_resize":
        return value
    if whole and rank in _NEAREST and _repeats(way):
        layer = _NEAREST[rank](factors[2] if rank == 1 else factors[2:], name=call.name)
        return from_channels_last(layer(value.channels_last()))
    if whole and rank in _NEAREST and _interpolates(way, rank):
        return from_channels_last(ops.upsample(value.channels_last(), factors[2:], "bilinear"))
    x = value.tensor
    for axis, sizes in enumerate(axes):
        if sizes.scale == 1.0 and way.coordinates != "tf_crop_and_resize":
            continue
        if sizes.old is None or sizes.new is None:
            raise call.unsupported(f"{way.mode} by {sizes.scale} of an open size; give input_shapes that fix it")
        if sizes.old == 0 or sizes.new < 1:
            raise ValueError(f"{call}: a size of {sizes.old} cannot become {sizes.new}")
        x = _along(call, x, value.place(axis), sizes, way)
    return value.like(x)


def _repeats(way: _Way) -> bool:
    """Whether a nearest neighbour at a whole factor is every value repeated."""
    return way.mode == "nearest" and (
        (way.coordinates == "asymmetric" and way.nearest == "floor")
        or (way.coordinates.endswith("half_pixel") and way.nearest.startswith("round_prefer"))
        or (way.coordinates == "tf_half_pixel_for_nn" and way.nearest == "floor")
    )


def _interpolates(way: _Way, rank: int) -> bool:
    return way.mode == "linear" and way.coordinates in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")


def _coordinates(sizes: _Axis, way: _Way, call: Call) -> Array:
    """Where the new values lie among the old ones."""
    assert sizes.old is not None
    assert sizes.new is not None
    old, new, scale, kind = sizes.old, sizes.new, sizes.scale, way.coordinates
    x = np.arange(new, dtype=np.float64)
    if kind == "asymmetric":
        return x / scale
    if kind == "half_pixel" or (kind == "pytorch_half_pixel" and new > 1):
        return (x + 0.5) / scale - 0.5
    if kind == "pytorch_half_pixel":
        return np.zeros(1)
    if kind == "half_pixel_symmetric":
        return old / 2 * (1 - new / (old * scale)) + (x + 0.5) / scale - 0.5
    if kind == "align_corners":
        length = old * scale
        return x * ((old - 1) / (length - 1)) if length != 1 else x * 0
    if kind == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    if kind == "tf_crop_and_resize":
        start, end = sizes.region
        if new == 1:
            return np.array([0.5 * (start + end) * (old - 1)])
        return start * (old - 1) + x * (end - start) * (old - 1) / (new - 1)
    raise call.unsupported(f"coordinate_transformation_mode={kind!r} is not supported")


def _along(call: Call, x: Any, place: int, sizes: _Axis, way: _Way) -> Any:
    """One axis of a tensor resized."""
    assert sizes.old is not None
    places = _coordinates(sizes, way, call)
    if way.mode == "nearest":
        ways: dict[str, Any] = {
            "round_prefer_floor": lambda c: np.ceil(c - 0.5),
            "round_prefer_ceil": lambda c: np.floor(c + 0.5),
            "floor": np.floor,
            "ceil": np.ceil,
        }
        if way.nearest not in ways:
            raise call.unsupported(f"nearest_mode={way.nearest!r} is not supported")
        # Scales are rounded to float32: 3 / 0.6 is meant to be the fifth value, not a little before it.
        near = np.round(places * 2) / 2
        places = np.where(np.abs(places - near) <= 2.5e-7 * (1 + np.abs(places)), near, places)
        y = ops.take(x, np.clip(ways[way.nearest](places), 0, sizes.old - 1).astype(np.int64), axis=place)
    else:
        checked_size(call, (len(places), sizes.old), 8)
        matrix = _matrix(places, sizes.old, sizes.scale, way)
        y = ops.moveaxis(ops.matmul(ops.moveaxis(x, place, -1), matrix.T), -1, place)
    if way.coordinates != "tf_crop_and_resize":
        return y
    outside = ((places < 0) | (places > sizes.old - 1)).reshape([-1, *[1] * (x.ndim - 1 - place)])
    return ops.where(outside, way.extrapolation, y) if outside.any() else y


def _matrix(places: Array, old: int, scale: float, way: _Way) -> Array:
    """What every new value takes of every old one; places outside count as the outermost."""
    stretch = 1 / min(scale, 1.0) if way.antialias else 1.0
    radius = (1 if way.mode == "linear" else 2) * stretch
    first = np.floor(places)
    taps = first[:, None] + np.arange(math.floor(-radius) + 1, math.ceil(radius) + 1)
    weights = _filter((taps - places[:, None]) / stretch, way)
    inside = (taps >= 0) & (taps < old)
    if way.exclude_outside:
        weights = np.where(inside, weights, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total == 0, 1.0, total)
    matrix = np.zeros((len(places), old))
    rows = np.broadcast_to(np.arange(len(places))[:, None], taps.shape)
    np.add.at(matrix, (rows, np.clip(taps, 0, old - 1).astype(np.int64)), weights)
    return matrix.astype(np.float32)


def _filter(distance: Array, way: _Way) -> Array:
    d = np.abs(distance)
    if way.mode == "linear":
        return np.maximum(1 - d, 0)
    a = way.cubic
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
