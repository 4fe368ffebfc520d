"""Regions of images brought to one size, as detectors with two stages read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.indexing import as_integers
from cnnfast.ops.shaping import integers

_MOST_SAMPLES = 1 << 14  # along one axis of a region


def roi_align(
    images: ArrayLike,
    boxes: Any,
    batch_indices: Any,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    mode: str = "avg",
    half_pixel: bool = True,
) -> Any:
    """Regions of images as images of one size.

    K. He et al., "Mask R-CNN" (2017). Each region is divided into `output_size` bins, and each bin is read at some
    places by bilinear interpolation. The same as ONNX's RoiAlign, and for "avg" as torchvision's `roi_align`.

    Args:
        images: (N, H, W, C).
        boxes: (R, 4), as (x1, y1, x2, y2). They get no gradient.
        batch_indices: (R,), integers: which image each box is of.
        output_size: the result's height and width, or one number for both.
        spatial_scale: what the boxes' numbers are multiplied with to be pixels of `images`.
        sampling_ratio: how many places a bin is read at along each axis; 0 for as many as it has pixels.
        mode: "avg": a bin's mean. "max": the largest of the pixels that have a part, each times its weight.
        half_pixel: whether 0.5 is subtracted from the boxes' coordinates, so that whole numbers are pixels' edges. If
            not, boxes are at least one pixel wide and high.

    Returns:
        float32 (R, height, width, C).

    Raises:
        IndexError: a number of an image is out of range.
        TypeError: an argument is not made of real numbers, or `batch_indices` not of integers.
        ValueError: shapes do not fit, a box is not finite or beyond all measure, or an argument is out of range.

    Example:
        >>> images = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> roi_align(images, [[0.0, 0.0, 4.0, 4.0]], [0], 2).ravel()
        array([ 2.5,  4.5, 10.5, 12.5], dtype=float32)
    """
    op = "roi_align"
    x, corners = to_float32(images, op, "images"), to_float32(boxes, op, "boxes")
    numbers = as_integers(op, "batch_indices", batch_indices if np.size(batch_indices) else np.zeros(0, np.int64))
    size = integers(op, "output_size", output_size)
    size = size * 2 if len(size) == 1 else size
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(f"{op}: images expects (N, H, W, C) with pixels, got {x.shape}")
    if corners.ndim != 2 or corners.shape[1] != 4 or numbers.shape != corners.shape[:1]:
        raise ValueError(f"{op}: expects boxes (R, 4) and batch_indices (R,), got {corners.shape} and {numbers.shape}")
    if len(size) != 2 or min(size) < 1 or sampling_ratio < 0 or mode not in ("avg", "max"):
        raise ValueError(
            f"{op}: expects output_size from 1, sampling_ratio from 0 on and mode 'avg' or 'max', got "
            f"{output_size}, {sampling_ratio} and {mode!r}"
        )
    if ((numbers < 0) | (numbers >= len(x))).any():
        raise IndexError(f"{op}: batch_indices expects numbers from 0 to {len(x) - 1}, got {numbers.tolist()[:10]}")
    if not np.isfinite(corners).all():
        raise ValueError(f"{op}: boxes expects finite numbers")
    corners = corners * np.float32(spatial_scale) - np.float32(0.5 if half_pixel else 0)
    plans = [
        [
            _reads(op, corner[axis], corner[axis + 2], size[1 - axis], x.shape[2 - axis], sampling_ratio, half_pixel)
            for axis in (1, 0)
        ]
        for corner in corners
    ]
    y = np.zeros((len(corners), *size, x.shape[3]), np.float32)
    region = _mean_of if mode == "avg" else _largest_of
    for place, (rows, columns) in enumerate(plans):
        y[place] = region(x[numbers[place]], rows, columns, size)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.zeros_like(x)
        back = _mean_back if mode == "avg" else _largest_back
        for place, (rows, columns) in enumerate(plans):
            back(x[numbers[place]], rows, columns, size, dy[place], dx[numbers[place]])
        return (dx,)

    return record(op, y, (images,), vjp)


# Along one axis, for each place that is read: the pixels before and after, and their weights.
_Reads = tuple[Any, Any, Any, Any]


def _reads(op: str, start: float, end: float, bins: int, size: int, ratio: int, half_pixel: bool) -> _Reads:
    length = float(end) - float(start)
    if not half_pixel:
        length = max(length, 1.0)
    count = ratio if ratio > 0 else max(math.ceil(length / bins), 0)
    if count * bins > _MOST_SAMPLES:
        raise ValueError(f"{op}: a box of {length} pixels is read at {count} places for each of {bins} bins: too many")
    at = float(start) + (np.arange(bins * count) // max(count, 1)) * (length / bins)
    at = (at + (np.arange(bins * count) % max(count, 1) + 0.5) * (length / bins / max(count, 1))).astype(np.float32)
    inside = (at >= -1) & (at <= size)
    at = np.maximum(at, 0)
    before = np.minimum(at.astype(np.intp), size - 1)
    after = np.minimum(before + 1, size - 1)
    part = np.where(before >= size - 1, 0, at - before)
    return before, after, np.where(inside, 1 - part, 0).astype(np.float32), np.where(inside, part, 0).astype(np.float32)


def _matrix(reads: _Reads, bins: int) -> tuple[FloatArray, slice]:
    """What each bin's mean takes of each pixel, for the pixels that have a part."""
    before, after, near, far = reads
    if not len(before):
        return np.zeros((bins, 0), np.float32), slice(0, 0)
    first, last = int(before.min()), int(after.max()) + 1
    matrix = np.zeros((bins, last - first), np.float32)
    count = len(before) // bins
    row = np.arange(len(before)) // count
    np.add.at(matrix, (row, before - first), near / np.float32(count))
    np.add.at(matrix, (row, after - first), far / np.float32(count))
    return matrix, slice(first, last)


def _mean_of(image: FloatArray, rows: _Reads, columns: _Reads, size: Sequence[int]) -> FloatArray:
    (down, high), (across, wide) = _matrix(rows, size[0]), _matrix(columns, size[1])
    lines = np.tensordot(down, image[high, wide], (1, 0))  # (bins, W, C)
    mean: FloatArray = np.matmul(across, lines)
    return mean


def _mean_back(
    image: FloatArray, rows: _Reads, columns: _Reads, size: Sequence[int], dy: FloatArray, dx: FloatArray
) -> None:
    (down, high), (across, wide) = _matrix(rows, size[0]), _matrix(columns, size[1])
    dx[high, wide] += np.tensordot(down, np.matmul(across.T, dy), (0, 0))


def _corners(rows: _Reads, columns: _Reads, size: Sequence[int]) -> list[tuple[Any, Any, FloatArray]]:
    """The four pixels around each place: rows, columns and weights, each (bins down, bins across, places in a bin)."""
    found = []
    for i, p in ((rows[0], rows[2]), (rows[1], rows[3])):
        for j, q in ((columns[0], columns[2]), (columns[1], columns[3])):
            down, across = len(i) // size[0], len(j) // size[1]
            shape = (size[0], down, size[1], across)
            parts = [
                np.broadcast_to(a.reshape(size[0], down, 1, 1) if by_row else a.reshape(1, 1, size[1], across), shape)
                for a, by_row in ((i, True), (j, False), (p, True), (q, False))
            ]
            lined = [part.swapaxes(1, 2).reshape(*size, down * across) for part in parts]
            found.append((lined[0], lined[1], lined[2] * lined[3]))
    return found


def _candidates(image: FloatArray, rows: _Reads, columns: _Reads, size: Sequence[int]) -> tuple[Any, Any, Any, Any]:
    parts = _corners(rows, columns, size)
    i, j, w = (np.concatenate([part[k] for part in parts], axis=-1) for k in range(3))
    return i, j, w, image[i, j] * w[..., None]


def _largest_of(image: FloatArray, rows: _Reads, columns: _Reads, size: Sequence[int]) -> FloatArray:
    values = _candidates(image, rows, columns, size)[3]
    if not values.shape[2]:
        return np.zeros((*size, image.shape[-1]), np.float32)
    largest: FloatArray = values.max(axis=2)
    return largest


def _largest_back(
    image: FloatArray, rows: _Reads, columns: _Reads, size: Sequence[int], dy: FloatArray, dx: FloatArray
) -> None:
    i, j, w, values = _candidates(image, rows, columns, size)
    if not values.shape[2]:
        return
    winner = values.argmax(axis=2)  # (bins down, bins across, C)
    i, j, w = (np.take_along_axis(a, winner, axis=2) for a in (i, j, w))
    np.add.at(dx, (i, j, np.arange(image.shape[-1])), dy * w)
