"""The static tier: a text is the mean of its tokens' vectors, which takes a look-up and no network.

The same folder loads as a SentenceTransformer, which gives the same directions; but that is torch, which takes
seconds to start and longer to call than these few sums, and serving needs none of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from indexer.vectors import FloatArray, normalise, stored_precision
from indexer.weights import TOKENIZER, VECTORS
from indexer.windows import encoded_together, fits, pieces_of
from indexer.wordpieces import WordPieces
from models.errors import WeightsUnusable
from models.space import EmbeddingSpace

WINDOW_TOKENS: Final = 256  # past a few hundred tokens the mean of any text looks like that of any other
_MANY: Final = 64  # texts, from which setting up a product pays
_TENSOR: Final = "embedding.weight"


class StaticEncoder:
    """Token vectors (vocabulary, dimension) and their tokenizer. A text has one vector, alone or in a batch."""

    def __init__(self, pieces: WordPieces, vectors: FloatArray, space: EmbeddingSpace) -> None:
        self._pieces = pieces
        self._vectors = vectors
        self._space = space

    @classmethod
    def read(cls, folder: Path, name: str, revision: str) -> "StaticEncoder":
        """Encoder of a folder with a tokenizer and token vectors. Raises WeightsUnusable."""
        try:
            tensors = load_file(folder / VECTORS)
        except (OSError, SafetensorError) as error:
            raise WeightsUnusable(f"{folder / VECTORS} cannot be read: {error}") from error
        if _TENSOR not in tensors:
            raise WeightsUnusable(f"{folder / VECTORS} holds {', '.join(tensors) or 'nothing'}, not {_TENSOR}")
        vectors = tensors[_TENSOR].astype(np.float32)
        space = EmbeddingSpace(name, revision, vectors.shape[1], "float16", normalised=True, window=WINDOW_TOKENS)
        return cls(WordPieces.read(folder / TOKENIZER), vectors, space)

    @property
    def space(self) -> EmbeddingSpace:
        return self._space

    def windows(self, text: str) -> list[str]:
        return self._pieces.windows(text, self._space.window)

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        return self._pieces.cut(texts, self._space.window)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Many texts are added up as one product with a sparse matrix: the same sums, to the bit, in the same
        order.
        """
        if len(texts) < _MANY:
            return self._vectors_of(self._pieces.numbers(texts, special=False))
        ids, offsets = self._pieces.end_to_end(texts)
        ones = np.ones(len(ids), np.float32)
        counts = csr_array((ones, ids, offsets), shape=(len(texts), len(self._vectors)))
        return stored_precision(normalise(counts @ self._vectors))

    def encode_windows(self, texts: Sequence[str]) -> list[FloatArray]:
        """As of any encoder; a text that fits, as most do, is taken apart only once."""
        ids = self._pieces.numbers(texts, special=False)
        fitting = [place for place, mine in enumerate(ids) if fits(len(mine), WINDOW_TOKENS)]
        found = dict(zip(fitting, self._vectors_of([ids[place] for place in fitting])[:, None], strict=True))
        rest = [place for place in range(len(texts)) if place not in found]
        pieces = [pieces_of(texts[place], WINDOW_TOKENS, self._pieces.spans(texts[place])) for place in rest]
        found |= zip(rest, encoded_together(pieces, self.encode), strict=True)
        return [found[place] for place in range(len(texts))]

    def _vectors_of(self, ids: Sequence[Sequence[int]]) -> FloatArray:
        sums = np.zeros((len(ids), self._space.dimension), np.float32)
        for row, mine in enumerate(ids):
            sums[row] = self._vectors[mine].sum(axis=0)
        return stored_precision(normalise(sums))
