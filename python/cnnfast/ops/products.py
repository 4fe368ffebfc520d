"""The matrix product of NumPy's `@`, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast import _core
from cnnfast.autograd import ArrayLike, FloatArray, is_recorded, record, to_float32
from cnnfast.ops.math import quiet, unbroadcast

# Below this NumPy's own product is quicker than the engine's call.
_ENGINE_MULTIPLY_ADDS = 1 << 15


def matmul(x1: ArrayLike, x2: ArrayLike) -> Any:
    """The matrix product, with NumPy's rules for vectors and batches.

    Args:
        x1: real numbers of shape (..., n, k), or a vector (k,).
        x2: real numbers of shape (..., k, m), or a vector (k,). The leading axes of both broadcast together.

    Returns:
        float32 of shape (..., n, m), without n where `x1` is a vector and without m where `x2` is one.

    Raises:
        TypeError: an operand is not made of real numbers.
        ValueError: an operand is a single number, or the shapes do not fit.

    Example:
        >>> matmul([[1.0, 2.0], [3.0, 4.0]], [10.0, 1.0])
        array([12., 34.], dtype=float32)
    """
    a, b = to_float32(x1, "matmul", "x1"), to_float32(x2, "matmul", "x2")
    for name, operand in (("x1", a), ("x2", b)):
        if operand.ndim == 0:
            raise ValueError(f"matmul: {name} is a single number, expected a matrix or vector; use multiply")
    a_shape, b_shape = a.shape, b.shape
    rows = a if a.ndim > 1 else a[np.newaxis, :]
    columns = b if b.ndim > 1 else b[:, np.newaxis]
    _check(rows, columns, a_shape, b_shape)
    y = _batch_times_matrix(rows, columns) if columns.ndim == 2 else _batch_times_batch(rows, columns)
    full_shape = y.shape
    if b.ndim == 1:
        y = y[..., 0]
    if a.ndim == 1:
        y = y[..., 0, :] if b.ndim > 1 else y[..., 0]
    kept_rows = rows if is_recorded(x2) else None
    kept_columns = columns if is_recorded(x1) else None

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dy = to_float32(dy).reshape(full_shape)
        da = db = None
        if needs[0] and kept_columns is not None:
            da = _gradient_of_left(dy, kept_columns, a_shape)
        if needs[1] and kept_rows is not None:
            db = _gradient_of_right(kept_rows, dy, b_shape)
        return da, db

    return record("matmul", y, (x1, x2), vjp)


def _check(rows: FloatArray, columns: FloatArray, a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> None:
    if rows.shape[-1] != columns.shape[-2]:
        raise ValueError(
            f"matmul: x1 has rows of {rows.shape[-1]} elements, x2 has columns of {columns.shape[-2]} "
            f"(x1: {a_shape}, x2: {b_shape})"
        )
    try:
        np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    except ValueError:
        raise ValueError(f"matmul: the leading axes of {a_shape} and {b_shape} do not broadcast together") from None


def _batch_times_batch(a: FloatArray, b: FloatArray) -> FloatArray:
    with quiet():
        return np.matmul(a, b)


def _batch_times_matrix(a: FloatArray, b: FloatArray) -> FloatArray:
    """(..., n, k) times (k, m): one product, of all rows below one another."""
    matrix = _as_matrix(a)
    shape = _engine_shape(matrix.shape, b.shape)
    if shape is None:
        return _batch_times_batch(matrix, b).reshape(*a.shape[:-1], b.shape[-1])
    y = _core.conv_forward(shape, to_float32(matrix).reshape(shape.x_shape), to_float32(b).reshape(shape.kernel_shape))
    return y.reshape(*a.shape[:-1], b.shape[-1])


def _gradient_of_left(dy: FloatArray, columns: FloatArray, a_shape: tuple[int, ...]) -> FloatArray:
    if columns.ndim == 2:
        matrix = _as_matrix(dy)
        shape = _engine_shape((matrix.shape[0], columns.shape[0]), columns.shape)
        if shape is not None:
            taps = to_float32(columns).reshape(shape.kernel_shape)
            return _core.conv_backward_data(shape, matrix.reshape(shape.y_shape), taps).reshape(a_shape)
    full = _batch_times_batch(dy, np.swapaxes(columns, -1, -2))
    return unbroadcast(full, a_shape if len(a_shape) > 1 else (1, *a_shape)).reshape(a_shape)


def _gradient_of_right(rows: FloatArray, dy: FloatArray, b_shape: tuple[int, ...]) -> FloatArray:
    if len(b_shape) > 2:
        return unbroadcast(_batch_times_batch(np.swapaxes(rows, -1, -2), dy), b_shape)
    matrix, gradient = _as_matrix(rows), _as_matrix(dy)
    shape = _engine_shape(matrix.shape, (matrix.shape[1], gradient.shape[1]))
    if shape is None:
        return _batch_times_batch(matrix.T, gradient).reshape(b_shape)
    points = to_float32(matrix).reshape(shape.x_shape)
    return _core.conv_backward_weights(shape, points, gradient.reshape(shape.y_shape)).reshape(b_shape)


def _as_matrix(x: FloatArray) -> FloatArray:
    """All rows below one another."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _engine_shape(a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> _core.ConvShape | None:
    """The product of two matrices as a pointwise convolution, which is what the engine calls it; None if too small."""
    (n, k), m = a_shape, b_shape[1]
    if n * k * m < _ENGINE_MULTIPLY_ADDS:
        return None
    return _core.ConvShape("matmul", 1, (n, 1, k), (1, k, m), 1, "valid", 1, 1, False)
