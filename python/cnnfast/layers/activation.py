"""Activations as layers of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import activations, ops
from cnnfast.arguments import integer, real
from cnnfast.layers.base import Layer, SameShape

_MASKED = -1e9  # a logit that counts for nothing


class Activation(Layer):
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

    def compute_output_shape(self, input_shape: Any) -> Any:  # noqa: D102
        if activations.keeps_shape(self.activation):
            return tuple(input_shape)
        return super().compute_output_shape(input_shape)


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
        axis: the axis or axes along which they sum to 1.
        **kwargs: `name`.

    Example:
        >>> Softmax()([[1.0, 1.0]])
        array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axis = tuple(integer("Softmax", "axis", a) for a in given)

    def call(self, x: Any, mask: Any = None) -> Any:
        """Compute the softmax.

        Args:
            x: the logits.
            mask: which of them count, of a shape that broadcasts to that of `x`: the others get 0, or as much as the
                rest where none counts. All by default.
        """
        if mask is not None:
            x = ops.where(np.asarray(mask) > 0.5, x, _MASKED)
        if len(self.axis) == 1:
            return ops.softmax(x, axis=self.axis[0])
        # The axes are moved to the end and joined.
        last = tuple(range(-len(self.axis), 0))
        turned = ops.moveaxis(x, self.axis, last)
        flat = ops.reshape(turned, (*turned.shape[: -len(self.axis)], math.prod(turned.shape[-len(self.axis) :])))
        return ops.moveaxis(ops.reshape(ops.softmax(flat), turned.shape), last, self.axis)
