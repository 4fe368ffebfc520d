"""Pooling over one, two and three axes: one implementation, told apart by `rank`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from cnnfast import ops
from cnnfast.layers.arguments import Sizes, per_axis, with_open_sizes
from cnnfast.layers.base import Shape
from cnnfast.layers.spatial import SpatialLayer


class _Pooling(SpatialLayer):
    """Maximum or mean over windows, of any rank."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.pool_size = per_axis(owner, "pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else per_axis(owner, "strides", strides, self.rank)
        if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
            raise ValueError(f"{owner}: padding expects valid or same, got {padding!r}")
        self.padding = padding.lower()
        self._set_data_format(data_format)

    def _compute(self, x: Any) -> Any:
        return type(self)._op(x, self.pool_size, self.strides, self.padding)

    def _output_shape(self, input_shape: Shape) -> Shape:
        return with_open_sizes(
            lambda shape: ops.pool_output_shape(shape, self.pool_size, self.strides, self.padding),
            input_shape,
            enough=max(self.pool_size),
        )


class MaxPooling1D(_Pooling):
    """The largest value of every window: (N, W, C) to (N, W', C).

    The arguments are those of `MaxPooling2D`.

    Example:
        >>> MaxPooling1D(2).compute_output_shape((None, 10, 4))
        (None, 5, 4)
    """

    rank = 1
    _op = ops.max_pool1d


class MaxPooling2D(_Pooling):
    """The largest value of every window: (N, H, W, C) to (N, H', W', C).

    The gradient goes to each window's largest value alone.

    Args:
        pool_size: the window's size, one int or one per axis.
        strides: the step from one window to the next; the window's size by default. Smaller steps overlap.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> MaxPooling2D().compute_output_shape((None, 28, 28, 6))
        (None, 14, 14, 6)
    """

    rank = 2
    _op = ops.max_pool2d


class MaxPooling3D(_Pooling):
    """The largest value of every window: (N, D, H, W, C) to (N, D', H', W', C).

    The arguments are those of `MaxPooling2D`.

    Example:
        >>> MaxPooling3D().compute_output_shape((None, 8, 8, 8, 4))
        (None, 4, 4, 4, 4)
    """

    rank = 3
    _op = ops.max_pool3d


class AveragePooling1D(_Pooling):
    """The mean of every window: (N, W, C) to (N, W', C).

    The arguments are those of `AveragePooling2D`.

    Example:
        >>> AveragePooling1D(2).compute_output_shape((None, 10, 4))
        (None, 5, 4)
    """

    rank = 1
    _op = ops.avg_pool1d


class AveragePooling2D(_Pooling):
    """The mean of every window: (N, H, W, C) to (N, H', W', C).

    The gradient is spread evenly over each window. Padding does not count in the mean.

    Args:
        pool_size: the window's size, one int or one per axis.
        strides: the step from one window to the next; the window's size by default. Smaller steps overlap.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first", which costs two transpositions.
        **kwargs: `name`.

    Raises:
        ValueError: an argument is out of range or cannot be honoured.

    Example:
        >>> AveragePooling2D(3, strides=1).compute_output_shape((None, 5, 5, 2))
        (None, 3, 3, 2)
    """

    rank = 2
    _op = ops.avg_pool2d


class AveragePooling3D(_Pooling):
    """The mean of every window: (N, D, H, W, C) to (N, D', H', W', C).

    The arguments are those of `AveragePooling2D`.

    Example:
        >>> AveragePooling3D().compute_output_shape((None, 8, 8, 8, 4))
        (None, 4, 4, 4, 4)
    """

    rank = 3
    _op = ops.avg_pool3d


class _GlobalPooling(SpatialLayer):
    """Maximum or mean of every channel, over inputs of any rank."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_data_format(data_format)
        self.keepdims = bool(keepdims)

    def _compute(self, x: Any) -> Any:
        return type(self)._op(x, keepdims=self.keepdims)

    def _output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *(1,) * (self.rank * self.keepdims), input_shape[-1])


class GlobalMaxPooling1D(_GlobalPooling):
    """The largest value of every channel: (N, W, C) to (N, C), or (N, 1, C) with `keepdims`.

    Example:
        >>> GlobalMaxPooling1D().compute_output_shape((None, 10, 4))
        (None, 4)
    """

    rank = 1
    _op = ops.global_max_pool


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of every channel: (N, H, W, C) to (N, C), or (N, 1, 1, C) with `keepdims`.

    Example:
        >>> GlobalMaxPooling2D().compute_output_shape((None, 7, 7, 64))
        (None, 64)
    """

    rank = 2
    _op = ops.global_max_pool


class GlobalMaxPooling3D(_GlobalPooling):
    """The largest value of every channel: (N, D, H, W, C) to (N, C), or (N, 1, 1, 1, C) with `keepdims`.

    Example:
        >>> GlobalMaxPooling3D().compute_output_shape((None, 4, 4, 4, 8))
        (None, 8)
    """

    rank = 3
    _op = ops.global_max_pool


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean of every channel: (N, W, C) to (N, C), or (N, 1, C) with `keepdims`.

    Example:
        >>> GlobalAveragePooling1D().compute_output_shape((None, 10, 4))
        (None, 4)
    """

    rank = 1
    _op = ops.global_avg_pool


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of every channel: (N, H, W, C) to (N, C), or (N, 1, 1, C) with `keepdims`.

    Example:
        >>> GlobalAveragePooling2D(keepdims=True).compute_output_shape((None, 7, 7, 64))
        (None, 1, 1, 64)
    """

    rank = 2
    _op = ops.global_avg_pool


class GlobalAveragePooling3D(_GlobalPooling):
    """The mean of every channel: (N, D, H, W, C) to (N, C), or (N, 1, 1, 1, C) with `keepdims`.

    Example:
        >>> GlobalAveragePooling3D().compute_output_shape((None, 4, 4, 4, 8))
        (None, 8)
    """

    rank = 3
    _op = ops.global_avg_pool


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
