"""Every run of tokens in a table, by its hash: counted in small counters first, so that only those which may
matter are collected, some of them at a time. So memory is bounded, whatever the number of texts.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.grams import HashArray, IntArray, TokenTable, bucket_shift, gram_at
from indexer.lanes import LANES, each_in_lanes

Counts = NDArray[np.uint8]
TextArray = NDArray[np.int32]

BUDGET: Final = 50_000_000  # occurrences that are sorted at a time; 24 bytes each
_MOST_PARTS: Final = 1 << 12
_COUNTER_BITS: Final = 30  # at most; of one byte each
_BITS_A_HASH: Final = 8
_MOST_BITS: Final = 33  # of a set, which is 1 GiB
FULL: Final = 255  # a counter that got so far stays there

gram_hash = compiled(gram_at)


@dataclass(frozen=True, slots=True)
class Among:
    """A set of hashes that holds some others too: a bit for all that begin alike. bits: (b,) uint8; shift: by how
    many bits to shift a hash to have the number of its bit.
    """

    bits: Counts
    shift: np.uint64

    @classmethod
    def of(cls, hashes: HashArray) -> "Among":
        """The set of these hashes."""
        shift = bucket_shift(_BITS_A_HASH * len(hashes), _MOST_BITS)
        found = cls(np.zeros(1 << (64 - 3 - int(shift)), np.uint8), shift)
        _mark(hashes, found.bits, found.shift)
        return found


EVERYTHING: Final = Among(np.full(1, 255, np.uint8), np.uint64(63))


@compiled
def is_among(hashed: np.uint64, bits: Counts, shift: np.uint64) -> bool:
    """Whether the bit of a hash is set."""
    number = hashed >> shift
    return bool(bits[number >> np.uint64(3)] & (np.uint8(1) << np.uint8(number & np.uint64(7))))


@compiled
def _mark(hashes: HashArray, bits: Counts, shift: np.uint64) -> None:
    """Sets the bits of hashes."""
    for hashed in hashes:
        number = hashed >> shift
        bits[number >> np.uint64(3)] |= np.uint8(1) << np.uint8(number & np.uint64(7))


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How often runs stand in texts, by bucket, which is the first bits of their hash. counts: (2^b,) uint8, up to
    FULL.
    """

    counts: Counts

    @property
    def shift(self) -> np.uint64:
        """By how many bits to shift a hash to have its bucket."""
        return np.uint64(65 - len(self.counts).bit_length())

    def with_texts(self, table: TokenTable, lengths: IntArray) -> "RunCounts":
        """With the runs of more texts."""
        counts, lanes = self.counts.copy(), range(LANES)
        each_in_lanes(lanes, lambda lane: _count(table.hashes, table.offsets, lengths, self.shift, counts, lane))
        return RunCounts(counts)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Runs that stand at least `least` times in the texts of a table, and others whose hash begins alike.

    lengths: (n,) int64, how many tokens of each text make a run, 0 for a text that is not looked at. among: the
    runs that are looked at. sizes: (parts,) int64, how many there are in each of the parts into which they fall,
    by the last bits of their hash; a power of two.
    """

    table: TokenTable
    lengths: IntArray
    among: Among
    least: int
    counted: RunCounts
    sizes: IntArray

    @property
    def parts(self) -> int:
        """Into how many parts they fall."""
        return len(self.sizes)

    def part(self, number: int) -> tuple[HashArray, TextArray]:
        """Hash and text of each occurrence in a part, by hash, then by text."""
        size = int(self.sizes[number])
        hashes, text = np.empty(size, np.uint64), np.empty(size, np.int32)
        _collect(
            self.table.hashes,
            self.table.offsets,
            self.lengths,
            self.among.bits,
            self.among.shift,
            self.counted.counts,
            self.counted.shift,
            self.least,
            (0, len(self.table)),
            self.parts,
            number,
            hashes,
            text,
        )
        order = np.argsort(hashes, kind="stable")  # texts stay ascending, so that one twice in a run is seen
        return hashes[order], text[order]

    def distinct_part(self, number: int) -> tuple[HashArray, IntArray]:
        """Each pair of a hash and a text in a part once, by hash, then by text."""
        hashes, texts = self.part(number)
        fresh = np.ones(len(hashes), np.bool_)
        fresh[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
        return hashes[fresh], texts[fresh].astype(np.int64)


def run_counts(table: TokenTable, lengths: IntArray) -> RunCounts:
    """Counts of all runs of the texts. lengths: (n,) int64, how many tokens of each text make a run, 0 for a text
    that is not looked at.
    """
    room = RunCounts(np.zeros(1 << (64 - int(bucket_shift(len(table.hashes), _COUNTER_BITS))), np.uint8))
    return room.with_texts(table, lengths)


def occurrences(
    table: TokenTable,
    lengths: IntArray,
    least: int,
    budget: int = BUDGET,
    among: Among = EVERYTHING,
    counted: RunCounts | None = None,
) -> Occurrences:
    """Occurrences of runs that stand at least `least` times in the texts, in parts of at most about `budget`.
    among: those of interest. counted: how often each stands there, if that is known.
    """
    counted = counted or run_counts(table, lengths)
    least = min(least, FULL)

    def sizes_of(texts: tuple[int, int]) -> IntArray:
        sizes = np.zeros(_MOST_PARTS, np.int64)
        seen = (among.bits, among.shift, counted.counts, counted.shift, least)
        _count_parts(table.hashes, table.offsets, lengths, *seen, texts, sizes)
        return sizes

    sizes = np.sum(each_in_lanes(_lanes_of(table), sizes_of), axis=0)
    parts = LANES
    while parts < _MOST_PARTS and parts * budget < sizes.sum() * LANES:
        parts *= 2
    return Occurrences(table, lengths, among, least, counted, sizes.reshape(-1, parts).sum(axis=0))


def common_runs(table: TokenTable, lengths: IntArray, least: int, counted: RunCounts) -> Among:
    """The runs of these texts that may stand `least` times where they were counted."""
    seen = (EVERYTHING.bits, EVERYTHING.shift, counted.counts, counted.shift, min(least, FULL))

    def look(texts: tuple[int, int]) -> HashArray:
        size = np.zeros(1, np.int64)
        _count_parts(table.hashes, table.offsets, lengths, *seen, texts, size)
        hashes, text = np.empty(size[0], np.uint64), np.empty(size[0], np.int32)
        _collect(table.hashes, table.offsets, lengths, *seen, texts, 1, 0, hashes, text)
        return hashes

    return Among.of(np.concatenate(each_in_lanes(_lanes_of(table), look)))


def _lanes_of(table: TokenTable) -> list[tuple[int, int]]:
    """Ranges of texts, one for each lane, that have about as many tokens."""
    borders = np.searchsorted(table.offsets, np.linspace(0, table.offsets[-1], LANES + 1)).tolist()
    return list(pairwise([0, *borders[1:-1], len(table)]))


@compiled
def _count(
    hashes: HashArray, offsets: IntArray, lengths: IntArray, shift: np.uint64, counts: Counts, lane: int
) -> None:
    """Adds runs to the counters of their buckets. One lane counts the even buckets and the other the odd ones, so
    that two never write to one counter.
    """
    for text in range(len(offsets) - 1):
        length = lengths[text]
        if not length:
            continue
        for start in range(offsets[text], offsets[text + 1] - length + 1):
            bucket = gram_hash(hashes, start, length) >> shift
            if bucket % np.uint64(LANES) == np.uint64(lane) and counts[bucket] < FULL:
                counts[bucket] += np.uint8(1)


@compiled
def _count_parts(
    hashes: HashArray,
    offsets: IntArray,
    lengths: IntArray,
    bits: Counts,
    bits_shift: np.uint64,
    counts: Counts,
    shift: np.uint64,
    least: int,
    texts: tuple[int, int],
    sizes: IntArray,
) -> None:
    """Adds to `sizes`, for each part, the occurrences in a range of texts that are among the set and in buckets
    that reach `least`.
    """
    for text in range(texts[0], texts[1]):
        length = lengths[text]
        if not length:
            continue
        for start in range(offsets[text], offsets[text + 1] - length + 1):
            gram = gram_hash(hashes, start, length)
            if is_among(gram, bits, bits_shift) and counts[gram >> shift] >= least:
                sizes[gram & np.uint64(len(sizes) - 1)] += 1


@compiled
def _collect(
    hashes: HashArray,
    offsets: IntArray,
    lengths: IntArray,
    bits: Counts,
    bits_shift: np.uint64,
    counts: Counts,
    shift: np.uint64,
    least: int,
    texts: tuple[int, int],
    parts: int,
    part: int,
    found: HashArray,
    owner: TextArray,
) -> None:
    """Puts hash and text of the same occurrences, those of one part, into `found` and `owner`, in the order of the
    texts. They have room for just these.
    """
    size = 0
    for text in range(texts[0], texts[1]):
        length = lengths[text]
        if not length:
            continue
        for start in range(offsets[text], offsets[text + 1] - length + 1):
            gram = gram_hash(hashes, start, length)
            if gram & np.uint64(parts - 1) != np.uint64(part) or not is_among(gram, bits, bits_shift):
                continue
            if counts[gram >> shift] >= least:
                found[size] = gram
                owner[size] = text
                size += 1
