"""Places in ranges of an array: what things that stand end to end are taken by."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def places_in(starts: IntArray, lengths: IntArray) -> IntArray:
    """The places of all ranges, one range after the other, (lengths.sum(),). starts, lengths: (n,)."""
    ends = np.cumsum(lengths)
    places: IntArray = np.arange(int(lengths.sum())) + np.repeat(starts - (ends - lengths), lengths)
    return places


def any_in(flags: NDArray[np.bool_], offsets: IntArray) -> NDArray[np.bool_]:
    """Whether any flag is set in each of n ranges that stand end to end, (n,). offsets: (n + 1,)."""
    found: NDArray[np.bool_] = np.diff(np.concatenate([[0], np.cumsum(flags)])[offsets]) > 0
    return found
