"""Images, sequences and volumes enlarged by whole factors."""

from __future__ import annotations

from typing import Any

from cnnfast import ops
from cnnfast.layers.arguments import Sizes, per_axis
from cnnfast.layers.base import Shape
from cnnfast.layers.spatial import SpatialLayer

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class _UpSampling(SpatialLayer):
    """Enlarged by a factor per axis."""

    size: tuple[int, ...]
    interpolation = "nearest"

    def _compute(self, x: Any) -> Any:
        return ops.upsample(x, self.size, self.interpolation)

    def _output_shape(self, input_shape: Shape) -> Shape:
        sizes = (None if n is None else n * f for n, f in zip(input_shape[1:-1], self.size, strict=True))
        return (input_shape[0], *sizes, input_shape[-1])


class UpSampling1D(_UpSampling):
    """Every step repeated: (N, W, C) to (N, W * size, C).

    Args:
        size: how often.
        **kwargs: `name`.

    Raises:
        ValueError: `size` is not positive.

    Example:
        >>> UpSampling1D(2)([[[1.0], [2.0]]]).ravel()
        array([1., 1., 2., 2.], dtype=float32)
    """

    rank = 1

    def __init__(self, size: Sizes = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = per_axis("UpSampling1D", "size", size, 1)


class UpSampling2D(_UpSampling):
    """Images enlarged by whole factors: (N, H, W, C) to (N, H * size, W * size, C).

    Args:
        size: the factors for height and width, or one int for both.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        interpolation: "nearest" (pixels repeated), "bilinear", "bicubic", "lanczos3" or "lanczos5".
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> UpSampling2D(2, interpolation="bilinear")([[[[0.0], [4.0]]]])[0, :, :, 0]
        array([[0., 1., 3., 4.],
               [0., 1., 3., 4.]], dtype=float32)
    """

    rank = 2

    def __init__(
        self, size: Sizes = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size = per_axis("UpSampling2D", "size", size, 2)
        self._set_data_format(data_format)
        if str(interpolation).lower() not in _INTERPOLATIONS:
            known = ", ".join(_INTERPOLATIONS)
            raise ValueError(f"UpSampling2D: interpolation expects one of {known}, got {interpolation!r}")
        self.interpolation = interpolation.lower()


class UpSampling3D(_UpSampling):
    """Every voxel repeated: (N, D, H, W, C) to (N, D * size, H * size, W * size, C).

    Args:
        size: how often along each axis, or one int for all.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> UpSampling3D((1, 2, 2)).compute_output_shape((None, 4, 4, 4, 2))
        (None, 4, 8, 8, 2)
    """

    rank = 3

    def __init__(self, size: Sizes = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = per_axis("UpSampling3D", "size", size, 3)
        self._set_data_format(data_format)
