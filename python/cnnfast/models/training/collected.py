"""The outputs of many batches, put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnfast.structure import arranged_like, leaves


class Collected:
    """Joins what a model makes of batch after batch.

    Args:
        samples: how many examples there will be, or None where that is not known.

    Example:
        >>> found = Collected(3)
        >>> found.add(np.array([[1.0], [2.0]]))
        >>> found.add(np.array([[3.0]]))
        >>> found.result().ravel()
        array([1., 2., 3.])
    """

    def __init__(self, samples: int | None) -> None:
        self._samples = samples
        self._structure: Any = None
        self._first: list[Any] | None = None
        self._whole: list[npt.NDArray[Any]] | None = None
        self._parts: list[list[Any]] = []
        self._filled = 0

    def add(self, outputs: Any) -> None:
        """Take the outputs of one batch, arrays in any structure."""
        arrays = leaves(outputs)
        if self._first is None:
            self._structure, self._first = outputs, arrays
            self._parts = [[] for _ in arrays]
            rows = {len(array) if np.ndim(array) else None for array in arrays}
            if self._samples is not None and len(rows) == 1 and rows.isdisjoint({None, self._samples}):
                self._whole = [np.empty((self._samples, *array.shape[1:]), array.dtype) for array in arrays]
        if self._whole is None:
            for parts, array in zip(self._parts, arrays, strict=True):
                parts.append(array)
            return
        stop = self._filled + len(arrays[0])
        if stop > len(self._whole[0]):  # the model makes more rows than it is given
            self._parts = [
                [whole[: self._filled].copy(), array] for whole, array in zip(self._whole, arrays, strict=True)
            ]
            self._whole = None
            return
        for whole, array in zip(self._whole, arrays, strict=True):
            whole[self._filled : stop] = array
        self._filled = stop

    def result(self) -> Any:
        """All outputs, in the structure of the first."""
        if self._whole is not None:
            joined = [whole[: self._filled] for whole in self._whole]
        else:
            joined = [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in self._parts]
        return arranged_like(self._structure, iter(joined))
