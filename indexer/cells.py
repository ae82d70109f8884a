"""Cells: rows of vectors put together round centroids, about as many in each.

Near rows lie in the same cell or in cells near to each other. The neighbour graph and the index that searches are
built on the same ones.
"""

from dataclasses import dataclass
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.index import centroids
from indexer.lanes import in_lanes
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
RowArray = NDArray[np.int32]

MISSING: Final = -1
CELL_ROWS: Final = 400  # on average; a block of the product then fits into a core's cache
_SPLIT: Final = 2  # times CELL_ROWS, from which a cell is given further centroids


@dataclass(frozen=True, slots=True)
class Cells:
    """Of n rows. middles: (cells, d) unit rows, float32. near: (n, p) int32, the cells with the nearest middles to
    each row, the nearest first, which is its own.
    """

    middles: FloatArray
    near: RowArray

    def __len__(self) -> int:
        return len(self.middles)

    @property
    def home(self) -> RowArray:
        """The cell that each row is in, (n,)."""
        return self.near[:, 0]


def cells_of(vectors: FloatArray, probes: int) -> Cells:
    """Cells of about CELL_ROWS rows each, of which each row knows the `probes` nearest.

    Centroids are those of k-means, and of k-means once more in cells that are crowded. vectors: (n, d) unit rows.
    """
    middles = centroids(vectors, max(1, len(vectors) // CELL_ROWS))
    members = rows_by_cell(_nearest(vectors, middles, 1), len(middles))
    crowded = [len(inside) >= _SPLIT * CELL_ROWS for inside in members]
    parts = [centroids(vectors[inside], len(inside) // CELL_ROWS) for inside in compress(members, crowded)]
    middles = np.concatenate([middles[~np.array(crowded)], *parts])
    return Cells(middles, _nearest(vectors, middles, min(probes, len(middles))))


def rows_by_cell(near: RowArray, cells: int) -> list[IntArray]:
    """The rows of each cell, ascending. near: (n, p), the cells that each row belongs to."""
    flat = near.ravel()
    order = np.argsort(flat, kind="stable")
    borders = np.cumsum(np.bincount(flat, minlength=cells))[:-1]
    return np.split(order // near.shape[1], borders)


def _nearest(vectors: FloatArray, middles: FloatArray, probes: int) -> RowArray:
    """The cells with the `probes` nearest middles of each row, the nearest first, (n, probes)."""
    near = np.full((len(vectors), probes), MISSING, np.int32)
    cosines = np.full((len(vectors), probes), -2.0, np.float32)
    numbers = np.arange(len(middles))

    def lane(first: int, last: int) -> None:
        for start in range(first, last, CELL_ROWS):
            mine = np.arange(start, min(start + CELL_ROWS, last))
            for block in range(0, len(middles), CELL_ROWS):
                some = slice(block, block + CELL_ROWS)
                keep_nearest(vectors[mine] @ middles[some].T, mine, numbers[some], near, cosines, False)

    with one_thread_a_product():
        in_lanes(len(vectors), lane)
    return near


@compiled
def keep_nearest(
    products: FloatArray, mine: IntArray, others: IntArray, rows: RowArray, cosines: FloatArray, same_kind: bool
) -> None:
    """Puts `others` into the lists of the rows `mine` where they are nearer than what is there.

    products: (len(mine), len(others)) cosines. rows, cosines: the lists, the nearest first. same_kind: whether
    equal numbers in `mine` and `others` are the same thing, which is no neighbour of itself.
    """
    last = rows.shape[1] - 1
    for at in range(len(mine)):
        row = mine[at]
        least = cosines[row, last]
        for place in range(len(others)):
            cosine = products[at, place]
            if cosine > least and not (same_kind and others[place] == row):
                spot = last
                while spot > 0 and cosines[row, spot - 1] < cosine:
                    cosines[row, spot] = cosines[row, spot - 1]
                    rows[row, spot] = rows[row, spot - 1]
                    spot -= 1
                cosines[row, spot] = cosine
                rows[row, spot] = others[place]
                least = cosines[row, last]
