"""WordPieces: a text as the numbers of its tokens. The only door to tokenizers."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Final, overload

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from indexer.batches import batches
from indexer.windows import fits, pieces_of, surely_fits, windows_of
from models.errors import WeightsUnusable

IntArray = NDArray[np.int64]

_KEPT: Final = 1 << 16
_CHARS_AT_A_TIME: Final = 1 << 22
_WORDS_AT_A_TIME: Final = 1 << 14  # what the tokenizer tells of a word takes a kilobyte
_LONGEST_KEPT: Final = 32  # characters


class WordPieces:
    """A tokenizer without the truncation and padding that MiniLM's file bakes in.

    BERT's splits a text at spaces before anything else, so words can be taken apart one by one; those seen of late
    are remembered, which is ten times as quick. Safe to share between threads.
    """

    def __init__(self, tokenizer: Tokenizer, kept: int = _KEPT) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._edges = tuple(tokenizer.encode("").ids)
        self._kept = kept
        # Two halves: when the younger one is full, the older one goes, and with it what was not used since.
        self._younger: dict[str, tuple[int, ...]] = {}
        self._older: dict[str, tuple[int, ...]] = {}

    @classmethod
    def read(cls, path: Path) -> "WordPieces":
        """Raises WeightsUnusable."""
        try:
            written = path.read_bytes()
            msgspec.json.decode(written)
        except (OSError, msgspec.DecodeError) as error:
            raise WeightsUnusable(f"{path} cannot be read: {error}") from error
        return cls(Tokenizer.from_buffer(written))

    def numbers(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        """Tokens of each text, between [CLS] and [SEP] if `special`."""
        split = [text.split(" ") for text in texts]
        pieces = self._pieces_of({word for words in split for word in words})
        found = [[number for word in words for number in pieces[word]] for words in split]
        return [[*self._edges[:1], *numbers, *self._edges[1:]] for numbers in found] if special else found

    def end_to_end(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], IntArray]:
        """`numbers` of many texts, without special tokens, as arrays: the tokens of all texts end to end
        (tokens,), and where each text begins and the last one ends (len(texts) + 1,).
        """
        words = " ".join(texts).split(" ")
        pieces = self._pieces_of(set(words))
        place = {word: number for number, word in enumerate(pieces)}
        codes = np.fromiter(map(place.__getitem__, words), np.int64, len(words))
        sizes = np.fromiter(map(len, pieces.values()), np.int64, len(pieces))
        ids = np.fromiter(chain.from_iterable(pieces.values()), np.int32, int(sizes.sum()))
        starts = (np.cumsum(sizes) - sizes)[codes]
        each = sizes[codes]
        ends = np.cumsum(each)
        flat = ids[np.arange(int(each.sum())) + np.repeat(starts - (ends - each), each)]
        words_of = np.fromiter((text.count(" ") + 1 for text in texts), np.int64, len(texts))
        return flat, np.concatenate([[0], ends[np.cumsum(words_of) - 1]]) if len(texts) else np.zeros(1, np.int64)

    def cut(self, texts: Sequence[str], window: int) -> list[list[str]]:
        """`windows` of each text."""
        found: list[list[str]] = []
        for some in batches(texts, len, _CHARS_AT_A_TIME):
            words = {word for text in some if not surely_fits(text, window) for word in text.split(" ")}
            sizes = {word: len(pieces) for word, pieces in self._pieces_of(words).items()}
            found += [self._cut(text, window, sizes) for text in some]
        return found

    def _cut(self, text: str, window: int, sizes: Mapping[str, int]) -> list[str]:
        """`windows` of a text, given the number of tokens of each of its words if it may need more than one."""
        if surely_fits(text, window):
            return [text]
        words = text.split(" ")
        each = list(map(sizes.__getitem__, words))
        if fits(sum(each), window):
            return [text]
        return pieces_of(text, window, _WordSpans(words, each, self))

    def _pieces_of(self, words: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """The tokens of each word."""
        younger, older = self._younger, self._older
        pieces: dict[str, tuple[int, ...]] = {}
        news: dict[str, tuple[int, ...]] = {}
        missing: list[str] = []
        for word in words:
            if (known := younger.get(word)) is not None:
                pieces[word] = known
            elif (known := older.get(word)) is not None:
                news[word] = known
            else:
                missing.append(word)
        for start in range(0, len(missing), _WORDS_AT_A_TIME):
            some = missing[start : start + _WORDS_AT_A_TIME]
            taken_apart = self._tokenizer.encode_batch_fast(some, add_special_tokens=False)
            news |= {word: tuple(each.ids) for word, each in zip(some, taken_apart, strict=True)}
        self._remember(news)
        return pieces | news

    def _remember(self, news: dict[str, tuple[int, ...]]) -> None:
        for word, pieces in news.items():
            if len(self._younger) >= self._kept // 2:
                self._older, self._younger = self._younger, {}
            if len(word) <= _LONGEST_KEPT:
                self._younger[word] = pieces

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each token in the text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def windows(self, text: str, window: int) -> list[str]:
        """The pieces of a text for an encoder of `window` tokens."""
        return windows_of(text, window, self.spans)


class _WordSpans(Sequence[tuple[int, int]]):
    """`WordPieces.spans` of a text, each worked out from its word when it is asked for: few are."""

    def __init__(self, words: Sequence[str], sizes: Sequence[int], pieces: WordPieces) -> None:
        """Of a text's words and how many tokens each of them has."""
        self._words = words
        self._pieces = pieces
        self._ends = list(accumulate(sizes))
        self._begins = list(accumulate((len(word) + 1 for word in self._words), initial=0))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, place: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[int, int]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, int] | Sequence[tuple[int, int]]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        word = bisect_right(self._ends, at)
        spans = self._pieces.spans(self._words[word])
        begin, end = spans[at - self._ends[word]]  # counted from the word's end
        return self._begins[word] + begin, self._begins[word] + end
