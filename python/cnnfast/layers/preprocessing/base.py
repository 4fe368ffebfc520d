"""What layers over images share that change them at random while training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast import ops, random
from cnnfast.arguments import real
from cnnfast.layers.arguments import checked_data_format
from cnnfast.layers.base import Layer, Shape

if TYPE_CHECKING:
    from numpy.random import Generator

    from cnnfast.autograd import FloatArray


class RandomImageLayer(Layer):
    """A layer that changes every image of a batch by numbers of its own, in training only.

    Subclasses define `_changed`, for batches with the channels last.

    Args:
        seed: an integer or a `SeedGenerator`: the same changes in every run, others in every batch. None draws them
            from `cnnfast.random`, which `set_random_seed` sets.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: of every layer.
    """

    def __init__(self, seed: Any = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(type(self).__name__, data_format)
        if isinstance(seed, Mapping):  # from a configuration
            seed = random.SeedGenerator.from_config(dict(seed["config"]))
        self.seed = seed
        self.generator = seed if isinstance(seed, random.SeedGenerator) or seed is None else random.SeedGenerator(seed)

    def _changed(self, images: Any, source: Generator) -> Any:
        """The images (N, H, W, C), each changed by random numbers from `source`."""
        raise NotImplementedError

    def _unchanged(self, images: Any) -> Any:
        """What becomes of images (N, H, W, C) outside training."""
        return images

    def call(self, x: Any, training: bool = True) -> Any:
        """Change the images, or hand them on outside training.

        Args:
            x: (N, H, W, C) or one image (H, W, C); channels first with "channels_first".
            training: whether to change them.

        Raises:
            ValueError: there are other than 3 or 4 axes.
        """
        if x.ndim not in (3, 4):
            raise ValueError(f"expects a batch of images (4 axes) or one image (3), got shape {x.shape}")
        first, single = self.data_format == "channels_first", x.ndim == 3
        images = ops.expand_dims(x, 0) if single else x
        images = ops.moveaxis(images, 1, -1) if first else images
        if training and 0 not in images.shape:
            images = self._changed(images, random.generator_of(self.generator))
        else:
            images = self._unchanged(images)
        images = ops.moveaxis(images, -1, 1) if first else images
        return ops.squeeze(images, 0) if single else images

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's shape."""
        return tuple(input_shape)


def drawn(source: Generator, bounds: tuple[float, float], count: int) -> FloatArray:
    """One number from within the bounds for each image, float32 (count,).

    Example:
        >>> drawn(np.random.default_rng(0), (2.0, 2.0), 3)
        array([2., 2., 2.], dtype=float32)
    """
    return source.uniform(*bounds, count).astype(np.float32)


def factor_range(owner: str, name: str, factor: Any, low: float, high: float) -> tuple[float, float]:
    """The bounds that a factor stands for: two numbers as they are, in order, one number for both directions.

    Raises:
        TypeError: it is neither.
        ValueError: a number is out of range.

    Example:
        >>> factor_range("RandomZoom", "height_factor", 0.2, -1.0, 1.0)
        (-0.2, 0.2)
    """
    if isinstance(factor, (tuple, list)):
        if len(factor) != 2:
            raise ValueError(f"{owner}: {name} expects a number or two, got {factor!r}")
        first, second = (real(owner, name, number, low, high) for number in factor)
        return min(first, second), max(first, second)
    number = abs(real(owner, name, factor, low, high))
    return max(-number, low), number
