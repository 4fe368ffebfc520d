"""Pixels of a block side by side as channels, and back."""

from __future__ import annotations

from typing import Any

from cnnfast.autograd import ArrayLike, to_float32
from cnnfast.ops.nn import channels_are_first
from cnnfast.ops.shaping import integers, moveaxis, reshape, transpose


def _sizes(op: str, x: ArrayLike, block_size: Any) -> tuple[tuple[int, ...], int]:
    shape = to_float32(x, op).shape
    (block,) = integers(op, "block_size", block_size)
    if len(shape) != 4 or block < 2:
        raise ValueError(f"{op}: expects a batch of images (4 axes) and a block_size from 2 on, got {shape}, {block}")
    return shape, block


def depth_to_space(x: ArrayLike, block_size: int, data_format: str = "channels_last") -> Any:
    """Channels spread over blocks of pixels (W. Shi et al., "Real-Time Single Image and Video Super-Resolution", 2016).

    Args:
        x: (N, H, W, C * block_size ** 2), or channels first.
        block_size: the height and width of a block.
        data_format: "channels_last" or "channels_first".

    Returns:
        (N, H * block_size, W * block_size, C), or channels first.

    Raises:
        TypeError: `x` is not made of real numbers.
        ValueError: the shape does not fit.

    Example:
        >>> depth_to_space(np.arange(4.0).reshape(1, 1, 1, 4), 2)[0, :, :, 0]
        array([[0., 1.],
               [2., 3.]], dtype=float32)
    """
    op = "depth_to_space"
    if channels_are_first(op, data_format):
        return moveaxis(depth_to_space(moveaxis(x, 1, -1), block_size), -1, 1)
    (n, height, width, channels), block = _sizes(op, x, block_size)
    if channels % block**2:
        raise ValueError(f"{op}: {channels} channels do not divide into blocks of {block} by {block}")
    parts = reshape(x, (n, height, width, block, block, channels // block**2))
    return reshape(transpose(parts, (0, 1, 3, 2, 4, 5)), (n, height * block, width * block, channels // block**2))


def space_to_depth(x: ArrayLike, block_size: int, data_format: str = "channels_last") -> Any:
    """Blocks of pixels as channels: the opposite of `depth_to_space`, with its arguments and errors.

    Example:
        >>> space_to_depth(np.arange(4.0).reshape(1, 2, 2, 1), 2).ravel()
        array([0., 1., 2., 3.], dtype=float32)
    """
    op = "space_to_depth"
    if channels_are_first(op, data_format):
        return moveaxis(space_to_depth(moveaxis(x, 1, -1), block_size), -1, 1)
    (n, height, width, channels), block = _sizes(op, x, block_size)
    if height % block or width % block:
        raise ValueError(f"{op}: {height} by {width} pixels do not divide into blocks of {block} by {block}")
    parts = reshape(x, (n, height // block, block, width // block, block, channels))
    return reshape(transpose(parts, (0, 1, 3, 2, 4, 5)), (n, height // block, width // block, channels * block**2))
