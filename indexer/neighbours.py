"""The nearest other rows of every row: the neighbour graph that clustering works on.

Rows are put into cells round centroids, and each row is compared with the rows of the cells nearest to it, as one
product of matrices a cell. So the work is n * probes * CELL_ROWS products instead of n * n, and nearly all of it
runs at the speed of a matrix product. A neighbour can be missed, never made up: all lengths are true ones.
"""

from functools import partial
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled, compiled_sums
from indexer.index import centroids
from indexer.lanes import in_lanes
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
RowArray = NDArray[np.int32]

MISSING: Final = -1
EXACT_LIMIT: Final = 20_000  # up to here all pairs are compared, in a second or two
CELL_ROWS: Final = 400  # on average; a block of the product then fits into a core's cache
PROBES: Final = 64  # finds 0.97 of the 16 nearest of 200,000 ordinary prompts, which hardly resemble one another
_FIRST_PROBES: Final = 4
_SPLIT: Final = 2  # times CELL_ROWS, from which a cell is given further centroids ...
_CROWDED: Final = 10  # ... and from which it is compared in parts
_BLOCK_ROWS: Final = 16_384


def all_neighbours(
    vectors: FloatArray,
    k: int,
    *,
    least_cosine: float = -1.0,
    probes: int = PROBES,
    exact_limit: int = EXACT_LIMIT,
) -> tuple[RowArray, FloatArray]:
    """The k nearest other rows of each row, the nearest first: row numbers and chord lengths, each (n, k).

    vectors: (n, d) unit rows, float32. least_cosine: rows farther than this do not count. probes: how many cells
    each row is compared with; all of them up to `exact_limit` rows. Where fewer were found, MISSING and infinity
    fill up.
    """
    count = len(vectors)
    rows = np.full((count, k), MISSING, np.int32)
    cosines = np.full((count, k), np.nextafter(np.float32(least_cosine), np.float32(-2)), np.float32)
    if count > 1 and k:
        with one_thread_a_product():
            if count <= exact_limit:
                _compare_all(vectors, rows, cosines)
            else:
                _compare_in_cells(vectors, rows, cosines, probes)
    lengths = np.full((count, k), np.inf, np.float32)
    in_lanes(count, lambda first, last: _measure(vectors, rows, lengths, first, last))
    return rows, lengths


def _compare_all(vectors: FloatArray, rows: RowArray, cosines: FloatArray) -> None:
    """Every row with every other, a block of rows at a time."""
    everything = np.arange(len(vectors))

    def lane(first: int, last: int) -> None:
        for start in range(first, last, CELL_ROWS):
            mine = everything[start : min(start + CELL_ROWS, last)]
            for block in range(0, len(vectors), CELL_ROWS):
                others = slice(block, block + CELL_ROWS)
                _keep_nearest(vectors[mine] @ vectors[others].T, mine, everything[others], rows, cosines, True)

    in_lanes(len(vectors), lane)


def _compare_in_cells(vectors: FloatArray, rows: RowArray, cosines: FloatArray, probes: int) -> None:
    """Every row with those of the cells nearest to it. A row that has nothing near in the first few of them, as
    most of ordinary prompts have, is spared the others.
    """
    middles = _middles(vectors)
    near = _nearest_cells(vectors, middles, min(probes, len(middles)))
    members = _by_cell(near[:, :1], len(middles))

    def compare(visitors: list[IntArray], first: int, last: int) -> None:
        for inside, visiting in zip(members, visitors, strict=True):
            mine = visiting[np.searchsorted(visiting, first) : np.searchsorted(visiting, last)]
            if len(inside) and len(mine):
                _compare_cell(vectors, inside, mine, rows, cosines)

    in_lanes(len(vectors), partial(compare, _by_cell(near[:, :_FIRST_PROBES], len(middles))))
    found = np.flatnonzero(rows[:, 0] != MISSING)
    visitors = [found[each] for each in _by_cell(near[found, _FIRST_PROBES:], len(middles))]
    in_lanes(len(vectors), partial(compare, visitors))


def _middles(vectors: FloatArray) -> FloatArray:
    """Centroids of cells of about CELL_ROWS rows each, (cells, d): those of crowded cells are replaced by
    several.
    """
    middles = centroids(vectors, len(vectors) // CELL_ROWS)
    members = _by_cell(_nearest_cells(vectors, middles, 1), len(middles))
    crowded = [len(inside) >= _SPLIT * CELL_ROWS for inside in members]
    parts = [centroids(vectors[inside], len(inside) // CELL_ROWS) for inside in compress(members, crowded)]
    return np.concatenate([middles[~np.array(crowded)], *parts])


def _compare_cell(
    vectors: FloatArray, inside: IntArray, visiting: IntArray, rows: RowArray, cosines: FloatArray
) -> None:
    """Rows that visit a cell with those inside. In a crowded cell, as a template's copies make it, each visitor
    sees one part only: any of them is as near as any other, and whoever sends a million copies gains nothing.
    """
    parts = -(-len(inside) // (_CROWDED * CELL_ROWS))
    for part in range(parts):
        others, mine = inside[part::parts], visiting[part::parts]
        if parts > 1:  # a row inside must be among those that it is compared with
            at_home = np.isin(visiting, inside, assume_unique=True)
            mine = np.union1d(visiting[~at_home][part::parts], np.intersect1d(visiting[at_home], others))
        for start in range(0, len(mine), _BLOCK_ROWS):
            block = mine[start : start + _BLOCK_ROWS]
            _keep_nearest(vectors[block] @ vectors[others].T, block, others, rows, cosines, True)


def _nearest_cells(vectors: FloatArray, middles: FloatArray, probes: int) -> RowArray:
    """The cells with the `probes` nearest centroids of each row, the nearest first, (n, probes)."""
    cells = np.full((len(vectors), probes), MISSING, np.int32)
    cosines = np.full((len(vectors), probes), -2.0, np.float32)
    numbers = np.arange(len(middles))

    def lane(first: int, last: int) -> None:
        for start in range(first, last, CELL_ROWS):
            mine = np.arange(start, min(start + CELL_ROWS, last))
            for block in range(0, len(middles), CELL_ROWS):
                some = slice(block, block + CELL_ROWS)
                _keep_nearest(vectors[mine] @ middles[some].T, mine, numbers[some], cells, cosines, False)

    in_lanes(len(vectors), lane)
    return cells


def _by_cell(cells: RowArray, count: int) -> list[IntArray]:
    """The rows of each cell, ascending. cells: (n, p), each row's cells."""
    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    borders = np.cumsum(np.bincount(flat, minlength=count))[:-1]
    return np.split(order // cells.shape[1], borders)


@compiled
def _keep_nearest(
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


@compiled_sums
def _measure(vectors: FloatArray, rows: RowArray, lengths: FloatArray, first: int, last: int) -> None:
    """Chord lengths of the lists of rows first to last, by the differences: sqrt(2 - 2 cosine) loses all digits
    for near-duplicates. The lists are then sorted by them, equal ones by row number.
    """
    for row in range(first, last):
        for place in range(rows.shape[1]):
            other = rows[row, place]
            if other == MISSING:
                break
            total = np.float32(0)
            for axis in range(vectors.shape[1]):
                difference = vectors[row, axis] - vectors[other, axis]
                total += difference * difference
            length = np.sqrt(total)
            spot = place
            while spot > 0 and (
                lengths[row, spot - 1] > length
                or (lengths[row, spot - 1] == length and rows[row, spot - 1] > other)
            ):
                lengths[row, spot], rows[row, spot] = lengths[row, spot - 1], rows[row, spot - 1]
                spot -= 1
            lengths[row, spot], rows[row, spot] = length, other
