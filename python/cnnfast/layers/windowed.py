"""The arguments that convolutions share: window, bias, activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import initializers, ops
from cnnfast.layers.activated import Activated
from cnnfast.layers.arguments import Sizes, per_axis, with_open_sizes
from cnnfast.layers.base import Shape
from cnnfast.layers.inputs import fixed_size
from cnnfast.layers.spatial import SpatialLayer
from cnnfast.ops._fusion import Fused

Padding = str | int | Sequence[Sequence[int]]


class WindowedLayer(Activated, SpatialLayer):
    """What the convolutions share: the window's arguments, the bias, the activation."""

    def _set_window(self, kernel_size: Sizes, strides: Sizes, padding: Padding, dilation_rate: Sizes) -> None:
        owner = type(self).__name__
        self.kernel_size = per_axis(owner, "kernel_size", kernel_size, self.rank)
        self.strides = per_axis(owner, "strides", strides, self.rank)
        self.dilation_rate = per_axis(owner, "dilation_rate", dilation_rate, self.rank)
        self.padding = self._checked_padding(owner, padding)

    def _checked_padding(self, owner: str, padding: Padding) -> Any:
        if isinstance(padding, str):
            if padding == "causal" and self.rank == 1:
                # Each output sees no later input: all of the padding comes before.
                return (((self.kernel_size[0] - 1) * self.dilation_rate[0], 0),)
            if padding.lower() not in ("valid", "same"):
                known = "valid, same, causal" if self.rank == 1 else "valid, same"
                raise ValueError(f"{owner}: padding expects {known}, an int or a pair per axis, got {padding!r}")
            return padding.lower()
        if isinstance(padding, (list, tuple)):
            return tuple(tuple(pair) if isinstance(pair, (list, tuple)) else pair for pair in padding)
        return padding

    def _set_outputs(self, activation: Any, use_bias: bool, bias_initializer: Any) -> None:
        self.activation = activation
        self.use_bias = bool(use_bias)
        self.bias_initializer = initializers.get(bias_initializer)

    kernel: Any
    bias: Any

    def weighted(self, x: Any, kernel: Any, bias: Any, activation: Fused) -> Any:
        """What the layer computes, with any weights and an activation that the engine applies."""
        raise NotImplementedError

    def weighted_alone(self) -> bool:
        """Whether the layer is nothing but `weighted`, with its own weights and no activation."""
        return self._fused is None and self._after is None and self.data_format == "channels_last"

    def _compute(self, x: Any) -> Any:
        return self.weighted(x, self.kernel, self.bias, self._fused)

    def _conv_output_shape(self, input_shape: Shape, kernel_shape: tuple[int, ...], groups: int) -> Shape:
        return with_open_sizes(
            lambda shape: ops.conv_output_shape(
                shape,
                kernel_shape,
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
                groups=groups,
            ),
            input_shape,
            enough=max((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True)),
        )

    def _conv_algorithms(self, input_shape: Shape, kernel_shape: tuple[int, ...], groups: int) -> dict[str, str]:
        if None in input_shape:
            return {}
        return ops.conv_algorithms(
            tuple(n for n in input_shape if n is not None),
            kernel_shape,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=groups,
        )

    def _conv_multiply_adds(self, input_shape: Shape, kernel_shape: tuple[int, ...], groups: int) -> int:
        fixed_size(self.name, input_shape, range(1, len(input_shape)))
        return ops.conv_multiply_adds(
            (1, *(n for n in input_shape[1:] if n is not None)),
            kernel_shape,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            groups=groups,
        )
