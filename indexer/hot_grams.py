"""Which grams of a corpus recur over many texts and many units: counted exactly, in bounded memory."""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.grams import (
    DEEP,
    GRAM_TOKENS,
    HashArray,
    HotGrams,
    IntArray,
    Senders,
    TokenTable,
    bucket_shift,
    expected_units,
    gram_at,
)
from indexer.lanes import LANES, each_in_lanes

Counts = NDArray[np.uint8]
TextArray = NDArray[np.int32]

BUDGET: Final = 50_000_000  # occurrences that are sorted at a time; 24 bytes each
_COUNTER_BITS: Final = 30  # at most; of one byte each
_FULL: Final = 255  # a counter that got so far stays there

gram_hash = compiled(gram_at)


def hot_grams(
    table: TokenTable, sent_by: Senders, min_texts: int, min_units: int, budget: int = BUDGET
) -> HotGrams:
    """The grams found in at least `min_texts` texts and sent by at least `min_units` units.

    Exact (up to 64-bit collisions) in bounded memory: first one small counter a hash bucket rules out the grams
    that cannot reach `min_texts` (a bucket's count is an upper bound), then the remaining ones are counted
    exactly, in as many parts of the hash space as keep each part's occurrences below `budget`.
    """
    shift = bucket_shift(len(table.hashes), _COUNTER_BITS)
    counts = np.zeros(1 << (64 - int(shift)), np.uint8)
    lanes = range(LANES)
    each_in_lanes(lanes, lambda lane: _count(table.hashes, table.offsets, shift, counts, lane))
    least = min(min_texts, _FULL)
    found = sum(
        each_in_lanes(lanes, lambda lane: _possible(table.hashes, table.offsets, shift, counts, least, lane))
    )
    parts = LANES
    while parts * budget < found * LANES:
        parts *= 2
    activity = np.bincount(sent_by.units)
    part_of = partial(_hot_in_part, table, sent_by, activity, min_texts, min_units, shift, counts, least, parts)
    hot = each_in_lanes(range(parts), part_of)
    hashes = np.concatenate([each.hashes for each in hot])
    order = np.argsort(hashes)
    return HotGrams(hashes[order], np.concatenate([each.deep for each in hot])[order])


def _hot_in_part(
    table: TokenTable,
    sent_by: Senders,
    activity: IntArray,
    min_texts: int,
    min_units: int,
    shift: np.uint64,
    counts: Counts,
    least: int,
    parts: int,
    part: int,
) -> HotGrams:
    """The hot grams among those whose hash ends in this part's number."""
    hashes, text = _collected(table.hashes, table.offsets, shift, counts, least, parts, part)
    order = np.argsort(hashes, kind="stable")  # texts stay ascending, so that one twice in a gram is seen
    grams, texts, sendings, units = _totals(
        hashes[order], text[order], sent_by.units, sent_by.offsets, len(activity), min_texts
    )
    hot = (texts >= min_texts) & (units >= min_units)
    return HotGrams(grams[hot], expected_units(sendings[hot], activity) >= DEEP * units[hot])


@compiled
def _count(hashes: HashArray, offsets: IntArray, shift: np.uint64, counts: Counts, lane: int) -> None:
    """Occurrences of grams by the first bits of their hash; a lane counts those with a last bit of its own parity
    of buckets, so that two lanes never write to one counter.
    """
    for text in range(len(offsets) - 1):
        for start in range(offsets[text], offsets[text + 1] - GRAM_TOKENS + 1):
            bucket = gram_hash(hashes, start) >> shift
            if bucket % np.uint64(LANES) == np.uint64(lane) and counts[bucket] < _FULL:
                counts[bucket] += np.uint8(1)


@compiled
def _possible(
    hashes: HashArray, offsets: IntArray, shift: np.uint64, counts: Counts, least: int, lane: int
) -> int:
    """Occurrences of a lane's grams in buckets that reach `least`."""
    found = 0
    for text in range(len(offsets) - 1):
        for start in range(offsets[text], offsets[text + 1] - GRAM_TOKENS + 1):
            bucket = gram_hash(hashes, start) >> shift
            if bucket % np.uint64(LANES) == np.uint64(lane) and counts[bucket] >= least:
                found += 1
    return found


@compiled
def _collected(
    hashes: HashArray, offsets: IntArray, shift: np.uint64, counts: Counts, least: int, parts: int, part: int
) -> tuple[HashArray, TextArray]:
    """Hash and text of each occurrence in a bucket that reaches `least`, of one part, in the order of the
    texts.
    """
    size = 0
    for filling in (False, True):
        if filling:
            found = np.empty(size, np.uint64)
            owner = np.empty(size, np.int32)
        size = 0
        for text in range(len(offsets) - 1):
            for start in range(offsets[text], offsets[text + 1] - GRAM_TOKENS + 1):
                gram = gram_hash(hashes, start)
                if gram & np.uint64(parts - 1) == np.uint64(part) and counts[gram >> shift] >= least:
                    if filling:
                        found[size] = gram
                        owner[size] = text
                    size += 1
    return found, owner


@compiled
def _totals(
    hashes: HashArray, text: TextArray, sender: IntArray, offsets: IntArray, units: int, min_texts: int
) -> tuple[HashArray, IntArray, IntArray, IntArray]:
    """Of each gram: its hash, its distinct texts, pairs of such a text and a unit that sent it, and distinct
    units, each (grams,). The last two are 0 for a gram of fewer than min_texts texts. hashes: (m,) ascending, with
    the text of each occurrence, ascending within a gram. sender, offsets: units that sent each text.
    """
    count = 0
    for at in range(len(hashes)):
        count += at == 0 or hashes[at] != hashes[at - 1]
    grams = np.empty(count, np.uint64)
    texts = np.zeros(count, np.int64)
    sendings = np.zeros(count, np.int64)
    distinct = np.zeros(count, np.int64)
    seen = np.full(units, -1, np.int64)  # the last gram for which a unit was counted
    begin = 0
    for gram in range(count):
        end = begin
        while end < len(hashes) and hashes[end] == hashes[begin]:
            texts[gram] += end == begin or text[end] != text[end - 1]
            end += 1
        grams[gram] = hashes[begin]
        if texts[gram] >= min_texts:
            for at in range(begin, end):
                if at > begin and text[at] == text[at - 1]:
                    continue
                for place in range(offsets[text[at]], offsets[text[at] + 1]):
                    sendings[gram] += 1
                    if seen[sender[place]] != gram:
                        seen[sender[place]] = gram
                        distinct[gram] += 1
        begin = end
    return grams, texts, sendings, distinct
