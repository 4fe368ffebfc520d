"""The one source of randomness: initialisers, shuffling and dropout all draw from it.

It is seeded from the operating system at first use, or by `set_random_seed`. NumPy's and Python's own generators are
neither used nor changed.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["generator", "next_seed", "set_random_seed"]

_lock = threading.Lock()
_generator: Generator | None = None


def set_random_seed(seed: int) -> None:
    """Make everything random that follows depend on `seed` alone.

    The same seed gives the same numbers on every machine, with any number of threads.

    Args:
        seed: an integer >= 0.

    Raises:
        ValueError: `seed` is negative.
        TypeError: `seed` is not an integer.

    Example:
        >>> set_random_seed(1)
        >>> first = next_seed()
        >>> set_random_seed(1)
        >>> next_seed() == first
        True
    """
    global _generator
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"set_random_seed: seed expects an integer, got {type(seed).__name__}")
    if seed < 0:
        raise ValueError(f"set_random_seed: seed expects an integer >= 0, got {seed}")
    seeded = np.random.default_rng(int(seed))
    with _lock:
        _generator = seeded


def generator() -> Generator:
    """The generator itself, shared by all threads; each of its methods may be called from any.

    Example:
        >>> set_random_seed(1)
        >>> generator().permutation(5).tolist() == np.random.default_rng(1).permutation(5).tolist()
        True
    """
    global _generator
    with _lock:
        if _generator is None:
            _generator = np.random.default_rng()
        return _generator


def next_seed() -> int:
    """A new 64-bit seed for an operation that makes its own random numbers, such as `ops.dropout`."""
    return int(generator().integers(0, 2**64, dtype=np.uint64))
