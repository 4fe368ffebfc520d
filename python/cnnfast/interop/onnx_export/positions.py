"""Elements read and written at positions, which may be computed, and images read at computed places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnfast.autograd import to_float32
from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.pooling import pooled
from cnnfast.interop.onnx_export.values import Value, normal_axes


def whole(b: Builder, x: Any) -> Value:
    """Positions as int64, in the model's order."""
    if not isinstance(x, Value):
        return b.value(np.asarray(x, np.int64))
    x = b.ordered(x)
    return x if x.dtype == "int64" else b.like("Cast", x, dtype="int64", to=b.onnx.TensorProto.INT64)


def _numbers(b: Builder, x: Any) -> Value:
    return b.ordered(b.floats(x)) if isinstance(x, Value) else b.value(to_float32(x))


def take_along_axis(b: Builder, x: Any, indices: Any, axis: int | None = None) -> Value:
    """An element for each position, along an axis; the other axes are equally long."""
    data, positions = b.ordered(b.value(x)), whole(b, indices)
    if axis is None:
        size = None if None in data.shape else int(np.prod([n or 1 for n in data.shape]))
        data, axis = b.made("Reshape", [data, b.integers([-1])], (size,), None, data.dtype), 0
    (a,) = normal_axes(axis, data.rank)
    for i, (n, m) in enumerate(zip(data.shape, positions.shape, strict=True)):
        if i != a and n != m and 1 in (n, m):
            raise ValueError(f"take_along_axis: shapes {data.shape} and {positions.shape} that broadcast")
    return b.made("GatherElements", [data, positions], positions.shape, None, data.dtype, axis=a)


def gather_nd(b: Builder, x: Any, indices: Any, batch_dims: int = 0) -> Value:  # noqa: D103
    data, positions = b.ordered(b.value(x)), whole(b, indices)
    count = positions.shape[-1]
    if count is None:
        raise ValueError(f"gather_nd: indices of shape {positions.shape} with an open last axis")
    shape = (*positions.shape[:-1], *data.shape[batch_dims + count :])
    return b.made("GatherND", [data, positions], shape, None, data.dtype, batch_dims=int(batch_dims))


def _reduction(b: Builder, op: str, reduction: str | None) -> dict[str, Any]:
    if reduction is None:
        return {}
    least = 16 if reduction in ("add", "mul") else 18
    if b.opset < least:
        raise ValueError(f"{op}: reduction={reduction!r} expects opset {least} or newer, got {b.opset}")
    return {"reduction": reduction}


def scatter_update(b: Builder, inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Value:  # noqa: D103
    x = _numbers(b, inputs)
    how = _reduction(b, "scatter_update", reduction)
    return b.made("ScatterND", [x, whole(b, indices), _numbers(b, updates)], x.shape, **how)


def scatter_along_axis(
    b: Builder, inputs: Any, indices: Any, updates: Any, axis: int = 0, reduction: str | None = None
) -> Value:
    """New values at positions along an axis."""
    x = _numbers(b, inputs)
    (a,) = normal_axes(axis, x.rank)
    how = _reduction(b, "scatter_along_axis", reduction)
    return b.made("ScatterElements", [x, whole(b, indices), _numbers(b, updates)], x.shape, axis=a, **how)


def scatter(b: Builder, indices: Any, values: Any, shape: Any) -> Value:
    """Values added to zeros."""
    sizes = [int(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    return scatter_update(b, np.zeros(sizes, np.float32), indices, values, "add")


def top_k(b: Builder, x: Value, k: int, sorted: bool = True) -> tuple[Value, Value]:
    """The largest elements along the last axis, and where they are."""
    x = b.plain(b.floats(x))
    shape = (*x.shape[:-1], int(k))
    values, places = b.node("TopK", [x, b.integers([int(k)])], 2, axis=x.place(x.rank - 1), largest=1, sorted=1)
    return Value(values, shape, x.order), Value(places, shape, x.order, "int64")


def cumsum(b: Builder, x: Value, axis: int | None = None, dtype: Any = None) -> Value:
    """Sums of all elements up to each one."""
    if dtype is not None and np.dtype(dtype) != np.float32:
        raise ValueError(f"cumsum: dtype={dtype!r} cannot be written as ONNX")
    x = b.plain(b.floats(x))
    if axis is None:
        x, axis = b.made("Reshape", [b.ordered(x), b.integers([-1])], (None,)), 0
    (a,) = normal_axes(axis, x.rank)
    return b.like("CumSum", x, b.constant(np.int64(x.place(a))))


def triangle(upper: int) -> Callable[..., Value]:
    """The converter of what keeps a triangle of matrices."""

    def convert(b: Builder, x: Value, k: int = 0) -> Value:
        if b.opset < 14:
            raise ValueError(f"{'triu' if upper else 'tril'}: expects opset 14 or newer, got {b.opset}")
        return b.like("Trilu", b.ordered(b.floats(x)), b.constant(np.int64(k)), upper=upper)

    return convert


def any_true(kind: str) -> Callable[..., Value]:
    """The converter of any ("ReduceMax") or all ("ReduceMin")."""

    def convert(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        from cnnfast.interop.onnx_export.elementwise import truth
        from cnnfast.interop.onnx_export.reductions import reduced

        y = reduced(b, kind, b.floats(truth(b, b.plain(x))), normal_axes(axis, x.rank), keepdims)
        found: Value = truth(b, y)
        return found

    return convert


def one_hot(b: Builder, x: Value, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Value:
    """Class numbers as vectors."""
    (a,) = normal_axes(axis, x.rank + 1)
    if sparse or (dtype is not None and np.dtype(dtype) != np.float32):
        raise ValueError(f"one_hot: dtype={dtype!r} with sparse={sparse} cannot be written as ONNX")
    # Compared with all classes, so that other numbers have none.
    places = whole(b, x)
    column = b.with_rank(places, x.rank + 1, a)
    classes = b.constant(np.arange(int(num_classes)).reshape(-1, *[1] * (x.rank - a)))
    shape = (*x.shape[:a], int(num_classes), *x.shape[a:])
    return b.floats(b.made("Equal", [b.ordered(column), classes], shape, None, "bool"))


def nonzero(b: Builder, x: Value) -> Value:  # noqa: D103
    x = b.ordered(x)
    return b.made("NonZero", [x], (x.rank, None), None, "int64")


def filled(value: float) -> Callable[..., Value]:
    """The converter of an array of one number that is as large as another."""

    def convert(b: Builder, x: Value, dtype: Any = None) -> Value:
        kind = x.dtype if dtype is None else np.dtype(dtype).name
        x = b.plain(x)
        (shape,) = b.node("Shape", [x])
        (name,) = b.node("Expand", [b.constant(np.array(value, kind)), shape])
        return Value(name, x.shape, x.order, kind)

    return convert


# Images


def grid_sample(
    b: Builder, images: Any, grid: Any, interpolation: str = "bilinear", padding: str = "zeros",
    align_corners: bool = False,
) -> Value:  # fmt: skip
    """Images read at the places of a grid."""
    x, places = b.channels_second(b.floats(b.value(images))), _numbers(b, grid)
    if b.opset < 16 or (x.rank > 4 and b.opset < 20):
        raise ValueError(f"grid_sample: expects opset {16 if x.rank == 4 else 20} or newer, got {b.opset}")
    new = {"bilinear": "linear", "bicubic": "cubic"}
    mode = new.get(interpolation, interpolation) if b.opset >= 20 else interpolation
    shape = (x.shape[0], *places.shape[1:-1], x.shape[-1])
    return b.made(
        "GridSample", [x, places], shape, x.order, mode=mode, padding_mode=padding, align_corners=int(align_corners)
    )


def roi_align(
    b: Builder, images: Any, boxes: Any, batch_indices: Any, output_size: Any, spatial_scale: float = 1.0,
    sampling_ratio: int = 0, mode: str = "avg", half_pixel: bool = True,
) -> Value:  # fmt: skip
    """Regions brought to one size."""
    x, corners = b.channels_second(b.floats(b.value(images))), _numbers(b, boxes)
    height, width = (output_size, output_size) if isinstance(output_size, int) else output_size
    how = {"coordinate_transformation_mode": "half_pixel" if half_pixel else "output_half_pixel"}
    if b.opset < 16:
        if half_pixel:
            raise ValueError(f"roi_align: half_pixel=True expects opset 16 or newer, got {b.opset}")
        how = {}
    shape = (corners.shape[0], int(height), int(width), x.shape[-1])
    return b.made(
        "RoiAlign", [x, corners, whole(b, batch_indices)], shape, x.order, mode=mode, output_height=int(height),
        output_width=int(width), sampling_ratio=int(sampling_ratio), spatial_scale=float(spatial_scale), **how,
    )  # fmt: skip


def non_max_suppression(
    b: Builder, boxes: Any, scores: Any, max_boxes_per_class: int, iou_threshold: float = 0.0,
    score_threshold: float | None = None, center_boxes: bool = False,
) -> Value:  # fmt: skip
    """Which boxes stay."""
    limits = [b.integers([int(max_boxes_per_class)]), b.constant(np.array([iou_threshold], np.float32))]
    score = [] if score_threshold is None else [b.constant(np.array([score_threshold], np.float32))]
    inputs: list[Value | str] = [_numbers(b, boxes), _numbers(b, scores), *limits, *score]
    return b.made("NonMaxSuppression", inputs, (None, 3), None, "int64", center_point_box=int(center_boxes))


def max_pool_positions(
    b: Builder, x: Value, pool_size: Any = 2, strides: Any = None, padding: Any = "valid", dilation_rate: Any = 1,
    column_major: bool = False,
) -> Value:  # fmt: skip
    """The second output of a pooling."""
    y = pooled(b, "MaxPool", x, pool_size, strides, padding, dilation_rate)
    node = b.nodes[-1]
    places = b.unique(f"{y.name}:1")
    node.output.append(places)
    node.attribute.append(b.onnx.helper.make_attribute("storage_order", int(column_major)))
    return Value(places, y.shape, y.order, "int64")


OPERATIONS: dict[str, Callable[..., Any]] = {
    "take_along_axis": take_along_axis, "gather_nd": gather_nd, "scatter_update": scatter_update,
    "scatter_along_axis": scatter_along_axis, "scatter": scatter, "top_k": top_k, "cumsum": cumsum,
    "tril": triangle(0), "triu": triangle(1), "any": any_true("ReduceMax"), "all": any_true("ReduceMin"),
    "one_hot": one_hot, "nonzero": nonzero, "ones_like": filled(1), "zeros_like": filled(0),
    "image.grid_sample": grid_sample, "image.roi_align": roi_align,
    "image.non_max_suppression": non_max_suppression, "max_pool_positions": max_pool_positions,
}  # fmt: skip
