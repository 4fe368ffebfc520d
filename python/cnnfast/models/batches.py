"""Arrays checked against each other and cut into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.arguments import positive_int
from cnnfast.autograd import Tensor, Variable, to_float32

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Data:
    """Examples, their labels (for training and evaluation) and their weights (if given), in the same order."""

    x: Array
    y: Array | None = None
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Any) -> Data:
        """The examples of an index or slice."""
        return Data(
            self.x[index],
            None if self.y is None else self.y[index],
            None if self.weights is None else self.weights[index],
        )

    def batches(self, batch_size: int, order: Array | None = None) -> Iterator[Data]:
        """Batches in the given order (or as they are); the last may be smaller."""
        for start in range(0, len(self), batch_size):
            stop = min(start + batch_size, len(self))
            yield self.take(slice(start, stop) if order is None else order[start:stop])


def examples(owner: str, x: Any, y: Any = None, sample_weight: Any = None, *, labels: bool = True) -> Data:
    """Check that the arrays fit each other.

    Args:
        owner: the calling method, for messages.
        x: examples, the batch first.
        y: their labels.
        sample_weight: their weights, or None.
        labels: whether `y` is needed.

    Raises:
        TypeError: something is no array of numbers, or `y` is missing.
        ValueError: there are no examples, or the lengths differ.

    Example:
        >>> len(examples("fit", [[1.0], [2.0]], [0, 1]))
        2
    """
    array = _array(owner, "x", x)
    if len(array) == 0:
        raise ValueError(f"{owner}: x expects at least one example, got shape {array.shape}")
    if not labels:
        return Data(array)
    if y is None:
        raise TypeError(f"{owner}: y is missing; pass the labels of the {len(array)} examples in x")
    data = Data(array, _array(owner, "y", y))
    assert data.y is not None
    _same_length(owner, "y", data.y, array)
    if sample_weight is None:
        return data
    weights = to_float32(sample_weight, owner, "sample_weight")
    if weights.ndim == 0:
        raise ValueError(f"{owner}: sample_weight expects one weight per example, got a single number")
    _same_length(owner, "sample_weight", weights, array)
    return replace(data, weights=weights)


def _array(owner: str, name: str, value: Any) -> Array:
    if isinstance(value, (Tensor, Variable)):
        return value.numpy()
    if not isinstance(value, np.ndarray):
        if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
            raise TypeError(f"{owner}: {name} expects an array, got {type(value).__name__}")
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise TypeError(f"{owner}: {name} expects an array of numbers: {error}") from None
    if value.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: {name} expects an array of real numbers, got dtype {value.dtype}")
    if value.ndim == 0:
        raise ValueError(f"{owner}: {name} expects an array with the examples along its first axis, got one number")
    return value


def _same_length(owner: str, name: str, array: Array, x: Array) -> None:
    if len(array) != len(x):
        raise ValueError(
            f"{owner}: {name} expects as many rows as x has, {len(x)}, got {len(array)} "
            f"(x: {x.shape}, {name}: {array.shape})"
        )


def with_class_weights(data: Data, class_weight: Mapping[int, float]) -> Data:
    """Weigh every example by its class as well; classes that are not named weigh 1.

    Raises:
        ValueError: the labels are neither class numbers nor one-hot rows.

    Example:
        >>> with_class_weights(Data(np.zeros((2, 1)), np.array([0, 1])), {1: 3.0}).weights
        array([1., 3.], dtype=float32)
    """
    assert data.y is not None
    y = data.y
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
    if y.ndim != 1:
        raise ValueError(f"fit: class_weight expects class numbers or one-hot rows as y, got shape {data.y.shape}")
    weights = np.ones(len(y), np.float32)
    for number, weight in class_weight.items():
        weights[y == number] = weight
    if data.weights is not None:
        weights = weights * data.weights.reshape(len(y), -1)[:, 0]
    return replace(data, weights=weights)


def split_off_end(data: Data, part: float) -> tuple[Data, Data]:
    """The first examples and, split off as validation data, the last `part` of them.

    Raises:
        ValueError: the part is not between 0 and 1, or leaves one of the two without examples.

    Example:
        >>> [len(d) for d in split_off_end(Data(np.zeros((10, 1))), 0.2)]
        [8, 2]
    """
    if not 0.0 < part < 1.0:
        raise ValueError(f"fit: validation_split expects a number between 0 and 1, got {part}")
    at = int(len(data) * (1.0 - part))
    if at == 0 or at == len(data):
        raise ValueError(f"fit: validation_split={part} of {len(data)} examples leaves none on one side")
    return data.take(slice(0, at)), data.take(slice(at, None))


def checked_batch_size(owner: str, batch_size: int | None) -> int:
    """The batch size, 32 by default.

    Example:
        >>> checked_batch_size("fit", None)
        32
    """
    return 32 if batch_size is None else positive_int(owner, "batch_size", batch_size)
