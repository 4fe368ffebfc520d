"""Optimizers whose step treats every element alike: NumPy on stretches that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnfast.autograd import FloatArray, Variable
from cnnfast.optimizers.base import Optimizer

# Elements taken at once: a few arrays of them fit a core's second-level cache, and NumPy's calls still cost little.
BLOCK = 1 << 14


def blocks(arrays: Sequence[FloatArray]) -> Iterator[list[FloatArray]]:
    """Views of the arrays, flat and a stretch at a time, the same stretch of each.

    Args:
        arrays: C-contiguous, of one size.

    Example:
        >>> [[v.shape for v in views] for views in blocks([np.zeros((2, 3)), np.zeros(6)])]
        [[(6,), (6,)]]
    """
    flat = [a.reshape(-1) for a in arrays]
    size = flat[0].size
    if size <= BLOCK:
        yield flat
        return
    for start in range(0, size, BLOCK):
        yield [a[start : start + BLOCK] for a in flat]


class Elementwise(Optimizer):
    """Base of those that define `step` on flat arrays."""

    def update(  # noqa: D102
        self, gradients: Sequence[Any], variables: Sequence[Variable], learning_rate: float
    ) -> None:
        slopes = self.check_fit(gradients, variables)
        kept = [self._arrays(name, variables) for name in self.step_slots]
        with np.errstate(all="ignore"):
            for i, variable in enumerate(variables):
                with variable.overwritten() as value:
                    for w, g, *slots in blocks([value, slopes[i], *(slot[i] for slot in kept)]):
                        self.step(w, g, slots, learning_rate)

    @property
    def step_slots(self) -> tuple[str, ...]:
        """The names of the slots that `step` takes."""
        return tuple(name for name in self.slot_names if name not in self.shared_slots)

    def step(self, w: FloatArray, g: FloatArray, slots: list[FloatArray], learning_rate: float) -> None:
        """Change `w` and the slots in place, by the gradient `g`; what subclasses define."""
        raise NotImplementedError(f"{type(self).__name__} defines no step()")
