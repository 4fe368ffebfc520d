"""Activations with weights, or with a choice of channels: PReLU, ELU and Maxout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import initializers, ops
from cnnfast.arguments import integer, positive_int, real
from cnnfast.layers.base import Layer, SameShape, Shape
from cnnfast.layers.layer_norm import axes_within, fixed_sizes


class ELU(SameShape):
    """The exponential linear unit: `x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: the negative of the limit at minus infinity.
        **kwargs: `name`.

    Raises:
        ValueError: `alpha` is negative.

    Example:
        >>> ELU()([[-1.0, 2.0]]).round(3)
        array([[-0.632,  2.   ]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = real("ELU", "alpha", alpha, 0.0)

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.elu(x, alpha=self.alpha)


class PReLU(SameShape):
    """A rectifier that learns its slope below zero, one for each value of an example.

    From K. He et al., "Delving Deep into Rectifiers" (2015), where the slopes are shared across the image:
    `shared_axes=[1, 2]`.

    Args:
        alpha_initializer: initial slopes, of the shape of an example with 1 for each shared axis.
        shared_axes: the axes along which there is one slope for all, counted from 1, behind the batch.
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        TypeError: an axis is not an integer.
        ValueError: an axis that is not shared is open, or an axis is out of range.

    Example:
        >>> layer = PReLU("ones", shared_axes=[1, 2])
        >>> layer.build((None, 8, 8, 3))
        >>> layer.alpha.shape
        (1, 1, 3)
    """

    def __init__(
        self,
        alpha_initializer: initializers.InitializerLike = "Zeros",
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        given = () if shared_axes is None else shared_axes
        axes = given if isinstance(given, (list, tuple)) else (given,)
        self.shared_axes = tuple(integer("PReLU", "shared_axes", a) for a in axes)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        shared = axes_within("PReLU", self.shared_axes, input_shape)
        if 0 in shared:
            raise ValueError(f"PReLU: shared_axes={self.shared_axes} expects axes behind the batch")
        own = [a for a in range(1, len(input_shape)) if a not in shared]
        sizes = dict(zip(own, fixed_sizes("PReLU", own, input_shape), strict=True))
        shape = [sizes.get(a, 1) for a in range(1, len(input_shape))]
        self.alpha = self.add_weight(shape, self.alpha_initializer, name="alpha")

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.prelu(x, self.alpha)


class Maxout(Layer):
    """The largest of every few consecutive channels: (N, ..., C) to (N, ..., num_units).

    Behind a layer without an activation it learns an activation's shape as several straight pieces (I. J. Goodfellow et
    al., "Maxout Networks", 2013).

    Args:
        num_units: the number of channels that are left, which divides the number of channels.
        axis: the channels.
        **kwargs: `name`.

    Raises:
        ValueError: `num_units` is not positive, or does not divide the number of channels.

    Example:
        >>> Maxout(1)([[1.0, 5.0, -2.0]])
        array([[5.]], dtype=float32)
    """

    def __init__(self, num_units: int, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_units = positive_int("Maxout", "num_units", num_units)
        self.axis = integer("Maxout", "axis", axis)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        (axis,) = axes_within("Maxout", (self.axis,), input_shape)
        (channels,) = fixed_sizes("Maxout", (axis,), input_shape)
        if axis == 0 or channels % self.num_units:
            raise ValueError(
                f"Maxout: num_units={self.num_units} expects a multiple of it along axis {self.axis} behind the batch, "
                f"got {tuple(input_shape)}"
            )
        return (*input_shape[:axis], self.num_units, *input_shape[axis + 1 :])

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.maxout(x, x.shape[self.axis] // self.num_units, axis=self.axis)
