"""Normalisation of every example by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cnnfast import initializers, ops
from cnnfast.arguments import integer, real
from cnnfast.layers.base import SameShape, Shape


def checked_axes(owner: str, axis: Any) -> tuple[int, ...]:
    """An axis or several as a tuple.

    Raises:
        TypeError: one is not an integer.

    Example:
        >>> checked_axes("LayerNormalization", -1)
        (-1,)
    """
    return tuple(integer(owner, "axis", a) for a in (axis if isinstance(axis, (list, tuple)) else (axis,)))


def axes_within(owner: str, axes: Sequence[int], input_shape: Shape) -> tuple[int, ...]:
    """The axes counted from the front, in order.

    Raises:
        ValueError: one is out of range or named twice.

    Example:
        >>> axes_within("LayerNormalization", (-1, 1), (None, 8, 8, 3))
        (1, 3)
    """
    rank = len(input_shape)
    if any(not -rank <= a < rank for a in axes) or len({a % rank for a in axes}) != len(axes):
        raise ValueError(f"{owner}: axis={tuple(axes)} expects axes of x, each once; x has shape {tuple(input_shape)}")
    return tuple(sorted(a % rank for a in axes))


def fixed_sizes(owner: str, axes: Sequence[int], input_shape: Shape) -> tuple[int, ...]:
    """The lengths of some axes.

    Raises:
        ValueError: one is open.

    Example:
        >>> fixed_sizes("LayerNormalization", (3,), (None, 8, 8, 3))
        (3,)
    """
    sizes = tuple(input_shape[a] for a in axes)
    if None in sizes:
        raise ValueError(f"{owner} expects fixed sizes along axis {tuple(axes)}, got {tuple(input_shape)}")
    return tuple(n for n in sizes if n is not None)


class LayerNormalization(SameShape):
    """Every example brought to mean 0 and variance 1 over some axes, then scaled by gamma and shifted by beta.

    From J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization" (2016). Unlike batch normalization it acts alike
    in training and out, and for batches of any size.

    Args:
        axis: the axis or axes over which mean and variance are taken.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer: initial beta, of the shape of the axes.
        gamma_initializer: initial gamma, of the shape of the axes.
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> LayerNormalization(epsilon=0.0)([[1.0, 3.0], [10.0, 30.0]])
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: initializers.InitializerLike = "zeros",
        gamma_initializer: initializers.InitializerLike = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = checked_axes("LayerNormalization", axis)
        self.epsilon = real("LayerNormalization", "epsilon", epsilon, 0.0)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        axes = axes_within("LayerNormalization", self.axis, input_shape)
        shape = fixed_sizes("LayerNormalization", axes, input_shape)
        self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma") if self.scale else None
        self.beta = self.add_weight(shape, self.beta_initializer, name="beta") if self.center else None

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.layer_normalization(x, self.gamma, self.beta, self.axis, self.epsilon)


class RMSNormalization(SameShape):
    """Every example divided by the root of its mean square over some axes, then scaled.

    From B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization" (2019).

    Args:
        axis: the axis or axes over which the mean is taken.
        epsilon: added to the mean square.
        **kwargs: `name` and `trainable`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> RMSNormalization(epsilon=0.0)([[1.0, 7.0]])
        array([[0.2, 1.4]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = checked_axes("RMSNormalization", axis)
        self.epsilon = real("RMSNormalization", "epsilon", epsilon, 0.0)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        axes = axes_within("RMSNormalization", self.axis, input_shape)
        self.scale = self.add_weight(fixed_sizes("RMSNormalization", axes, input_shape), "ones", name="scale")

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.rms_normalization(x, self.scale, self.axis, self.epsilon)


class UnitNormalization(SameShape):
    """Every example scaled to length 1 over some axes; what is zero stays so.

    Args:
        axis: the axis or axes over which the length is taken.
        **kwargs: `name`.

    Raises:
        TypeError: an axis is not an integer.

    Example:
        >>> UnitNormalization()([[3.0, 4.0]])
        array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = checked_axes("UnitNormalization", axis)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        axes_within("UnitNormalization", self.axis, input_shape)

    def call(self, x: Any) -> Any:  # noqa: D102
        squares = ops.sum(ops.square(x), axis=self.axis, keepdims=True)
        return ops.multiply(x, ops.rsqrt(ops.maximum(squares, 1e-24)))


class GroupNormalization(SameShape):
    """Every image's groups of channels brought to mean 0 and variance 1, then scaled by gamma and shifted by beta.

    From Y. Wu and K. He, "Group Normalization" (2018). With one group for every channel this is instance
    normalization, with one group it is layer normalization of whole images.

    Args:
        groups: the number of groups, which divides the number of channels; -1 for one per channel.
        axis: the channels.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer: initial beta, of shape (channels,).
        gamma_initializer: initial gamma, of shape (channels,).
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range, or `groups` does not divide the number of channels.

    Example:
        >>> GroupNormalization(2, epsilon=0.0)([[1.0, 3.0, 10.0, 30.0]])
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: initializers.InitializerLike = "zeros",
        gamma_initializer: initializers.InitializerLike = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = integer("GroupNormalization", "groups", groups)
        if self.groups < 1 and self.groups != -1:
            raise ValueError(f"GroupNormalization: groups expects a positive integer or -1, got {groups}")
        self.axis = integer("GroupNormalization", "axis", axis)
        self.epsilon = real("GroupNormalization", "epsilon", epsilon, 0.0)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        axes = axes_within("GroupNormalization", (self.axis,), input_shape)
        channels = math.prod(fixed_sizes("GroupNormalization", axes, input_shape))
        if axes == (0,) or channels % (channels if self.groups == -1 else self.groups):
            raise ValueError(
                f"GroupNormalization: groups={self.groups} expects a number of channels (axis {self.axis}) that it "
                f"divides, got {tuple(input_shape)}"
            )
        self.gamma = self.add_weight((channels,), self.gamma_initializer, name="gamma") if self.scale else None
        self.beta = self.add_weight((channels,), self.beta_initializer, name="beta") if self.center else None

    def call(self, x: Any) -> Any:  # noqa: D102
        groups = x.shape[self.axis] if self.groups == -1 else self.groups
        if self.axis in (-1, x.ndim - 1):
            return ops.group_normalization(x, self.gamma, self.beta, groups, self.epsilon)
        turned = ops.moveaxis(x, self.axis, -1)
        return ops.moveaxis(ops.group_normalization(turned, self.gamma, self.beta, groups, self.epsilon), -1, self.axis)
