"""Cutting what flows by into pieces of a size."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one perhaps shorter; never an empty one."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
