"""Resizing batches of images with NumPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def resize(images: npt.NDArray[Any], height: int, width: int) -> FloatArray:
    """Resize images: each axis that shrinks is averaged over areas, each that grows is interpolated linearly.

    Args:
        images: shape (N, H, W, C), of any real type.
        height: the new height in pixels.
        width: the new width in pixels.

    Returns:
        float32, shape (N, height, width, C), values within the range of the input's.

    Example:
        >>> resize(np.array([[0, 2], [4, 6]]).reshape(1, 2, 2, 1), 1, 2).reshape(2)
        array([2., 4.], dtype=float32)
    """
    rows = _axis_weights(images.shape[1], height)
    columns = _axis_weights(images.shape[2], width)
    # (height, H) x (N, H, W*C), then (width, W) x (N*height, W, C): two plain matrix products.
    n, old_height, old_width, channels = images.shape
    narrowed = rows @ np.asarray(images, np.float32).reshape(n, old_height, old_width * channels)
    return (columns @ narrowed.reshape(n * height, old_width, channels)).reshape(n, height, width, channels)


def _axis_weights(old: int, new: int) -> FloatArray:
    """The (new, old) matrix that resizes one axis; its rows sum to 1. Pixels are intervals of equal length."""
    source = np.arange(old)
    scale = old / new
    if new < old:
        start = np.arange(new)[:, None] * scale
        overlap = np.minimum(source + 1, start + scale) - np.maximum(source, start)
        weights = np.clip(overlap, 0, None)
    else:
        centre = np.clip((np.arange(new)[:, None] + 0.5) * scale - 0.5, 0, old - 1)
        weights = np.clip(1 - np.abs(centre - source), 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
