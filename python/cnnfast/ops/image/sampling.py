"""Images read at places that another array holds, and the gradients to both."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32

_Indices = npt.NDArray[np.intp]

INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")
_CUBIC = -0.75  # what the cubic filter is given between one and two pixels away
_FAR = np.float32(1 << 24)


class _Tap(NamedTuple):
    """Pixels along one axis: their positions, weights, and how these change with the grid's coordinate."""

    positions: _Indices
    weights: FloatArray
    slopes: FloatArray


def grid_sample(
    images: ArrayLike,
    grid: ArrayLike,
    interpolation: str = "bilinear",
    padding: str = "zeros",
    align_corners: bool = False,
) -> Any:
    """Images, or volumes, read at the places that a grid names, as spatial transformers do.

    M. Jaderberg et al., "Spatial Transformer Networks" (2015); the same as ONNX's GridSample and as
    PyTorch's `grid_sample`.

    Args:
        images: (N, [D,] H, W, C).
        grid: (N, [D',] H', W', 2 or 3): where each pixel of the result is read, as (x, y) or (x, y, z); -1 and 1 are
            the two ends of the image.
        interpolation: "bilinear" (in volumes trilinear), "nearest" (halves go to the even pixel) or "bicubic".
        padding: what is read outside: "zeros", "border" (the outermost pixel) or "reflection" (the image mirrored).
        align_corners: whether -1 and 1 are the middles of the outermost pixels, rather than their outer edges.

    Returns:
        float32 (N, [D',] H', W', C). A gradient to the grid is zero for "nearest".

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: shapes do not fit, the images have no pixels, or an argument is none of these values.

    Example:
        >>> images = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
        >>> grid_sample(images, np.zeros((1, 1, 1, 2))).ravel()
        array([1.5], dtype=float32)
    """
    op = "grid_sample"
    for name, value, known in (("interpolation", interpolation, INTERPOLATIONS), ("padding", padding, PADDINGS)):
        if value not in known:
            raise ValueError(f"{op}: {name} expects one of {', '.join(known)}, got {value!r}")
    x, places = to_float32(images, op, "images"), to_float32(grid, op, "grid")
    rank = x.ndim - 2
    if rank not in (2, 3) or places.ndim != x.ndim or places.shape[-1] != rank or len(places) != len(x):
        raise ValueError(
            f"{op}: expects images (N, [D,] H, W, C) and grid (N, [D',] H', W', 2 or 3), got {x.shape} and "
            f"{places.shape}"
        )
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{op}: images of shape {x.shape} have no pixels")
    sizes, channels = x.shape[1:-1], x.shape[-1]
    # The grid's last coordinate is that of the images' first axis.
    axes = [
        _taps(places[..., rank - 1 - axis], size, interpolation, padding, align_corners)
        for axis, size in enumerate(sizes)
    ]
    flat = x.reshape(-1, channels)
    image = (np.arange(len(x)) * math.prod(sizes)).reshape(-1, *[1] * rank)
    y = np.zeros((*places.shape[:-1], channels), np.float32)
    for positions, weights, _ in _products(axes, sizes):
        y += flat[image + positions] * weights[..., None]

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.zeros_like(flat) if needs[0] else None
        dg = np.zeros(places.shape, np.float32) if needs[1] else None
        for positions, weights, slopes in _products(axes, sizes):
            if dx is not None:
                np.add.at(dx, image + positions, dy * weights[..., None])
            if dg is not None:
                along = np.einsum("...c,...c->...", dy, flat[image + positions])
                for axis, slope in enumerate(slopes):
                    dg[..., rank - 1 - axis] += along * slope
        return None if dx is None else dx.reshape(x.shape), dg

    return record(op, y, (images, grid), vjp)


def _products(axes: list[list[_Tap]], sizes: Sequence[int]) -> Iterator[tuple[_Indices, FloatArray, list[FloatArray]]]:
    """All pixels that have a part: their positions in an image, weights, and the weights' slopes along each axis."""
    for taps in itertools.product(*axes):
        positions: Any = 0
        for tap, size in zip(taps, sizes, strict=True):
            positions = positions * size + tap.positions
        weights = math.prod((tap.weights for tap in taps), start=np.float32(1))
        slopes = [
            math.prod((t.weights for other, t in enumerate(taps) if other != axis), start=tap.slopes)
            for axis, tap in enumerate(taps)
        ]
        yield positions, weights, slopes


def _taps(at: FloatArray, size: int, interpolation: str, padding: str, align_corners: bool) -> list[_Tap]:
    """The pixels along an axis that have a part in what is read at coordinates."""
    factor = np.float32((size - 1) / 2 if align_corners else size / 2)
    x = (at + 1) * factor - (np.float32(0) if align_corners else np.float32(0.5))
    x = np.nan_to_num(np.clip(x, -_FAR, _FAR), nan=-_FAR)
    low, high = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
    if interpolation == "nearest":
        return [_tap(np.rint(x), np.ones_like(x), np.zeros_like(x), size, padding, low, high)]
    slope = np.full(x.shape, factor)
    first = np.floor(x)
    t = x - first
    if interpolation == "bilinear":
        parts = [(0, 1 - t, -slope), (1, t, slope)]
    else:
        parts = [(place, *_cubic(t - place, slope)) for place in range(-1, 3)]
    return [_tap(first + place, w, s, size, padding, low, high) for place, w, s in parts]


def _cubic(distance: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """R. Keys's filter (1981) at a signed distance, and its slope."""
    d, a = np.abs(distance), np.float32(_CUBIC)
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    near_slope, far_slope = (3 * (a + 2) * d - 2 * (a + 3)) * d, (3 * a * d - 10 * a) * d + 8 * a
    inner = d <= 1
    return np.where(inner, near, far), np.where(inner, near_slope, far_slope) * np.sign(distance) * slope


def _mirrored(x: FloatArray, low: float, high: float) -> FloatArray:
    """Coordinates mirrored at both ends until they are inside."""
    length = high - low
    if length == 0:
        return np.full_like(x, low)
    distance = np.mod(x - np.float32(low), np.float32(2 * length))
    return np.float32(low) + np.minimum(distance, np.float32(2 * length) - distance)


def _tap(
    at: FloatArray, weights: FloatArray, slopes: FloatArray, size: int, padding: str, low: float, high: float
) -> _Tap:
    """Pixels at whole coordinates, those outside as the padding has them."""
    if padding == "zeros":
        inside = (at >= 0) & (at <= size - 1)
        weights, slopes = np.where(inside, weights, 0), np.where(inside, slopes, 0)
    elif padding == "reflection":
        at = np.where((at < low) | (at > high), _mirrored(at, low, high), at)
    positions = np.clip(np.rint(at), 0, size - 1).astype(np.intp)
    return _Tap(positions, weights.astype(np.float32, copy=False), slopes.astype(np.float32, copy=False))
