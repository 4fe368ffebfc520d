"""The engine's memory: blocks of results that died are kept and used again.

Writing a fresh large array costs page faults, often more than the arithmetic. Results therefore come from a bounded
pool, to which a block returns when its array dies.
"""

from __future__ import annotations

import operator

from cnnfast import _core

_MOST_BYTES = 2**63 - 1

__all__ = ["set_limit", "stats", "trim"]


def stats() -> dict[str, int]:
    """What the pool holds and did.

    Returns:
        used_bytes: in arrays that are alive (those of 32 KiB and more); cached_bytes: kept for later; limit_bytes: the
        most that is kept; allocations: requests so far; reuses: how many of them a kept block served.

    Example:
        >>> sorted(stats())
        ['allocations', 'cached_bytes', 'limit_bytes', 'reuses', 'used_bytes']
    """
    return _core.memory_stats()


def trim() -> int:
    """Give the kept blocks back to the operating system.

    Returns:
        The number of bytes given back.

    Example:
        >>> _ = trim()
        >>> stats()["cached_bytes"]
        0
    """
    return _core.trim_memory()


def set_limit(limit_bytes: int) -> None:
    """Set how many bytes may be kept for later use; 0 keeps none.

    Raises:
        TypeError: `limit_bytes` is not an integer.
        ValueError: `limit_bytes` is negative or larger than memory can be.

    Example:
        >>> set_limit(1 << 30)
        >>> stats()["limit_bytes"]
        1073741824
    """
    try:
        number = operator.index(limit_bytes)
    except TypeError:
        raise TypeError(f"set_limit: limit_bytes must be an integer, got {type(limit_bytes).__name__}") from None
    if not 0 <= number <= _MOST_BYTES:
        raise ValueError(f"set_limit: limit_bytes must be between 0 and {_MOST_BYTES}, got {number}")
    _core.set_memory_limit(number)
