"""Evenly spaced samples: as good as random where order means nothing, and the same every time."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def spaced(count: int, most: int) -> IntArray:
    """Places of at most `most` of `count` things, evenly spaced from the first to the last, ascending."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)
