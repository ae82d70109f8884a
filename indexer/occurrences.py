"""Every run of tokens in a table, by its hash: counted in small counters first, so that only those which may
matter are collected, some of them at a time. So memory is bounded, whatever the number of texts.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.grams import HashArray, IntArray, TokenTable, bucket_shift, gram_at
from indexer.lanes import LANES, each_in_lanes

Counts = NDArray[np.uint8]
TextArray = NDArray[np.int32]

BUDGET: Final = 50_000_000  # occurrences that are sorted at a time; 24 bytes each
_COUNTER_BITS: Final = 30  # at most; of one byte each
_FULL: Final = 255  # a counter that got so far stays there

gram_hash = compiled(gram_at)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Runs that stand at least `least` times in the texts of a table, and others whose hash begins alike.

    lengths: (n,) int64, how many tokens of each text make a run, 0 for a text that is not looked at. parts: into
    how many parts they fall, by the last bits of their hash.
    """

    table: TokenTable
    lengths: IntArray
    least: int
    shift: np.uint64
    counts: Counts
    parts: int

    def size(self, number: int) -> int:
        """How many occurrences there are in a part."""
        return self._collect(number, np.empty(0, np.uint64), np.empty(0, np.int32))

    def part(self, number: int) -> tuple[HashArray, TextArray]:
        """Hash and text of each occurrence in a part, by hash, then by text."""
        size = self.size(number)
        hashes, text = np.empty(size, np.uint64), np.empty(size, np.int32)
        self._collect(number, hashes, text)
        order = np.argsort(hashes, kind="stable")  # texts stay ascending, so that one twice in a run is seen
        return hashes[order], text[order]

    def _collect(self, number: int, found: HashArray, owner: TextArray) -> int:
        table = self.table
        return _collect(
            table.hashes,
            table.offsets,
            self.lengths,
            self.shift,
            self.counts,
            self.least,
            self.parts,
            number,
            found,
            owner,
        )


def occurrences(table: TokenTable, lengths: IntArray, least: int, budget: int = BUDGET) -> Occurrences:
    """Occurrences of runs that stand at least `least` times in the texts, in parts of at most about `budget`."""
    shift = bucket_shift(len(table.hashes), _COUNTER_BITS)
    counts = np.zeros(1 << (64 - int(shift)), np.uint8)
    lanes = range(LANES)
    each_in_lanes(lanes, lambda lane: _count(table.hashes, table.offsets, lengths, shift, counts, lane))
    found = Occurrences(table, lengths, min(least, _FULL), shift, counts, LANES)
    total, parts = sum(each_in_lanes(lanes, found.size)), LANES
    while parts * budget < total * LANES:
        parts *= 2
    return replace(found, parts=parts)


@compiled
def _count(
    hashes: HashArray, offsets: IntArray, lengths: IntArray, shift: np.uint64, counts: Counts, lane: int
) -> None:
    """Occurrences of runs by bucket, which is the first bits of their hash. One lane counts the even buckets and
    the other the odd ones, so that two never write to one counter.
    """
    for text in range(len(offsets) - 1):
        length = lengths[text]
        if not length:
            continue
        for start in range(offsets[text], offsets[text + 1] - length + 1):
            bucket = gram_hash(hashes, start, length) >> shift
            if bucket % np.uint64(LANES) == np.uint64(lane) and counts[bucket] < _FULL:
                counts[bucket] += np.uint8(1)


@compiled
def _collect(
    hashes: HashArray,
    offsets: IntArray,
    lengths: IntArray,
    shift: np.uint64,
    counts: Counts,
    least: int,
    parts: int,
    part: int,
    found: HashArray,
    owner: TextArray,
) -> int:
    """How many occurrences of one part are in buckets that reach `least`. Puts their hash and text into `found`
    and `owner`, in the order of the texts, as far as these have room.
    """
    size = 0
    for text in range(len(offsets) - 1):
        length = lengths[text]
        if not length:
            continue
        for start in range(offsets[text], offsets[text + 1] - length + 1):
            gram = gram_hash(hashes, start, length)
            if gram & np.uint64(parts - 1) == np.uint64(part) and counts[gram >> shift] >= least:
                if size < len(found):
                    found[size] = gram
                    owner[size] = text
                size += 1
    return size
