"""The table that `summary` prints."""

from __future__ import annotations

from typing import Any

from cnnfast.layers.base import Shape


def summary_text(model: Any) -> str:
    """A table of a built model's layers with output shapes, parameters and multiply-adds for one example.

    Args:
        model: has `name`, `layer_shapes()` and weights.

    Example:
        >>> from cnnfast import layers, models
        >>> model = models.Sequential([layers.Input((4,)), layers.Dense(2, name="dense")], name="small")
        >>> print(summary_text(model))  # doctest: +ELLIPSIS
        Model: "small"
        ...
    """
    header = ("Layer (type)", "Output shape", "Params", "Multiply-adds")
    rows = []
    total = 0
    for layer, input_shape, output_shape in model.layer_shapes():
        multiply_adds = _multiply_adds(layer, input_shape)
        total += multiply_adds or 0
        rows.append(
            (
                f"{layer.name} ({type(layer).__name__})",
                _shown(output_shape),
                f"{layer.count_params():,}",
                "?" if multiply_adds is None else f"{multiply_adds:,}",
            )
        )
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(4)]
    line = [_aligned(row, widths) for row in [header, *rows]]
    rule = "-" * len(line[0])
    table = [f'Model: "{model.name}"', rule, line[0], rule, *line[1:], rule]
    return "\n".join(table + _totals(model, total))


def _totals(model: Any, multiply_adds: int) -> list[str]:
    count = sum(v.size for v in model.weights)
    trainable = sum(v.size for v in model.trainable_weights)
    return [
        f"Total params: {count:,} ({_size(4 * count)})",
        f"Trainable params: {trainable:,} ({_size(4 * trainable)})",
        f"Non-trainable params: {count - trainable:,} ({_size(4 * (count - trainable))})",
        f"Multiply-adds per example: {multiply_adds:,}",
    ]


def _multiply_adds(layer: Any, input_shape: Shape) -> int | None:
    try:
        return int(layer.multiply_adds(input_shape))
    except ValueError:  # a size of the input is not fixed, so neither is the count
        return None


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    name, shape, params, multiply_adds = (f"{cell:{'<' if i < 2 else '>'}{widths[i]}}" for i, cell in enumerate(row))
    return f"{name}  {shape}  {params}  {multiply_adds}"


def _shown(shape: Shape) -> str:
    return "(" + ", ".join(str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"


def _size(n: float) -> str:
    for unit in ("B", "KB", "MB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} GB"
