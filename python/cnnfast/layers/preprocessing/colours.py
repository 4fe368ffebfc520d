"""Images with other contrast and brightness, at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import real
from cnnfast.layers.preprocessing.base import RandomImageLayer, drawn, factor_range

if TYPE_CHECKING:
    from numpy.random import Generator


def _value_range(owner: str, given: Any) -> tuple[float, float]:
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError(f"{owner}: value_range expects the smallest and the largest value, got {given!r}")
    first, second = (real(owner, "value_range", number) for number in given)
    return min(first, second), max(first, second)


class RandomContrast(RandomImageLayer):
    """In training, moves the pixels of every image away from their channel's mean, or towards it.

    Args:
        factor: one number for both directions, or (down, up): the distances are multiplied with a number from
            1 - down to 1 + up. From 0 to 1.
        value_range: the smallest and the largest value of a pixel, beyond which it does not get.
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: the factor is not made of numbers.
        ValueError: an argument is out of range.

    Example:
        >>> x = np.array([100.0, 140.0]).reshape(1, 1, 2, 1)
        >>> y = RandomContrast(0.5, seed=1)(x, training=True)
        >>> bool(30 >= y.max() - y.mean() >= 10)
        True
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        pair = factor if isinstance(factor, (tuple, list)) else (factor, factor)
        if len(pair) != 2:
            raise ValueError(f"RandomContrast: factor expects a number or two, got {factor!r}")
        down, up = (real("RandomContrast", "factor", number, 0.0, 1.0) for number in pair)
        self.factor = (down, up)
        self.value_range = _value_range("RandomContrast", value_range)

    def _changed(self, images: Any, source: Generator) -> Any:
        stretch = drawn(source, (1 - self.factor[0], 1 + self.factor[1]), images.shape[0])[:, None, None, None]
        shift = ops.multiply(ops.global_avg_pool(images, keepdims=True), 1 - stretch)
        return ops.clip(ops.add(ops.multiply(images, stretch), shift), *self.value_range)


class RandomBrightness(RandomImageLayer):
    """In training, adds a number to all pixels of every image.

    Args:
        factor: how much at most, as a part of the range of values: one number for both directions, or the bounds. From
            -1 to 1.
        value_range: the smallest and the largest value of a pixel, beyond which it does not get.
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: the factor is not made of numbers.
        ValueError: an argument is out of range.

    Example:
        >>> x = np.array([100.0, 250.0]).reshape(1, 1, 2, 1)
        >>> RandomBrightness((0.1, 0.1))(x, training=True).ravel()
        array([125.5, 255. ], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = factor_range("RandomBrightness", "factor", factor, -1.0, 1.0)
        self.value_range = _value_range("RandomBrightness", value_range)

    def _changed(self, images: Any, source: Generator) -> Any:
        low, high = self.value_range
        more = drawn(source, self.factor, images.shape[0]) * np.float32(high - low)
        return ops.clip(ops.add(images, more[:, None, None, None]), low, high)
