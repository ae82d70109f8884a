"""Nearest neighbours by cosine. The only door to FAISS.

Vectors are unit rows, float32, so FAISS's inner product is the cosine: in [-1, 1], higher is closer.
"""

from math import ceil
from pathlib import Path
from typing import Any, Final, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.vectors import FloatArray, UnitRows
from models.errors import GenerationDamaged

IntArray = NDArray[np.int64]
RowArray = NDArray[np.int32]

# FAISS gives these classes their arguments at run time, where no type checker sees them.
_PARAMETERS: Final[Any] = faiss.SearchParameters
_PARAMETERS_OF_LISTS: Final[Any] = faiss.SearchParametersIVF
_PROBED_LISTS: Final = 24
_SPARE: Final = 4  # times as many rows as are wanted, that the probed lists hold
_ADDED_ROWS: Final = 65_536  # at a time
_TRAINING_SEED: Final = 1234
_TRAINING_ROUNDS: Final = 6
TRAINING_ROWS: Final = 64  # for each centroid, at most
_PART: Final = 4  # numbers that one code of 4 bits stands for
_CODE_BITS: Final = 4
LEAST_CODED: Final = 1 << _CODE_BITS  # rows, of which as many codes can be learned


class VectorIndex:
    """Rows of vectors that can be searched. Row numbers are the caller's: the order of `build`."""

    def __init__(self, index: Any, lengths: FloatArray | None = None) -> None:
        """lengths: (n,) of the rows as the index keeps them, for which it has float16; None where they are 1."""
        self._index = index
        self._lengths = lengths

    @classmethod
    def build(
        cls,
        vectors: UnitRows,
        middles: FloatArray | None = None,
        home: RowArray | None = None,
        order: IntArray | None = None,
    ) -> Self:
        """Index of unit rows, shape (n, d): exact, or with inverted lists of float16 if it is told the lists'
        middles, (lists, d) unit rows, and in which list each row is, (n,). order: (n,) of all row numbers, in
        which they are read; it changes no answer but which of equals comes first.
        """
        count, dimension = vectors.shape
        order = np.arange(count) if order is None else order
        flat: Any = faiss.IndexFlatIP(dimension)
        if middles is None or home is None:
            flat.add(np.ascontiguousarray(vectors[:], np.float32))
            return cls(flat)
        flat.add(middles)
        inverted: Any = faiss.IndexIVFScalarQuantizer(
            flat, dimension, len(middles), faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
        )
        inverted.nprobe = min(_PROBED_LISTS, len(middles))
        inverted.train(middles)  # finds that nothing is left to learn
        lengths = np.empty(count, np.float32)
        for start in range(0, count, _ADDED_ROWS):
            numbers = order[start : start + _ADDED_ROWS]
            rows = np.ascontiguousarray(vectors[numbers], np.float32)
            lists = home[numbers].astype(np.int64)
            lengths[numbers] = np.linalg.norm(rows.astype(np.float16).astype(np.float32), axis=1)
            pointers = [faiss.swig_ptr(each) for each in (rows, numbers, lists)]
            inverted.add_core(len(rows), *pointers)
        return cls(inverted, lengths)

    @classmethod
    def read(cls, path: Path) -> "VectorIndex":
        """Index written by `write`, mapped into memory, so that processes which read the same file share it.

        Raises GenerationDamaged if FAISS cannot read it.
        """
        index = _read(path, faiss.IO_FLAG_MMAP_IFC)
        lengths = _lengths_of(path)
        try:
            return cls(index, np.load(lengths, mmap_mode="r") if lengths.exists() else None)
        except ValueError as error:
            raise GenerationDamaged(f"{lengths.name} is not a .npy file") from error

    def write(self, path: Path) -> None:
        """Writes the index to `path` in FAISS's own format, and the lengths beside it, if there are any."""
        faiss.write_index(self._index, str(path))
        if self._lengths is not None:
            np.save(_lengths_of(path), self._lengths)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def search(
        self, queries: FloatArray, k: int, only: NDArray[np.bool_] | None = None
    ) -> tuple[FloatArray, IntArray]:
        """Cosines and row numbers of the k nearest rows, nearest first, each (len(queries), min(k, n)). only: (n,)
        which rows count; the fewer these are, the more of the others are passed over to find them.

        Where fewer rows were found, the row number is -1 and the cosine -1.
        """
        k = min(k, len(self))
        if not k or not len(queries):
            return np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        bits = None if only is None else np.packbits(only, bitorder="little")
        selected = None if bits is None else faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bits))
        if isinstance(self._index, faiss.IndexIVF):
            count = len(self) if only is None else int(np.count_nonzero(only))
            probes = _lists_to_probe(self._index.nlist, count, k, len(self))
            params = _PARAMETERS_OF_LISTS(sel=selected, nprobe=probes)
        else:
            params = _PARAMETERS(sel=selected)
        cosines, rows = self._index.search(np.ascontiguousarray(queries, np.float32), k, params=params)
        cosines[rows < 0] = -1.0
        if self._lengths is not None:
            cosines = np.where(rows < 0, -1.0, cosines / self._lengths[rows]).astype(np.float32)
            order = np.lexsort((-cosines, rows < 0), axis=1)
            cosines, rows = np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)
        return np.clip(cosines, -1.0, 1.0), rows


def _read(path: Path, flags: int) -> Any:
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        raise GenerationDamaged(f"{path.name} is not a readable FAISS index") from error


def _lengths_of(path: Path) -> Path:
    return path.with_suffix(".lengths.npy")


def _lists_to_probe(lists: int, count: int, k: int, rows: int) -> int:
    """How many of the inverted lists to look into for k of `count` rows that are anywhere among all: all of them
    where as many are wanted as there are, else so many that they hold several times as many, at least
    _PROBED_LISTS times as many as if all rows counted.
    """
    if k >= count:
        return lists
    share = count / rows
    return min(lists, ceil(max(_PROBED_LISTS, _SPARE * k * lists / rows) / share))


class CodeIndex:
    """Rows as short codes, so small that all of them are looked at for each query.

    Product quantisation (Jégou et al., 2011) with four bits for every four numbers: a row of 768 takes 96 bytes,
    and ten thousand are scanned in 50 us, where inverted lists take longer and never see most rows. What is found
    is near, in nearly the right order; compare the rows themselves to know how near.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, vectors: FloatArray) -> "CodeIndex":
        """Index of at least LEAST_CODED unit rows, shape (n, d), float32."""
        rows = _in_parts(vectors)
        coded: Any = faiss.IndexPQFastScan(
            rows.shape[1], rows.shape[1] // _PART, _CODE_BITS, faiss.METRIC_INNER_PRODUCT
        )
        coded.pq.cp.seed = _TRAINING_SEED
        coded.pq.cp.min_points_per_centroid = 1  # else it prints a warning where there are few rows
        coded.train(rows)
        coded.add(rows)
        return cls(coded)

    @classmethod
    def read(cls, path: Path) -> "CodeIndex":
        """Index written by `write`. Raises GenerationDamaged if FAISS cannot read it."""
        return cls(_read(path, 0))

    def write(self, path: Path) -> None:
        """Writes the index to `path` in FAISS's own format."""
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def nearest(self, queries: FloatArray, k: int) -> IntArray:
        """Numbers of k rows about the nearest to each query, about the nearest first: (queries, min(k, n))."""
        found: IntArray = self._index.search(_in_parts(queries), min(k, len(self)))[1]
        return found


def _in_parts(vectors: FloatArray) -> FloatArray:
    """The rows with noughts at their ends, so that all codes stand for equally many numbers."""
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % _PART))), np.float32)


def centroids(vectors: FloatArray, count: int) -> FloatArray:
    """About the middles of `count` >= 1 clusters of unit rows, (count, d), unit rows too: spherical k-means,
    trained on a part of the rows where there are many.
    """
    count = min(count, len(vectors))
    clustering: Any = faiss.Clustering(vectors.shape[1], count)
    clustering.niter = _TRAINING_ROUNDS
    clustering.spherical = True
    clustering.seed = _TRAINING_SEED
    clustering.min_points_per_centroid = 1  # else it prints a warning where there are few rows
    clustering.max_points_per_centroid = TRAINING_ROWS
    clustering.train(np.ascontiguousarray(vectors, np.float32), faiss.IndexFlatIP(vectors.shape[1]))
    found: FloatArray = faiss.vector_to_array(clustering.centroids).reshape(count, vectors.shape[1])
    return found
