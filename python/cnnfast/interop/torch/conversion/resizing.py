"""Upsample and interpolate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, from_channels_last
from cnnfast.interop.torch.conversion.calls import Call, UnsupportedError, computes, converts
from cnnfast.interop.torch.conversion.pools import _adaptive_average

_UPSAMPLING: dict[int, Any] = {1: layers.UpSampling1D, 2: layers.UpSampling2D, 3: layers.UpSampling3D}
_LINEAR = ("linear", "bilinear", "trilinear")


@computes("interpolate", "upsample")
def _interpolate(
    call: Call, x: Arranged, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Arranged:  # fmt: skip
    if antialias:
        raise UnsupportedError("antialias=True is not supported")
    old = [int(n) for n in x.shape[2:] if n is not None]
    new, scales = _target(old, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return _adaptive_average(call, x, new)
    factors = tuple(n // o for n, o in zip(new, old, strict=True))
    whole = all(f and n == o * f and s == 1 / f for n, o, f, s in zip(new, old, factors, scales, strict=True))
    if whole and mode in ("nearest", "nearest-exact"):
        return from_channels_last(_UPSAMPLING[len(old)](_given(factors), name=call.name)(x.channels_last()))
    if whole and mode == "bilinear" and not align_corners:
        layer = layers.UpSampling2D(factors, interpolation="bilinear", name=call.name)
        return from_channels_last(layer(x.channels_last()))
    tensor = x.channels_last()
    for axis, (o, n, scale) in enumerate(zip(old, new, scales, strict=True), start=1):
        if mode in ("nearest", "nearest-exact"):
            half = 0.5 if mode == "nearest-exact" else 0.0
            # In float32, as PyTorch computes it: the product may round to a whole number.
            where = np.floor((np.arange(n, dtype=np.float32) + np.float32(half)) * np.float32(scale))
            tensor = ops.take(tensor, np.minimum(where.astype(np.int64), o - 1), axis=axis)
        elif mode in _LINEAR or mode == "bicubic":
            matrix = _weights(o, n, scale, bool(align_corners), mode == "bicubic")
            turned = ops.moveaxis(tensor, axis, -1)
            tensor = ops.moveaxis(ops.dense(turned, matrix), -1, axis)
        else:
            raise UnsupportedError(f"mode={mode!r} is not supported")
    return from_channels_last(tensor)


def _given(factors: tuple[int, ...]) -> Any:
    return factors[0] if len(factors) == 1 else factors


def _target(old: list[int], size: Any, factor: Any, recompute: bool | None) -> tuple[tuple[int, ...], list[float]]:
    """The new sizes, and how many old pixels a new one is wide."""
    rank = len(old)
    if size is not None:
        given = size if isinstance(size, Sequence) else [size] * rank
        new = tuple(int(n) for n in given)
        return new, [o / n for o, n in zip(old, new, strict=True)]
    factors = [float(f) for f in (factor if isinstance(factor, Sequence) else [factor] * rank)]
    new = tuple(int(np.floor(o * f)) for o, f in zip(old, factors, strict=True))
    if recompute:
        return new, [o / n for o, n in zip(old, new, strict=True)]
    return new, [1 / f for f in factors]


def _cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys's filter with PyTorch's parameter, -0.75."""
    a, d = -0.75, np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _weights(old: int, new: int, scale: float, align: bool, cubic: bool) -> npt.NDArray[np.float32]:
    """How much each old pixel (a row) counts for each new one (a column), the border's for those beyond it too."""
    if align:
        middles = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        middles = (np.arange(new) + 0.5) * scale - 0.5
    if not cubic:
        middles = np.clip(middles, 0, None)
    first = np.floor(middles).astype(np.int64)
    matrix = np.zeros((old, new))
    for tap in range(-1, 3) if cubic else range(2):
        distance = middles - (first + tap)
        share = _cubic(distance) if cubic else np.clip(1 - np.abs(distance), 0, 1)
        np.add.at(matrix, (np.clip(first + tap, 0, old - 1), np.arange(new)), share)
    return matrix.astype(np.float32)


@converts("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d")
def _upsample(call: Call, x: Arranged) -> Arranged:
    m = call.module
    return _interpolate(
        call, x, m.size, m.scale_factor, m.mode, m.align_corners, getattr(m, "recompute_scale_factor", None)
    )
