"""Windows of images as vectors, and colours as brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.columns import im2col
from cnnfast.ops.image.frames import spatial_axes
from cnnfast.ops.nn import channels_are_first
from cnnfast.ops.shaping import expand_dims, integers, moveaxis, squeeze

_BRIGHTNESS = np.array([0.2989, 0.587, 0.114], np.float32)  # of red, green and blue, as ITU-R BT.601 has them


def extract_patches(
    images: ArrayLike,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The windows of images, each as one vector: of its pixels in rows, each pixel's channels side by side.

    Args:
        images: (H, W, C) or (N, H, W, C); (C, H, W) or (N, C, H, W) with "channels_first". With three sizes volumes,
            which have one axis more.
        size: the windows' height and width (or depth, height and width), or one number for both.
        strides: steps from one window to the next; `size` if None.
        dilation_rate: steps from one pixel of a window to the next.
        padding: "valid" or "same".
        data_format: "channels_last" (also None) or "channels_first".

    Returns:
        float32 (..., windows down, windows across, pixels * C), or with the pixels' axis first.

    Raises:
        TypeError: `images` is not made of real numbers, or a size not of integers.
        ValueError: shapes do not fit.

    Example:
        >>> extract_patches(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, 0]
        array([[0., 1., 4., 5.],
               [2., 3., 6., 7.]], dtype=float32)
    """
    op = "extract_patches"
    window = integers(op, "size", size)
    window = window * 2 if len(window) == 1 else window
    if len(window) not in (2, 3):
        raise ValueError(f"{op}: size expects one, two or three numbers, got {size}")
    rank = to_float32(images, op, "images").ndim
    if rank not in (len(window) + 1, len(window) + 2):
        raise ValueError(
            f"{op}: images expects {len(window) + 1} or {len(window) + 2} axes for size {size}, "
            f"got shape {to_float32(images).shape}"
        )
    batch = images if rank == len(window) + 2 else expand_dims(images, 0)
    first = channels_are_first(op, data_format)
    steps = integers(op, "strides", strides) if strides else window
    steps = steps * len(window) if len(steps) == 1 else steps
    y = im2col(moveaxis(batch, 1, -1) if first else batch, window, steps, padding, dilation_rate)
    if first:
        y = moveaxis(y, -1, 1)
    return y if batch is images else squeeze(y, 0)


def rgb_to_grayscale(images: ArrayLike, data_format: str | None = None) -> Any:
    """The brightness of coloured images: 0.2989 red + 0.587 green + 0.114 blue.

    Args:
        images: (H, W, 3) or (N, H, W, 3); channels first with "channels_first". One channel is taken as it is.
        data_format: "channels_last" (also None) or "channels_first".

    Returns:
        float32, with one channel.

    Raises:
        TypeError: `images` is not made of real numbers.
        ValueError: there are other than 1 or 3 channels, or 3 or 4 axes.

    Example:
        >>> rgb_to_grayscale(np.array([1.0, 0.0, 0.0]).reshape(1, 1, 3)).ravel()
        array([0.2989], dtype=float32)
    """
    op = "rgb_to_grayscale"
    spatial_axes(op, images, data_format)
    array = to_float32(images)
    axis = -3 if channels_are_first(op, data_format) else -1
    if array.shape[axis] not in (1, 3):
        raise ValueError(f"{op}: images expects 1 or 3 channels, got shape {array.shape}")
    if array.shape[axis] == 1:
        return record(op, array.copy(), (images,), lambda dy, needs: (dy,))
    weights = _BRIGHTNESS.reshape((3,) + (1,) * (-1 - axis))
    red, green, blue = (np.take(array, [channel], axis) * _BRIGHTNESS[channel] for channel in range(3))

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        return (dy * weights,)

    return record(op, red + green + blue, (images,), vjp)
