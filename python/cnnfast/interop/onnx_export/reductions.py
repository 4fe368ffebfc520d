"""Sums, means, extremes and norms over axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from cnnfast.interop.onnx_export.builder import Builder
from cnnfast.interop.onnx_export.elementwise import binary, clip, scaled, square
from cnnfast.interop.onnx_export.values import Value, normal_axes, reduced_shape, without_axes


def reduced(b: Builder, kind: str, x: Value, axes: Sequence[int] | None, keepdims: bool = False) -> Value:
    """A reduction over some of the model's axes (None for all), wherever these lie in the graph."""
    x, keepdims = b.plain(b.floats(x)), bool(keepdims)
    over = normal_axes(axes, x.rank)
    shape = reduced_shape(x.shape, over, keepdims)
    order = x.order if keepdims else without_axes(x.order, over)
    places = x.places(over)
    if b.opset >= 18 or kind == "ReduceSum":
        return b.made(kind, [x, b.integers(places)], shape, order, keepdims=int(keepdims))
    return b.made(kind, [x], shape, order, axes=places, keepdims=int(keepdims))


def reduction(kind: str) -> Callable[..., Value]:
    """The converter of an operation with `axis` and `keepdims`."""

    def convert(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        return reduced(b, kind, x, normal_axes(axis, x.rank), keepdims)

    return convert


def variance(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    """The mean squared distance from the mean."""
    x = b.plain(b.floats(x))
    axes = normal_axes(axis, x.rank)
    centred = b.like("Sub", x, reduced(b, "ReduceMean", x, axes, True))
    return reduced(b, "ReduceMean", square(b, centred), axes, keepdims)


def deviation(b: Builder, x: Value, axis: Any = None, keepdims: bool = False) -> Value:  # noqa: D103
    return b.like("Sqrt", variance(b, x, axis, keepdims))


def moments(b: Builder, x: Value, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:  # noqa: D103
    return reduced(b, "ReduceMean", x, normal_axes(axes, x.rank), keepdims), variance(b, x, axes, keepdims)


def norm(b: Builder, x: Value, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """The length of vectors."""
    axes = normal_axes(axis, x.rank)
    if ord is None or (ord == 2 and len(axes) == 1):
        return reduced(b, "ReduceL2", x, axes, keepdims)
    if len(axes) != 1 or isinstance(ord, str):
        raise ValueError(f"norm: ord={ord!r} over axes {axes} cannot be written as ONNX")
    if ord == 1:
        return reduced(b, "ReduceL1", x, axes, keepdims)
    magnitudes = b.like("Abs", b.plain(b.floats(x)))
    if abs(ord) == math.inf:
        return reduced(b, "ReduceMax" if ord > 0 else "ReduceMin", magnitudes, axes, keepdims)
    if ord == 0:
        return reduced(b, "ReduceSum", b.like("Sign", magnitudes), axes, keepdims)
    powers = reduced(b, "ReduceSum", b.like("Pow", magnitudes, b.number(ord)), axes, keepdims)
    return b.like("Pow", powers, b.number(1 / ord))


def normalize(b: Builder, x: Value, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Value:
    """Vectors divided by their length, unless that is less than epsilon."""
    x = b.plain(b.floats(x))
    lengths = (
        norm(b, x, order, axis, True) if order != 2 else reduced(b, "ReduceL2", x, normal_axes(axis, x.rank), True)
    )
    return b.like("Div", x, clip(b, lengths, 1e-7 if epsilon is None else epsilon))


def unit_length(b: Builder, x: Value, axes: Sequence[int]) -> Value:
    """Vectors scaled to length 1; those of zeros stay so."""
    x = b.plain(b.floats(x))
    squares = reduced(b, "ReduceSum", square(b, x), normal_axes(tuple(axes), x.rank), True)
    return b.like("Div", x, b.like("Sqrt", clip(b, squares, 1e-24)))


def chosen(kind: str) -> Callable[..., Value]:
    """The converter of argmax or argmin."""

    def convert(b: Builder, x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
        x, keepdims = b.floats(x), bool(keepdims)
        if axis is None:
            x = b.made("Reshape", [b.ordered(x), b.integers([-1])], (None,))
        (a,) = normal_axes(0 if axis is None else axis, x.rank)
        x = b.plain(x)
        order = x.order if keepdims else without_axes(x.order, (a,))
        shape = reduced_shape(x.shape, (a,), keepdims)
        return b.made(kind, [x], shape, order, "int64", axis=x.place(a), keepdims=int(keepdims))

    return convert


def weighted_average(b: Builder, x: Value, axis: Any = None, weights: Any = None) -> Value:  # noqa: D103
    if weights is not None:
        raise ValueError("average: weights cannot be written as ONNX; multiply and sum")
    return reduced(b, "ReduceMean", x, normal_axes(axis, x.rank))


def count_above_zero(b: Builder, x: Value, axis: Any = None) -> Value:
    """How many elements are not zero."""
    other = binary(b, "Equal", x, 0.0, dtype="bool")
    return reduced(b, "ReduceSum", scaled(b, b.floats(other), -1.0, 1.0), normal_axes(axis, x.rank))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "sum": reduction("ReduceSum"), "mean": reduction("ReduceMean"), "max": reduction("ReduceMax"),
    "amax": reduction("ReduceMax"), "min": reduction("ReduceMin"), "amin": reduction("ReduceMin"),
    "prod": reduction("ReduceProd"), "logsumexp": reduction("ReduceLogSumExp"), "var": variance, "std": deviation,
    "moments": moments, "norm": norm, "normalize": normalize, "argmax": chosen("ArgMax"), "argmin": chosen("ArgMin"),
    "average": weighted_average, "count_nonzero": count_above_zero,
}  # fmt: skip

LAYERS: dict[str, Callable[..., Any]] = {
    "UnitNormalization": lambda b, layer, x: unit_length(b, x, layer.axis),
}
