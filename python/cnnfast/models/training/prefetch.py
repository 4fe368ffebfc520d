"""Batches made ahead, in threads or processes, while the engine computes with the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetched(
    make: Callable[[int], Item],
    numbers: Iterable[int],
    ahead: int,
    executor: Executor | None = None,
) -> Iterator[Item]:
    """What `make` returns for each number, in this order, computed by another thread before it is asked for.

    Args:
        make: makes one item.
        numbers: what `make` is called with; may be endless.
        ahead: how many items may wait, at least 1.
        executor: the threads or processes that make items, one thread by default; shut down at the end.

    Example:
        >>> list(prefetched(lambda number: number**2, range(4), ahead=3))
        [0, 1, 4, 9]
    """
    executor = executor or ThreadPoolExecutor(1, thread_name_prefix="cnnfast-batches")
    waiting: deque[Future[Item]] = deque()
    try:
        for number in numbers:
            waiting.append(executor.submit(make, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
