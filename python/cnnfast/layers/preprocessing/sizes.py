"""Images of other sizes: resized, or cut out of the middle or at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnfast import ops
from cnnfast.arguments import positive_int, real
from cnnfast.layers.arguments import checked_data_format
from cnnfast.layers.base import Layer, Shape
from cnnfast.layers.preprocessing.base import RandomImageLayer

if TYPE_CHECKING:
    from numpy.random import Generator

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


def _with_size(shape: Shape, height: int, width: int, data_format: str) -> Shape:
    sizes = list(shape)
    sizes[slice(-2, None) if data_format == "channels_first" else slice(-3, -1)] = height, width
    return tuple(sizes)


class Resizing(Layer):
    """Images in another size.

    Args:
        height: the new height.
        width: the new width.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: whether to cut off borders first where the shapes differ, instead of distorting.
        pad_to_aspect_ratio: whether to add borders first where the shapes differ, instead of distorting.
        fill_mode: only "constant".
        fill_value: what such borders hold.
        antialias: whether an image that shrinks is smoothed first.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: a size is no integer.
        ValueError: an argument is none of these values.

    Example:
        >>> Resizing(8, 10)(np.ones((2, 4, 5, 3))).shape
        (2, 8, 10, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.height = positive_int("Resizing", "height", height)
        self.width = positive_int("Resizing", "width", width)
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in _INTERPOLATIONS:
            names = ", ".join(_INTERPOLATIONS)
            raise ValueError(f"Resizing: interpolation expects one of {names}, got {interpolation!r}")
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError("Resizing: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True")
        if fill_mode != "constant":
            raise ValueError(f"Resizing: fill_mode expects 'constant', got {fill_mode!r}")
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = bool(crop_to_aspect_ratio), bool(pad_to_aspect_ratio)
        self.fill_value, self.antialias = real("Resizing", "fill_value", fill_value), bool(antialias)
        self.data_format = checked_data_format("Resizing", data_format)

    def call(self, x: Any) -> Any:  # noqa: D102
        return ops.image.resize(
            x,
            (self.height, self.width),
            self.interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape with the new height and width."""
        return _with_size(input_shape, self.height, self.width, self.data_format)


def _cut_or_resized(images: Any, height: int, width: int, data_format: str) -> Any:
    """The middle of images; where one is too small the largest part with these proportions, resized."""
    axes = (-2, -1) if data_format == "channels_first" else (-3, -2)
    rows, columns = images.shape[axes[0]] - height, images.shape[axes[1]] - width
    if rows < 0 or columns < 0:
        return ops.image.resize(images, (height, width), crop_to_aspect_ratio=True, data_format=data_format)
    return ops.image.crop_images(
        images, rows // 2, columns // 2, target_height=height, target_width=width, data_format=data_format
    )


class CenterCrop(Layer):
    """The middle of images. Where an image is smaller, its largest part with these proportions is resized.

    Args:
        height: the new height.
        width: the new width.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: a size is no integer.
        ValueError: a size is not positive.

    Example:
        >>> CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).ravel()
        array([5., 6.], dtype=float32)
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = positive_int("CenterCrop", "height", height)
        self.width = positive_int("CenterCrop", "width", width)
        self.data_format = checked_data_format("CenterCrop", data_format)

    def call(self, x: Any) -> Any:  # noqa: D102
        return _cut_or_resized(x, self.height, self.width, self.data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape with the new height and width."""
        return _with_size(input_shape, self.height, self.width, self.data_format)


class RandomCrop(RandomImageLayer):
    """In training, cuts a part out of every image, each at a place of its own.

    Outside training, and where an image is smaller, the largest part from the middle with these proportions is resized.

    Args:
        height: the new height.
        width: the new width.
        seed: an integer or a `SeedGenerator`; None draws from `cnnfast.random`.
        data_format: "channels_last" (also None) or "channels_first".
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: a size is no integer.
        ValueError: a size is not positive.

    Example:
        >>> RandomCrop(2, 2, seed=1)(np.ones((5, 8, 8, 3)), training=True).shape
        (5, 2, 2, 3)
    """

    def __init__(
        self, height: int, width: int, seed: Any = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height = positive_int("RandomCrop", "height", height)
        self.width = positive_int("RandomCrop", "width", width)

    def _unchanged(self, images: Any) -> Any:
        return ops.image.resize(images, (self.height, self.width), crop_to_aspect_ratio=True)

    def _changed(self, images: Any, source: Generator) -> Any:
        count, old_height, old_width = images.shape[:3]
        if old_height < self.height or old_width < self.width:
            return self._unchanged(images)
        tops = source.integers(0, old_height - self.height, count, endpoint=True)
        lefts = source.integers(0, old_width - self.width, count, endpoint=True)
        parts = [
            (i, slice(top, top + self.height), slice(left, left + self.width))
            for i, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True))
        ]
        if not isinstance(images, np.ndarray):
            return ops.stack([ops.index(images, part) for part in parts])
        y = np.empty((count, self.height, self.width, images.shape[3]), np.float32)
        for image, part in zip(y, parts, strict=True):
            image[...] = images[part]
        return y

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape with the new height and width."""
        return _with_size(input_shape, self.height, self.width, self.data_format)
