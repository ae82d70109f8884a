"""Long texts cut into overlapping pieces that an encoder sees whole."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from indexer.vectors import FloatArray

OVERLAP_TOKENS: Final = 32
SPECIAL_TOKENS: Final = 2  # [CLS] and [SEP] take two places of a window
_MOST_TOKENS: Final = 4  # of one character: a Hangul syllable is taken apart into letters
_SPARE_TOKENS: Final = 2  # a piece that begins or ends inside a word can have a token more than the whole had

Spans = Sequence[tuple[int, int]]


def windows_of(text: str, window: int, spans_of: Callable[[str], Spans]) -> list[str]:
    """The pieces of a text for an encoder of `window` tokens (0 for any number); itself if it fits.

    spans_of: start and end in the text of each of its tokens.
    """
    return [text] if surely_fits(text, window) else pieces_of(text, window, spans_of(text))


def surely_fits(text: str, window: int) -> bool:
    """Whether a text fits into a window (0 for any number of tokens), as far as its length tells."""
    return not window or len(text) * (1 if text.isascii() else _MOST_TOKENS) <= window - SPECIAL_TOKENS


def pieces_of(text: str, window: int, spans: Spans) -> list[str]:
    """`windows_of` a text whose tokens are known."""
    return [text] if fits(len(spans), window) else _cut(text, spans, window - SPECIAL_TOKENS - _SPARE_TOKENS)


def fits(tokens: int, window: int) -> bool:
    """Whether so many tokens fit into a window."""
    return tokens <= window - SPECIAL_TOKENS


def encoded_together(
    pieces: Sequence[Sequence[str]], encode: Callable[[Sequence[str]], FloatArray]
) -> list[FloatArray]:
    """Vectors of the pieces of each of several texts, all encoded in one call."""
    if not pieces:
        return []
    vectors = encode([piece for mine in pieces for piece in mine])
    return np.split(vectors, np.cumsum([len(mine) for mine in pieces])[:-1])


def _cut(text: str, spans: Spans, window: int) -> list[str]:
    """Pieces of at most `window` tokens, each sharing OVERLAP_TOKENS with the one before."""
    step = window - OVERLAP_TOKENS
    starts = range(0, len(spans) - OVERLAP_TOKENS, step)
    return [text[spans[i][0] : spans[min(i + window, len(spans)) - 1][1]] for i in starts]
