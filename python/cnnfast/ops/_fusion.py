"""The activation that convolutions and dense products apply to what they have just computed."""

from __future__ import annotations

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, to_float32

LEAKY_SLOPE = 0.2  # Keras's default
FUSED_ACTIVATIONS = ("linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh")


def fused_activation(op: str, activation: str | None) -> tuple[str, float]:
    """The engine's name of an activation and its parameter.

    Raises:
        ValueError: the engine does not fuse this activation.
    """
    name = "linear" if activation is None else activation
    if name not in FUSED_ACTIVATIONS:
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
