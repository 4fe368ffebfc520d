"""Batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnfast import initializers, ops
from cnnfast.arguments import integer, real
from cnnfast.autograd import FloatArray
from cnnfast.layers.base import Layer, Shape


class BatchNormalization(Layer):
    """Every channel brought to mean 0 and variance 1, then scaled by gamma and shifted by beta.

    The method is Ioffe and Szegedy's (2015).

    In training the batch's own statistics are used and moving averages of them are kept; otherwise these averages are
    used. A frozen layer (`trainable = False`) uses and keeps its averages in training too.

    Args:
        axis: the channels; where they are not the last axis, two transpositions are the price.
        momentum: the weight of the old average when a batch updates it.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer: initial beta, of shape (channels,).
        gamma_initializer: initial gamma.
        moving_mean_initializer: initial moving mean.
        moving_variance_initializer: initial moving variance.
        **kwargs: those of `Layer`: `name`, `trainable`, and a regularizer and a constraint for each initializer.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> layer = BatchNormalization()
        >>> layer.build((None, 8))
        >>> [w.name for w in layer.weights]
        ['gamma', 'beta', 'moving_mean', 'moving_variance']
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: initializers.InitializerLike = "zeros",
        gamma_initializer: initializers.InitializerLike = "ones",
        moving_mean_initializer: initializers.InitializerLike = "zeros",
        moving_variance_initializer: initializers.InitializerLike = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = integer("BatchNormalization", "axis", axis)
        self.momentum = real("BatchNormalization", "momentum", momentum, 0.0, 1.0)
        self.epsilon = real("BatchNormalization", "epsilon", epsilon, 0.0)
        self.center, self.scale = bool(center), bool(scale)
        self._over_last_axis = self.axis == -1
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        channels = self._channels(input_shape)
        self._over_last_axis = self.axis in (-1, len(input_shape) - 1)
        add = self.add_weight
        self.gamma = add((channels,), self.gamma_initializer, name="gamma") if self.scale else None
        self.beta = add((channels,), self.beta_initializer, name="beta") if self.center else None
        self.moving_mean = add((channels,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = add(
            (channels,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )

    def _channels(self, input_shape: Shape) -> int:
        rank = len(input_shape)
        if rank < 2 or not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(f"BatchNormalization: axis={self.axis} expects one behind the batch, got {input_shape}")
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(f"BatchNormalization expects a fixed number of channels, got {input_shape}")
        return channels

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        self._channels(input_shape)
        return tuple(input_shape)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        if self._over_last_axis:
            return self.normalized(x, training)
        return ops.moveaxis(self.normalized(ops.moveaxis(x, self.axis, -1), training), -1, self.axis)

    def over_last_axis(self) -> bool:
        """Whether the channels are the last axis, as the engine has them; known when the layer is built."""
        return self._over_last_axis

    def normalized(self, x: Any, training: bool, activation: str | None = None, shortcut: Any = None) -> Any:
        """The output, with what follows in the same pass: `shortcut` added, then "relu" or "relu6" applied.

        All with the channels last.
        """
        mean, variance = self.moving_mean, self.moving_variance
        what: Any = {"epsilon": self.epsilon, "activation": activation, "residual": shortcut}
        if not (training and self._trainable):
            return ops.fused_batch_norm(x, self.gamma, self.beta, mean, variance, **what)
        y, batch_mean, batch_variance = ops.fused_batch_norm(
            x, self.gamma, self.beta, mean, variance, training=True, **what
        )
        mean.assign(self._average(mean.numpy(), batch_mean))
        variance.assign(self._average(variance.numpy(), batch_variance))
        return y

    def _average(self, old: FloatArray, new: FloatArray) -> FloatArray:
        return old * np.float32(self.momentum) + new * np.float32(1.0 - self.momentum)
