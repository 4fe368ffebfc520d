"""Pooling to a given output size: one implementation, told apart by `rank`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from cnnfast import ops
from cnnfast.layers.arguments import Sizes, per_axis
from cnnfast.layers.base import Shape
from cnnfast.layers.spatial import SpatialLayer


class _AdaptivePooling(SpatialLayer):
    """Maximum or mean of a given number of windows, of any rank."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Sizes, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = per_axis(type(self).__name__, "output_size", output_size, self.rank)
        self._set_data_format(data_format)

    def _compute(self, x: Any) -> Any:
        return type(self)._op(x, self.output_size)

    def _output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self.output_size, input_shape[-1])


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The mean of each of `output_size` windows: (N, W, C) to (N, output_size, C).

    The arguments are those of `AdaptiveAveragePooling2D`.

    Example:
        >>> AdaptiveAveragePooling1D(2)([[[0.0], [2.0], [4.0]]]).ravel()
        array([1., 3.], dtype=float32)
    """

    rank = 1
    _op = ops.adaptive_average_pool


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The mean of each of a given number of windows: (N, H, W, C) to (N, height, width, C).

    Images of any size leave it in one size: what is behind it may be dense. Where the size does not divide the image,
    neighbouring windows overlap by a pixel.

    Args:
        output_size: the output's height and width, or one int for both.
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> AdaptiveAveragePooling2D((7, 5)).compute_output_shape((None, None, 31, 64))
        (None, 7, 5, 64)
    """

    rank = 2
    _op = ops.adaptive_average_pool


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """The mean of each of a given number of windows: (N, D, H, W, C) to (N, depth, height, width, C).

    The arguments are those of `AdaptiveAveragePooling2D`, for three axes.

    Example:
        >>> AdaptiveAveragePooling3D(2).compute_output_shape((None, 5, 6, 7, 4))
        (None, 2, 2, 2, 4)
    """

    rank = 3
    _op = ops.adaptive_average_pool


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The largest value of each of `output_size` windows: (N, W, C) to (N, output_size, C).

    The arguments are those of `AdaptiveAveragePooling2D`.

    Example:
        >>> AdaptiveMaxPooling1D(2)([[[0.0], [2.0], [4.0]]]).ravel()
        array([2., 4.], dtype=float32)
    """

    rank = 1
    _op = ops.adaptive_max_pool


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The largest value of each of a given number of windows: (N, H, W, C) to (N, height, width, C).

    The arguments are those of `AdaptiveAveragePooling2D`.

    Example:
        >>> AdaptiveMaxPooling2D(3).compute_output_shape((None, 8, 7, 4))
        (None, 3, 3, 4)
    """

    rank = 2
    _op = ops.adaptive_max_pool


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """The largest value of each of a given number of windows: (N, D, H, W, C) to (N, depth, height, width, C).

    The arguments are those of `AdaptiveAveragePooling2D`, for three axes.

    Example:
        >>> AdaptiveMaxPooling3D(2).compute_output_shape((None, 5, 6, 7, 4))
        (None, 2, 2, 2, 4)
    """

    rank = 3
    _op = ops.adaptive_max_pool
