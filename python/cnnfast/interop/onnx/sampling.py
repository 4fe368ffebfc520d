"""Operators that read images at computed places, and that choose among boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.onnx.budget import assumed, checked_size, checked_tensor
from cnnfast.interop.onnx.calls import Call, operator

# By the names that opset 16 and opset 20 have.
_MODES = {
    "bilinear": "bilinear", "linear": "bilinear", "nearest": "nearest", "bicubic": "bicubic", "cubic": "bicubic",
}  # fmt: skip


@operator("GridSample")
def _grid_sample(call: Call) -> Any:
    value, grid = call.tensor(0), call.tensor(1)
    mode, padding = call.attribute("mode", "linear"), call.attribute("padding_mode", "zeros")
    if mode not in _MODES or padding not in ("zeros", "border", "reflection"):
        raise ValueError(f"{call}: mode={mode!r} with padding_mode={padding!r} is unknown")
    if value.ndim not in (4, 5):
        raise call.unsupported(f"images of two or three spatial axes are supported, X has shape {value.shape}")
    checked_tensor(call, (*assumed(grid.shape)[:-1], value.shape[1] or 1))
    aligned = bool(call.attribute("align_corners", 0))
    return from_channels_last(
        ops.image.grid_sample(value.channels_last(), grid.plain(), _MODES[mode], padding, aligned)
    )


@operator("RoiAlign")
def _roi_align(call: Call) -> Any:
    value, boxes = call.tensor(0), call.tensor(1)
    size = int(call.attribute("output_height", 1)), int(call.attribute("output_width", 1))
    old = "output_half_pixel" if call.opset < 16 else "half_pixel"
    coordinates, mode = call.attribute("coordinate_transformation_mode", old), call.attribute("mode", "avg")
    if coordinates not in ("half_pixel", "output_half_pixel") or mode not in ("avg", "max"):
        raise ValueError(f"{call}: mode={mode!r} with coordinate_transformation_mode={coordinates!r} is unknown")
    ratio = int(call.attribute("sampling_ratio", 0))
    checked_tensor(call, (*assumed(boxes.shape)[:1], *size, max(ratio, 1) ** 2, value.shape[1] or 1))
    numbers = call.constant(2) if call.is_constant(2) else ops.cast(call.tensor(2).plain(), "int64")
    scale = float(call.attribute("spatial_scale", 1.0))
    return from_channels_last(
        ops.image.roi_align(
            value.channels_last(), boxes.plain(), numbers, size, scale, ratio, mode, coordinates == "half_pixel"
        )
    )


@operator("NonMaxSuppression")
def _non_max_suppression(call: Call) -> Any:
    call.dtype = np.dtype(np.int64)
    limit = int(call.scalar(2)) if call.has(2) else 0
    overlap = float(call.scalar(3)) if call.has(3) else 0.0
    score = float(call.scalar(4)) if call.has(4) else None
    center = bool(call.attribute("center_point_box", 0))
    boxes, scores = call.tensor(0).plain(), call.tensor(1).plain()
    return Arranged(ops.image.non_max_suppression(boxes, scores, max(limit, 0), overlap, score, center))


@operator("AffineGrid")
def _affine_grid(call: Call) -> Any:
    size = call.integers(1)
    theta, rank = call.tensor(0).plain(), len(size) - 2
    if rank not in (2, 3) or tuple(theta.shape[1:]) != (rank, rank + 1) or min(size) < 1:
        raise ValueError(f"{call}: theta of shape {theta.shape} does not fit images of {size}")
    checked_size(call, (math.prod(size[2:]), rank + 1))
    # From -1 to 1, between the middles of the outermost pixels or their edges; x, y[, z] and 1 for each pixel.
    inner = 0.0 if call.attribute("align_corners", 0) else 1.0
    lines = [(np.arange(n) * 2 + inner) / max(n - 1 + inner, 1) - 1 for n in size[:1:-1]]
    axes = np.meshgrid(*lines[::-1], indexing="ij")[::-1]
    points = np.stack([*axes, np.ones_like(axes[0])], axis=-1).reshape(-1, rank + 1).astype(np.float32)
    grid = ops.matmul(points, ops.transpose(theta, (0, 2, 1)))
    return Arranged(ops.reshape(grid, (-1, *size[2:], rank)))
