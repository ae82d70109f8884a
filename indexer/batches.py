"""Things taken a batch at a time, of as many as may be in memory together."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(
    things: Iterable[T], size_of: Callable[[T], int], most_size: int, most: int = sys.maxsize
) -> Iterator[list[T]]:
    """The things in order, in batches that end once they have `most_size` together, or are `most`; the last thing
    of a batch may go over.
    """
    batch: list[T] = []
    size = 0
    for thing in things:
        batch.append(thing)
        size += size_of(thing)
        if size >= most_size or len(batch) >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
