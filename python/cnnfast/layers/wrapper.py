"""Layers around another layer."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnnfast import initializers, ops
from cnnfast.arguments import positive_int
from cnnfast.layers.base import Layer, Shape

# Makes a layer of its class's name and configuration; given by the module that reads models, which is above this one.
_make_layer: Callable[[Mapping[str, Any], Mapping[str, Any] | None], Layer] | None = None


def make_wrapped_layers_with(make_layer: Callable[[Mapping[str, Any], Mapping[str, Any] | None], Layer]) -> None:
    """Set what makes a layer of a configuration, given the classes that the library does not have."""
    global _make_layer
    _make_layer = make_layer


def made_of_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Layer:
    """A layer of its class's name and configuration; `custom_objects` names classes that the library does not have."""
    if _make_layer is None:
        importlib.import_module("cnnfast.models")  # which says how layers are made of configurations
    assert _make_layer is not None
    return _make_layer(config, custom_objects)


class Wrapper(Layer):
    """The base of layers around another one.

    Args:
        layer: the layer, whose weights belong to this one.
        **kwargs: `name` and `trainable`.

    Raises:
        TypeError: `layer` is no layer.

    Example:
        >>> from cnnfast.layers import Dense
        >>> class Twice(Wrapper):
        ...     def call(self, x):
        ...         return self.layer(x) * 2.0
        >>> Twice(Dense(1, kernel_initializer="ones"))([[1.0, 2.0]])
        array([[6.]], dtype=float32)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(self).__name__}: layer expects a Layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        """Build the layer inside."""
        self.layer._build_once(input_shape)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the layer and the one inside from what `get_config` returned.

        Args:
            config: the configuration.
            custom_objects: classes by name, for layers that the library does not have.

        Raises:
            ValueError: the layer inside is unknown.
        """
        inner = config["layer"]
        if not isinstance(inner, Layer):
            inner = made_of_config(inner, custom_objects)
        return cls(**{**config, "layer": inner})


class TimeDistributed(Wrapper):
    """A layer applied to every step of a sequence: (N, T, ...) to (N, T, ...).

    All steps are computed at once, as one batch of N * T. In training a layer that keeps statistics, such as batch
    normalization, sees one step after the other.

    Args:
        layer: the layer, of inputs (N, ...).
        **kwargs: `name` and `trainable`.

    Raises:
        TypeError: `layer` is no layer.

    Example:
        >>> from cnnfast.layers import Conv2D
        >>> TimeDistributed(Conv2D(8, 3)).compute_output_shape((None, 10, 28, 28, 1))
        (None, 10, 26, 26, 8)
    """

    def _step_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 3:
            raise ValueError(f"TimeDistributed expects x of shape (N, T, ...), got {tuple(input_shape)}")
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        batch, *rest = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (batch, input_shape[1], *rest)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        examples, steps, *shape = x.shape
        if training and self.layer.non_trainable_weights and steps:
            outputs = [self.layer(ops.index(x, (slice(None), step))) for step in range(steps)]
            return ops.stack(outputs, axis=1)
        y = self.layer(ops.reshape(x, (examples * steps, *shape)))
        return ops.reshape(y, (examples, steps, *y.shape[1:]))

    def multiply_adds(self, input_shape: Shape) -> int:  # noqa: D102
        if input_shape[1] is None:
            raise ValueError(f"{self.name}: expected an input of fixed size, got {tuple(input_shape)}")
        return input_shape[1] * self.layer.multiply_adds(self._step_shape(input_shape))


class SpectralNormalization(Wrapper):
    """A layer whose kernel is divided by its largest singular value before every step of training.

    The singular value is estimated by power iteration, whose vector is kept from step to step (T. Miyato et al.,
    "Spectral Normalization for Generative Adversarial Networks", 2018).

    Args:
        layer: a layer with a `kernel`.
        power_iterations: how many iterations each step takes.
        **kwargs: `name` and `trainable`.

    Raises:
        TypeError: `layer` is no layer.
        ValueError: `power_iterations` is not positive, or the layer has no kernel.

    Example:
        >>> from cnnfast.layers import Conv2D
        >>> layer = SpectralNormalization(Conv2D(4, 3))
        >>> layer.build((None, 8, 8, 2))
        >>> [w.name for w in layer.weights]
        ['vector_u', 'kernel', 'bias']
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_int("SpectralNormalization", "power_iterations", power_iterations)

    def build(self, input_shape: Any) -> None:  # noqa: D102
        super().build(input_shape)
        self.kernel: Any = getattr(self.layer, "kernel", None)
        if self.kernel is None:
            raise ValueError(f"SpectralNormalization: layer expects one with a kernel, got {self.layer!r}")
        start = initializers.TruncatedNormal(stddev=0.02)
        self.vector_u = self.add_weight((1, self.kernel.shape[-1]), start, trainable=False, name="vector_u")

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        if training:
            self._normalize_kernel()
        return self.layer(x)

    def _normalize_kernel(self) -> None:
        kernel = self.kernel
        matrix = kernel.numpy().reshape(-1, kernel.shape[-1])
        if not np.any(matrix):
            return
        u = self.vector_u.numpy()
        for _ in range(self.power_iterations):
            v = _unit(u @ matrix.T)
            u = _unit(v @ matrix)
        sigma = v @ matrix @ u.T
        self.vector_u.assign(u)
        kernel.assign(kernel.numpy() / sigma)

    def compute_output_shape(self, input_shape: Any) -> Any:  # noqa: D102
        return self.layer.compute_output_shape(input_shape)

    def multiply_adds(self, input_shape: Shape) -> int:  # noqa: D102
        return self.layer.multiply_adds(input_shape)


def _unit(vector: Any) -> Any:
    return vector / max(math.sqrt(float(np.square(vector).sum())), 1e-7)
