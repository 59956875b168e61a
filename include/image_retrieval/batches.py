"""Processes iterables in batches, or several items at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
Result = TypeVar("Result")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter, and none is empty."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def in_order(work: Callable[[T], Result], items: Iterable[T], at_once: int) -> Iterator[Result]:
    """Results in the order of the items; at most `at_once` are in progress or waiting, so memory is bounded."""
    under_way: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) == at_once:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
