"""An encoder small enough to reason about: a text is the normalised sum of one fixed vector a word."""

from collections.abc import Sequence

import numpy as np

from indexer.grams import token_hashes
from indexer.vectors import FloatArray, normalise, stored_precision
from indexer.windows import encoded_together
from models.space import EmbeddingSpace
from models.text import token_spans

TINY_DIMENSION = 32
TINY_WINDOW_WORDS = 16


class TinyEncoder:
    """Encoder without weights. Texts that share words are near; windows do not overlap.

    encoded: every text it was asked to encode, in order.
    """

    def __init__(self, name: str = "tiny", window: int = TINY_WINDOW_WORDS) -> None:
        self._space = EmbeddingSpace(name, "1", TINY_DIMENSION, "float16", normalised=True, window=window)
        self.encoded: list[str] = []

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def windows(self, text: str) -> list[str]:
        spans = token_spans(text)
        if len(spans) <= self._space.window:
            return [text]
        cuts = range(0, len(spans), self._space.window)
        return [text[spans[i][0] : spans[min(i + self._space.window, len(spans)) - 1][1]] for i in cuts]

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        return [self.windows(text) for text in texts]

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        return encoded_together([self.windows(text) for text in texts], self.encode)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.encoded.extend(texts)
        rows = np.zeros((len(texts), TINY_DIMENSION), np.float32)
        for row, text in enumerate(texts):
            for word in token_hashes(text):
                rows[row] += np.random.default_rng(int(word)).standard_normal(TINY_DIMENSION, np.float32)
        return stored_precision(normalise(rows))
