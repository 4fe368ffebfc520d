"""Images in another size, and the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.dtypes import real_array
from cnnfast.ops.image.filters import INTERPOLATIONS, Taps, taps
from cnnfast.ops.image.frames import crop_images, spatial_axes
from cnnfast.ops.shaping import integers, pad

_DENSE_TAPS = 12  # from so many old pixels per new one on, a matrix product is quicker than sums of moved arrays


def resize(
    images: ArrayLike,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Images in another size.

    Args:
        images: (H, W, C) or (N, H, W, C); (C, H, W) or (N, C, H, W) with "channels_first". Integers come back as
            integers, rounded.
        size: the new height and width.
        interpolation: "bilinear", "nearest", "bicubic" (Keys's filter), "lanczos3" or "lanczos5".
        antialias: whether an image that shrinks is smoothed first; without effect on "nearest".
        crop_to_aspect_ratio: whether to cut off borders first where the shapes differ, instead of distorting.
        pad_to_aspect_ratio: whether to add borders first where the shapes differ, instead of distorting.
        fill_mode: only "constant".
        fill_value: what such borders hold.
        data_format: "channels_last" (also None) or "channels_first".

    Raises:
        TypeError: `images` is not made of real numbers, or `size` not of integers.
        ValueError: an argument is none of these values, or there are no pixels.

    Example:
        >>> resize(np.array([[0.0, 4.0]]).reshape(1, 2, 1), (1, 4)).ravel()
        array([0., 1., 3., 4.], dtype=float32)
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"resize: interpolation expects one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode expects 'constant', got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True")
    target = integers("resize", "size", list(size) if isinstance(size, np.ndarray) else size)
    if len(target) != 2 or min(target) < 1:
        raise ValueError(f"resize: size expects a height and a width, got {size}")
    axes = spatial_axes("resize", images, data_format)
    array = real_array(images, "resize", "images")
    if 0 in (array.shape[axes[0]], array.shape[axes[1]]):
        raise ValueError(f"resize: images of shape {array.shape} have no pixels")
    source: Any = images
    if array.dtype.kind != "f":
        source = array.astype(np.float32)
    if crop_to_aspect_ratio:
        source = _cropped(source, axes, target, data_format)
    elif pad_to_aspect_ratio:
        source = _padded(source, axes, target, fill_value)
    y = _resampled(source, axes, target, interpolation, antialias)
    if array.dtype.kind == "f":
        return y
    if array.dtype.kind == "b":
        return np.asarray(y) >= 0.5
    limits = np.iinfo(array.dtype)
    return np.clip(np.rint(y), limits.min, limits.max).astype(array.dtype)


def _cropped(images: ArrayLike, axes: tuple[int, int], target: tuple[int, ...], data_format: str | None) -> Any:
    """The largest part from the middle that has the new shape's proportions."""
    shape = to_float32(images).shape
    height, width = shape[axes[0]], shape[axes[1]]
    new_height = max(min(height, width * target[0] // target[1]), 1)
    new_width = max(min(width, height * target[1] // target[0]), 1)
    return crop_images(
        images,
        (height - new_height) // 2,
        (width - new_width) // 2,
        target_height=new_height,
        target_width=new_width,
        data_format=data_format,
    )


def _padded(images: ArrayLike, axes: tuple[int, int], target: tuple[int, ...], fill_value: float) -> Any:
    """The image in the middle of a frame that has the new shape's proportions (or a pixel less)."""
    shape = to_float32(images).shape
    height, width = shape[axes[0]], shape[axes[1]]
    rows = (max(height, width * target[0] // target[1]) - height) // 2
    columns = (max(width, height * target[1] // target[0]) - width) // 2
    widths = [(0, 0)] * len(shape)
    widths[axes[0]], widths[axes[1]] = (rows, rows), (columns, columns)
    return pad(images, widths, constant_values=fill_value)


def _resampled(
    images: ArrayLike, axes: tuple[int, int], target: tuple[int, ...], interpolation: str, antialias: bool
) -> Any:
    array = to_float32(images)
    shape = array.shape
    plans = [taps(shape[axis], new, interpolation, antialias) for axis, new in zip(axes, target, strict=True)]
    places = [axis % array.ndim for axis in axes]
    y = array
    for axis, plan in zip(places, plans, strict=True):
        y = _along(y, axis, plan)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        for axis, plan in zip(places, plans, strict=True):
            if not _is_identity(plan, shape[axis]):
                dy = _times_matrix(dy, axis, np.ascontiguousarray(plan.matrix(shape[axis]).T))
        return (dy,)

    return record("resize", y if y is not array else array.copy(), (images,), vjp)


def _is_identity(plan: Taps, old: int) -> bool:
    return plan.positions.shape == (old, 1) and bool((plan.positions[:, 0] == np.arange(old)).all())


def _along(x: FloatArray, axis: int, plan: Taps) -> FloatArray:
    """One axis resampled."""
    if _is_identity(plan, x.shape[axis]):
        return x
    count = plan.positions.shape[1]
    if count > _DENSE_TAPS:
        return _times_matrix(x, axis, plan.matrix(x.shape[axis]))
    if count == 1:
        return np.take(x, plan.positions[:, 0], axis)
    spread = (-1,) + (1,) * (x.ndim - 1 - axis)
    y = np.take(x, plan.positions[:, 0], axis)
    y *= plan.weights[:, 0].reshape(spread)
    for tap in range(1, count):
        part = np.take(x, plan.positions[:, tap], axis)
        part *= plan.weights[:, tap].reshape(spread)
        y += part
    return y


def _times_matrix(x: npt.NDArray[Any], axis: int, matrix: FloatArray) -> FloatArray:
    """A matrix times every column along an axis."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    rows = x.reshape(int(np.prod(before, dtype=np.int64)), x.shape[axis], int(np.prod(after, dtype=np.int64)))
    return np.matmul(matrix, rows).reshape(*before, len(matrix), *after)
