"""Images brought to a network's size without distorting them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int, real
from cnnfast.autograd import FloatArray
from cnnfast.detection.boxes import Boxes, checked_boxes

_LARGEST = 1 << 16  # of a side


def letterbox(image: npt.ArrayLike, size: int | Sequence[int], fill: float = 0.5) -> FloatArray:
    """An image enlarged or reduced to fit into a frame, in the middle of it, with bars where the shapes differ.

    Values are interpolated linearly between the image's corners, as darknet does.

    Args:
        image: (H, W, C) or (H, W); integers from 0 to 255 become numbers from 0 to 1, others stay as they are.
        size: height and width of the frame, or one number for both.
        fill: the bars' value.

    Returns:
        (height, width, C) float32, (height, width) for an image without channels.

    Raises:
        TypeError: `image` is not made of real numbers, or a size is no integer.
        ValueError: `image` has other axes or is empty, or a size is out of range.

    Example:
        >>> letterbox(np.ones((2, 4)), 4)[:, 0]
        array([0.5, 1. , 1. , 0.5], dtype=float32)
    """
    array = np.asarray(image)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"letterbox: image expects real numbers, got {array.dtype}")
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"letterbox: image expects (H, W) or (H, W, C), none of them 0, got shape {array.shape}")
    frame = _frame("letterbox", size)
    height, width = _inner(array.shape[:2], frame)
    pixels = array.astype(np.float32)
    if array.dtype.kind in "iu":
        pixels /= np.float32(255)
    result = np.full((*frame, *array.shape[2:]), real("letterbox", "fill", fill), np.float32)
    top, left = (frame[0] - height) // 2, (frame[1] - width) // 2
    result[top : top + height, left : left + width] = _stretched(_stretched(pixels, 0, height), 1, width)
    return result


def unletterbox(boxes: npt.ArrayLike, image_size: Sequence[int], size: int | Sequence[int]) -> Boxes:
    """Boxes found in the frame of `letterbox`, as parts of the image itself.

    Args:
        boxes: (..., 4) in the notation "center_xywh", as fractions of the frame.
        image_size: height and width of the image.
        size: the frame's, as it was given to `letterbox`.

    Returns:
        (..., 4) as fractions of the image's width and height; outside of 0 to 1 where a box reaches into the bars.

    Raises:
        TypeError: `boxes` are not made of real numbers, or a size is no integer.
        ValueError: the last axis does not have 4 entries, or a size is out of range.

    Example:
        >>> unletterbox([0.5, 0.5, 1.0, 0.5], (2, 4), 4)
        array([0.5, 0.5, 1. , 1. ], dtype=float32)
    """
    array = checked_boxes("unletterbox", "boxes", boxes)
    frame = _frame("unletterbox", size)
    if len(image_size) != 2:
        raise ValueError(f"unletterbox: image_size expects height and width, got {image_size!r}")
    own = tuple(positive_int("unletterbox", "image_size", n) for n in image_size)
    height, width = _inner(own, frame)
    top, left = (frame[0] - height) // 2, (frame[1] - width) // 2
    scale = np.array([frame[1] / width, frame[0] / height] * 2, array.dtype)
    offset = np.array([left / width, top / height, 0.0, 0.0], array.dtype)
    return array * scale - offset


def _frame(op: str, size: int | Sequence[int]) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"{op}: size expects height and width, got {size!r}")
    height, width = (positive_int(op, "size", n) for n in sides)
    if max(height, width) > _LARGEST:
        raise ValueError(f"{op}: size expects at most {_LARGEST}, got {size!r}")
    return height, width


def _inner(image: Sequence[int], frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the image in the frame."""
    if frame[1] * image[0] < frame[0] * image[1]:  # the width is what limits
        return max(image[0] * frame[1] // image[1], 1), frame[1]
    return frame[0], max(image[1] * frame[0] // image[0], 1)


def _stretched(x: FloatArray, axis: int, count: int) -> FloatArray:
    """An axis interpolated at `count` places, the first and last of which are its ends."""
    length = x.shape[axis]
    if length == count:
        return x
    places = np.arange(count) * ((length - 1) / max(count - 1, 1))
    low = np.minimum(places.astype(np.intp), length - 1)
    part = (places - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    below, above = np.take(x, low, axis), np.take(x, np.minimum(low + 1, length - 1), axis)
    return np.asarray(below + (above - below) * part)
