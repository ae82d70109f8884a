"""The lexical sketch: word n-grams hashed into a few hundred signed counts.

A sentence encoder says what a text means; the sketch says which words it uses in which order. Side by side
they tell two templates of the same meaning apart, and keep a cheap encoder's high cosine floor from joining
unlike texts.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.encode import Encoder
from indexer.grams import counted, gram_hashes, token_hashes, token_table
from indexer.vectors import FloatArray, normalise, stored_precision
from indexer.windows import encoded_together
from models.space import EmbeddingSpace

SKETCH_DIMENSION: Final = 512
_LONGEST_GRAM: Final = 3
_MANY: Final = 16  # texts, from which counting them together pays
_RECIPE: Final = "2"


def sketch(texts: Sequence[str]) -> FloatArray:
    """Unit vectors, shape (len(texts), SKETCH_DIMENSION), float32: signed feature hashing (Weinberger et al.,
    2009, "Feature hashing for large scale multitask learning") of word 1- to 3-grams, with the square root
    of each count so that one repeated word does not own the vector.
    """
    if len(texts) < _MANY:
        return normalise(np.array([_sums(text) for text in texts], np.float32).reshape(-1, SKETCH_DIMENSION))
    table = token_table(texts)
    grams = [table.occurrences(0, len(table), length) for length in range(1, _LONGEST_GRAM + 1)]
    hashes, owners, counts = counted(
        np.concatenate([hashes for hashes, _ in grams]), np.concatenate([owners for _, owners in grams])
    )
    signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
    columns = owners * SKETCH_DIMENSION + (hashes % np.uint64(SKETCH_DIMENSION)).astype(np.int64)
    together = np.bincount(columns, signs * np.sqrt(counts), len(texts) * SKETCH_DIMENSION)
    return normalise(together.reshape(len(texts), SKETCH_DIMENSION).astype(np.float32))


def _sums(text: str) -> NDArray[np.float64]:
    """The counts of one text, (SKETCH_DIMENSION,)."""
    words = token_hashes(text)
    grams = np.concatenate([gram_hashes(words, length) for length in range(1, _LONGEST_GRAM + 1)])
    hashes, counts = np.unique(grams, return_counts=True)
    signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
    columns = (hashes % np.uint64(SKETCH_DIMENSION)).astype(np.int64)
    return np.bincount(columns, signs * np.sqrt(counts), SKETCH_DIMENSION).astype(np.float64, copy=False)


class SketchedEncoder:
    """An encoder's vector and the sketch side by side, each with half of the squared length: cosine here is
    the mean of the two cosines.
    """

    def __init__(self, encoder: Encoder) -> None:
        base = encoder.space
        self._encoder = encoder
        self._space = EmbeddingSpace(
            name=f"{base.name}+sketch{SKETCH_DIMENSION}",
            revision=f"{base.revision}-{_RECIPE}",
            dimension=base.dimension + SKETCH_DIMENSION,
            precision=base.precision,
            normalised=True,
            window=base.window,
        )

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def windows(self, text: str) -> list[str]:
        return self._encoder.windows(text)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        return self._encoder.cut(texts)

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        return encoded_together([self.windows(text) for text in texts], self.encode)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        if not texts:
            return np.zeros((0, self._space.dimension), np.float32)
        halves = np.concatenate([self._encoder.encode(texts), sketch(texts)], axis=1) * np.float32(0.5**0.5)
        return stored_precision(halves)
