"""Data in two parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnfast import random


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Divide data into a left and a right part.

    Args:
        dataset: an array, a tuple of arrays with as many examples each, or a list or other iterable of examples.
        left_size: how many examples the left part gets, or which part of them from 0 to 1.
        right_size: the same for the right part. One of both is enough; what is left goes to the other.
        shuffle: whether to mix the examples first.
        seed: of the mixing.
        preferred_backend: for code that passes it; the parts are what the data was.

    Returns:
        (left, right): arrays, tuples of arrays or lists, as `dataset`.

    Raises:
        TypeError: `dataset` cannot be iterated over, or a size is no number.
        ValueError: the sizes do not fit, or the arrays have different lengths.

    Example:
        >>> left, right = split_dataset(np.arange(10), left_size=0.8)
        >>> left.size, right.tolist()
        (8, [8, 9])
    """
    arrays = isinstance(dataset, tuple) and all(isinstance(part, np.ndarray) for part in dataset)
    if not arrays and not isinstance(dataset, (np.ndarray, list)):
        if not isinstance(dataset, Iterable):
            raise TypeError(f"split_dataset: dataset expects arrays or an iterable, got {type(dataset).__name__}")
        dataset = list(dataset)
    lengths = {len(part) for part in dataset} if arrays else {len(dataset)}
    if len(lengths) != 1:
        raise ValueError(f"split_dataset: the arrays expect one length, got {sorted(lengths)}")
    (count,) = lengths
    left, right = _sizes(count, left_size, right_size)
    order = random.generator_of(seed).permutation(count) if shuffle else np.arange(count)
    return _chosen(dataset, order[:left], arrays), _chosen(dataset, order[left : left + right], arrays)


def _chosen(dataset: Any, which: Any, arrays: bool) -> Any:
    if arrays:
        return tuple(part[which] for part in dataset)
    return dataset[which] if isinstance(dataset, np.ndarray) else [dataset[i] for i in which]


def _sizes(count: int, left: float | None, right: float | None) -> tuple[int, int]:
    """How many examples each part gets."""
    if left is None and right is None:
        raise ValueError("split_dataset: expects left_size, right_size or both")
    of_left = None if left is None else _number(count, "left_size", left)
    of_right = None if right is None else _number(count, "right_size", right)
    first = count - (of_right or 0) if of_left is None else of_left
    second = count - first if of_right is None else of_right
    if first + second > count or first <= 0 or second <= 0:
        raise ValueError(f"split_dataset: {count} examples do not divide into {left} and {right}")
    return first, second


def _number(count: int, name: str, size: float) -> int:
    if isinstance(size, bool) or not isinstance(size, (int, float, np.integer, np.floating)):
        raise TypeError(f"split_dataset: {name} expects a number, got {size!r}")
    if isinstance(size, (int, np.integer)):
        return int(size)
    if not 0 < size < 1:
        raise ValueError(f"split_dataset: {name} expects a whole number or a part between 0 and 1, got {size}")
    return round(size * count)
