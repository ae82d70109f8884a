"""WordPieces: a text as the numbers of its tokens. The only door to tokenizers."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

from indexer.windows import windows_of
from models.errors import WeightsUnusable


class WordPieces:
    """A tokenizer without the truncation and padding that MiniLM's file bakes in."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()

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
        """Tokens of each text, between [CLS] and [SEP] if `special`, without their places in it, which take as
        long again to follow.
        """
        return [each.ids for each in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=special)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each token in the text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def windows(self, text: str, window: int) -> list[str]:
        """The pieces of a text for an encoder of `window` tokens."""
        return windows_of(text, window, self.spans)
