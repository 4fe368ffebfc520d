"""The activation that convolutions and dense products apply to what they have just computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, is_recorded, record, to_float32
from cnnfast.tensor import Activated

LEAKY_SLOPE = 0.2  # Keras's default
FUSED_ACTIVATIONS = ("linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh")
# Their gradients are selections: what receives no gradient hands none on, even a NaN.
_BENT = ("relu", "relu6", "leaky_relu")
# Below this many elements recording another step takes longer than it saves.
_TWO_STEPS_SIZE = 16384


# An activation that the engine applies while it writes: its name, or that of leaky_relu with another slope.
Fused = str | tuple[str, float] | None


def fused_activation(op: str, activation: Fused) -> tuple[str, float]:
    """The engine's name of an activation and its parameter.

    Raises:
        ValueError: the engine does not fuse this activation.
    """
    if isinstance(activation, (tuple, list)) and len(activation) == 2 and activation[0] == "leaky_relu":
        slope = float(activation[1])
        if not 0 <= slope < math.inf:
            raise ValueError(f"{op}: activation expects a finite slope >= 0, got {activation!r}")
        return ("leaky_relu", slope) if slope else ("relu", 0.0)
    name = "linear" if activation is None else activation
    if not isinstance(name, str) or name not in FUSED_ACTIVATIONS:
        raise ValueError(f"{op}: activation must be None or one of {', '.join(FUSED_ACTIVATIONS)}, got {activation!r}")
    return name, LEAKY_SLOPE if name == "leaky_relu" else 0.0


def optional_float32(bias: ArrayLike | None, op: str) -> FloatArray | None:
    """A bias as float32, or None."""
    return None if bias is None else to_float32(bias, op, "bias")


def before_activation(
    kind: str, alpha: float, y: FloatArray, dy: FloatArray, needs_bias: bool
) -> tuple[FloatArray, FloatArray | None]:
    """The gradient in front of the fused activation, whose output was `y`, and where needed the bias's: its sums."""
    dy = to_float32(dy)
    if kind == "linear":
        return dy, _core.channel_sums(dy) if needs_bias else None
    if needs_bias:
        return _core.activation_backward_sums(kind, y, dy, alpha)
    return _core.activation_backward(kind, y, dy, alpha), None


def record_activated(
    op: str,
    y: FloatArray,
    inputs: tuple[Any, Any, Any],
    kind: str,
    alpha: float,
    gradients: Callable[[str, FloatArray, Sequence[bool]], Sequence[FloatArray | None]],
) -> Any:
    """Record `y` = activation(linear(x, kernel) + bias); `gradients` is told which activation's output to take y for.

    A large result is recorded in two steps, so that a max pooling may go around the second: its gradient arrives at few
    elements, and passing the activation is cheaper before it is spread over all of them.
    """
    x, kernel, bias = inputs
    if kind not in _BENT or y.size < _TWO_STEPS_SIZE or not is_recorded(x, kernel):
        return record(op, y, inputs, lambda dy, needs: gradients(kind, dy, needs))

    linear = record(op, y, (x, kernel), lambda dy, needs: gradients("linear", dy, (*needs, False))[:2])
    output = record(op, y, (linear, bias), lambda dy, needs: before_activation(kind, alpha, y, dy, needs[1]))
    output._activated = Activated(kind, alpha, linear, bias)
    return output
