"""Word grams as 64-bit hashes, and which of them recur over many prompts and many units of spread.

A gram that only one viral prompt holds, however many accounts send it, says nothing about a template; one
that many different prompts of one account share says nothing about coordination. A *hot* gram has both. It is
*deep* if few units send it, each again and again, where chance would have spread it over many: everyday phrases
are wide and shallow, a campaign's words are deep, however short its wrapper is.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from indexer.ranges import places_in
from indexer.texts import offsets_of
from models.text import is_unspaced, tokens

HashArray = NDArray[np.uint64]
IntArray = NDArray[np.int64]

GRAM_TOKENS: Final = 4
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, so multiplying loses nothing; 2^64 / golden ratio
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_CHUNK_TOKENS: Final = 250_000  # a few MB, which caches hold
DEEP: Final = 2.0  # times as many units as a gram has that chance would have given it, from which it is deep
_KEPT_WORDS: Final = 2_000_000  # some 300 MB
_DRAWS_AT_A_TIME: Final = 1_024


def token_hashes(text: str) -> HashArray:
    """64-bit xxh3 hash of each token of a canonical text, shape (tokens,). The same in every process."""
    return np.array([_hash(word) for word in tokens(text)], np.uint64)


def gram_hashes(hashes: HashArray, length: int) -> HashArray:
    """Hash of every run of `length` consecutive tokens, shape (max(0, tokens - length + 1),)."""
    count = max(0, len(hashes) - length + 1)
    combined = np.zeros(count, np.uint64)
    for offset in range(length):
        combined = combined * _MULTIPLIER + hashes[offset : offset + count]
    combined ^= combined >> np.uint64(29)
    combined *= _MIX
    return combined ^ (combined >> np.uint64(32))


def gram_at(hashes: HashArray, start: int, length: int = GRAM_TOKENS) -> np.uint64:
    """Hash of the run of `length` tokens that starts at a token; `gram_hashes` for one place, to be compiled."""
    combined = np.uint64(0)
    for offset in range(length):
        combined = combined * _MULTIPLIER + hashes[start + offset]
    combined ^= combined >> np.uint64(29)
    combined *= _MIX
    return combined ^ (combined >> np.uint64(32))


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Tokens of n texts, end to end.

    hashes: (tokens,) uint64. unspaced: (tokens,) bool, characters of scripts without spaces.
    offsets: (n + 1,) int64; text i owns tokens offsets[i] to offsets[i + 1].
    """

    hashes: HashArray
    unspaced: NDArray[np.bool_]
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def between(self, first: int, last: int) -> "TokenTable":
        """Table of texts first to last, without a copy."""
        begin, end = self.offsets[first], self.offsets[last]
        return TokenTable(self.hashes[begin:end], self.unspaced[begin:end], self.offsets[first : last + 1] - begin)

    def select(self, texts: IntArray) -> "TokenTable":
        """Table of these texts, in their order."""
        lengths = np.diff(self.offsets)[texts]
        places = places_in(self.offsets[texts], lengths)
        return TokenTable(self.hashes[places], self.unspaced[places], offsets_of(lengths))

    def keep(self, tokens: NDArray[np.bool_]) -> "TokenTable":
        """Table of the same texts with only these tokens; what stood apart is then side by side."""
        offsets = np.concatenate([[0], np.cumsum(tokens)])[self.offsets].astype(np.int64)
        return TokenTable(self.hashes[tokens], self.unspaced[tokens], offsets)

    def grams(self) -> tuple[HashArray, NDArray[np.bool_]]:
        """Hash of the gram that starts at each token, and whether it ends inside the same text.

        Both (tokens,); hashes of grams that run over a border are garbage and flagged False.
        """
        return self._grams_between(0, len(self))

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Ranges of texts with a bounded number of tokens each (one long text may exceed it alone)."""
        first = 0
        while first < len(self):
            limit = self.offsets[first] + _CHUNK_TOKENS
            last = max(first + 1, int(np.searchsorted(self.offsets, limit, side="right")) - 1)
            yield first, last
            first = last

    def occurrences(self, first: int, last: int, length: int) -> tuple[HashArray, IntArray]:
        """Every run of `length` tokens inside texts first to last: (hashes, index of the text), both (m,)."""
        hashes, inside = self._grams_between(first, last, length)
        lengths = np.diff(self.offsets[first : last + 1])
        owners = np.repeat(np.arange(first, last, dtype=np.int64), lengths)
        return hashes[inside], owners[inside]

    def runs(self, length: int, texts: NDArray[np.bool_]) -> Iterator[tuple[HashArray, IntArray]]:
        """Every run of `length` tokens inside the chosen (n,) texts, a part of the table at a time: (hashes, index
        of the text).
        """
        for first, last in self.chunks():
            hashes, text = self.occurrences(first, last, length)
            yield hashes[texts[text]], text[texts[text]]

    def _grams_between(
        self, first: int, last: int, length: int = GRAM_TOKENS
    ) -> tuple[HashArray, NDArray[np.bool_]]:
        start, end = int(self.offsets[first]), int(self.offsets[last])
        hashes = np.zeros(end - start, np.uint64)
        whole = gram_hashes(self.hashes[start:end], length)
        hashes[: len(whole)] = whole
        ends = np.repeat(self.offsets[first + 1 : last + 1], np.diff(self.offsets[first : last + 1]))
        inside = np.arange(start, end) + length <= ends
        return hashes, inside


def token_table(texts: Iterable[str]) -> TokenTable:
    """Table of canonical texts, in their order."""
    known = _Hashes()
    hashes, flags, offsets = array("Q"), bytearray(), array("q", [0])
    for text in texts:
        words = tokens(text)
        hashes.extend(map(known.__getitem__, words))
        flags.extend(bytes(len(words)) if text.isascii() else map(is_unspaced, words))
        offsets.append(len(hashes))
    return TokenTable(
        np.frombuffer(hashes, np.uint64), np.frombuffer(flags, np.bool_), np.frombuffer(offsets, np.int64)
    )


class _Hashes(dict[str, int]):
    """Hash of each word. Words come again and again, and to look one up is several times as quick as to hash
    it.
    """

    def __missing__(self, word: str) -> int:
        if len(self) >= _KEPT_WORDS:
            self.clear()
        number = self[word] = _hash(word)
        return number


def _hash(word: str) -> int:
    return xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))


def counted(hashes: HashArray, owners: IntArray) -> tuple[HashArray, IntArray, IntArray]:
    """Each pair of a hash and its text once, by text, and how often it was there."""
    order = np.lexsort((hashes, owners))
    hashes, owners = hashes[order], owners[order]
    fresh = np.ones(len(hashes), bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    starts = np.flatnonzero(fresh)
    return hashes[starts], owners[starts], np.diff(starts, append=len(hashes))


@dataclass(frozen=True, slots=True)
class HotGrams:
    """hashes: (g,) uint64, ascending. deep: (g,) bool, which of them few units send again and again."""

    hashes: HashArray
    deep: NDArray[np.bool_]


def no_grams() -> HotGrams:
    """Nothing recurs."""
    return HotGrams(np.zeros(0, np.uint64), np.zeros(0, bool))


def expected_units(draws: IntArray, activity: IntArray) -> NDArray[np.float64]:
    """Distinct units behind `draws` texts if each came from a unit drawn in proportion to `activity` (units,):
    the sum of 1 - exp(-draws * share) over the units; shape of `draws`.
    """
    sizes, multiplicity = np.unique(activity[activity > 0] / max(1, activity.sum()), return_counts=True)
    distinct, place = np.unique(draws, return_inverse=True)
    expected = np.empty(len(distinct), np.float64)
    for start in range(0, len(distinct), _DRAWS_AT_A_TIME):
        block = slice(start, start + _DRAWS_AT_A_TIME)
        expected[block] = (1 - np.exp(-distinct[block, None] * sizes)) @ multiplicity
    return expected[place]


def found_in(hot: HotGrams, hashes: HashArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of `hashes` are hot, and which of them deep."""
    places, known = look_up(hot.hashes, hashes)
    return known, known & np.append(hot.deep, False)[places]


def look_up(known: HashArray, hashes: HashArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """Where each of the hashes stands among the known ones, which ascend, and whether it does at all; if not, its
    place is that of another or of the end.
    """
    places = np.searchsorted(known, hashes)
    return places, (places < len(known)) & (np.append(known, np.uint64(0))[places] == hashes)


def bucket_shift(tokens: int, most_bits: int = 26) -> np.uint64:
    """By how many bits to shift the hashes of a table of so many tokens, to have a bucket of each."""
    bits = int(np.clip(np.ceil(np.log2(tokens + 2)) + 1, 12, most_bits))
    return np.uint64(64 - bits)
