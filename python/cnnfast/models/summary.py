"""The table that `summary` prints."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from cnnfast.symbolic import is_shape


def summary_text(
    model: Any, expand_nested: bool = False, show_trainable: bool = False, layer_range: Sequence[str] | None = None
) -> str:
    """A table of a built model's layers with output shapes, parameters and multiply-adds for one example.

    Args:
        model: a model with weights; where its structure is not known, its layers are listed without shapes.
        expand_nested: whether the layers of models in the model are listed too.
        show_trainable: whether a column tells which layers training changes.
        layer_range: names (or patterns) of the first and the last layer to list; all by default.

    Raises:
        ValueError: no layer has such a name.

    Example:
        >>> from cnnfast import layers, models
        >>> model = models.Sequential([layers.Input((4,)), layers.Dense(2, name="dense")], name="small")
        >>> print(summary_text(model))  # doctest: +ELLIPSIS
        Model: "small"
        ...
    """
    calls = _calls(model)
    header = ["Layer (type)", "Output shape", "Params", "Multiply-adds"] + ["Trainable"] * show_trainable
    rows = _rows(_in_range(calls, layer_range), expand_nested, show_trainable, "")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    line = [_aligned(row, widths) for row in [header, *rows]]
    rule = "-" * len(line[0])
    table = [f'Model: "{model.name}"', rule, line[0], rule, *line[1:], rule]
    multiply_adds = sum(_multiply_adds(layer, shape) or 0 for layer, shape, _ in calls)
    values = sum(_elements(shape) for _, _, shape in calls)
    return "\n".join([*table, f"Output memory per example: {_size(4 * values)}", *_totals(model, multiply_adds)])


_Call = tuple[Any, Any, Any]  # a layer, the shapes that enter, those that leave


def _calls(model: Any) -> list[_Call]:
    try:
        calls: list[_Call] = model.layer_shapes()
    except ValueError:
        if not model.built or not model.layers:
            raise
        calls = [(layer, None, None) for layer in model.layers]
    return calls


def _in_range(calls: list[_Call], layer_range: Sequence[str] | None) -> list[_Call]:
    if layer_range is None:
        return calls
    ends = []
    for pattern in layer_range:
        found = [i for i, (layer, _, _) in enumerate(calls) if re.fullmatch(pattern, layer.name)]
        if not found:
            raise ValueError(f"summary: layer_range: no layer {pattern!r}; there are {[c[0].name for c in calls]}")
        ends.append(found)
    first, last = ends
    return calls[min(first) : max(last) + 1]


def _rows(calls: list[_Call], expand_nested: bool, show_trainable: bool, indent: str) -> list[list[str]]:
    rows = []
    for layer, input_shape, output_shape in calls:
        multiply_adds = _multiply_adds(layer, input_shape)
        row = [
            f"{indent}{layer.name} ({getattr(layer, 'function', type(layer).__name__)})",
            "?" if output_shape is None else _shown(output_shape),
            f"{layer.count_params():,}" if layer.built else "?",
            "?" if multiply_adds is None else f"{multiply_adds:,}",
        ]
        rows.append(row + ["yes" if layer.trainable_weights else "no" if layer.weights else "-"] * show_trainable)
        if expand_nested and hasattr(layer, "layer_shapes"):
            rows += _rows(_calls(layer), expand_nested, show_trainable, indent + "  ")
    return rows


def _totals(model: Any, multiply_adds: int) -> list[str]:
    count = sum(v.size for v in model.weights)
    trainable = sum(v.size for v in model.trainable_weights)
    return [
        f"Total params: {count:,} ({_size(4 * count)})",
        f"Trainable params: {trainable:,} ({_size(4 * trainable)})",
        f"Non-trainable params: {count - trainable:,} ({_size(4 * (count - trainable))})",
        f"Multiply-adds per example: {multiply_adds:,}",
    ]


def _multiply_adds(layer: Any, input_shape: Any) -> int | None:
    if input_shape is None:
        return None
    try:
        return int(layer.multiply_adds(input_shape))
    except ValueError:  # a size of the input is not fixed, so neither is the count
        return None


def _elements(shapes: Any) -> int:
    """The values of one example, where all sizes but the batch are fixed."""
    if shapes is None:
        return 0
    if not is_shape(shapes):
        return sum(_elements(part) for part in (shapes.values() if isinstance(shapes, dict) else shapes))
    return 0 if None in shapes[1:] else math.prod(n for n in shapes[1:] if n is not None)


def _aligned(row: Sequence[str], widths: list[int]) -> str:
    return "  ".join(f"{cell:{'<' if i < 2 else '>'}{widths[i]}}" for i, cell in enumerate(row))


def _shown(shapes: Any) -> str:
    if not is_shape(shapes):
        return ", ".join(map(_shown, shapes.values() if isinstance(shapes, dict) else shapes))
    return "(" + ", ".join(str(n) for n in shapes) + ("," if len(shapes) == 1 else "") + ")"


def _size(n: float) -> str:
    for unit in ("B", "KB", "MB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} GB"
