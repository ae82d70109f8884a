"""Which grams of a corpus recur over many texts and many units: counted exactly, in bounded memory."""

import numpy as np

from indexer.compiled import compiled
from indexer.grams import DEEP, GRAM_TOKENS, HashArray, HotGrams, IntArray, Senders, TokenTable, expected_units
from indexer.lanes import each_in_lanes
from indexer.occurrences import BUDGET, Occurrences, TextArray, occurrences


def hot_grams(
    table: TokenTable, sent_by: Senders, min_texts: int, min_units: int, budget: int = BUDGET
) -> HotGrams:
    """The grams found in at least `min_texts` texts and sent by at least `min_units` units.

    Exact (up to 64-bit collisions) in bounded memory: small counters rule out the grams that cannot reach
    `min_texts` (see `indexer.occurrences`), then the remaining ones are counted exactly, part by part.
    """
    found = occurrences(table, np.full(len(table), GRAM_TOKENS), min_texts, budget)
    activity = np.bincount(sent_by.units)
    hot = each_in_lanes(
        range(found.parts), lambda part: _hot_in_part(found, part, sent_by, activity, min_texts, min_units)
    )
    hashes = np.concatenate([each.hashes for each in hot])
    order = np.argsort(hashes)
    return HotGrams(hashes[order], np.concatenate([each.deep for each in hot])[order])


def _hot_in_part(
    found: Occurrences, part: int, sent_by: Senders, activity: IntArray, min_texts: int, min_units: int
) -> HotGrams:
    """The hot grams among those of one part."""
    grams, texts, sendings, units = _totals(
        *found.part(part), sent_by.units, sent_by.offsets, len(activity), min_texts
    )
    hot = (texts >= min_texts) & (units >= min_units)
    return HotGrams(grams[hot], expected_units(sendings[hot], activity) >= DEEP * units[hot])


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
