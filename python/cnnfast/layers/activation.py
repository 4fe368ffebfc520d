"""Activations as layers of their own."""

from __future__ import annotations

from typing import Any

from cnnfast import activations, ops
from cnnfast.arguments import integer, real
from cnnfast.layers.base import SameShape


class Activation(SameShape):
    """Apply an activation function.

    Args:
        activation: a name or function of `cnnfast.activations`, or any function of a tensor.
        **kwargs: `name`.

    Example:
        >>> Activation("relu")([[-1.0, 2.0]])
        array([[0., 2.]], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return self.activation(x)


class ReLU(SameShape):
    """Rectified linear unit: `max(x, 0)`, or its general form.

    Args:
        max_value: where the output saturates, or None.
        negative_slope: the slope below the threshold.
        threshold: below it the output is `negative_slope * (x - threshold)`.
        **kwargs: `name`.

    Raises:
        ValueError: a negative argument.

    Example:
        >>> ReLU(max_value=6.0)([[-1.0, 2.0, 9.0]])
        array([[0., 2., 6.]], dtype=float32)
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else real("ReLU", "max_value", max_value, 0.0)
        self.negative_slope = real("ReLU", "negative_slope", negative_slope, 0.0)
        self.threshold = real("ReLU", "threshold", threshold, 0.0)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(SameShape):
    """ReLU that lets a little through: `x` where positive, else `negative_slope * x`, so that no unit dies.

    Args:
        negative_slope: the slope below zero.
        **kwargs: `name`.

    Raises:
        ValueError: a negative slope.

    Example:
        >>> LeakyReLU(0.5)([[-1.0, 2.0]])
        array([[-0.5,  2. ]], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = real("LeakyReLU", "negative_slope", negative_slope, 0.0)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return ops.leaky_relu(x, negative_slope=self.negative_slope)


class Softmax(SameShape):
    """Positive values with sum 1, in proportion to `exp(x)`.

    Args:
        axis: the axis along which they sum to 1.
        **kwargs: `name`.

    Example:
        >>> Softmax()([[1.0, 1.0]])
        array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = integer("Softmax", "axis", axis)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return ops.softmax(x, axis=self.axis)
