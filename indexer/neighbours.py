"""The nearest other rows of every row: the neighbour graph that clustering works on.

Rows are put into cells round centroids, and each row is compared with the rows of the cells nearest to it, as one
product of matrices a cell. So the work is n * probes * CELL_ROWS products instead of n * n, and nearly all of it
runs at the speed of a matrix product. A neighbour can be missed, never made up: all lengths are true ones.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.cells import CELL_ROWS, MISSING, Cells, RowArray, cells_of, keep_nearest, rows_by_cell
from indexer.compiled import compiled_sums
from indexer.lanes import in_lanes
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray, UnitRows

IntArray = NDArray[np.int64]

EXACT_LIMIT: Final = 20_000  # up to here all pairs are compared, in a second or two
PROBES: Final = 64  # finds 0.97 of the 16 nearest of 200,000 ordinary prompts, which hardly resemble one another
_FIRST_PROBES: Final = 4
_CROWDED: Final = 10  # times CELL_ROWS, from which a cell is compared in parts
_BLOCK_ROWS: Final = 4_096
_MEASURED_ROWS: Final = 256  # at a time


@dataclass(frozen=True, slots=True)
class Visit:
    """Rows of a cell, and those that are compared with them, both ascending."""

    inside: IntArray
    visiting: IntArray


Compare = Callable[[UnitRows, Iterable[Visit], RowArray, FloatArray], None]


def all_neighbours(
    vectors: UnitRows,
    k: int,
    *,
    least_cosine: float = -1.0,
    probes: int = PROBES,
    exact_limit: int = EXACT_LIMIT,
    cells: Cells | None = None,
    compare: Compare | None = None,
) -> tuple[RowArray, FloatArray]:
    """The k nearest other rows of each row, the nearest first: row numbers and chord lengths, each (n, k).

    vectors: (n, d) unit rows. least_cosine: rows farther than this do not count. probes: how many cells
    each row is compared with; all of them up to `exact_limit` rows. cells: of these rows, if they are known; then
    all cells that a row knows are looked at. compare: compares the rows of cells, here if it is None. Where fewer
    were found, MISSING and infinity fill up.
    """
    count = len(vectors)
    rows = np.full((count, k), MISSING, np.int32)
    cosines = np.full((count, k), np.nextafter(np.float32(least_cosine), np.float32(-2)), np.float32)
    if count > exact_limit and cells is None:
        cells = cells_of(vectors, probes)
    if count > 1 and k:
        with one_thread_a_product():
            if cells is None:
                _compare_all(vectors, rows, cosines)
            else:
                _compare_in_cells(vectors, rows, cosines, cells, compare or compare_here)
    in_lanes(count, lambda first, last: _measure_lists(vectors, rows, cosines, first, last))
    return rows, cosines  # which are lengths now


def _compare_all(vectors: UnitRows, rows: RowArray, cosines: FloatArray) -> None:
    """Every row with every other, a block of rows at a time."""
    everything = np.arange(len(vectors))

    def lane(first: int, last: int) -> None:
        for start in range(first, last, CELL_ROWS):
            mine = everything[start : min(start + CELL_ROWS, last)]
            for block in range(0, len(vectors), CELL_ROWS):
                others = slice(block, block + CELL_ROWS)
                keep_nearest(vectors[mine] @ vectors[others].T, mine, everything[others], rows, cosines, True)

    in_lanes(len(vectors), lane)


def _compare_in_cells(
    vectors: UnitRows, rows: RowArray, cosines: FloatArray, cells: Cells, compare: Compare
) -> None:
    """Every row with those of the cells nearest to it. A row that has nothing near in the first few of them, as
    most of ordinary prompts have, is spared the others.
    """
    members = rows_by_cell(cells.near[:, :1], len(cells))

    def lane(visitors: list[IntArray], first: int, last: int) -> None:
        mine = (each[np.searchsorted(each, first) : np.searchsorted(each, last)] for each in visitors)
        visits = (Visit(inside, visiting) for inside, visiting in zip(members, mine, strict=True))
        compare(vectors, (visit for visit in visits if len(visit.inside) and len(visit.visiting)), rows, cosines)

    in_lanes(len(vectors), partial(lane, rows_by_cell(cells.near[:, :_FIRST_PROBES], len(cells))))
    found = np.flatnonzero(rows[:, 0] != MISSING)
    visitors = [found[each] for each in rows_by_cell(cells.near[found, _FIRST_PROBES:], len(cells))]
    in_lanes(len(vectors), partial(lane, visitors))


def compare_here(vectors: UnitRows, visits: Iterable[Visit], rows: RowArray, cosines: FloatArray) -> None:
    """Puts what is near into the lists of those who visit cells, (n, k), one visit after the other. Lists of row
    numbers have cosines beside them, the greatest first; only a greater one than the last takes its place.
    """
    for visit in visits:
        _compare_cell(vectors, visit.inside, visit.visiting, rows, cosines)


def _compare_cell(
    vectors: UnitRows, inside: IntArray, visiting: IntArray, rows: RowArray, cosines: FloatArray
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
            keep_nearest(vectors[block] @ vectors[others].T, block, others, rows, cosines, True)


def _measure_lists(vectors: UnitRows, rows: RowArray, lengths: FloatArray, first: int, last: int) -> None:
    """Fills in the chord lengths of the lists of rows first to last, and sorts the lists by them, equal ones by
    row number.
    """
    for start in range(first, last, _MEASURED_ROWS):
        block = slice(start, min(start + _MEASURED_ROWS, last))
        there = rows[block] != MISSING
        places = (np.cumsum(there) - 1).reshape(there.shape)
        others = vectors[rows[block][there].astype(np.int64)]
        _measure(vectors[block], others, places, rows[block], lengths[block])


@compiled_sums
def _measure(mine: FloatArray, others: FloatArray, places: IntArray, rows: RowArray, lengths: FloatArray) -> None:
    """Chord lengths by the differences: sqrt(2 - 2 cosine) loses all digits for near-duplicates.

    mine: (m, d). rows, lengths: their lists, (m, k). others: what the lists hold, end to end; places: (m, k),
    where in it each of them stands.
    """
    for row in range(len(mine)):
        for place in range(rows.shape[1]):
            other = rows[row, place]
            if other == MISSING:
                lengths[row, place:] = np.inf
                break
            total = np.float32(0)
            for axis in range(mine.shape[1]):
                difference = mine[row, axis] - others[places[row, place], axis]
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
