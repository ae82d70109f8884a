"""Vectors kept on disk by text and embedding space, so that a text is encoded once.

A space's folder holds two files that only grow: float16 vectors and their texts' keys, side by side. A batch's
keys are written when its vectors are on disk, so a killed run loses the batch that it was at, and the next one
cuts off what half of it is there.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.encode import Encoder
from indexer.halves import HalfArray, Halves
from indexer.key_table import UNKNOWN, KeyArray, KeyTable, text_keys
from indexer.progress import Progress
from indexer.texts import taken
from indexer.vectors import FloatArray
from indexer.workspace import Folder
from models.space import EmbeddingSpace
from models.text import FINGERPRINT_BYTES

BATCH_TEXTS: Final = 8192
_VECTORS: Final = "vectors.f2"
_KEYS: Final = "keys.u8"
_KEY_NUMBERS: Final = FINGERPRINT_BYTES // 8


@dataclass(frozen=True, slots=True)
class Encoded:
    """vectors: n rows, in the order asked. fresh: how many texts had to be encoded."""

    vectors: Halves
    fresh: int


class VectorCache:
    """Vectors of one embedding space under `folder / space.key`, for one process at a time."""

    def __init__(self, folder: Path, space: EmbeddingSpace) -> None:
        self._folder = folder / space.key
        self._space = space
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_space()
        for shard in self._folder.glob("[0-9]*.npy"):  # of a version that kept them so
            shard.unlink()
        self._known = KeyTable()
        self._known.add(self._whole_rows())

    def encode(
        self, texts: Sequence[str], encoder: Encoder, progress: Progress, keys: KeyArray | None = None
    ) -> Encoded:
        """Vectors of canonical texts; those not cached are encoded, shortest first, and kept. keys: of the texts,
        if they are known.
        """
        self._space.require(encoder.space)
        keys = text_keys(texts) if keys is None else keys
        missing = self._missing(texts, keys)
        progress.stage(f"encode ({self._space.name})", len(missing))
        for start in range(0, len(missing), BATCH_TEXTS):
            rows = missing[start : start + BATCH_TEXTS]
            self._append(keys[rows], encoder.encode(taken(texts, rows)))
            progress.advance(len(rows))
        progress.done()
        return Encoded(Halves(self._vectors(), self._known.find(keys)), len(missing))

    def _missing(self, texts: Sequence[str], keys: KeyArray) -> NDArray[np.int64]:
        """Places of the texts that are not there, each text once, the shortest first."""
        unknown = np.flatnonzero(self._known.find(keys) == UNKNOWN)
        _, first = np.unique(KeyTable().add(keys[unknown]), return_index=True)
        places = unknown[first]
        lengths = np.fromiter((len(texts[place]) for place in places.tolist()), np.int64, len(places))
        return places[np.lexsort((keys[places, 0], lengths))]

    def _vectors(self) -> HalfArray:
        vectors: HalfArray = Folder(self._folder).array(_VECTORS, np.float16, self._space.dimension)
        return vectors

    def _append(self, keys: KeyArray, vectors: FloatArray) -> None:
        for name, rows in ((_VECTORS, vectors.astype(np.float16)), (_KEYS, keys)):
            _append(self._folder / name, rows)
        self._known.add(keys)

    def _whole_rows(self) -> KeyArray:
        """Keys of the rows that both files have. What is beyond is cut off, as other texts' rows come there."""
        sizes = ((_VECTORS, 2 * self._space.dimension), (_KEYS, FINGERPRINT_BYTES))
        for name, _ in sizes:
            (self._folder / name).touch()
        count = min((self._folder / name).stat().st_size // size for name, size in sizes)
        for name, size in sizes:
            os.truncate(self._folder / name, count * size)
        keys: KeyArray = Folder(self._folder).array(_KEYS, np.uint64, _KEY_NUMBERS)
        return keys

    def _check_space(self) -> None:
        path = self._folder / "space.json"
        if path.exists():
            msgspec.json.decode(path.read_bytes(), type=EmbeddingSpace).require(self._space)
            return
        written = path.with_suffix(".tmp")
        written.write_bytes(msgspec.json.encode(self._space))
        os.replace(written, path)


def _append(path: Path, rows: NDArray[Any]) -> None:
    with path.open("ab") as file:
        file.write(np.ascontiguousarray(rows).data)
        file.flush()
        os.fsync(file.fileno())
