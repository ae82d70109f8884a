"""Long texts cut into overlapping pieces that an encoder sees whole."""

from collections.abc import Callable, Sequence
from typing import Final

OVERLAP_TOKENS: Final = 32
SPECIAL_TOKENS: Final = 2  # [CLS] and [SEP] take two places of a window
_SPARE_TOKENS: Final = 2  # a piece that begins or ends inside a word can have a token more than the whole had

Spans = Sequence[tuple[int, int]]


def windows_of(text: str, window: int, spans_of: Callable[[str], Spans]) -> list[str]:
    """The pieces of a text for an encoder of `window` tokens (0 for any number); itself if it fits.

    spans_of: start and end in the text of each of its tokens.
    """
    if not window or len(text) <= window - SPECIAL_TOKENS:  # a token has at least one character
        return [text]
    spans = spans_of(text)
    room = window - SPECIAL_TOKENS
    return [text] if len(spans) <= room else _cut(text, spans, room - _SPARE_TOKENS)


def _cut(text: str, spans: Spans, window: int) -> list[str]:
    """Pieces of at most `window` tokens, each sharing OVERLAP_TOKENS with the one before."""
    step = window - OVERLAP_TOKENS
    starts = range(0, len(spans) - OVERLAP_TOKENS, step)
    return [text[spans[i][0] : spans[min(i + window, len(spans)) - 1][1]] for i in starts]
