"""More training images from few: each shown again a little shifted, turned, slanted and scaled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cnnfast.cli.resize import FloatArray

_SHIFT = 0.06  # of the image's side
_TURN = np.radians(10)
_SLANT = 0.15
_SCALE = 0.12


def with_variants(
    x: FloatArray, y: npt.NDArray[np.int64], variants: int, *, empty_outside: bool, seed: int
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The images and `variants` distorted copies of each, with their labels.

    Args:
        x: images, shape (N, H, W, C).
        y: labels, shape (N,).
        variants: distorted copies of each image, 0 or more.
        empty_outside: whether what comes in from beyond the edge is 0, as around drawings, or continues the edge.
        seed: of the distortions.
    """
    generator = np.random.default_rng(seed)
    copies = [x, *(distort(x, generator, empty_outside) for _ in range(variants))]
    return np.concatenate(copies), np.tile(y, variants + 1)


def distort(images: FloatArray, generator: np.random.Generator, empty_outside: bool) -> FloatArray:
    """A random affine distortion of each image (N, H, W, C), interpolated linearly."""
    n, height, width, _ = images.shape
    turn, slant = generator.uniform(-_TURN, _TURN, n), generator.uniform(-_SLANT, _SLANT, n)
    scale_y, scale_x = generator.uniform(1 - _SCALE, 1 + _SCALE, n), generator.uniform(1 - _SCALE, 1 + _SCALE, n)
    shift_y, shift_x = generator.uniform(-_SHIFT, _SHIFT, n) * height, generator.uniform(-_SHIFT, _SHIFT, n) * width

    y = (np.arange(height) - (height - 1) / 2)[None, :, None]
    x = (np.arange(width) - (width - 1) / 2)[None, None, :]
    per_image = np.stack([np.cos(turn), np.sin(turn), slant, scale_y, scale_x, shift_y, shift_x])
    cos, sin, skew, zoom_y, zoom_x, move_y, move_x = per_image[..., None, None]
    from_y = (cos * y + sin * x) * zoom_y + move_y + (height - 1) / 2
    from_x = (cos * x - sin * y + skew * y) * zoom_x + move_x + (width - 1) / 2
    inside_y, inside_x = np.clip(from_y, 0, height - 1), np.clip(from_x, 0, width - 1)
    distorted = _sample(images, inside_y, inside_x)
    if empty_outside:
        beyond = np.maximum(np.abs(from_y - inside_y), np.abs(from_x - inside_x))
        distorted *= np.clip(1 - beyond, 0, 1).astype(np.float32)[..., None]
    return distorted


def _sample(images: FloatArray, y: npt.NDArray[np.floating], x: npt.NDArray[np.floating]) -> FloatArray:
    """The images' values between pixels, at positions y and x of shape (N, H, W)."""
    n = np.arange(len(images))[:, None, None]
    top, left = y.astype(np.intp), x.astype(np.intp)
    bottom = np.minimum(top + 1, images.shape[1] - 1)
    right = np.minimum(left + 1, images.shape[2] - 1)
    down, across = (y - top)[..., None].astype(np.float32), (x - left)[..., None].astype(np.float32)
    above = images[n, top, left] * (1 - across) + images[n, top, right] * across
    below = images[n, bottom, left] * (1 - across) + images[n, bottom, right] * across
    return above * (1 - down) + below * down
