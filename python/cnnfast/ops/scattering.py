"""Reading and writing at computed positions, and sums by segment, with their gradients."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.autograd import ArrayLike, FloatArray, record, to_float32
from cnnfast.ops.dtypes import real_array
from cnnfast.ops.indexing import as_integers, index
from cnnfast.ops.reductions import normalize_axes
from cnnfast.ops.shaping import integers


def take_along_axis(x: ArrayLike, indices: Any, axis: int | None = None) -> Any:
    """For each place of `indices` the element of `x` at that position along `axis`.

    Args:
        x: real numbers of any shape; integers stay integers.
        indices: integers with as many axes as `x`; the others broadcast. Negative ones count from the end.
        axis: which axis they index; None takes the elements of `x` in a row, and `indices` is one-dimensional.

    Raises:
        IndexError: an index is out of range.
        TypeError: `indices` is not made of integers.
        ValueError: the shapes do not fit, or the axis is out of range.

    Example:
        >>> take_along_axis([[3.0, 1.0], [5.0, 9.0]], [[1], [0]], axis=1)
        array([[1.],
               [5.]], dtype=float32)
    """
    array, positions = real_array(x, "take_along_axis"), as_integers("take_along_axis", "indices", indices)
    shape = array.shape
    if axis is None:
        array, axis = array.ravel(), 0
    (a,) = normalize_axes("take_along_axis", axis, array.shape)
    common = _along_axis_shapes(array.shape, positions.shape, a)
    values = np.broadcast_to(array, (*common[:a], array.shape[a], *common[a + 1 :]))
    places = np.array(np.broadcast_to(positions, common))
    y = np.take_along_axis(values, places, a)
    if array.dtype.kind != "f":
        return y

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        grid: list[Any] = list(np.ogrid[tuple(builtins.slice(n) for n in common)])
        grid[a] = places
        # What was broadcast is read at its only position.
        where = tuple(0 if n == 1 and i != a else g for i, (n, g) in enumerate(zip(array.shape, grid, strict=True)))
        dx = np.zeros(array.shape, np.float32)
        np.add.at(dx, where, dy)
        return (dx.reshape(shape),)

    return record("take_along_axis", y, (x,), vjp)


def _along_axis_shapes(x: tuple[int, ...], positions: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The result's shape: both shapes broadcast, apart from the axis."""
    try:
        if len(x) != len(positions):
            raise ValueError
        found = np.broadcast_shapes((*x[:axis], 1, *x[axis + 1 :]), (*positions[:axis], 1, *positions[axis + 1 :]))
    except ValueError:
        raise ValueError(
            f"take_along_axis: indices of shape {positions} do not fit x of shape {x} along axis {axis}"
        ) from None
    return (*found[:axis], positions[axis], *found[axis + 1 :])


def segment_sum(data: ArrayLike, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Any:
    """The sums of rows that belong together.

    Args:
        data: real numbers, (N, ...).
        segment_ids: for each row the number of its segment, (N,); rows with a number out of range are left out.
        num_segments: how many there are; the largest number plus one if None.
        sorted: whether the numbers are in ascending order, which need not be known here.

    Returns:
        float32, (num_segments, ...).

    Raises:
        TypeError: `data` is not made of real numbers, or `segment_ids` not of integers.
        ValueError: the shapes do not fit.

    Example:
        >>> segment_sum([1.0, 2.0, 4.0], [0, 1, 0])
        array([5., 2.], dtype=float32)
    """
    array, ids = to_float32(data, "segment_sum", "data"), as_integers("segment_sum", "segment_ids", segment_ids)
    if ids.ndim != 1 or array.shape[:1] != ids.shape:
        raise ValueError(f"segment_sum: segment_ids expects one per row of data {array.shape}, got {ids.shape}")
    count = (int(ids.max()) + 1 if ids.size else 0) if num_segments is None else int(num_segments)
    if count < 0:
        raise ValueError(f"segment_sum: num_segments expects a number from 0 on, got {num_segments}")
    known = (ids >= 0) & (ids < count)
    totals = np.zeros((count, *array.shape[1:]), np.float64)
    np.add.at(totals, ids[known], array[known])

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        dx = np.zeros(array.shape, np.float32)
        dx[known] = dy[ids[known]]
        return (dx,)

    return record("segment_sum", totals.astype(np.float32), (data,), vjp)


def scatter(indices: Any, values: ArrayLike, shape: int | Sequence[int]) -> Any:
    """Zeros with `values` at some positions; what comes to the same position is added up.

    Args:
        indices: integers, (..., k): each row is a position on the first k axes of the result.
        values: real numbers, (..., the result's other axes).
        shape: of the result.

    Returns:
        float32 of that shape.

    Raises:
        IndexError: a position is out of range.
        TypeError: `values` is not made of real numbers, or `indices` not of integers.
        ValueError: the shapes do not fit.

    Example:
        >>> scatter([[0], [2], [0]], [1.0, 2.0, 10.0], (4,))
        array([11.,  0.,  2.,  0.], dtype=float32)
    """
    places = as_integers("scatter", "indices", indices)
    array = to_float32(values, "scatter", "values")
    sizes = integers("scatter", "shape", shape)
    where = positions_of("scatter", places, sizes, array.shape)
    y = np.zeros(sizes, np.float64)
    np.add.at(y, where, array)
    return record("scatter", y.astype(np.float32), (values,), lambda dy, needs: (dy[where],))


def positions_of(op: str, places: npt.NDArray[Any], sizes: tuple[int, ...], given: tuple[int, ...]) -> tuple[Any, ...]:
    """One index array per axis that `places` names, after a check of the values' shape."""
    if places.ndim == 0 or not 1 <= places.shape[-1] <= len(sizes):
        raise ValueError(f"{op}: indices expects rows of up to {len(sizes)} numbers, got shape {places.shape}")
    expected = (*places.shape[:-1], *sizes[places.shape[-1] :])
    if given != expected:
        raise ValueError(f"{op}: values expects shape {expected}, got {given}")
    return tuple(np.moveaxis(places, -1, 0).copy())


def slice(inputs: ArrayLike, start_indices: Any, shape: Any) -> Any:
    """A box cut out of `inputs`.

    Args:
        inputs: real numbers; integers stay integers.
        start_indices: where the box begins, one number per axis.
        shape: its size, one number per axis.

    Raises:
        TypeError: an argument is not made of integers.
        ValueError: the numbers do not fit, or the box leaves `inputs`.

    Example:
        >>> slice([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], (0, 1), (2, 2))
        array([[2., 3.],
               [5., 6.]], dtype=float32)
    """
    array = real_array(inputs, "slice", "inputs")
    box = _box("slice", array.shape, start_indices, _listed(shape))
    return index(inputs, box) if array.dtype.kind == "f" else array[box]


def slice_update(inputs: ArrayLike, start_indices: Any, updates: ArrayLike) -> Any:
    """`inputs` with a box overwritten by `updates`; the arguments and errors are those of `slice`.

    Example:
        >>> slice_update([1.0, 2.0, 3.0, 4.0], [1], [8.0, 9.0])
        array([1., 8., 9., 4.], dtype=float32)
    """
    array, new = to_float32(inputs, "slice_update", "inputs"), to_float32(updates, "slice_update", "updates")
    box = _box("slice_update", array.shape, start_indices, new.shape)
    y = array.copy()
    y[box] = new

    def vjp(dy: FloatArray, needs: Sequence[bool]) -> Sequence[FloatArray | None]:
        rest = dy.copy()
        rest[box] = 0
        return rest, dy[box]

    return record("slice_update", y, (inputs, updates), vjp)


def _listed(numbers: Any) -> Any:
    return numbers.tolist() if isinstance(numbers, np.ndarray) else numbers


def _box(op: str, sizes: tuple[int, ...], start: Any, shape: Any) -> tuple[Any, ...]:
    begin, lengths = integers(op, "start_indices", _listed(start)), integers(op, "shape", shape)
    if not len(begin) == len(lengths) == len(sizes):
        raise ValueError(f"{op}: expects one start and one size per axis of {sizes}, got {begin} and {lengths}")
    if any(b < 0 or n < 0 or b + n > size for b, n, size in zip(begin, lengths, sizes, strict=True)):
        raise ValueError(f"{op}: the box at {begin} of shape {lengths} leaves the array of shape {sizes}")
    return tuple(builtins.slice(b, b + n) for b, n in zip(begin, lengths, strict=True))
