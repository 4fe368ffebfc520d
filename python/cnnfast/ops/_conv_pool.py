"""A convolution, its activation and the max pooling behind it in one pass, where that is quicker than a pass each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, is_recorded, record, to_float32
from cnnfast.ops._fusion import _BENT, Fused, before_activation, fused_activation, optional_float32

# What tells whether one pass is quicker where the number of images is not known.
_USUAL_IMAGES = 32


class Windows(NamedTuple):
    """How a convolution and the pooling behind it move over their inputs; as `conv2d` and `max_pool2d` take them."""

    strides: Any
    padding: Any
    dilation_rate: Any
    groups: int
    pool_size: Any
    pool_strides: Any
    pool_padding: Any

    def described(self, x_shape: Sequence[int], kernel_shape: Sequence[int]) -> tuple[_core.ConvShape, _core.Pooling]:
        """Both as the engine sees them."""
        rank = len(kernel_shape) - 2
        shape = _core.ConvShape(
            f"conv{rank}d", rank, x_shape, kernel_shape, self.strides, self.padding, self.dilation_rate, self.groups
        )
        pooling = _core.Pooling(
            f"max_pool{rank}d", shape.y_shape, self.pool_size, self.pool_strides, self.pool_padding, 1
        )
        return shape, pooling

    def usually_joined(self, x_shape: Sequence[int | None], kernel_shape: Sequence[int]) -> bool:
        """Whether one pass is quicker for many images of this shape; True where that is not known."""
        sizes = [size for size in x_shape[1:] if size is not None]
        if len(sizes) < len(x_shape) - 1:
            return True
        return _core.conv_pool_joined(*self.described((_USUAL_IMAGES, *sizes), kernel_shape))


def conv_max_pool(
    x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None, windows: Windows, activation: Fused = None
) -> Any:
    """`max_pool(conv(x, kernel, bias, activation=activation))`, the same bits; None where a pass each is quicker.

    The convolution's own output is not kept: the gradient in front of the activation can be told from the maxima and
    where they came from.
    """
    recorded = is_recorded(x, kernel, bias)
    kind, alpha = fused_activation("conv", activation)
    if recorded and kind != "linear" and kind not in _BENT:
        return None  # the gradients of others are products: a NaN beside a maximum reaches what is before it
    x_array, w, b = to_float32(x, "conv", "x"), to_float32(kernel, "conv", "kernel"), optional_float32(bias, "conv")
    shape, pooling = windows.described(x_array.shape, w.shape)
    made = _core.conv_pool_forward(shape, pooling, x_array, w, b, kind, alpha, recorded)
    if made is None:
        return None
    y, winners = made

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dz, db = before_activation(kind, alpha, y, dy, needs[2])
        assert winners is not None  # kept where a tape records
        return *_core.conv_pool_backward(shape, pooling, x_array, w, winners, dz, needs[0], needs[1]), db

    return record("conv_max_pool", y, (x, kernel, bias), vjp)
