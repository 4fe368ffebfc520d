"""Images enlarged by whole factors: nearest, and interpolated by a filter.

An interpolation by a whole factor is a transposed depthwise convolution: each input is spread over the outputs near it
with the filter's weights, and the engine's kernels for such convolutions do both directions in one pass. Outputs near
the border miss some inputs; what they have is scaled up so that the weights add up to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.shaping import integers

__all__ = ["upsample"]

_Doubles = npt.NDArray[np.float64]


def _linear(d: _Doubles) -> _Doubles:
    return np.maximum(1 - np.abs(d), 0)


def _cubic(d: _Doubles) -> _Doubles:
    """R. Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), of third order."""
    d = np.abs(d)
    near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _lanczos(radius: int) -> Callable[[_Doubles], _Doubles]:
    return lambda d: np.where(np.abs(d) < radius, np.sinc(d) * np.sinc(d / radius), 0)


# A filter as a function of the distance in input pixels, and where it ends.
FILTERS: dict[str, tuple[Callable[[_Doubles], _Doubles], int]] = {
    "bilinear": (_linear, 1),
    "bicubic": (_cubic, 2),
    "lanczos3": (_lanczos(3), 3),
    "lanczos5": (_lanczos(5), 5),
}


def upsample(x: ArrayLike, size: int | Sequence[int] = 2, interpolation: str = "nearest") -> Any:
    """Enlarge sequences, images or volumes by whole factors.

    Pixels are areas: an output's middle lies where it is drawn, so edges do not shift. Weights of inputs outside the
    image are left out and the others scaled up, as TensorFlow and JAX do.

    Args:
        x: (N, [[D,] H,] W, C).
        size: the factor, one for all axes or one per axis.
        interpolation: "nearest", "bilinear", "bicubic" (Keys's filter), "lanczos3" or "lanczos5".

    Returns:
        float32 (N, [[D * size,] H * size,] W * size, C).

    Raises:
        TypeError: x is not made of real numbers, or `size` not of integers.
        ValueError: x has other than 3 to 5 axes, a factor is below 1, or the interpolation is unknown.

    Example:
        >>> upsample([[[0.0], [4.0]]], 2).ravel()
        array([0., 0., 4., 4.], dtype=float32)
        >>> upsample([[[0.0], [4.0]]], 2, "bilinear").ravel()
        array([0., 1., 3., 4.], dtype=float32)
    """
    array = to_float32(x, "upsample")
    rank = array.ndim - 2
    if not 1 <= rank <= 3:
        raise ValueError(f"upsample: x expects 3 to 5 axes (N, [[D,] H,] W, C), got shape {array.shape}")
    factors = integers("upsample", "size", size)
    factors = factors * rank if len(factors) == 1 else factors
    if len(factors) != rank or min(factors) < 1:
        raise ValueError(f"upsample: size expects a positive integer or {rank} of them, got {size}")
    if interpolation != "nearest" and interpolation not in FILTERS:
        known = ", ".join(["nearest", *FILTERS])
        raise ValueError(f"upsample: interpolation expects one of {known}, got {interpolation!r}")
    shape = (array.shape[0], *(n * f for n, f in zip(array.shape[1:-1], factors, strict=True)), array.shape[-1])
    if math.prod(shape) == 0:
        own = array.shape
        return record("upsample", np.zeros(shape, np.float32), (x,), lambda dy, needs: (np.zeros(own, np.float32),))
    if interpolation == "nearest" or max(factors) == 1:
        return _nearest(x, array, factors, shape)
    return _filtered(x, array, factors, shape, interpolation)


def _nearest(x: ArrayLike, array: FloatArray, factors: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    y = array
    for axis in range(len(factors), 0, -1):
        factor = factors[axis - 1]
        if factor > 1:
            pixels = math.prod(y.shape[: axis + 1])
            lengths = (*y.shape[:axis], y.shape[axis] * factor, *y.shape[axis + 1 :])
            y = _core.concatenate([y.reshape(pixels, 1, -1)] * factor, 1).reshape(lengths)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        windows = _core.Pooling("upsample", shape, factors, factors, "valid", 1)
        dx = windows.average(to_float32(dy), False)
        dx *= np.float32(math.prod(factors))
        return (dx,)

    return record("upsample", y if y is not array else array.copy(), (x,), vjp)


def _filtered(
    x: ArrayLike, array: FloatArray, factors: tuple[int, ...], shape: tuple[int, ...], interpolation: str
) -> Any:
    kernel = np.ones((), np.float64)
    padding, borders = [], []
    for axis, factor in enumerate(factors, 1):
        taps, before = _taps(factor, interpolation)
        kernel = np.multiply.outer(kernel, taps)
        padding.append((before, before))
        borders.append(_border_scale(array.shape[axis], factor, taps, before))
    channels = array.shape[-1]
    weights = np.repeat(kernel.astype(np.float32)[..., np.newaxis, np.newaxis], channels, axis=-1)
    conv = _core.ConvShape("upsample", len(factors), shape, weights.shape, factors, padding, 1, channels, False)
    y = _core.conv_backward_data(conv, array, weights)
    _scale_borders(y, borders)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        scaled = np.array(dy, np.float32, order="C")
        _scale_borders(scaled, borders)
        return (_core.conv_forward(conv, scaled, weights),)

    return record("upsample", y, (x,), vjp)


def _taps(factor: int, interpolation: str) -> tuple[_Doubles, int]:
    """The weights with which an input enters the outputs around it, and how many of these come before its own."""
    function, radius = FILTERS[interpolation]
    offsets = np.arange(-radius * factor, (radius + 1) * factor)
    distances = (offsets + 0.5) / factor - 0.5
    inside = np.abs(distances) < radius - 1e-9
    offsets, taps = offsets[inside], function(distances[inside])
    for phase in range(factor):
        taps[offsets % factor == phase] /= taps[offsets % factor == phase].sum()
    return taps, -int(offsets[0])


def _border_scale(n: int, factor: int, taps: _Doubles, before: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Which outputs along an axis miss inputs, and by what the rest is to be scaled."""
    inputs = np.zeros(n * factor)
    inputs[::factor] = 1
    totals = np.convolve(inputs, taps)[before : before + n * factor]
    positions = np.flatnonzero(np.abs(totals - 1) > 1e-9)
    return positions, (1 / totals[positions]).astype(np.float32)


def _scale_borders(y: FloatArray, borders: Sequence[tuple[npt.NDArray[np.int64], FloatArray]]) -> None:
    for axis, (positions, scale) in enumerate(borders, 1):
        y[(slice(None),) * axis + (positions,)] *= scale.reshape(-1, *(1,) * (y.ndim - axis - 1))
