"""Of boxes that mean the same object, the one with the highest score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int, real
from cnnfast.detection.boxes import FORMATS, Boxes, as_floats, checked_boxes, convert_boxes, corners_iou


class Detections(NamedTuple):
    """What is left of an image's boxes, the highest score first.

    Attributes:
        boxes: (K, 4), in the notation in which they were given.
        scores: (K,).
        classes: (K,) int64; 0 where there is one class.
        indices: (K,) int64, where in the input each box was.
    """

    boxes: Boxes
    scores: Boxes
    classes: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]


def non_max_suppression(
    boxes: npt.ArrayLike,
    scores: npt.ArrayLike,
    iou_threshold: float = 0.45,
    score_threshold: float = 0.25,
    max_detections: int = 100,
    box_format: str = "center_xywh",
    per_class: bool = True,
) -> Detections | list[Detections]:
    """Leave out boxes that overlap too much with one of a higher score.

    Boxes are taken in the order of their scores (those given first, where scores are equal); each one that is kept
    removes those that overlap with it by more than `iou_threshold`. A box may be kept for several classes.

    Args:
        boxes: (B, 4), or (N, B, 4) for N images.
        scores: (B,) or (B, classes), with N in front for several images, such as `DecodedBoxes.scores`.
        iou_threshold: how much of their union two boxes may share.
        score_threshold: only scores above it count; NaN is never above.
        max_detections: at most so many are returned, those of the highest scores.
        box_format: the notation of `boxes`, one of those of `convert_boxes`.
        per_class: whether a box is compared with others of its class only; else with those of all.

    Returns:
        `Detections`, or a list of them, one for each of several images.

    Raises:
        TypeError: `boxes` or `scores` are not made of real numbers.
        ValueError: shapes do not fit together, or an argument is out of range.

    Example:
        >>> boxes = [[0.5, 0.5, 0.2, 0.2], [0.51, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]]
        >>> found = non_max_suppression(boxes, [0.6, 0.9, 0.5])
        >>> found.indices, found.scores
        (array([1, 2]), array([0.9, 0.5], dtype=float32))
    """
    op = "non_max_suppression"
    array = checked_boxes(op, "boxes", boxes)
    given = np.asarray(scores)
    if given.dtype.kind not in "fiub":
        raise TypeError(f"{op}: scores expects real numbers, got {given.dtype}")
    values = as_floats(scores, given)
    if array.ndim not in (2, 3) or values.ndim not in (array.ndim - 1, array.ndim):
        raise ValueError(f"{op}: expects boxes (B, 4) and scores (B, ...), got {array.shape} and {values.shape}")
    if values.shape[: array.ndim - 1] != array.shape[:-1]:
        raise ValueError(f"{op}: scores expects one row for each box of {array.shape}, got shape {values.shape}")
    if box_format not in FORMATS:
        raise ValueError(f"{op}: box_format expects one of {', '.join(FORMATS)}, got {box_format!r}")
    iou_threshold = real(op, "iou_threshold", iou_threshold, 0.0, 1.0)
    score_threshold = real(op, "score_threshold", score_threshold)
    limit = positive_int(op, "max_detections", max_detections)
    if values.ndim == array.ndim - 1:
        values = values[..., None]
    corners = array if box_format == "xyxy" else convert_boxes(array, box_format, "xyxy")

    def of_image(own: Boxes, own_corners: Boxes, own_scores: Boxes) -> Detections:
        where, classes = np.nonzero(own_scores > score_threshold)
        candidates = own_scores[where, classes]
        order = np.lexsort((classes, where, -candidates))
        where, classes, candidates = where[order], classes[order], candidates[order]
        kept = _kept(own_corners[where], classes if per_class else np.zeros_like(classes), iou_threshold, limit)
        return Detections(own[where[kept]], candidates[kept], classes[kept], where[kept])

    if array.ndim == 2:
        return of_image(array, corners, values)
    return [of_image(*parts) for parts in zip(array, corners, values, strict=True)]


def _kept(corners: Boxes, classes: npt.NDArray[np.int64], threshold: float, limit: int) -> npt.NDArray[np.int64]:
    """The positions that are kept among boxes in falling order of their scores."""
    left = np.arange(len(corners))
    kept: list[int] = []
    while left.size and len(kept) < limit:
        best, left = left[0], left[1:]
        kept.append(int(best))
        same = classes[left] == classes[best]
        rivals = left[same]
        overlapping = corners_iou(corners[best], corners[rivals]) > threshold
        stays = np.ones(left.size, bool)
        stays[same] = ~overlapping
        left = left[stays]
    return np.asarray(kept, np.int64)
