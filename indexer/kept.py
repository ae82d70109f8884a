"""Which tokens of a whole corpus are recurring text, in compiled code: `indexer.recurring.kept_tokens`, which says
what is kept and why and which serves single prompts, for a hundred million tokens.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.grams import GRAM_TOKENS, HashArray, HotGrams, IntArray, TokenTable
from indexer.lanes import in_lanes
from indexer.occurrences import gram_hash
from indexer.recurring import BRIDGED_TOKENS, MIN_DEEP_WORDS, MIN_RUN_WORDS, UNSPACED_WORDS

BoolArray = NDArray[np.bool_]
WordArray = NDArray[np.float64]


def kept_in_corpus(table: TokenTable, hot: HotGrams) -> BoolArray:
    """Which tokens of the table's texts are worth comparing, (tokens,); equal to `kept_tokens(table, hot)`."""
    kept = np.zeros(len(table.hashes), np.bool_)
    if len(hot.hashes):
        shift, starts = directory(hot.hashes)
        in_lanes(
            len(table),
            lambda first, last: _keep(
                table.hashes, table.unspaced, table.offsets, first, last, hot.hashes, hot.deep, shift, starts, kept
            ),
        )
    return kept


def texts_with(table: TokenTable, grams: HashArray) -> BoolArray:
    """Which texts of the table hold one of these grams, which ascend, (n,)."""
    found = np.zeros(len(table), np.bool_)
    if len(grams):
        shift, starts = directory(grams)
        in_lanes(
            len(table),
            lambda first, last: _hold(table.hashes, table.offsets, first, last, grams, shift, starts, found),
        )
    return found


def directory(hashes: HashArray) -> tuple[np.uint64, IntArray]:
    """Where in the ascending hashes those begin that share their first bits: how far to shift a hash, and the
    place of each number that this gives, with one more for the end. So a look-up goes straight to one hash or two.
    """
    bits = max(1, len(hashes).bit_length())
    shift = np.uint64(64 - bits)
    borders = np.searchsorted(hashes >> shift, np.arange((1 << bits) + 1, dtype=np.uint64))
    return shift, borders.astype(np.int64)


@compiled
def _hold(
    hashes: HashArray,
    offsets: IntArray,
    first: int,
    last: int,
    grams: HashArray,
    shift: np.uint64,
    starts: IntArray,
    found: BoolArray,
) -> None:
    """Sets `found` for texts first to last."""
    for text in range(first, last):
        for start in range(offsets[text], offsets[text + 1] - GRAM_TOKENS + 1):
            gram = gram_hash(hashes, start)
            bucket = gram >> shift
            for place in range(starts[bucket], starts[bucket + np.uint64(1)]):
                found[text] |= grams[place] == gram
            if found[text]:
                break


@compiled
def _keep(
    hashes: HashArray,
    unspaced: BoolArray,
    offsets: IntArray,
    first: int,
    last: int,
    hot: HashArray,
    deep: BoolArray,
    shift: np.uint64,
    starts: IntArray,
    kept: BoolArray,
) -> None:
    """Sets `kept` for the tokens of texts first to last."""
    longest = 0
    for text in range(first, last):
        longest = max(longest, offsets[text + 1] - offsets[text])
    usual = np.zeros(longest, np.bool_)
    lasting = np.zeros(longest, np.bool_)
    bridged = np.zeros(longest, np.bool_)
    words = np.zeros(longest, np.float64)
    for text in range(first, last):
        begin, end = offsets[text], offsets[text + 1]
        size = end - begin
        usual[:size] = False
        lasting[:size] = False
        any_hot, any_deep = False, False
        for start in range(begin, end - GRAM_TOKENS + 1):
            gram = gram_hash(hashes, start)
            bucket = gram >> shift
            for place in range(starts[bucket], starts[bucket + np.uint64(1)]):
                if hot[place] == gram:
                    any_hot = True
                    usual[start - begin : start - begin + GRAM_TOKENS] = True
                    if deep[place]:
                        any_deep = True
                        lasting[start - begin : start - begin + GRAM_TOKENS] = True
        if not any_hot:
            continue
        for token in range(size):
            words[token] = UNSPACED_WORDS if unspaced[begin + token] else 1.0
        found = False
        if any_deep:
            bridged[:size] = lasting[:size]
            _close_gaps(bridged, size)
            _drop_short_runs(lasting, bridged, words, size, MIN_DEEP_WORDS)
            found = bool(lasting[:size].any())
        if found:
            kept[begin:end] = lasting[:size]
        else:
            bridged[:size] = usual[:size]
            _drop_short_runs(usual, bridged, words, size, MIN_RUN_WORDS)
            kept[begin:end] = usual[:size]


@compiled
def _close_gaps(flags: BoolArray, size: int) -> None:
    """Sets the flags of runs of at most BRIDGED_TOKENS that are not set, at the edges too."""
    start = 0
    while start < size:
        end = start
        while end < size and flags[end] == flags[start]:
            end += 1
        if not flags[start] and end - start <= BRIDGED_TOKENS:
            flags[start:end] = True
        start = end


@compiled
def _drop_short_runs(covered: BoolArray, together: BoolArray, words: WordArray, size: int, least: float) -> None:
    """Clears `covered` in each run of equal flags in `together` in which it covers fewer than `least` words."""
    start = 0
    while start < size:
        end = start
        total = 0.0
        while end < size and together[end] == together[start]:
            if covered[end]:
                total += words[end]
            end += 1
        if total < least:
            covered[start:end] = False
        start = end
