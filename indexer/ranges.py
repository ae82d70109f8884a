"""Places in ranges of an array: what things that stand end to end are taken by."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def places_in(starts: IntArray, lengths: IntArray) -> IntArray:
    """The places of all ranges, one range after the other, (lengths.sum(),). starts, lengths: (n,)."""
    ends = np.cumsum(lengths)
    places: IntArray = np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths)
    return places
