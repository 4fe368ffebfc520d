"""What earlier networks do to their inputs and between their layers: whitening, local response normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import integer, positive_int, real
from cnnfast.autograd import to_float32
from cnnfast.layers.base import Layer, SameShape, Shape
from cnnfast.layers.inputs import fixed_size

_ROWS = 4096  # examples taken at once: their float64 copy stays small


class LocalResponseNormalization(SameShape):
    """Each value divided by a power of the squares of its neighbours in the channels, as AlexNet and GoogLeNet do it.

    From A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks"
    (2012), whose numbers are the defaults.

    Args:
        depth_radius: how many channels on each side count.
        bias: what is added to the sum of squares; positive.
        alpha: the sum's weight.
        beta: the power.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> LocalResponseNormalization(1, bias=1.0, alpha=1.0, beta=0.5)([[3.0, 4.0, 0.0]]).round(3)
        array([[0.588, 0.784, 0.   ]], dtype=float32)
    """

    def __init__(
        self, depth_radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = "LocalResponseNormalization"
        self.depth_radius = integer(owner, "depth_radius", depth_radius)
        self.bias, self.alpha = real(owner, "bias", bias, 0.0), real(owner, "alpha", alpha)
        self.beta = real(owner, "beta", beta)
        if self.depth_radius < 0 or self.bias == 0.0:
            raise ValueError(f"{owner}: expects depth_radius >= 0 and bias > 0, got {depth_radius} and {bias}")

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.local_response_normalization(x, self.depth_radius, self.bias, self.alpha, self.beta)


class Whitening(Layer):
    """Examples without their mean, rotated to uncorrelated directions that are scaled to variance 1.

    `adapt` learns mean and directions from data; before that the layer changes nothing. "pca" leaves examples in the
    directions' coordinates, the strongest first, as vectors; "zca" turns them back, so that images stay images (A. Bell
    and T. Sejnowski, "The Independent Components of Natural Scenes are Edge Filters", 1997). Useful for small images:
    the matrix has as many rows and columns as an example has values.

    Args:
        method: "zca" or "pca".
        epsilon: added to the variances, so that what is noise is not blown up.
        components: for "pca", how many directions are kept; all by default.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> layer = Whitening("pca", epsilon=0.0)
        >>> layer.adapt([[0.0, 0.0], [2.0, 0.0], [0.0, 6.0], [2.0, 6.0]])
        >>> np.abs(layer([[2.0, 6.0]]))
        array([[1., 1.]], dtype=float32)
    """

    def __init__(
        self, method: str = "zca", epsilon: float = 1e-5, components: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if method not in ("pca", "zca"):
            raise ValueError(f"Whitening: method expects 'pca' or 'zca', got {method!r}")
        self.method = method
        self.epsilon = real("Whitening", "epsilon", epsilon, 0.0)
        self.components = None if components is None else positive_int("Whitening", "components", components)
        if self.components is not None and method == "zca":
            raise ValueError("Whitening: components belongs to method 'pca', method is 'zca'")

    def _sizes(self, input_shape: Shape) -> tuple[int, int]:
        """The numbers of values in an example and in what becomes of it."""
        size = fixed_size(self.name, input_shape, range(1, len(input_shape)))
        if self.components is not None and self.components > size:
            raise ValueError(f"Whitening: components expects at most the {size} values of x: {input_shape}")
        return size, self.components or size

    def build(self, input_shape: Shape) -> None:  # noqa: D102
        size, kept = self._sizes(input_shape)
        self.mean = self.add_weight((size,), "zeros", trainable=False, name="mean")
        self.matrix = self.add_weight((size, kept), _unit_matrix, trainable=False, name="matrix")

    def adapt(self, data: Any) -> None:
        """Learn mean and directions.

        Args:
            data: examples, the batch first; as many as an example has values or more, for a good estimate.

        Raises:
            ValueError: there are no examples, or they are not finite.
        """
        array = to_float32(data, "Whitening.adapt", "data")
        if not self.built:
            self._build_once((None, *array.shape[1:]))
        if array.ndim < 2 or not len(array) or math.prod(array.shape[1:]) != self.mean.size:
            raise ValueError(f"Whitening.adapt expects examples of {self.mean.size} values, got shape {array.shape}")
        rows = array.reshape(len(array), -1)
        if not np.isfinite(rows).all():
            raise ValueError("Whitening.adapt expects finite data, got infinities or NaN")
        mean = rows.mean(axis=0, dtype=np.float64)
        covariance = np.zeros((rows.shape[1], rows.shape[1]))
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS] - mean
            covariance += part.T @ part
        variances, directions = np.linalg.eigh(covariance / len(rows))
        strongest = np.argsort(variances)[::-1][: self.matrix.shape[1]]
        directions = directions[:, strongest]
        # Directions in which nothing varies stay at zero, also where epsilon is.
        spread = np.maximum(variances[strongest], 0) + self.epsilon
        scaled = directions * np.where(spread > 0, 1 / np.sqrt(np.where(spread > 0, spread, 1)), 0)
        self.mean.assign(mean)
        self.matrix.assign(scaled if self.method == "pca" else scaled @ directions.T)

    def call(self, x: Any) -> Any:  # noqa: D102
        flat = ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        whitened = ops.dense(ops.subtract(flat, self.mean), self.matrix)
        return whitened if self.method == "pca" else ops.reshape(whitened, x.shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        _, kept = self._sizes(input_shape)
        return (input_shape[0], kept) if self.method == "pca" else tuple(input_shape)

    def multiply_adds(self, input_shape: Shape) -> int:  # noqa: D102
        return math.prod(self._sizes(input_shape))


def _unit_matrix(shape: Any, dtype: Any = None) -> Any:
    return np.eye(*shape, dtype=np.float32)
