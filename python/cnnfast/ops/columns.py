"""im2col and col2im: windows as the rows of a matrix, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.pooling import IntOrInts, PaddingArg


def im2col(
    x: ArrayLike,
    kernel_size: IntOrInts,
    strides: IntOrInts = 1,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
) -> Any:
    """Every window of x as a row, so that a convolution becomes a matrix product.

    A row holds the window's taps in order (depth, height, width), each tap's channels side by side, zeros where a tap
    lies in the padding. `col2im` is its adjoint.

    Args:
        x: (N, [[D,] H,] W, C), any real dtype, computed in float32.
        kernel_size: taps of a window along each axis, or one number for all; so for the other arguments.
        strides: steps from one window to the next.
        padding: "valid", "same", an integer or one (before, after) pair per axis.
        dilation_rate: steps from one tap to the next.

    Returns:
        (N, [[D',] H',] W', taps * C) float32.

    Raises:
        TypeError: x is not made of real numbers, or an argument not of integers.
        ValueError: x has other than 3 to 5 axes, or a window has no place in it.

    Example:
        >>> import numpy as np
        >>> im2col(np.arange(9).reshape(1, 3, 3, 1), 2)[0, 0]
        array([[0., 1., 3., 4.],
               [1., 2., 4., 5.]], dtype=float32)
    """
    array = to_float32(x, "im2col")
    windows = _core.ColumnWindows("im2col", array.shape, kernel_size, strides, padding, dilation_rate)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> tuple[FloatArray]:
        return (windows.col2im(to_float32(dy, "im2col", "dy")),)

    return record("im2col", windows.im2col(array), (x,), vjp)


def col2im(
    columns: ArrayLike,
    x_shape: Sequence[int],
    kernel_size: IntOrInts,
    strides: IntOrInts = 1,
    padding: PaddingArg = "valid",
    dilation_rate: IntOrInts = 1,
) -> Any:
    """Add windows back into the array they were taken from: the adjoint of `im2col`.

    Values of overlapping windows add up, so this is no inverse; <im2col(x), c> = <x, col2im(c)> for every x and c.

    Args:
        columns: what `im2col` gives for `x_shape` and the same arguments: (N, [[D',] H',] W', taps * C).
        x_shape: (N, [[D,] H,] W, C).
        kernel_size: taps of a window along each axis, or one number for all; so for the other arguments.
        strides: steps from one window to the next.
        padding: "valid", "same", an integer or one (before, after) pair per axis.
        dilation_rate: steps from one tap to the next.

    Returns:
        An array of `x_shape`, float32.

    Raises:
        TypeError: columns is not made of real numbers, or an argument not of integers.
        ValueError: columns has another shape than `im2col` gives, or a window has no place in x.

    Example:
        >>> import numpy as np
        >>> col2im(np.ones((1, 2, 2, 4)), (1, 3, 3, 1), 2)[0, :, :, 0]
        array([[1., 2., 1.],
               [2., 4., 2.],
               [1., 2., 1.]], dtype=float32)
    """
    array = to_float32(columns, "col2im", "columns")
    windows = _core.ColumnWindows("col2im", tuple(x_shape), kernel_size, strides, padding, dilation_rate)

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> tuple[FloatArray]:
        return (windows.im2col(to_float32(dy, "col2im", "dy")),)

    return record("col2im", windows.col2im(array), (columns,), vjp)
