"""Distinct hashes of each text, in compiled code: what `indexer.grams.counted` gives, for texts that come one by
one.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.grams import HashArray
from indexer.lanes import in_lanes

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def distinct_in_texts(hashes: HashArray, owners: IntArray) -> tuple[HashArray, IntArray]:
    """Each pair of a hash and its text once, by text, the hashes of each ascending: both (m,). It is what
    `indexer.grams.counted` gives without the counts.

    hashes, owners: (n,) hashes and the numbers of their texts, each text's side by side, in ascending order. A few
    hundred hashes are sorted at a time, which is several times as quick as all of them.
    """
    starts = np.flatnonzero(np.diff(owners, prepend=-1, append=np.iinfo(np.int64).max))
    ordered = hashes.copy()
    fresh = np.zeros(len(hashes), np.bool_)
    in_lanes(len(starts) - 1, lambda first, last: _sort(ordered, starts[first : last + 1], fresh))
    return ordered[fresh], owners[fresh]


@compiled
def _sort(hashes: HashArray, borders: IntArray, fresh: BoolArray) -> None:
    """Sorts the hashes between each two borders, and tells which differ from the one before."""
    for part in range(len(borders) - 1):
        begin, end = borders[part], borders[part + 1]
        hashes[begin:end].sort()
        for place in range(begin, end):
            fresh[place] = place == begin or hashes[place] != hashes[place - 1]


def bucket_counts(shift: np.uint64) -> IntArray:
    """A counter for each bucket of hashes, see `indexer.grams.bucket_shift`."""
    return np.zeros(1 << (64 - int(shift)), np.int64)


@compiled
def count_in(counts: IntArray, hashes: HashArray, shift: np.uint64) -> None:
    """Adds the hashes to the counters of their buckets."""
    for hashed in hashes:
        counts[hashed >> shift] += 1
