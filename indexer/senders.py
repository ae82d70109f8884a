"""Who sent each text."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.texts import offsets_of

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Senders:
    """Which units of spread sent each of n texts. units: (m,) int64 codes, distinct and ascending within a text,
    in the order of the texts; offsets: (n + 1,) int64.
    """

    units: IntArray
    offsets: IntArray


def senders(text: IntArray, unit: IntArray, texts: int) -> Senders:
    """Senders of `texts` texts from one row an event: index of its text, code of its unit (both (events,))."""
    offsets = offsets_of(np.bincount(text, minlength=texts))
    units = np.empty(len(unit), np.int64)
    _sort_out(text, unit, offsets, units)
    return Senders(units[: offsets[-1]], offsets)


@compiled
def _sort_out(text: IntArray, unit: IntArray, offsets: IntArray, units: IntArray) -> None:
    """Fills in the units of each text, given where the rows of each begin; then tells where its units do."""
    free = offsets[:-1].copy()
    for row in range(len(text)):
        units[free[text[row]]] = unit[row]
        free[text[row]] += 1
    size = 0
    for each in range(len(offsets) - 1):
        begin, end = offsets[each], offsets[each + 1]
        if end - begin > 1:
            units[begin:end].sort()
        offsets[each] = size
        for place in range(begin, end):
            if place == begin or units[place] != units[place - 1]:
                last = units[place]
                units[size] = last
                size += 1
    offsets[-1] = size
