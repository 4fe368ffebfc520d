"""Reshaping tensors that lie in another order than in the network that they are taken from.

A reshape joins some neighbouring axes of the original and divides others. Where the axes that it joins are neighbours
in memory too, what lies there is reshaped as it lies; a whole image in one row stays as it lies as well, and whoever
multiplies it with a matrix permutes the matrix. In the rest, the axes that are joined are brought together first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnnfast import layers, ops
from cnnfast.interop.channels_first import Arranged, Order
from cnnfast.symbolic import KerasTensor, Shape

Sizes = Sequence[int | None]


class _Group(NamedTuple):
    """Axes of the original before and after that hold the same elements."""

    before: list[int]
    after: list[int]


def reshaped(value: Arranged, target: Sizes) -> Arranged:
    """The original in another shape.

    Args:
        value: the tensor.
        target: the new sizes in the original's order; None for the size that the axis of that number has now, -1 for
            what is left.

    Raises:
        ValueError: the sizes do not fit, or several of them are open in a way that cannot be followed.

    Example:
        >>> image = Arranged(layers.Input((7, 7, 32)), (0, 2, 3, 1))
        >>> rows = reshaped(image, (-1, 32 * 49))
        >>> rows.shape, rows.joined
        ((None, 1568), ((32, 7, 7), (1, 2, 0)))
        >>> reshaped(image, (None, 2, 16, 7, 7)).order
        (0, 3, 4, 1, 2)
    """
    shape = value.shape
    sizes = _resolved(shape, target)
    if sizes == list(shape):
        return value
    value = value.apart()
    groups = _groups(shape, sizes)
    apart = [group for group in groups if not _neighbours(value, group.before)]
    rest = [n for n in shape[1:] if n is not None]
    if apart and len(sizes) == 2 and groups[0] == ([0], [0]) and value.order[0] == 0 and len(rest) == len(shape) - 1:
        return Arranged(layers.Flatten()(value.tensor), None, (tuple(rest), tuple(a - 1 for a in value.order[1:])))
    if apart:
        order = _together(value, apart)
        value = Arranged(value.lying(order), order)
    ordered = sorted(range(len(groups)), key=lambda number: _position(value, groups, number))
    order = tuple(axis for number in ordered for axis in groups[number].after)
    return Arranged(with_shape(value.tensor, [sizes[axis] for axis in order]), order)


def _together(value: Arranged, groups: list[_Group]) -> Order:
    """The order in which the axes of each of these groups follow each other, and all others stay where they are."""
    group_of = {axis: group for group in groups for axis in group.before}
    order: list[int] = []
    for place, axis in enumerate(value.order):
        group = group_of.get(axis)
        if group is None:
            order.append(axis)
        elif place == max(value.place(other) for other in group.before):
            order += group.before
    return tuple(order)


def _resolved(shape: Shape, target: Sizes) -> list[int | None]:
    """The new sizes: None where one is the open size of an axis, -1 only where an open size is joined with others."""
    sizes: list[int | None] = []
    for place, size in enumerate(target):
        if size is None and place >= len(shape):
            raise ValueError(f"the shape {tuple(target)} takes the size of axis {place}, which {shape} lacks")
        sizes.append(shape[place] if size is None else int(size))
    if any(n is not None and n < -1 for n in sizes) or sizes.count(-1) > 1:
        raise ValueError(f"sizes from 0 on and at most one -1 are expected, got {tuple(target)}")
    opened, kept = shape.count(None), sizes.count(None)
    before, after = _product(shape), _product(sizes)
    if -1 in sizes:
        if opened == kept:
            if after == 0 or before % after:
                raise ValueError(f"{shape} does not fit the shape {tuple(target)}")
            sizes[sizes.index(-1)] = before // after
        elif opened == kept + 1 and before == after:
            sizes[sizes.index(-1)] = None
    elif opened == kept and before != after:
        raise ValueError(f"{shape} does not fit the shape {tuple(target)}")
    return sizes


def _product(sizes: Sizes) -> int:
    result = 1
    for n in sizes:
        if n is not None and n != -1:
            result *= n
    return result


def _groups(shape: Shape, sizes: list[int | None]) -> list[_Group]:
    """Which axes become which, in the smallest groups that can be told."""
    front = _matched(list(shape), sizes)
    i, j = sum(len(g.before) for g in front), sum(len(g.after) for g in front)
    ends, new_ends = list(shape)[i:][::-1], sizes[j:][::-1]
    back = [
        _Group([len(shape) - 1 - a for a in g.before][::-1], [len(sizes) - 1 - a for a in g.after][::-1])
        for g in _matched(ends, new_ends)
    ][::-1]
    k, m = len(shape) - sum(len(g.before) for g in back), len(sizes) - sum(len(g.after) for g in back)
    middle = [_Group(list(range(i, k)), list(range(j, m)))] if i < k or j < m else []
    return front + middle + back


def _matched(shape: list[int | None], sizes: list[int | None]) -> list[_Group]:
    """Groups from the front on, as far as sizes tell them."""
    groups: list[_Group] = []
    i = j = 0
    while i < len(shape) and j < len(sizes):
        before, after, end, new_end = shape[i], sizes[j], i + 1, j + 1
        if before is None and after is None:
            groups.append(_Group([i], [j]))
            i, j = end, new_end
            continue
        while before != after:
            if not before or after in (None, -1, 0):
                return groups
            more = shape[end : end + 1] if before < after else sizes[new_end : new_end + 1]
            if not more or more[0] in (None, -1, 0):
                return groups
            if before < after:
                before, end = before * more[0], end + 1
            else:
                after, new_end = after * more[0], new_end + 1
        groups.append(_Group(list(range(i, end)), list(range(j, new_end))))
        i, j = end, new_end
    return groups


def _neighbours(value: Arranged, axes: list[int]) -> bool:
    """Whether axes follow each other in memory as in the original; those of size 1 are nowhere and everywhere."""
    places = [value.place(axis) for axis in axes if value.shape[axis] != 1]
    between = range(places[0], places[-1] + 1) if places else range(0)
    return places == sorted(places) and all(p in places or value.tensor.shape[p] == 1 for p in between)


def _position(value: Arranged, groups: list[_Group], number: int) -> tuple[int, int]:
    """Where the axes of a group go."""
    places = [value.place(axis) for axis in groups[number].before if value.shape[axis] != 1]
    places = places or [value.place(axis) for axis in groups[number].before]
    if places:
        return min(places), number
    return (_position(value, groups, number - 1)[0] if number else -1), number


def with_shape(tensor: KerasTensor, sizes: Sizes) -> Any:
    """A tensor in another shape, as it lies.

    Args:
        tensor: the tensor.
        sizes: the new sizes: None or -1 for one that is open.

    Raises:
        ValueError: more sizes are open than can be followed.

    Example:
        >>> with_shape(layers.Input((4, 6)), (None, 24)).shape
        (None, 24)
    """
    sizes, shape = list(sizes), tensor.shape
    if sizes == list(shape):
        return tensor
    given = [-1 if n is None else n for n in sizes]
    if len(shape) > 1 and len(sizes) > 1 and sizes[0] == shape[0] and given[1:].count(-1) < 2 and 0 not in given:
        return layers.Flatten()(tensor) if len(sizes) == 2 else layers.Reshape(given[1:])(tensor)
    if given.count(-1) < 2:
        return ops.reshape(tensor, given)
    if [n for n in shape if n != 1] == [n for n in sizes if n != 1]:
        ones = tuple(axis for axis, n in enumerate(shape) if n == 1)
        squeezed = ops.squeeze(tensor, ones) if ones else tensor
        new = tuple(axis for axis, n in enumerate(sizes) if n == 1)
        return ops.expand_dims(squeezed, new) if new else squeezed
    raise ValueError(f"the sizes {tuple(sizes)} are open in more than one place; fix some of the inputs' sizes")
