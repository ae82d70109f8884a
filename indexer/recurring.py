"""The recurring-text view: what is left of a prompt when everything that does not recur is dropped.

A wrapper's fixed instruction is a few per cent of each prompt, so an embedding of the whole prompt shows the
payload. Its words recur over many prompts and accounts; the payload's do not. Keeping only words covered by
hot grams brings the instruction out, whatever stands before, between or behind it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.grams import GRAM_TOKENS, HotGrams, TokenTable, found_in, token_table
from models.text import token_spans

MIN_RUN_WORDS: Final = 6.0  # shorter runs are everyday phrases ("what is the best way")
MIN_DEEP_WORDS: Final = 4.0  # unless few units send them again and again, as they do with a short wrapper
BRIDGED_TOKENS: Final = 2  # filler words, typos or one changed word: they do not end a run that is deep
UNSPACED_WORDS: Final = 0.5  # one character of a script without spaces, in words
GAP: Final = " | "  # stands for a dropped slot; no token, so it leaves no trace in grams or sketches


def recurring_text(text: str, hot: HotGrams) -> str:
    """The recurring text of one canonical text, "" if it has none. Runs are joined by GAP."""
    return recurring_texts([text], token_table([text]), hot)[0]


def recurring_texts(texts: Sequence[str], table: TokenTable, hot: HotGrams) -> list[str]:
    """`recurring_text` of each canonical text, given their token table; alone or together makes no odds."""
    return cut_out(texts, table, kept_tokens(table, hot))


def cut_out(texts: Sequence[str], table: TokenTable, kept: NDArray[np.bool_]) -> list[str]:
    """What is left of each text, given which of the tokens of all texts are kept, (tokens,)."""
    mine = (kept[start:end] for start, end in pairwise(table.offsets.tolist()))
    return [_cut_out(text, flags) if flags.any() else "" for text, flags in zip(texts, mine, strict=True)]


def kept_tokens(table: TokenTable, hot: HotGrams) -> NDArray[np.bool_]:
    """Which tokens are worth comparing, shape (tokens,).

    In a text with a run of at least MIN_DEEP_WORDS words that deep grams cover: these runs, without the fillers
    inside, and nothing else, for what payloads of one kind have in common ("write a Python function that") would
    only blur them. In any other text: runs of at least MIN_RUN_WORDS words that hot grams cover.
    """
    hashes, inside = table.grams()
    known, deep = found_in(hot, hashes)
    if not (known & inside).any():  # as of most prompts that ordinary users send
        return np.zeros(len(hashes), bool)
    weight = np.where(table.unspaced, UNSPACED_WORDS, 1.0)
    lasting = covered(deep & inside)
    run = _run_numbers(_bridged(lasting, table.offsets), table.offsets)
    lasting &= np.bincount(run, weight * lasting)[run] >= MIN_DEEP_WORDS
    usual = covered(known & inside)
    run = _run_numbers(usual, table.offsets)
    usual &= np.bincount(run, weight * usual)[run] >= MIN_RUN_WORDS
    text = np.repeat(np.arange(len(table)), np.diff(table.offsets))
    kept: NDArray[np.bool_] = np.where((np.bincount(text, lasting) > 0)[text], lasting, usual)
    return kept


def covered(starts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which tokens are inside a gram, (tokens,), given where grams start."""
    covered = starts.copy()
    for offset in range(1, GRAM_TOKENS):
        covered[offset:] |= starts[:-offset]
    return covered


def _bridged(covered: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Flags with short gaps between two runs of one text closed. A gap at the edge of a text is closed as well,
    which is harmless: what is not covered is not kept.
    """
    run = _run_numbers(covered, offsets)
    bridged: NDArray[np.bool_] = covered | (np.bincount(run)[run] <= BRIDGED_TOKENS)
    return bridged


def _run_numbers(covered: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each maximal run of equal flags within one text, shape (tokens,)."""
    begins = np.zeros(len(covered) + 1, bool)
    begins[1:-1] = covered[1:] != covered[:-1]
    begins[offsets] = True
    return np.cumsum(begins[: len(covered)])


def _cut_out(text: str, kept: NDArray[np.bool_]) -> str:
    """Stretches of the text from the first to the last token of each kept run."""
    spans = token_spans(text)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    runs = zip(edges[::2], edges[1::2], strict=True)
    return GAP.join(text[spans[first][0] : spans[last - 1][1]] for first, last in runs)
