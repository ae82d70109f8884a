"""Things taken a batch at a time, of as many as may be in memory together."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

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


def batch_ranges(sizes: NDArray[np.int64], most_size: int, most: int) -> Iterator[tuple[int, int]]:
    """The same batches of n things that lie in a row, as the first and the end of each. sizes: (n,) >= 0."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first] - sizes[first]
        last = min(first + most, int(np.searchsorted(ends, before + most_size)) + 1, len(sizes))
        yield first, last
        first = last
