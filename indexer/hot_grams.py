"""Which grams of a corpus recur over many texts and many units: counted exactly, in bounded memory; and counted
on, when more texts and senders have come.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.grams import DEEP, GRAM_TOKENS, HashArray, HotGrams, IntArray, TokenTable, expected_units, look_up
from indexer.kept import directory
from indexer.lanes import each_in_lanes
from indexer.occurrences import (
    BUDGET,
    EVERYTHING,
    FULL,
    Among,
    Counts,
    Occurrences,
    RunCounts,
    TextArray,
    gram_hash,
    occurrences,
    run_counts,
)
from indexer.senders import Senders

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HotCounts:
    """Hot grams and what makes them deep or not.

    hashes: (g,) uint64, ascending. deep: (g,) bool. sendings: (g,) int64, pairs of a text that holds the gram and
    a unit that sent it. least_units, most_units: (g,) int64, bounds of how many units sent it. They are equal
    where these were counted; where they are not, the gram is deep, or is not, whatever lies between.
    """

    hashes: HashArray
    deep: BoolArray
    sendings: IntArray
    least_units: IntArray
    most_units: IntArray
    counted: RunCounts

    @property
    def grams(self) -> HotGrams:
        """Without the numbers."""
        return HotGrams(self.hashes, self.deep)

    def at(self, places: IntArray) -> "HotCounts":
        """The grams at these places."""
        return HotCounts(
            self.hashes[places],
            self.deep[places],
            self.sendings[places],
            self.least_units[places],
            self.most_units[places],
            self.counted,
        )


def hot_counts(
    table: TokenTable,
    sent_by: Senders,
    min_texts: int,
    min_units: int,
    budget: int = BUDGET,
    among: Among = EVERYTHING,
    counted: RunCounts | None = None,
) -> HotCounts:
    """The grams found in at least `min_texts` texts and sent by at least `min_units` units.

    Exact (up to 64-bit collisions) in bounded memory: small counters rule out the grams that cannot reach
    `min_texts` (see `indexer.occurrences`), then the remaining ones are counted exactly, part by part. among,
    counted: as there.
    """
    lengths = np.full(len(table), GRAM_TOKENS)
    counted = counted or run_counts(table, lengths)
    found = occurrences(table, lengths, min_texts, budget, among, counted)
    activity = np.bincount(sent_by.units)
    parts = each_in_lanes(
        range(found.parts), lambda part: _hot_in_part(found, part, sent_by, activity, min_texts, min_units)
    )
    return _together(counted, *parts)


def more_hot_counts(
    table: TokenTable,
    sent_by: Senders,
    min_texts: int,
    min_units: int,
    base: HotCounts,
    sent_before: IntArray,
    budget: int = BUDGET,
) -> HotCounts:
    """`hot_counts`, given those of the first texts when fewer units had sent them.

    sent_before: (texts before,) how many units had sent each text then. Grams are counted again only where that
    could matter: those of texts that somebody has sent since, if they were not hot, and hot ones that may be deep
    or not, between the units that they had and those that would all be new.
    """
    more = np.diff(sent_by.offsets)
    more[: len(sent_before)] -= sent_before
    touched = np.flatnonzero((more > 0) | (np.arange(len(table)) >= len(sent_before)))
    added = table.between(len(sent_before), len(table))
    counted = base.counted.with_texts(added, np.full(len(added), GRAM_TOKENS))
    fresh = np.zeros(len(base.hashes), np.int64)
    unknown = np.empty(int(np.diff(table.offsets)[touched].sum()), np.uint64)
    known, counters = (base.hashes, *directory(base.hashes)), (counted.counts, counted.shift, min(min_texts, FULL))
    unknown = unknown[: _touch(table.hashes, table.offsets, touched, more, *known, *counters, fresh, unknown)]
    activity = np.bincount(sent_by.units)
    sendings, most = base.sendings + fresh, base.most_units + fresh
    expected = expected_units(sendings, activity)
    deep = expected >= DEEP * most
    unsure = base.hashes[deep != (expected >= DEEP * base.least_units)]
    again = Among.of(np.concatenate([unknown, unsure]))
    exact = hot_counts(table, sent_by, min_texts, min_units, budget, again, counted)
    reckoned = HotCounts(base.hashes, deep, sendings, base.least_units, most, counted)
    return _together(counted, exact, reckoned.at(np.flatnonzero(~look_up(exact.hashes, base.hashes)[1])))


def _together(counted: RunCounts, *parts: HotCounts) -> HotCounts:
    """Hot grams that have none in common."""
    joined = HotCounts(
        np.concatenate([each.hashes for each in parts]),
        np.concatenate([each.deep for each in parts]),
        np.concatenate([each.sendings for each in parts]),
        np.concatenate([each.least_units for each in parts]),
        np.concatenate([each.most_units for each in parts]),
        counted,
    )
    return joined.at(np.argsort(joined.hashes))


def _hot_in_part(
    found: Occurrences, part: int, sent_by: Senders, activity: IntArray, min_texts: int, min_units: int
) -> HotCounts:
    """The hot grams among those of one part."""
    grams, texts, sendings, units = _totals(
        *found.part(part), sent_by.units, sent_by.offsets, len(activity), min_texts
    )
    hot = (texts >= min_texts) & (units >= min_units)
    grams, sendings, units = grams[hot], sendings[hot], units[hot]
    deep = expected_units(sendings, activity) >= DEEP * units
    return HotCounts(grams, deep, sendings, units, units, found.counted)


@compiled
def _touch(
    hashes: HashArray,
    offsets: IntArray,
    touched: IntArray,
    more: IntArray,
    known: HashArray,
    shift: np.uint64,
    starts: IntArray,
    counts: Counts,
    counts_shift: np.uint64,
    least: int,
    fresh: IntArray,
    unknown: HashArray,
) -> int:
    """Adds to `fresh`, of the known grams, what `more` units sent each of the touched texts that hold them. Puts
    the other grams of these texts that may stand `least` times in all texts into `unknown`, and gives how many
    they are. shift, starts: of the known grams, see `indexer.kept.directory`.
    """
    last = np.full(len(known), -1, np.int64)  # text in which a gram was seen
    count = 0
    for text in touched:
        for start in range(offsets[text], offsets[text + 1] - GRAM_TOKENS + 1):
            gram = gram_hash(hashes, start)
            if counts[gram >> counts_shift] < least:
                continue
            place, end = starts[gram >> shift], starts[(gram >> shift) + np.uint64(1)]
            while place < end and known[place] != gram:
                place += 1
            if place == end:
                unknown[count] = gram
                count += 1
            elif last[place] != text:
                last[place] = text
                fresh[place] += more[text]
    return count


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
