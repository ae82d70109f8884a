"""Vectors kept on disk by text and embedding space, so that a text is encoded once.

A space's folder holds shards, each a pair of .npy files (keys and float16 vectors) written aside and renamed,
so a killed run loses at most the shard it was filling.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.encode import Encoder
from indexer.progress import Progress
from indexer.vectors import FloatArray, normalise
from models.errors import SpaceMismatch
from models.space import EmbeddingSpace
from models.text import fingerprint

SHARD_TEXTS: Final = 8192
_KEY: Final = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass(frozen=True, slots=True)
class Encoded:
    """vectors: (n, d) float32 unit rows, in the order asked. fresh: how many texts had to be encoded."""

    vectors: FloatArray
    fresh: int


class VectorCache:
    """Vectors of one embedding space under `folder / space.key`."""

    def __init__(self, folder: Path, space: EmbeddingSpace) -> None:
        self._folder = folder / space.key
        self._space = space
        self._folder.mkdir(parents=True, exist_ok=True)
        self._check_space()
        self._shards = [np.load(path, mmap_mode="r") for path in self._paths("vectors")]
        self._load_keys()

    def encode(self, texts: Sequence[str], encoder: Encoder, progress: Progress) -> Encoded:
        """Vectors of canonical texts; those not cached are encoded, shortest first, and kept."""
        self._space.require(encoder.space)
        unknown = {texts[int(place)] for place in np.flatnonzero(self._find(texts) < 0)}
        missing = sorted(unknown, key=lambda text: (len(text), text))
        progress.stage(f"encode ({self._space.name})", len(missing))
        for start in range(0, len(missing), SHARD_TEXTS):
            shard = missing[start : start + SHARD_TEXTS]
            self._append(shard, encoder.encode(shard))
            progress.advance(len(shard))
        progress.done()
        if missing:
            self._load_keys()
        return Encoded(self._gather(self._find(texts)), len(missing))

    def _gather(self, places: NDArray[np.int64]) -> FloatArray:
        vectors = np.zeros((len(places), self._space.dimension), np.float32)
        first = 0
        for shard in self._shards:
            mine = np.flatnonzero((places >= first) & (places < first + len(shard)))
            vectors[mine] = shard[places[mine] - first]
            first += len(shard)
        return normalise(vectors)

    def _find(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Place of each text over all shards, -1 if it is not cached."""
        if not len(self._keys):
            return np.full(len(texts), -1, np.int64)
        wanted = _keys(texts)
        found = np.minimum(np.searchsorted(self._keys["high"], wanted["high"]), len(self._keys) - 1)
        return np.where(self._keys[found] == wanted, self._places[found], -1)

    def _append(self, texts: Sequence[str], vectors: FloatArray) -> None:
        number = len(self._shards)
        halves = vectors.astype(np.float16)
        # Keys are renamed last: a shard counts from the moment its keys are there.
        _write_array(self._path("vectors", number), halves)
        _write_array(self._path("keys", number), _keys(texts))
        self._shards.append(halves)

    def _load_keys(self) -> None:
        shards = [np.load(path) for path in self._paths("keys")]
        keys = np.concatenate([np.zeros(0, _KEY), *shards])
        order = np.argsort(keys["high"], kind="stable")
        self._keys, self._places = keys[order], order.astype(np.int64)

    def _check_space(self) -> None:
        path = self._folder / "space.json"
        if path.exists():
            msgspec.json.decode(path.read_bytes(), type=EmbeddingSpace).require(self._space)
            return
        written = path.with_suffix(".tmp")
        written.write_bytes(msgspec.json.encode(self._space))
        os.replace(written, path)

    def _paths(self, kind: str) -> list[Path]:
        """Files of one kind of the complete shards, in order."""
        complete = sorted(self._folder.glob("*.keys.npy"))
        for number, path in enumerate(complete):
            if path.name != self._path("keys", number).name:
                raise SpaceMismatch(f"{self._folder}: shard {number} is missing, but {path.name} is there")
        return [self._path(kind, number) for number in range(len(complete))]

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{number:06d}.{kind}.npy"


def _keys(texts: Sequence[str]) -> NDArray[np.void]:
    keys: NDArray[np.void] = np.frombuffer(b"".join(fingerprint(text) for text in texts), _KEY)
    return keys


def _write_array(path: Path, array: NDArray[np.generic]) -> None:
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
