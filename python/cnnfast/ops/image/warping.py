"""Images read at computed places: moved, turned, stretched; and the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.dtypes import real_array
from cnnfast.ops.image.frames import spatial_axes
from cnnfast.ops.math import quiet
from cnnfast.ops.shaping import moveaxis

_Indices = npt.NDArray[np.signedinteger[Any]]

_PIXELS_AT_A_TIME = 1 << 16  # so that what is read, weighed and added up stays in the cache
_FAR = np.float32(1 << 24)


def _mirrored(i: _Indices, size: int) -> _Indices:
    """... 2 1 | 0 1 2 | 1 0 ...: the outermost pixel is not repeated."""
    if size == 1:
        return np.zeros_like(i)
    last = size - 1
    return np.abs((i + last) % (2 * last) - last)


def _reflected(i: _Indices, size: int) -> _Indices:
    """... 1 0 | 0 1 2 | 2 1 ...: the outermost pixel is repeated."""
    if i.size and (i.min() < -size or i.max() >= 2 * size):  # rarely so far outside; a remainder takes its time
        i = i % (2 * size)
    i = np.maximum(i, -1 - i)
    return np.minimum(i, 2 * size - 1 - i)


# What an index outside the image stands for.
FILL_MODES: dict[str, Callable[[_Indices, int], _Indices]] = {
    "constant": lambda i, size: np.clip(i, -1, size),  # the pixels around the image hold the constant
    "nearest": lambda i, size: np.clip(i, 0, size - 1),
    "wrap": lambda i, size: i % size,
    "mirror": _mirrored,
    "reflect": _reflected,
}


def affine_transform(
    images: ArrayLike,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Images moved, turned, stretched or seen from aside.

    Args:
        images: (H, W, C) or (N, H, W, C); (C, H, W) or (N, C, H, W) with "channels_first".
        transform: (8,) or (N, 8): where pixel (x, y) of the result is read. With [a0, a1, a2, b0, b1, b2, c0, c1] it is
            ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with k = c0 x + c1 y + 1. It gets no gradient.
        interpolation: "bilinear" or "nearest".
        fill_mode: what is read outside: "constant", "nearest" (the outermost pixel), "wrap" (the image again),
            "reflect" (the image mirrored) or "mirror" (mirrored, the outermost pixel not repeated).
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: a shape does not fit, or an argument is none of these values.

    Example:
        >>> affine_transform(np.array([[1.0, 2.0, 3.0]]).reshape(1, 3, 1), [1, 0, 1, 0, 1, 0, 0, 0]).ravel()
        array([2., 3., 0.], dtype=float32)
    """
    op = "affine_transform"
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(f"{op}: interpolation expects 'bilinear' or 'nearest', got {interpolation!r}")
    if fill_mode not in FILL_MODES:
        raise ValueError(f"{op}: fill_mode expects one of {', '.join(FILL_MODES)}, got {fill_mode!r}")
    axes = spatial_axes(op, images, data_format)
    integers = real_array(images, op, "images").dtype
    if axes == (-2, -1):
        channels_last = affine_transform(
            moveaxis(images, -3, -1), transform, interpolation, fill_mode, fill_value, "channels_last"
        )
        return _as_before(moveaxis(channels_last, -1, -3), integers)
    array = to_float32(images)
    batch = array if array.ndim == 4 else array[None]
    matrices = to_float32(transform, op, "transform")
    if matrices.shape not in ((8,), (1, 8), (len(batch), 8)):
        raise ValueError(f"{op}: transform expects shape (8,) or ({len(batch)}, 8), got {matrices.shape}")
    matrices = np.broadcast_to(matrices, (len(batch), 8))
    border = 1 if fill_mode == "constant" else 0
    y = np.empty(batch.shape, np.float32)
    for part in _parts(batch.shape):
        source = batch[part]
        if border:
            source = np.pad(source, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill_value)
        reads = list(_reads(matrices[part], batch.shape, interpolation, fill_mode))
        # Channel by channel: NumPy reads and weighs single numbers several times as fast as short vectors.
        for channel in range(batch.shape[-1]):
            plane = np.ascontiguousarray(source[..., channel]).reshape(-1)
            y[part][..., channel] = _mixed(plane, reads)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        arriving = dy.reshape(batch.shape)
        dx = np.zeros(batch.shape, np.float32)
        for part in _parts(batch.shape):
            count, height, width, channels = batch[part].shape
            padded = np.zeros((count, height + 2 * border, width + 2 * border, channels), np.float32)
            flat = padded.reshape(-1, channels)
            for positions, weights in _reads(matrices[part], batch.shape, interpolation, fill_mode):
                np.add.at(flat, positions, arriving[part] if weights is None else arriving[part] * weights[..., None])
            dx[part] = padded[:, border : border + height, border : border + width]
        return (dx.reshape(array.shape),)

    return _as_before(record(op, y.reshape(array.shape), (images,), vjp), integers)


def _mixed(plane: FloatArray, reads: list[tuple[_Indices, FloatArray | None]]) -> FloatArray:
    """The weighted sum of what is read."""
    total = None
    for positions, weights in reads:
        found = plane.take(positions, mode="clip")
        if weights is not None:
            found *= weights
        total = found if total is None else np.add(total, found, out=total)
    assert total is not None
    return total


def _as_before(y: Any, dtype: np.dtype[Any]) -> Any:
    """Integers for integers, rounded."""
    if dtype.kind not in "iu":
        return y
    limits = np.iinfo(dtype)
    return np.clip(np.rint(np.asarray(y)), limits.min, limits.max).astype(dtype)


def _parts(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the batch."""
    at_a_time = max(1, _PIXELS_AT_A_TIME // max(shape[1] * shape[2], 1))
    for start in range(0, shape[0], at_a_time):
        yield slice(start, min(start + at_a_time, shape[0]))


def _reads(
    matrices: FloatArray, shape: tuple[int, ...], interpolation: str, fill_mode: str
) -> Iterator[tuple[_Indices, FloatArray | None]]:
    """For each of the pixels that are mixed: their positions in the batch in a row, and their weights (None for one).

    Every element of both is for one pixel of the result: (N, H, W).
    """
    _, height, width, _ = shape
    column, row = _places(matrices, height, width)
    fix = FILL_MODES[fill_mode]
    border = 1 if fill_mode == "constant" else 0
    stride = width + 2 * border
    image = (np.arange(len(matrices)) * ((height + 2 * border) * stride))[:, None, None]

    def rows_at(i: _Indices) -> _Indices:
        return image + (fix(i, height) + border) * stride

    def columns_at(i: _Indices) -> _Indices:
        return fix(i, width) + border

    if interpolation == "nearest":
        yield rows_at(np.rint(row).astype(np.intp)) + columns_at(np.rint(column).astype(np.intp)), None
        return
    top, left = np.floor(row), np.floor(column)
    down, right = row - top, column - left
    i, j = top.astype(np.intp), left.astype(np.intp)
    columns = ((columns_at(j), 1 - right), (columns_at(j + 1), right))
    for above, vertical in ((rows_at(i), 1 - down), (rows_at(i + 1), down)):
        for beside, horizontal in columns:
            yield above + beside, vertical * horizontal


def _places(matrices: FloatArray, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """The column and the row that each pixel of the result is read from, both (N, H, W)."""
    a0, a1, a2, b0, b1, b2, c0, c1 = (matrices[:, i, None, None] for i in range(8))
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    column, row = a0 * x + (a1 * y + a2), b0 * x + (b1 * y + b2)
    if np.any(c0) or np.any(c1):
        with quiet():
            k = c0 * x + (c1 * y + 1)
            column, row = column / k, row / k
    # Places without an index, NaN among them, are far outside.
    limits = (-_FAR, _FAR)
    return np.nan_to_num(np.clip(column, *limits), nan=-_FAR), np.nan_to_num(np.clip(row, *limits), nan=-_FAR)
