"""What pixels of a resized image are made of: for every new pixel the old ones near it, and their weights."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import FloatArray
from cnnfast.ops.upsampling import FILTERS

INTERPOLATIONS = ("nearest", *FILTERS)


class Taps(NamedTuple):
    """The old pixels that every new one is made of, along one axis."""

    positions: npt.NDArray[np.intp]  # (new, taps)
    weights: FloatArray  # (new, taps); each row adds up to 1

    def matrix(self, old: int) -> FloatArray:
        """The same as a (new, old) matrix."""
        dense = np.zeros((len(self.positions), old), np.float32)
        np.add.at(dense, (np.arange(len(dense))[:, None], self.positions), self.weights)
        return dense


def taps(old: int, new: int, interpolation: str, antialias: bool) -> Taps:
    """How an axis of `old` pixels becomes one of `new` pixels.

    Pixels are areas: the middle of new pixel i lies at (i + 0.5) * old / new, as in TensorFlow and PyTorch. Weights of
    pixels outside the image are left out and the others scaled up. With `antialias` the filter grows as the image
    shrinks, so that every old pixel has a part in the result.

    Example:
        >>> taps(4, 2, "nearest", False).positions.ravel().tolist()
        [1, 3]
    """
    scale = old / new if new else 1.0
    middles = (np.arange(new) + 0.5) * scale
    if interpolation == "nearest":
        nearest = np.minimum(np.floor(middles).astype(np.intp), old - 1)
        return Taps(nearest[:, None], np.ones((new, 1), np.float32))
    function, radius = FILTERS[interpolation]
    stretch = max(scale, 1.0) if antialias else 1.0
    reach = radius * stretch
    first = np.ceil(middles - 0.5 - reach - 1e-9).astype(np.intp)
    positions = first[:, None] + np.arange(int(np.floor(2 * reach + 1e-9)) + 1)
    weights = function((positions + 0.5 - middles[:, None]) / stretch)
    weights[(positions < 0) | (positions >= old)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    used = (weights != 0).any(axis=0)
    return Taps(np.clip(positions[:, used], 0, old - 1), weights[:, used].astype(np.float32))
