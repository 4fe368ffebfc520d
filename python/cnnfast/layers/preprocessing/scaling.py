"""Numbers brought into another range: by constants, or by the mean and variance of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast import ops
from cnnfast.arguments import integer
from cnnfast.autograd import FloatArray, Value, to_float32
from cnnfast.layers.base import SameShape, Shape

_EPSILON = np.float32(1e-7)


class Rescaling(SameShape):
    """`x * scale + offset`.

    Args:
        scale: a number, or one for each element of the last axis.
        offset: a number, or one for each element of the last axis.
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: an argument is not made of real numbers.

    Example:
        >>> Rescaling(1 / 127.5, offset=-1)([[0.0, 255.0]])
        array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = to_float32(scale, "Rescaling", "scale")
        self.offset = to_float32(offset, "Rescaling", "offset")

    def call(self, x: Any) -> Any:  # noqa: D102
        y = ops.multiply(x, self.scale)
        return ops.add(y, self.offset) if self.offset.any() else y


class Normalization(SameShape):
    """`(x - mean) / sqrt(variance)`, for each element of some axes, with the mean and variance of the data.

    Args:
        axis: the axis or axes whose elements have a mean and a variance each; None takes all numbers together. The
            batch's axis counts as number 0.
        mean: the means, of the axes' sizes or such that they broadcast; None learns them with `adapt`.
        variance: the variances; given where `mean` is.
        invert: whether to go back: `x * sqrt(variance) + mean`.
        **kwargs: `name` and others of every layer.

    Raises:
        TypeError: an axis is no integer.
        ValueError: only one of `mean` and `variance` is given, or their shapes do not fit.

    Example:
        >>> layer = Normalization()
        >>> layer.adapt([[1.0, 10.0], [3.0, 30.0]])
        >>> layer([[1.0, 30.0]])
        array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        axes = () if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
        self.axis = tuple(integer("Normalization", "axis", a) for a in axes)
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: expects both mean and variance, or neither")
        self.invert = bool(invert)
        self._given: tuple[FloatArray, FloatArray] | None = None
        if mean is not None:
            m, v = to_float32(mean, "Normalization", "mean"), to_float32(variance, "Normalization", "variance")
            if m.shape != v.shape or m.ndim > len(self.axis):
                raise ValueError(
                    f"Normalization: mean and variance expect one shape, of at most {len(self.axis)} axes, "
                    f"got {m.shape} and {v.shape}"
                )
            self._given = m, v

    def build(self, input_shape: Shape) -> None:
        """Make the weights: the means, the variances and a count, zero, kept for Keras's files."""
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"Normalization: axis {self.axis} is out of range for shape {tuple(input_shape)}")
        self._kept = tuple(sorted({a % rank for a in self.axis}))
        sizes = [input_shape[a] for a in self._kept]
        if None in sizes:
            raise ValueError(f"Normalization: axis {self.axis} expects fixed sizes, got shape {tuple(input_shape)}")
        self._spread = tuple(n if a in self._kept else 1 for a, n in enumerate(input_shape))
        if self._given is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", trainable=False, name="mean")  # type: ignore[arg-type]
            self.adapt_variance = self.add_weight(sizes, "ones", trainable=False, name="variance")  # type: ignore[arg-type]
            self.count = self.add_weight((), "zeros", trainable=False, name="count")
        else:
            for given in self._given:
                self._broadcast(given)

    def _broadcast(self, values: FloatArray) -> FloatArray:
        """Means or variances in the input's rank; fewer axes than there are belong to the last ones."""
        shape = [1] * len(self._spread)
        for a, n in zip(reversed(self._kept), reversed(values.shape), strict=False):
            shape[a] = n
        try:
            return np.broadcast_to(values.reshape(shape), [n or 0 for n in self._spread])
        except ValueError:
            raise ValueError(
                f"Normalization: mean and variance of shape {values.shape} do not fit axes {self.axis}, "
                f"which have {[self._spread[a] for a in self._kept]} elements"
            ) from None

    @property
    def mean(self) -> FloatArray:
        """The means, in a shape that broadcasts with the input; there once the layer is built."""
        return self._broadcast(self.adapt_mean.numpy() if self._given is None else self._given[0])

    @property
    def variance(self) -> FloatArray:
        """The variances, in a shape that broadcasts with the input; there once the layer is built."""
        return self._broadcast(self.adapt_variance.numpy() if self._given is None else self._given[1])

    def adapt(self, data: Any) -> None:
        """Take the mean and variance from data.

        Args:
            data: an array of examples, or an iterable of batches, of which tuples begin with the examples. A list of
                numbers is one array.

        Raises:
            TypeError: there is no array in it.
            ValueError: mean and variance were given, there is no data, or a batch has another shape.
        """
        if self._given is not None:
            raise ValueError(f"{self.name}: adapt cannot be honoured: mean and variance were given")
        total = _Moments()
        for batch in _batches(data):
            if not self.built:
                self._build_once((None, *batch.shape[1:]) if 0 not in self._kept_axes(batch.ndim) else batch.shape)
            if [batch.shape[a] for a in self._kept] != [self._spread[a] for a in self._kept]:
                raise ValueError(f"{self.name}: adapt expects batches like {self._spread}, got {batch.shape}")
            total.add(batch, tuple(a for a in range(batch.ndim) if a not in self._kept))
        if total.count == 0:
            raise ValueError(f"{self.name}: adapt got no data")
        self.adapt_mean.assign(total.mean)
        self.adapt_variance.assign(total.variance)

    def _kept_axes(self, rank: int) -> set[int]:
        return {a % rank for a in self.axis} if rank else set()

    def call(self, x: Any) -> Any:  # noqa: D102
        deviation = np.maximum(np.sqrt(self.variance), _EPSILON)
        if self.invert:
            return ops.add(ops.multiply(x, deviation), self.mean)
        return ops.divide(ops.subtract(x, self.mean), deviation)


class _Moments:
    """Mean and variance of batches, added up in double precision (T. Chan et al., 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, batch: FloatArray, axes: tuple[int, ...]) -> None:
        """Count in a batch, over these axes."""
        if batch.size == 0:
            return
        count = math.prod(batch.shape[a] for a in axes)
        mean = np.mean(batch, axis=axes, dtype=np.float64)
        squares = np.var(batch, axis=axes, dtype=np.float64) * count
        distance = mean - self.mean
        total = self.count + count
        self.squares = self.squares + squares + distance**2 * (self.count * count / total)
        self.mean = self.mean + distance * (count / total)
        self.count = total

    @property
    def variance(self) -> npt.NDArray[np.float64]:
        """The mean squared distance from the mean."""
        return np.asarray(self.squares / self.count)


def _batches(data: Any) -> Iterator[FloatArray]:
    """The data as arrays: an array is one batch."""
    if isinstance(data, (np.ndarray, Value)) or (
        isinstance(data, (list, tuple)) and not any(hasattr(item, "shape") or isinstance(item, tuple) for item in data)
    ):
        yield to_float32(data, "Normalization: adapt", "data")
        return
    if not isinstance(data, Iterable):
        raise TypeError(f"Normalization: adapt expects an array or an iterable of batches, got {type(data).__name__}")
    for item in data:
        batch = item[0] if isinstance(item, (tuple, list)) else item
        yield to_float32(batch, "Normalization: adapt", "a batch")
