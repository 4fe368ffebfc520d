"""Images shifted, turned and zoomed at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import real
from cnnfast.layers.preprocessing.base import RandomImageLayer, drawn, factor_range

if TYPE_CHECKING:
    from numpy.random import Generator

    from cnnfast.autograd import FloatArray

_FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_INTERPOLATIONS = ("nearest", "bilinear")


class _Moved(RandomImageLayer):
    """Base: every image is read at places of its own."""

    def __init__(
        self, fill_mode: str, interpolation: str, seed: Any, fill_value: float, data_format: str | None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        owner = type(self).__name__
        if fill_mode not in _FILL_MODES:
            raise ValueError(f"{owner}: fill_mode expects one of {', '.join(_FILL_MODES)}, got {fill_mode!r}")
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(f"{owner}: interpolation expects 'nearest' or 'bilinear', got {interpolation!r}")
        self.fill_mode, self.interpolation = fill_mode, interpolation
        self.fill_value = real(owner, "fill_value", fill_value)

    def _transforms(self, count: int, height: int, width: int, source: Generator) -> FloatArray:
        """What `ops.image.affine_transform` takes, (count, 8)."""
        raise NotImplementedError

    def _changed(self, images: Any, source: Generator) -> Any:
        count, height, width = images.shape[:3]
        return ops.image.affine_transform(
            images,
            self._transforms(count, height, width, source),
            self.interpolation,
            self.fill_mode,
            self.fill_value,
        )


class RandomTranslation(_Moved):
    """In training, shifts every image.

    Args:
        height_factor: how far at most, as a part of the height: one number for both directions, or the bounds, of which
            negative ones are upwards. From -1 to 1.
        width_factor: the same for the width; negative numbers are to the left.
        fill_mode: what comes in at the other side: "reflect" (the image mirrored), "wrap" (the image again), "nearest"
            (the outermost pixel) or "constant".
        interpolation: "bilinear" or "nearest".
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: a factor is not made of numbers.
        ValueError: an argument is out of range.

    Example:
        >>> x = np.arange(4.0).reshape(1, 1, 4, 1)
        >>> RandomTranslation(0.0, (0.25, 0.25), "constant")(x, training=True).ravel()
        array([0., 0., 1., 2.], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = factor_range("RandomTranslation", "height_factor", height_factor, -1.0, 1.0)
        self.width_factor = factor_range("RandomTranslation", "width_factor", width_factor, -1.0, 1.0)

    def _transforms(self, count: int, height: int, width: int, source: Generator) -> FloatArray:
        found = _identities(count)
        found[:, 5] = -drawn(source, self.height_factor, count) * height
        found[:, 2] = -drawn(source, self.width_factor, count) * width
        return found


class RandomRotation(_Moved):
    """In training, turns every image around its middle.

    Args:
        factor: how far at most, as a part of a full turn: one number for both directions, or the bounds, of which
            positive ones turn counterclockwise. From -1 to 1.
        fill_mode: what comes in at the corners: "reflect", "wrap", "nearest" or "constant".
        interpolation: "bilinear" or "nearest".
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: the factor is not made of numbers.
        ValueError: an argument is out of range.

    Example:
        >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
        >>> RandomRotation((0.5, 0.5))(x, training=True).round(4).ravel()
        array([3., 2., 1., 0.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = factor_range("RandomRotation", "factor", factor, -1.0, 1.0)

    def _transforms(self, count: int, height: int, width: int, source: Generator) -> FloatArray:
        angle = drawn(source, self.factor, count) * np.float32(2 * np.pi)
        found = _identities(count)
        found[:, 0] = found[:, 4] = np.cos(angle)
        found[:, 1], found[:, 3] = -np.sin(angle), np.sin(angle)
        # The middle stays where it is.
        x, y = (width - 1) / 2, (height - 1) / 2
        found[:, 2] = x - x * found[:, 0] - y * found[:, 1]
        found[:, 5] = y - x * found[:, 3] - y * found[:, 4]
        return found


class RandomZoom(_Moved):
    """In training, zooms every image in or out.

    Args:
        height_factor: how much at most, as a part of the height: one number for both directions, or the bounds, of
            which negative ones zoom in and positive ones out. Above -1, at most 1.
        width_factor: the same for the width; None zooms both alike, so that nothing is distorted.
        fill_mode: what comes in around a smaller image: "reflect", "wrap", "nearest" or "constant".
        interpolation: "bilinear" or "nearest".
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        fill_value: the constant.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: a factor is not made of numbers.
        ValueError: an argument is out of range.

    Example:
        >>> x = np.arange(5.0).reshape(1, 1, 5, 1)
        >>> RandomZoom(0.0, (-0.5, -0.5))(x, training=True).ravel()
        array([1. , 1.5, 2. , 2.5, 3. ], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        lowest = float(np.nextafter(-1.0, 0.0))
        self.height_factor = factor_range("RandomZoom", "height_factor", height_factor, lowest, 1.0)
        self.width_factor = None
        if width_factor is not None:
            self.width_factor = factor_range("RandomZoom", "width_factor", width_factor, lowest, 1.0)

    def _transforms(self, count: int, height: int, width: int, source: Generator) -> FloatArray:
        tall = 1 + drawn(source, self.height_factor, count)
        wide = tall if self.width_factor is None else 1 + drawn(source, self.width_factor, count)
        found = _identities(count)
        found[:, 0], found[:, 4] = wide, tall
        found[:, 2] = (width - 1) / 2 * (1 - wide)
        found[:, 5] = (height - 1) / 2 * (1 - tall)
        return found


def _identities(count: int) -> FloatArray:
    return np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (count, 1))
