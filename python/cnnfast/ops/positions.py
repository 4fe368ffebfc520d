"""Arrays with new values at computed positions, and elements read at such positions, with their gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.dtypes import moved_array
from cnnfast.ops.indexing import as_integers
from cnnfast.ops.math import quiet
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.scattering import positions_of

REDUCTIONS = (None, "add", "mul", "max", "min")


def scatter_update(inputs: ArrayLike, indices: Any, updates: ArrayLike, reduction: str | None = None) -> Any:
    """`inputs` with new values at some positions.

    Args:
        inputs: real numbers.
        indices: integers, (..., k): each row is a position on the first k axes of `inputs`.
        updates: real numbers, (..., the other axes of `inputs`).
        reduction: None overwrites (of equal positions the last counts); "add", "mul", "max" and "min" combine what is
            there with the new values.

    Raises:
        IndexError: a position is out of range.
        TypeError: an operand is not made of real numbers, or `indices` not of integers.
        ValueError: the shapes do not fit, or the reduction is another.

    Example:
        >>> scatter_update([1.0, 2.0, 3.0], [[0], [2]], [7.0, 9.0])
        array([7., 2., 9.], dtype=float32)
    """
    op = "scatter_update"
    array, new = to_float32(inputs, op, "inputs"), to_float32(updates, op, "updates")
    where = positions_of(op, as_integers(op, "indices", indices), array.shape, new.shape)
    return _written(op, inputs, updates, where, reduction)


def scatter_along_axis(
    inputs: ArrayLike, indices: Any, updates: ArrayLike, axis: int = 0, reduction: str | None = None
) -> Any:
    """`inputs` with new values at positions along one axis: the inverse of `take_along_axis`.

    Args:
        inputs: real numbers.
        indices: integers with as many axes as `inputs`, and none longer but `axis`: the position along `axis` of each
            update. Negative ones count from the end.
        updates: real numbers, of the same shape as `indices`.
        axis: which axis they index.
        reduction: as for `scatter_update`.

    Raises:
        IndexError: a position is out of range.
        TypeError: an operand is not made of real numbers, or `indices` not of integers.
        ValueError: the shapes do not fit, or the reduction is another.

    Example:
        >>> scatter_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1]], [[9.0]], axis=1)
        array([[1., 9.],
               [3., 4.]], dtype=float32)
    """
    op = "scatter_along_axis"
    array, new = to_float32(inputs, op, "inputs"), to_float32(updates, op, "updates")
    places = as_integers(op, "indices", indices)
    (a,) = normalize_axes(op, axis, array.shape)
    longer = [n > m for i, (n, m) in enumerate(zip(places.shape, array.shape, strict=False)) if i != a]
    if places.shape != new.shape or places.ndim != array.ndim or any(longer):
        raise ValueError(
            f"{op}: indices {places.shape} and updates {new.shape} do not fit inputs {array.shape} along axis {axis}"
        )
    where: list[Any] = list(np.ogrid[tuple(slice(n) for n in places.shape)])
    where[a] = np.where(places < 0, places + array.shape[a], places)
    if ((where[a] < 0) | (where[a] >= array.shape[a])).any():
        raise IndexError(f"{op}: indices from {-array.shape[a]} to {array.shape[a] - 1} are expected")
    return _written(op, inputs, updates, tuple(where), reduction)


def _written(op: str, inputs: ArrayLike, updates: ArrayLike, where: tuple[Any, ...], reduction: str | None) -> Any:
    """An array with updates written to some places."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{op}: reduction expects one of {REDUCTIONS}, got {reduction!r}")
    array, new = to_float32(inputs, op, "inputs"), to_float32(updates, op, "updates")
    y = array.copy()
    if reduction == "add":
        np.add.at(y, where, new)
        return record(op, y, (inputs, updates), lambda dy, needs: (dy, dy[where]))
    if reduction is None:
        y[where] = new
        return record(op, y, (inputs, updates), _overwritten(array.shape, new.shape, where))
    with quiet():
        {"mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction].at(y, where, new)
    gradient = _multiplied(array, new, where) if reduction == "mul" else _chosen(array, new, where, y)
    return record(op, y, (inputs, updates), gradient)


def _overwritten(shape: tuple[int, ...], new_shape: tuple[int, ...], where: tuple[Any, ...]) -> Any:
    # Of several updates at one position the last one is in the result: who wrote there last?
    order = np.arange(math.prod(new_shape)).reshape(new_shape)
    writer = np.full(shape, -1)
    writer[where] = order

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        last = writer[where] == order
        return np.where(writer < 0, dy, np.float32(0)), np.where(last, dy[where], np.float32(0))

    return vjp


def _multiplied(array: FloatArray, new: FloatArray, where: tuple[Any, ...]) -> Any:
    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        # The product of all others: zeros are counted, not multiplied with.
        product, zeros = np.ones_like(array), np.zeros(array.shape, np.int64)
        np.multiply.at(product, where, np.where(new == 0, np.float32(1), new))
        np.add.at(zeros, where, new == 0)
        own = product[where] / np.where(new == 0, np.float32(1), new)
        others = np.where(zeros[where] - (new == 0) > 0, np.float32(0), own)
        return dy * np.where(zeros > 0, np.float32(0), product), (dy * array)[where] * others

    return vjp


def _chosen(array: FloatArray, new: FloatArray, where: tuple[Any, ...], y: FloatArray) -> Any:
    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        # Equal ones share.
        was, won = array == y, new == y[where]
        count = was.astype(np.float32)
        np.add.at(count, where, won)
        share = dy / np.maximum(count, 1)
        return np.where(was, share, np.float32(0)), np.where(won, share[where], np.float32(0))

    return vjp


def gather_nd(x: ArrayLike, indices: Any, batch_dims: int = 0) -> Any:
    """The elements, or parts, of `x` at positions.

    Args:
        x: real numbers; integers stay integers.
        indices: integers, (B..., ..., k): each row is a position on the k axes of `x` behind the batch axes. Negative
            numbers count from the end.
        batch_dims: how many axes, B, both begin with; elements of one batch are gathered from that of `x`.

    Returns:
        (B..., ..., the other axes of x).

    Raises:
        IndexError: a position is out of range.
        TypeError: `x` is not made of real numbers, or `indices` not of integers.
        ValueError: the shapes do not fit.

    Example:
        >>> gather_nd([[1.0, 2.0], [3.0, 4.0]], [[0, 1], [1, 0]])
        array([2., 3.], dtype=float32)
    """
    op = "gather_nd"
    array, places = moved_array(x, op), as_integers(op, "indices", indices)
    batch = array.shape[:batch_dims]
    fits = 0 <= batch_dims < max(places.ndim, 1) and places.ndim > 0 and places.shape[:batch_dims] == batch
    if not fits or not 1 <= places.shape[-1] <= array.ndim - batch_dims:
        raise ValueError(
            f"{op}: indices {places.shape} do not fit x of shape {array.shape} with batch_dims={batch_dims}"
        )
    behind = places.ndim - 1 - batch_dims
    grids = [grid.reshape(*grid.shape, *[1] * behind) for grid in np.ogrid[tuple(slice(n) for n in batch)]]
    where = (*grids, *np.moveaxis(places, -1, 0).copy())
    y = np.asarray(array[where])
    if array.dtype.kind != "f":
        return y

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.zeros(array.shape, np.float32)
        np.add.at(dx, where, dy)
        return (dx,)

    return record(op, y, (x,), vjp)
