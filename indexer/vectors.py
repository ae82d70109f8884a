"""Unit vectors: rows of length 1, so that an inner product is a cosine."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class UnitRows(Protocol):
    """n unit rows of float32, of which some are taken at a time: an array (n, d), or `indexer.halves.Halves`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, d)."""
        ...

    def __len__(self) -> int: ...
    def __getitem__(self, rows: IntArray | slice, /) -> FloatArray:
        """These rows."""
        ...


def normalise(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1. A zero row (an empty text) becomes the first axis, so cosine stays defined."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if lengths.all():  # as nearly always
        whole: FloatArray = vectors / lengths
        return whole
    empty = lengths[:, 0] == 0
    scaled: FloatArray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    scaled[empty, 0] = 1.0
    return scaled


def stored_precision(vectors: FloatArray) -> FloatArray:
    """The vectors as they will be after a round trip through float16 storage."""
    return normalise(vectors.astype(np.float16).astype(np.float32))
