"""Boxes in several notations, and how much they overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.floating[Any]]

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh")


def checked_boxes(op: str, name: str, boxes: npt.ArrayLike) -> Boxes:
    """Boxes as an array of floats: float64 where they are such an array, else float32.

    Raises:
        TypeError: they are not made of real numbers.
        ValueError: the last axis does not have 4 entries.
    """
    array = np.asarray(boxes)
    if array.size == 0 and array.ndim < 2:
        array = array.reshape(0, 4)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{op}: {name} expects real numbers, got {array.dtype}")
    if array.ndim < 1 or array.shape[-1] != 4:
        raise ValueError(f"{op}: {name} expects shape (..., 4), got {array.shape}")
    return as_floats(boxes, array)


def as_floats(given: npt.ArrayLike, array: npt.NDArray[Any]) -> Boxes:
    """An array as float64 where it was given as such an array, else as float32; a list has no precision of its own."""
    keeps = isinstance(given, np.ndarray) and array.dtype == np.float64
    return array.astype(np.float64 if keeps else np.float32, copy=False)


def convert_boxes(boxes: npt.ArrayLike, source: str, target: str) -> Boxes:
    """Boxes in another notation.

    Args:
        boxes: (..., 4).
        source: how they are written: "xyxy" (two corners), "yxyx" (the same with y first), "xywh" (a corner and the
            size) or "center_xywh" (the middle and the size).
        target: how they shall be written.

    Returns:
        (..., 4), a new array; float64 where `boxes` is such an array, else float32.

    Raises:
        TypeError: `boxes` are not made of real numbers.
        ValueError: the last axis does not have 4 entries, or a notation is unknown.

    Example:
        >>> convert_boxes([[4.0, 5.0, 2.0, 4.0]], "center_xywh", "xyxy")
        array([[3., 3., 5., 7.]], dtype=float32)
    """
    array = checked_boxes("convert_boxes", "boxes", boxes)
    for name, value in (("source", source), ("target", target)):
        if value not in FORMATS:
            raise ValueError(f"convert_boxes: {name} expects one of {', '.join(FORMATS)}, got {value!r}")
    a, b, c, d = (array[..., i] for i in range(4))
    half = array.dtype.type(0.5)
    if source == "yxyx":
        a, b, c, d = b, a, d, c
    elif source == "xywh":
        c, d = a + c, b + d
    elif source == "center_xywh":
        a, b, c, d = a - c * half, b - d * half, a + c * half, b + d * half
    if target == "yxyx":
        a, b, c, d = b, a, d, c
    elif target == "xywh":
        c, d = c - a, d - b
    elif target == "center_xywh":
        a, b, c, d = (a + c) * half, (b + d) * half, c - a, d - b
    return np.stack([a, b, c, d], axis=-1)


def iou(boxes1: npt.ArrayLike, boxes2: npt.ArrayLike, box_format: str = "xyxy") -> Boxes:
    """Intersection over union of every box of one list with every box of another.

    Boxes without area, also those whose corners are the wrong way round, overlap with nothing: 0.

    Args:
        boxes1: (..., N, 4).
        boxes2: (..., M, 4); the axes in front broadcast.
        box_format: their notation, one of those of `convert_boxes`.

    Returns:
        (..., N, M), from 0 to 1; float64 where one of the two is such an array, else float32.

    Raises:
        TypeError: boxes are not made of real numbers.
        ValueError: a last axis does not have 4 entries, or the notation is unknown.

    Example:
        >>> iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]]).round(4)
        array([[0.3333, 0.    ]], dtype=float32)
    """
    first = checked_boxes("iou", "boxes1", boxes1)
    second = checked_boxes("iou", "boxes2", boxes2)
    for name, array in (("boxes1", first), ("boxes2", second)):
        if array.ndim < 2:
            raise ValueError(f"iou: {name} expects shape (..., N, 4), got {array.shape}")
    if box_format != "xyxy":
        first, second = (convert_boxes(array, box_format, "xyxy") for array in (first, second))
    return corners_iou(first[..., :, None, :], second[..., None, :, :])


def corners_iou(first: Boxes, second: Boxes) -> Boxes:
    """Intersection over union of boxes given by corners, element by element, of shapes that broadcast."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    with np.errstate(all="ignore"):  # boxes of infinite size are numbers like others here
        sides = np.maximum(high - low, 0)
        shared = sides[..., 0] * sides[..., 1]
        union = _areas(first) + _areas(second) - shared
        return np.where(shared > 0, shared / np.where(union > 0, union, 1), shared)


def _areas(boxes: Boxes) -> Boxes:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])
