"""Maps of the YOLO family turned into boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int, real
from cnnfast.autograd import FloatArray, to_float32

_OTHERS = 5  # x, y, w, h, objectness


class DecodedBoxes(NamedTuple):
    """What a map says, box by box.

    Attributes:
        boxes: (N, B, 4): x and y of the middle, width and height, as fractions of the image.
        objectness: (N, B), how sure it is that there is an object, from 0 to 1.
        probabilities: (N, B, classes), of the object's class, if there is one.
    """

    boxes: FloatArray
    objectness: FloatArray
    probabilities: FloatArray

    @property
    def scores(self) -> FloatArray:
        """(N, B, classes): the objectness times the probabilities, for `non_max_suppression`."""
        return self.objectness[..., None] * self.probabilities


def decode_yolo(
    raw: npt.ArrayLike,
    anchors: npt.ArrayLike,
    input_size: int | Sequence[int] | None = None,
    *,
    scale_x_y: float = 1.0,
    new_coords: bool = False,
    softmax: bool = False,
) -> DecodedBoxes:
    """Turn a raw map of YOLO version 2, 3 or 4 into boxes.

    A cell of the map has values x, y, w, h, objectness and one for each class, for each anchor. The box's middle is
    sigmoid(x), sigmoid(y) into the cell, its size is the anchor's times exp(w), exp(h); the rest goes through sigmoid.
    (Redmon and Farhadi, "YOLO9000: Better, Faster, Stronger", 2017, and "YOLOv3: An Incremental Improvement", 2018;
    `scale_x_y`: Bochkovskiy et al., "YOLOv4", 2020.)

    Args:
        raw: (N, H, W, A * (5 + classes)) or (N, H, W, A, 5 + classes), straight from the last convolution.
        anchors: (A, 2) widths and heights, or 2 A numbers.
        input_size: height and width of the network's input where anchors are in its pixels (versions 3 and 4), one
            number for both; None where they are in cells of the map (version 2).
        scale_x_y: stretches sigmoid(x) and sigmoid(y) around the cell's middle, so that its edges can be reached.
        new_coords: whether the map went through sigmoid already and sizes are (2 w)^2 times the anchor's, as in scaled
            YOLOv4.
        softmax: whether probabilities of the classes are a softmax (version 2) and not independent.

    Returns:
        `DecodedBoxes` with B = H * W * A boxes: row by row, cell by cell, anchor by anchor.

    Raises:
        TypeError: `raw` or `anchors` are not made of real numbers.
        ValueError: shapes do not fit together, or an argument is out of range.

    Example:
        >>> raw = np.zeros((1, 19, 19, 5, 85), np.float32)
        >>> decode_yolo(raw, np.ones((5, 2)), softmax=True).probabilities.shape
        (1, 1805, 80)
    """
    op = "decode_yolo"
    array = to_float32(raw, op, "raw")
    if np.size(anchors) == 0 or np.size(anchors) % 2:
        raise ValueError(f"{op}: anchors expects pairs of width and height, got shape {np.shape(anchors)}")
    sizes = np.asarray(anchors, np.float64).reshape(-1, 2)
    cells = _cells(op, array, len(sizes))
    stretch = np.float32(real(op, "scale_x_y", scale_x_y, 0.0))
    height, width = cells.shape[1:3]
    unit = _unit(op, input_size, height, width)

    first = cells[..., :_OTHERS] if new_coords else _sigmoid(cells[..., :_OTHERS])
    offsets = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)[:, :, None, :].astype(np.float32)
    middles = (first[..., :2] * stretch - (stretch - 1) / 2 + offsets) / np.array([width, height], np.float32)
    with np.errstate(over="ignore"):
        growth = (2 * cells[..., 2:4]) ** 2 if new_coords else np.exp(cells[..., 2:4])
    spans = growth * (sizes / unit).astype(np.float32)
    classes = cells[..., _OTHERS:]
    probabilities = _softmax(classes) if softmax else classes if new_coords else _sigmoid(classes)
    count = math.prod(cells.shape[1:4])
    return DecodedBoxes(
        np.concatenate([middles, spans], axis=-1).reshape(len(cells), count, 4),
        np.ascontiguousarray(first[..., 4]).reshape(len(cells), count),
        np.ascontiguousarray(probabilities).reshape(len(cells), count, cells.shape[-1] - _OTHERS),
    )


def _cells(op: str, raw: FloatArray, anchors: int) -> FloatArray:
    """The map as (N, H, W, anchors, values)."""
    if raw.ndim == 4 and raw.shape[-1] % anchors == 0:
        raw = raw.reshape(*raw.shape[:3], anchors, raw.shape[-1] // anchors)
    if raw.ndim != 5 or raw.shape[3] != anchors or raw.shape[-1] <= _OTHERS or 0 in raw.shape[1:3]:
        raise ValueError(
            f"{op}: raw expects (N, H, W, {anchors} * (5 + classes)) for {anchors} anchors, got shape {raw.shape}"
        )
    return raw


def _unit(op: str, input_size: int | Sequence[int] | None, height: int, width: int) -> npt.NDArray[np.float64]:
    """What anchors are divided by to become fractions of the image: (width, height)."""
    if input_size is None:
        return np.array([width, height], np.float64)
    sides = tuple(input_size) if isinstance(input_size, (list, tuple)) else (input_size, input_size)
    if len(sides) != 2:
        raise ValueError(f"{op}: input_size expects height and width, got {input_size!r}")
    rows, columns = (positive_int(op, "input_size", n) for n in sides)
    return np.array([columns, rows], np.float64)


def _sigmoid(x: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-x)))


def _softmax(x: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
