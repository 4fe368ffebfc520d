"""Convolutions that find the moments of their results, for the batch normalization that reads them.

Its mean and variance take a pass over what the convolution has just written. The engine makes it block by block, while
a block is in the nearest cache, and in the same order, so the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnfast import layers
from cnnfast.models.fusion import (
    CONVOLUTIONS,
    NormalizedSum,
    WeightedActivation,
    activated_convolution,
    penalised,
    weighted_layer,
)
from cnnfast.models.steps import Slot, Step, readers


class MeasuredConvolution:
    """A convolution, perhaps with a border and an activation, and who normalizes its result."""

    def __init__(self, convolution: Callable[..., Any], norm: layers.BatchNormalization) -> None:
        self._convolution, self._norm = convolution, norm

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """The convolution's output, which brings its moments with it where they are asked for."""
        parts = activated_convolution(self._convolution) if training and self._norm.trainable else None
        if parts is not None:
            layer, activation = parts
            try:
                return layer.measured(x, layer.kernel, layer.bias, activation)
            except (ValueError, TypeError):
                pass  # the layer by itself tells whose error it is
        return self._convolution(x, training=training)


def with_moments(steps: list[Step]) -> list[Step]:
    """The steps with convolutions measured where a batch normalization reads their results."""
    read = readers(steps)
    return [_measured(step, read.get(step.outputs[0], [])) if len(step.outputs) == 1 else step for step in steps]


def _measured(step: Step, following: list[Step]) -> Step:
    compute: Any = step.compute
    layer = weighted_layer(compute.layer if isinstance(compute, WeightedActivation) else compute)
    norms = [_norm_of(reader, step.outputs[0]) for reader in following]
    norm = next((norm for norm in norms if norm is not None), None)
    if type(layer) not in CONVOLUTIONS or norm is None or type(step.plain) is not int or penalised(step):
        return step
    return Step(MeasuredConvolution(compute, norm), step.layers, step.args, {}, step.outputs, step.input_shape)


def _norm_of(step: Step, slot: int) -> layers.BatchNormalization | None:
    """Who brings the value in `slot` to mean 0 and variance 1 in a step."""
    compute: Any = step.compute
    if isinstance(compute, NormalizedSum):
        x = step.args[0][0] if compute.has_shortcut else step.args[0]
        return compute.layer if isinstance(x, Slot) and x.number == slot else None
    return compute if type(compute) is layers.BatchNormalization and compute.over_last_axis() else None
