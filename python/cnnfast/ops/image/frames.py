"""Where the axes of images are, and borders that are added or cut off."""

from __future__ import annotations

import operator
from typing import Any

from cnnfast.autograd import ArrayLike
from cnnfast.ops.dtypes import real_array
from cnnfast.ops.nn import channels_are_first
from cnnfast.ops.scattering import slice
from cnnfast.ops.shaping import pad


def spatial_axes(op: str, images: Any, data_format: str | None) -> tuple[int, int]:
    """The axes of the rows and of the columns, counted from the end.

    Raises:
        TypeError: `images` is not made of real numbers.
        ValueError: there are other than 3 or 4 axes, or `data_format` is none.

    Example:
        >>> spatial_axes("resize", np.zeros((2, 8, 8, 3)), None)
        (-3, -2)
    """
    shape = real_array(images, op, "images").shape
    if len(shape) not in (3, 4):
        raise ValueError(f"{op}: images expects 3 axes (one image) or 4 (a batch of images), got shape {shape}")
    return (-2, -1) if channels_are_first(op, data_format) else (-3, -2)


def pad_images(
    images: ArrayLike,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Images with zeros around them.

    Args:
        images: (H, W, C) or (N, H, W, C); (C, H, W) or (N, C, H, W) with "channels_first".
        top_padding: rows to add above.
        left_padding: columns to add on the left.
        bottom_padding: rows to add below.
        right_padding: columns to add on the right.
        target_height: the new height. Of the three for the height, and for the width, two are given.
        target_width: the new width.
        data_format: "channels_last" (also None) or "channels_first".

    Raises:
        TypeError: `images` is not made of real numbers, or a number is not an integer.
        ValueError: not two of three numbers are given, or one is negative.

    Example:
        >>> pad_images(np.ones((1, 2, 2, 1)), 1, 0, target_height=4, target_width=3).shape
        (1, 4, 3, 1)
    """
    rows, columns = spatial_axes("pad_images", images, data_format)
    shape = real_array(images, "pad_images", "images").shape
    widths = [(0, 0)] * len(shape)
    widths[rows] = _borders(
        "pad_images", shape[rows], ("top_padding", "bottom_padding", "target_height"),
        (top_padding, bottom_padding, target_height), 1,
    )  # fmt: skip
    widths[columns] = _borders(
        "pad_images", shape[columns], ("left_padding", "right_padding", "target_width"),
        (left_padding, right_padding, target_width), 1,
    )  # fmt: skip
    return pad(images, widths)


def crop_images(
    images: ArrayLike,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Any:
    """Images without some of their borders.

    Args:
        images: (H, W, C) or (N, H, W, C); (C, H, W) or (N, C, H, W) with "channels_first".
        top_cropping: rows to cut off above.
        left_cropping: columns to cut off on the left.
        bottom_cropping: rows to cut off below.
        right_cropping: columns to cut off on the right.
        target_height: the new height. Of the three for the height, and for the width, two are given.
        target_width: the new width.
        data_format: "channels_last" (also None) or "channels_first".

    Raises:
        TypeError: `images` is not made of real numbers, or a number is not an integer.
        ValueError: not two of three numbers are given, or one is negative.

    Example:
        >>> crop_images(np.ones((1, 4, 4, 1)), 1, 0, target_height=2, target_width=3).shape
        (1, 2, 3, 1)
    """
    rows, columns = spatial_axes("crop_images", images, data_format)
    shape = real_array(images, "crop_images", "images").shape
    above, below = _borders(
        "crop_images", shape[rows], ("top_cropping", "bottom_cropping", "target_height"),
        (top_cropping, bottom_cropping, target_height), -1,
    )  # fmt: skip
    left, right = _borders(
        "crop_images", shape[columns], ("left_cropping", "right_cropping", "target_width"),
        (left_cropping, right_cropping, target_width), -1,
    )  # fmt: skip
    start, size = [0] * len(shape), list(shape)
    start[rows], size[rows] = above, shape[rows] - above - below
    start[columns], size[columns] = left, shape[columns] - left - right
    return slice(images, start, size)


def _borders(
    op: str, length: int, names: tuple[str, str, str], given: tuple[int | None, int | None, int | None], sign: int
) -> tuple[int, int]:
    """The two borders of an axis, where two of (before, after, new length) are given; `sign` -1 cuts them off."""
    if sum(number is None for number in given) != 1:
        raise ValueError(f"{op}: expects two of {', '.join(names)}, got {given}")
    for name, number in zip(names, given, strict=True):
        if number is not None and operator.index(number) < 0:
            raise ValueError(f"{op}: {name} expects a number from 0 on, got {number}")
    before, after, target = given
    total = 0 if target is None else sign * (target - length)
    if before is None:
        before = total - (after or 0)
    elif after is None:
        after = total - before
    if before < 0 or (after or 0) < 0 or (sign < 0 and before + (after or 0) > length):
        raise ValueError(f"{op}: {dict(zip(names, given, strict=True))} do not fit an axis of length {length}")
    return before, after or 0
