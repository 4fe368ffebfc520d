"""Layers that disturb their input at random in training, so that a network does not rely on any one value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import ops, random
from cnnfast.arguments import integer, real
from cnnfast.autograd import FloatArray
from cnnfast.layers.arguments import checked_data_format, checked_rank
from cnnfast.layers.base import SameShape, Shape


class _Random(SameShape):
    """A layer that draws random numbers, the same sequence in every run where it is given a seed."""

    def _set_seed(self, seed: int | None) -> None:
        self.seed = None if seed is None else integer(type(self).__name__, "seed", seed)
        self._seeds = None if self.seed is None else np.random.default_rng(self.seed)

    def _set_rate(self, rate: float) -> None:
        self.rate = real(type(self).__name__, "rate", rate, 0.0, 1.0)
        if self.rate == 1.0:
            raise ValueError(f"{type(self).__name__}: rate expects a number below 1, got 1")

    def _next_seed(self) -> int:
        return random.next_seed() if self._seeds is None else int(self._seeds.integers(2**63))

    def _normal(self, shape: tuple[int, ...], mean: float, deviation: float) -> FloatArray:
        numbers = np.random.default_rng(self._next_seed()).standard_normal(shape, np.float32)
        numbers *= np.float32(deviation)
        numbers += np.float32(mean)
        return numbers

    def _mask(self, shape: tuple[int, ...]) -> FloatArray:
        """Zeros where something is dropped, 1 / (1 - rate) elsewhere."""
        mask: FloatArray = ops.dropout(np.ones(shape, np.float32), self.rate, self._next_seed())
        return mask


class Dropout(_Random):
    """In training, sets a random part of the values to zero and scales up the rest (Srivastava et al., 2014).

    Args:
        rate: the part that is dropped, from 0 up to but not including 1.
        noise_shape: the shape of the random mask, the batch first, which is broadcast to the input; None in it means
            the input's size. With (None, 1, 1, None) whole channels are dropped.
        seed: an int for the same sequence of masks in every run, or None.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> Dropout(0.5)([[1.0, 2.0]], training=False)
        array([[1., 2.]], dtype=float32)
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._set_rate(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self._set_seed(seed)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        if not training or self.rate == 0.0:
            return x
        if self.noise_shape is None:
            return ops.dropout(x, self.rate, self._next_seed())
        return ops.multiply(x, self._mask(mask_shape(self.noise_shape, x.shape)))


def mask_shape(noise_shape: Sequence[int | None] | None, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a mask for an input: what `noise_shape` leaves open is the input's own.

    Example:
        >>> mask_shape((None, 1, None), (8, 9, 3))
        (8, 1, 3)
    """
    if noise_shape is None:
        return tuple(shape)
    return tuple(own if n is None else n for n, own in zip(noise_shape, shape, strict=True))


class _SpatialDropout(_Random):
    """Dropout of whole channels, over any number of spatial axes."""

    rank: int
    data_format = "channels_last"

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self._set_rate(rate)
        self._set_seed(seed)

    def build(self, input_shape: Shape) -> None:
        axes = ["N", *"DHW"[3 - self.rank :]]
        axes.insert(1 if self.data_format == "channels_first" else len(axes), "C")
        checked_rank(type(self).__name__, input_shape, self.rank + 2, ", ".join(axes))

    def call(self, x: Any, training: bool = False) -> Any:
        if not training or self.rate == 0.0:
            return x
        images, *_, channels = x.shape
        ones = (1,) * self.rank
        if self.data_format == "channels_first":
            return ops.multiply(x, self._mask((images, x.shape[1], *ones)))
        return ops.multiply(x, self._mask((images, *ones, channels)))


class SpatialDropout1D(_SpatialDropout):
    """In training, drops whole channels of sequences (N, W, C) and scales up the rest.

    Args:
        rate: the part that is dropped, from 0 up to but not including 1.
        seed: an int for the same sequence of masks in every run, or None.
        name: the layer's name.
        dtype: None or "float32".
        **kwargs: `trainable`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> SpatialDropout1D(0.5).compute_output_shape((None, 10, 4))
        (None, 10, 4)
    """

    rank = 1


class SpatialDropout2D(_SpatialDropout):
    """In training, drops whole channels of images (N, H, W, C) and scales up the rest.

    Neighbouring pixels tell much the same: dropping them one by one would leave the information there. From J. Tompson
    et al., "Efficient Object Localization Using Convolutional Networks" (2015).

    Args:
        rate: the part that is dropped, from 0 up to but not including 1.
        data_format: "channels_last" or "channels_first".
        seed: an int for the same sequence of masks in every run, or None.
        name: the layer's name.
        dtype: None or "float32".
        **kwargs: `trainable`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> y = SpatialDropout2D(0.5)(np.ones((1, 4, 4, 8)), training=True)
        >>> bool((y == y[:, :1, :1]).all())
        True
    """

    rank = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed, name, dtype, **kwargs)
        self.data_format = checked_data_format("SpatialDropout2D", data_format)


class SpatialDropout3D(_SpatialDropout):
    """In training, drops whole channels of volumes (N, D, H, W, C) and scales up the rest.

    The arguments are those of `SpatialDropout2D`.

    Example:
        >>> SpatialDropout3D(0.5).compute_output_shape((None, 4, 4, 4, 2))
        (None, 4, 4, 4, 2)
    """

    rank = 3

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed, name, dtype, **kwargs)
        self.data_format = checked_data_format("SpatialDropout3D", data_format)


class AlphaDropout(_Random):
    """In training, sets a random part of the values to SELU's limit and keeps mean and variance as they were.

    From G. Klambauer et al., "Self-Normalizing Neural Networks" (2017), for networks of SELUs.

    Args:
        rate: the part that is dropped, from 0 up to but not including 1.
        noise_shape: the shape of the random mask, as in `Dropout`.
        seed: an int for the same sequence of masks in every run, or None.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> AlphaDropout(0.5)([[1.0, 2.0]], training=False)
        array([[1., 2.]], dtype=float32)
    """

    _LIMIT = -1.7580993408473766  # of SELU at minus infinity

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._set_rate(rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self._set_seed(seed)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        if not training or self.rate == 0.0:
            return x
        kept = self._mask(mask_shape(self.noise_shape, x.shape)) != 0
        # scale * (x or the limit) + shift brings mean and variance back to what they were.
        scale = ((1 - self.rate) * (1 + self.rate * self._LIMIT**2)) ** -0.5
        shift = -scale * self._LIMIT * self.rate
        factor = np.where(kept, np.float32(scale), np.float32(0))
        return ops.add(
            ops.multiply(x, factor), np.where(kept, np.float32(shift), np.float32(scale * self._LIMIT + shift))
        )


class GaussianNoise(_Random):
    """In training, adds random numbers of a normal distribution around 0.

    Args:
        stddev: their standard deviation, from 0 to 1.
        seed: an int for the same sequence in every run, or None.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> GaussianNoise(0.1)([[1.0, 2.0]], training=False)
        array([[1., 2.]], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = real("GaussianNoise", "stddev", stddev, 0.0, 1.0)
        self._set_seed(seed)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        return ops.add(x, self._normal(x.shape, 0.0, self.stddev)) if training and self.stddev else x


class GaussianDropout(_Random):
    """In training, multiplies by random numbers of a normal distribution around 1 (Srivastava et al., 2014).

    Args:
        rate: as of the `Dropout` with the same variance: the standard deviation is sqrt(rate / (1 - rate)).
        seed: an int for the same sequence in every run, or None.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> GaussianDropout(0.5)([[1.0, 2.0]], training=False)
        array([[1., 2.]], dtype=float32)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_rate(rate)
        self._set_seed(seed)

    def call(self, x: Any, training: bool = False) -> Any:  # noqa: D102
        if not training or self.rate == 0.0:
            return x
        return ops.multiply(x, self._normal(x.shape, 1.0, math.sqrt(self.rate / (1 - self.rate))))
