"""Non-maximum suppression as a step of a network: which boxes stay."""

from __future__ import annotations

import operator

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, to_float32


def non_max_suppression(
    boxes: ArrayLike,
    scores: ArrayLike,
    max_boxes_per_class: int,
    iou_threshold: float = 0.0,
    score_threshold: float | None = None,
    center_boxes: bool = False,
) -> npt.NDArray[np.int64]:
    """For each image and class the boxes that overlap with none of a higher score, as ONNX's NonMaxSuppression.

    For detections as an application reads them see `cnnfast.detection.non_max_suppression`.

    Args:
        boxes: (N, B, 4), as two opposite corners, (y1, x1, y2, x2).
        scores: (N, classes, B).
        max_boxes_per_class: how many boxes stay at most, of each image and class.
        iou_threshold: how much of their union two boxes may share.
        score_threshold: only scores above it count; None for all.
        center_boxes: whether boxes are (x, y, width, height) with the middle's x and y.

    Returns:
        int64 (K, 3): image, class and box, by image and class, the highest score first; of equal scores the first box.
        K depends on the values, and there is no gradient.

    Raises:
        TypeError: an argument is not made of real numbers.
        ValueError: shapes do not fit, or a threshold is not within [0, 1].

    Example:
        >>> boxes = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [2, 2, 3, 3]]])
        >>> non_max_suppression(boxes, np.array([[[0.7, 0.9, 0.5]]]), 10, 0.5)
        array([[0, 0, 1],
               [0, 0, 2]])
    """
    op = "non_max_suppression"
    places, values = to_float32(boxes, op, "boxes"), to_float32(scores, op, "scores")
    limit = operator.index(max_boxes_per_class)
    if places.ndim != 3 or places.shape[2] != 4 or values.ndim != 3 or values.shape[::2] != places.shape[:2]:
        raise ValueError(
            f"{op}: expects boxes (N, B, 4) and scores (N, classes, B), got {places.shape} and {values.shape}"
        )
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"{op}: iou_threshold expects a number from 0 to 1, got {iou_threshold}")
    corners = _corners(places, center_boxes)
    found = []
    for image, class_ in np.ndindex(*values.shape[:2]):
        kept = _kept(corners[image], values[image, class_], limit, iou_threshold, score_threshold)
        found.append(np.stack([np.full_like(kept, image), np.full_like(kept, class_), kept], axis=1))
    return np.concatenate([np.zeros((0, 3), np.int64), *found])


def _corners(boxes: FloatArray, center: bool) -> FloatArray:
    """Boxes as (low, low, high, high)."""
    if center:
        half = boxes[..., 2:] / 2
        return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)
    first, second = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=-1)


def _kept(
    corners: FloatArray, scores: FloatArray, limit: int, iou_threshold: float, score_threshold: float | None
) -> npt.NDArray[np.int64]:
    candidates = np.flatnonzero(~np.isnan(scores) if score_threshold is None else scores > score_threshold)
    left = candidates[np.argsort(-scores[candidates], kind="stable")]
    kept: list[int] = []
    while left.size and len(kept) < limit:
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[_iou(corners[best], corners[left]) <= iou_threshold]
    return np.array(kept, np.int64)


def _iou(box: FloatArray, others: FloatArray) -> FloatArray:
    """Intersection over union of one box with others; 0 where one has no area."""
    with np.errstate(all="ignore"):
        sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0)
        shared = sides[:, 0] * sides[:, 1]
        own, areas = (np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (box, others))
        iou = shared / (own + areas - shared)
    return np.where((own > 0) & (areas > 0) & (shared > 0), iou, np.float32(0))
