"""What layers over images, sequences and volumes share: where the channels are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from cnnfast import ops
from cnnfast.layers.arguments import checked_data_format, checked_rank
from cnnfast.layers.base import Layer, Shape

_SPATIAL_AXES = {1: "W", 2: "H, W", 3: "D, H, W"}


class SpatialLayer(Layer):
    """A layer over `rank` spatial axes, written for channels in the last axis, that takes them in the first too.

    Subclasses define `_build`, `_compute`, `_output_shape` and, where they multiply with weights, `_multiply_adds` for
    channels last; here, and nowhere else, "channels_first" is moved there and back.
    """

    rank: ClassVar[int]
    data_format = "channels_last"
    _after: Callable[[Any], Any] | None = None  # applied to the output where it is as others see it

    def _set_data_format(self, data_format: str | None) -> None:
        self.data_format = checked_data_format(type(self).__name__, data_format)

    # What subclasses define

    def _build(self, input_shape: Shape) -> None:
        """Make the weights."""

    def _compute(self, x: Any) -> Any:
        """The output."""
        raise NotImplementedError

    def _output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape; without spatial axes where they are reduced."""
        raise NotImplementedError

    def _multiply_adds(self, input_shape: Shape) -> int:
        """The number of multiplications with a weight for one example."""
        return 0

    def _algorithms(self, input_shape: Shape) -> dict[str, str]:
        """What computes each pass."""
        return {}

    # What others call

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape."""
        self._build(self._channels_last(input_shape))

    def call(self, x: Any) -> Any:
        """Compute the output."""
        if self.data_format == "channels_last":
            y = self._compute(x)
        else:
            y = self._compute(ops.moveaxis(x, 1, -1))
            if y.ndim == self.rank + 2:
                y = ops.moveaxis(y, -1, 1)
        return y if self._after is None else self._after(y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape for an input's shape, both in the layer's data format."""
        shape = self._output_shape(self._channels_last(input_shape))
        if self.data_format == "channels_last" or len(shape) < self.rank + 2:
            return shape
        return (shape[0], shape[-1], *shape[1:-1])

    def multiply_adds(self, input_shape: Shape) -> int:
        """The number of multiplications with a weight, each with its addition, for one example."""
        return self._multiply_adds(self._channels_last(input_shape))

    def algorithms(self, input_shape: Shape) -> dict[str, str]:
        """What computes each pass for inputs of this shape, where the engine has a choice."""
        return self._algorithms(self._channels_last(input_shape))

    def _channels_last(self, input_shape: Shape) -> Shape:
        """The shape with the channels last.

        Raises:
            ValueError: it has another number of axes.
        """
        first = self.data_format == "channels_first"
        spatial = _SPATIAL_AXES[self.rank]
        axes = f"N, C, {spatial}" if first else f"N, {spatial}, C"
        checked_rank(type(self).__name__, input_shape, self.rank + 2, axes)
        return (input_shape[0], *input_shape[2:], input_shape[1]) if first else tuple(input_shape)


def fixed_channels(owner: str, input_shape: Shape) -> int:
    """The number of channels, the last axis.

    Raises:
        ValueError: it is open.
    """
    channels = input_shape[-1]
    if channels is None:
        raise ValueError(f"{owner} expects a fixed number of channels, got {input_shape}")
    return channels
