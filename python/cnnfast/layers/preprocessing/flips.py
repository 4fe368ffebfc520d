"""Images turned over at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast import ops
from cnnfast.layers.preprocessing.base import RandomImageLayer

if TYPE_CHECKING:
    from numpy.random import Generator

_MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(RandomImageLayer):
    """In training, turns over every image with probability 1/2.

    Args:
        mode: "horizontal" (left and right change places), "vertical" (top and bottom) or "horizontal_and_vertical",
            which decides for each of the two by itself.
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        ValueError: the mode is none of these.

    Example:
        >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
        >>> RandomFlip("vertical", seed=1)(x, training=False).ravel()
        array([0., 1., 2., 3.], dtype=float32)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        if mode not in _MODES:
            raise ValueError(f"RandomFlip: mode expects one of {', '.join(_MODES)}, got {mode!r}")
        self.mode = mode

    def _changed(self, images: Any, source: Generator) -> Any:
        for mode, axis in (("horizontal", 2), ("vertical", 1)):
            if mode in self.mode:
                images = _flipped(images, source.random(images.shape[0]) < 0.5, axis)
        return images


def _flipped(images: Any, chosen: np.ndarray[Any, np.dtype[np.bool_]], axis: int) -> Any:
    """The images, those that were chosen reversed along an axis."""
    if not isinstance(images, np.ndarray):
        return ops.where(chosen[:, None, None, None], ops.flip(images, axis), images)
    y = images.copy()
    y[chosen] = np.flip(images[chosen], axis)
    return y
