"""A part of too many things: evenly spaced samples, as good as random where order means nothing and the same every
time, and fair shares.
"""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def spaced(count: int, most: int) -> IntArray:
    """Places of at most `most` of `count` things, evenly spaced from the first to the last, ascending."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def fair_share(sizes: IntArray, room: int) -> int:
    """The most that can be taken of each of these sizes, (n,), so that all together they fit into `room`."""
    low, high = 0, int(sizes.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(sizes, middle).sum() <= room else (low, middle - 1)
    return low
