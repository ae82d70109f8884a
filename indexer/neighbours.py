"""The nearest other rows of every row: the neighbour graph that clustering works on.

Rows are put into cells round centroids, and each row is compared with the rows of the cells nearest to it, as one
product of matrices a cell, in bytes. So the work is at most n * probes * CELL_ROWS products instead of n * n, and
nearly all of it runs at the speed of a matrix product. A neighbour can be missed, never made up: what the products
choose is measured, and all lengths are true ones.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.byte_products import cosines_with
from indexer.cells import (
    CELL_ROWS,
    FIRST_PROBES,
    MISSING,
    Cells,
    RowArray,
    cells_of,
    further_cells,
    join_lists,
    keep_nearest,
    rows_by_cell,
)
from indexer.compiled import compiled, compiled_sums
from indexer.lanes import LANES, each_in_lanes, in_lanes
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray, UnitRows
from indexer.workspace import Folder

IntArray = NDArray[np.int64]

EXACT_LIMIT: Final = 20_000  # up to here all pairs are compared, in a second or two
PROBES: Final = 64  # finds 0.97 of the 16 nearest of 200,000 ordinary prompts, which hardly resemble one another
CROWDED_ROWS: Final = 10 * CELL_ROWS  # from which a cell is compared in parts
_BLOCK_ROWS: Final = 512  # of which the products with a cell fit into a core's cache
_MEASURED_ROWS: Final = 256  # at a time
_SPARE: Final = 4  # more than are asked for, of which the nearest are kept once they are measured
_ERROR: Final = np.float32(6e-3)  # of a cosine by bytes, hardly ever more


@dataclass(frozen=True, slots=True)
class Visit:
    """Rows of a cell, and those that are compared with them, both ascending."""

    inside: IntArray
    visiting: IntArray


Lists = tuple[RowArray, FloatArray]
Compare = Callable[[UnitRows, Iterable[Visit], RowArray, FloatArray], None]


def write_lists(folder: Folder, lists: Lists) -> None:
    """Puts neighbour lists into a folder."""
    folder.write("lists.rows", lists[0])
    folder.write("lists.lengths", lists[1])


def read_lists(folder: Folder, k: int) -> Lists:
    """The lists of k neighbours that `write_lists` put there, mapped into memory."""
    return folder.array("lists.rows", np.int32, k), folder.array("lists.lengths", np.float32, k)


def all_neighbours(
    vectors: UnitRows,
    k: int,
    *,
    least_cosine: float = -1.0,
    same_cosine: float = inf,
    probes: int = PROBES,
    exact_limit: int = EXACT_LIMIT,
    cells: Cells | None = None,
    compare: Compare | None = None,
) -> Lists:
    """The k nearest other rows of each row, the nearest first: row numbers and chord lengths, each (n, k).

    vectors: (n, d) unit rows. least_cosine: rows farther than this do not count. same_cosine: rows nearer than
    this count as equally near, so one whose list is full of them looks into no other cells. probes: how many
    cells each row is compared with at most; all of them up to `exact_limit` rows. cells: of these rows, if they
    are known. compare: compares the rows of cells, here if it is None.
    Where fewer were found, MISSING and infinity fill up. In cells, rows are chosen by bytes and then measured: of
    what differs by less than bytes tell (some thousandths of a cosine, far less within a cell of near-duplicates)
    any may be taken for the nearest.
    """
    count = len(vectors)
    if count > exact_limit and cells is None:
        cells = cells_of(vectors, min(probes, FIRST_PROBES))
    if cells is None or count <= 1 or not k:
        rows, cosines = _no_lists(count, k, np.nextafter(np.float32(least_cosine), np.float32(-2)))
        if k:
            with one_thread_a_product():
                _compare_all(vectors, rows, cosines)
        _measure_lists(vectors, np.arange(count), rows, cosines)
        return rows, cosines  # which are lengths now
    rows, cosines = _no_lists(count, k + _SPARE, np.float32(least_cosine) - _ERROR)
    with one_thread_a_product():
        _compare_in_cells(vectors, rows, cosines, cells, probes, same_cosine, compare or compare_here)
    _measure_lists(vectors, np.arange(count), rows, cosines)
    return _nearest(rows, cosines, k, least_cosine)


def more_neighbours(
    vectors: UnitRows,
    k: int,
    base: Lists,
    origin: IntArray,
    *,
    least_cosine: float,
    cells: Cells,
    near: RowArray,
    probes: int,
) -> Lists:
    """`all_neighbours`, given those that some of the rows had before the others came.

    base: the lists then. origin: (n,) int64, which row each was then, ascending; negative for new ones, which
    stand behind the others. cells: of all rows. near: (new rows, p) the cells that each new one looks into first;
    old ones are compared with those that look into their own. What an old row found before stays, but for what new
    ones are as near as, as far as bytes tell; what is gone leaves its place to others.
    """
    old = int(np.count_nonzero(origin >= 0))
    rows, cosines = _no_lists(len(vectors), k + _SPARE, np.float32(least_cosine) - _ERROR)
    lengths = np.full((old, rows.shape[1]), np.inf, np.float32)
    place = np.full(len(base[0]) + 1, MISSING, np.int32)  # the last is what MISSING reads
    place[origin[:old]] = np.arange(old)
    in_lanes(old, lambda first, last: _take_over(*base, origin, place, first, last, rows, cosines, lengths))
    members = rows_by_cell(cells.home[:, None], len(cells))
    with one_thread_a_product():
        first = rows_by_cell(near, len(cells))
        _compare_both_ways(vectors, rows, cosines, old, members, [old + each for each in first])
        found = np.flatnonzero(rows[old:, 0] != MISSING)
        further = further_cells(vectors, old + found, cells, probes, near[found])
        visitors = [old + found[each] for each in rows_by_cell(further, len(cells))]
        _compare_both_ways(vectors, rows, cosines, old, members, visitors)
    unchanged = np.flatnonzero((rows[:old] < old).all(axis=1))
    cosines[unchanged] = lengths[unchanged]
    _measure_lists(vectors, np.setdiff1d(np.arange(len(vectors)), unchanged, assume_unique=True), rows, cosines)
    return _nearest(rows, cosines, k, least_cosine)


def _no_lists(count: int, k: int, least: np.float32) -> Lists:
    """Lists of k for so many rows that hold nothing yet; only a cosine greater than `least` will be in one."""
    return np.full((count, k), MISSING, np.int32), np.full((count, k), least, np.float32)


def _nearest(rows: RowArray, lengths: FloatArray, k: int, least_cosine: float) -> Lists:
    """The first k of lists that have been measured, without what is farther than the least cosine."""
    count, width = rows.shape
    one, other = rows.ravel(), lengths.ravel()  # the same memory: of many rows there is no room for it twice
    _move_up(one, other, count, width, k, np.float32(np.sqrt(max(0.0, 2 - 2 * least_cosine))))
    return one[: count * k].reshape(count, k), other[: count * k].reshape(count, k)


@compiled
def _move_up(rows: RowArray, lengths: FloatArray, count: int, width: int, k: int, farthest: np.float32) -> None:
    """The first k of each list of `width` to where they stand without gaps, MISSING for what is beyond the
    farthest.
    """
    for row in range(count):
        for at in range(k):
            length = lengths[row * width + at]
            within = length <= farthest
            rows[row * k + at] = rows[row * width + at] if within else MISSING
            lengths[row * k + at] = length if within else np.inf


@compiled
def _take_over(
    base_rows: RowArray,
    base_lengths: FloatArray,
    origin: IntArray,
    place: RowArray,
    first: int,
    last: int,
    rows: RowArray,
    cosines: FloatArray,
    lengths: FloatArray,
) -> None:
    """Fills in what rows first to last had found, as far as it is still there. place: of each row that was. What
    would be farther than the last of a full list is not wanted.
    """
    for row in range(first, last):
        before, size = origin[row], 0
        for at in range(base_rows.shape[1]):
            other = base_rows[before, at]
            if other != MISSING and place[other] != MISSING:
                length = base_lengths[before, at]
                rows[row, size], lengths[row, size] = place[other], length
                cosines[row, size] = np.float32(1) - length * length / np.float32(2)
                size += 1
        if size == base_rows.shape[1]:
            cosines[row, size:] = max(cosines[row, size], cosines[row, size - 1] - _ERROR)


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
    vectors: UnitRows,
    rows: RowArray,
    cosines: FloatArray,
    cells: Cells,
    probes: int,
    same_cosine: float,
    compare: Compare,
) -> None:
    """Every row with those of the cells nearest to it, its own first. A row whose list is full of the same text is
    spared the others: it would have found rows that are nearer still, which counts for nothing. And so is one that
    has nothing near in the first few of them, as most of ordinary prompts have.
    """
    members = rows_by_cell(cells.home[:, None], len(cells))

    def visit(mine: IntArray, near: RowArray) -> None:
        """The rows `mine` the cells near to them, (len(mine), p). A lane has half of the rows."""
        visitors = [mine[each] for each in rows_by_cell(near, len(cells))]

        def lane(first: int, last: int) -> None:
            some = (each[slice(*np.searchsorted(each, [first, last]))] for each in visitors)
            visits = (Visit(inside, visiting) for inside, visiting in zip(members, some, strict=True))
            compare(vectors, (each for each in visits if len(each.inside) and len(each.visiting)), rows, cosines)

        in_lanes(len(vectors), lane)

    def compare_own_cells(number: int) -> None:
        """Rows with those of their own cell, in half of the cells; no row is in two."""
        visits = (Visit(inside, inside) for inside in members[number::LANES] if len(inside))
        compare(vectors, visits, rows, cosines)

    each_in_lanes(range(LANES), compare_own_cells)
    wanting = np.flatnonzero(cosines[:, -1] < same_cosine)
    visit(wanting, cells.near[wanting, 1:probes])
    wanting = np.flatnonzero((rows[:, 0] != MISSING) & (cosines[:, -1] < same_cosine))
    visit(wanting, further_cells(vectors, wanting, cells, probes, cells.near[wanting]))


def _compare_both_ways(
    vectors: UnitRows,
    rows: RowArray,
    cosines: FloatArray,
    old: int,
    members: Sequence[IntArray],
    visitors: Sequence[IntArray],
) -> None:
    """New rows, those from `old` on, with all rows of the cells that they visit, and the old ones of these with
    them, by the same product. A lane has half of the cells, so no old row is in two of them, and new rows have a
    list in each lane, which are then made one.
    """
    news = [(rows[old:].copy(), cosines[old:].copy()) for _ in range(LANES)]
    news[1][0][:], news[1][1][:] = MISSING, cosines[old:, -1:]  # or what is known would stand there twice

    def lane(number: int) -> None:
        for inside, visiting in zip(members[number::LANES], visitors[number::LANES], strict=True):
            if len(inside) and len(visiting):
                _compare_with_new(vectors, inside, visiting, rows, cosines, old, *news[number])

    each_in_lanes(range(LANES), lane)
    for other in news[1:]:
        join_lists(np.arange(len(rows) - old), *other, *news[0])
    rows[old:], cosines[old:] = news[0]


def _compare_with_new(
    vectors: UnitRows,
    inside: IntArray,
    visiting: IntArray,
    rows: RowArray,
    cosines: FloatArray,
    old: int,
    new_rows: RowArray,
    new_cosines: FloatArray,
) -> None:
    """New rows that visit a cell with those inside, and the old ones of these with them. new_rows, new_cosines:
    lists of the rows from `old` on.
    """
    for others, mine in _parts(inside, visiting):
        cosines_of, before = cosines_with(vectors[others], len(mine)), int(np.searchsorted(others, old))
        for start in range(0, len(mine), _BLOCK_ROWS):
            block = mine[start : start + _BLOCK_ROWS]
            products = cosines_of(vectors[block])
            keep_nearest(products, block, others, new_rows, new_cosines, True, old)
            back = np.ascontiguousarray(products[:, :before].T)
            keep_nearest(back, others[:before], block, rows, cosines, True)


def compare_here(vectors: UnitRows, visits: Iterable[Visit], rows: RowArray, cosines: FloatArray) -> None:
    """Puts what is near into the lists of those who visit cells, (n, k), one visit after the other. Lists of row
    numbers have cosines beside them, the greatest first; only a greater one than the last takes its place.
    """
    for visit in visits:
        _compare_cell(vectors, visit.inside, visit.visiting, rows, cosines)


def _compare_cell(
    vectors: UnitRows, inside: IntArray, visiting: IntArray, rows: RowArray, cosines: FloatArray
) -> None:
    """Rows that visit a cell with those inside."""
    for others, mine in _parts(inside, visiting):
        cosines_of = cosines_with(vectors[others], len(mine))
        for start in range(0, len(mine), _BLOCK_ROWS):
            block = mine[start : start + _BLOCK_ROWS]
            keep_nearest(cosines_of(vectors[block]), block, others, rows, cosines, True)


def _parts(inside: IntArray, visiting: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Who of those inside a cell is compared with which visitors. In a crowded cell, as a template's copies make
    it, each visitor sees one part only: any of them is as near as any other, and whoever sends a million copies
    gains nothing.
    """
    parts = -(-len(inside) // CROWDED_ROWS)
    for part in range(parts):
        others, mine = inside[part::parts], visiting[part::parts]
        if parts > 1:  # a row inside must be among those that it is compared with
            at_home = np.isin(visiting, inside, assume_unique=True)
            mine = np.union1d(visiting[~at_home][part::parts], np.intersect1d(visiting[at_home], others))
        yield others, mine


def _measure_lists(vectors: UnitRows, which: IntArray, rows: RowArray, lengths: FloatArray) -> None:
    """Fills in the chord lengths of the lists of these rows, and sorts the lists by them, equal ones by row
    number.
    """

    def lane(first: int, last: int) -> None:
        for start in range(first, last, _MEASURED_ROWS):
            block = which[start : min(start + _MEASURED_ROWS, last)]
            near, far = rows[block], lengths[block]
            there = near != MISSING
            places = (np.cumsum(there) - 1).reshape(there.shape)
            _measure(vectors[block], vectors[near[there].astype(np.int64)], places, near, far)
            rows[block], lengths[block] = near, far

    in_lanes(len(which), lane)


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
