"""Cells: rows of vectors put together round centroids, about as many in each.

Near rows lie in the same cell or in cells near to each other. The neighbour graph and the index that searches are
built on the same ones. Where there are many cells, they lie in regions in the same way, and a row looks for cells
in the regions near to it: to compare every row with the middle of every cell would take as long as all the rest.
"""

from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.index import TRAINING_ROWS, centroids
from indexer.lanes import in_lanes
from indexer.spacing import spaced
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray, UnitRows
from indexer.workspace import Folder

IntArray = NDArray[np.int64]
RowArray = NDArray[np.int32]

MISSING: Final = -1
FIRST_PROBES: Final = 4  # cells that each row looks into before it is seen whether it needs to look into others
CELL_ROWS: Final = 400  # on average; a block of the product then fits into a core's cache
_SPLIT: Final = 2  # times CELL_ROWS, from which a cell is given further centroids
_REGION_CELLS: Final = 48  # on average
_REGIONS: Final = 8  # that each row looks into
_PART_ROWS: Final = 1 << 16  # whose cells are looked for at a time
_BLOCK_ROWS: Final = 2_048  # in one product
_LOOKED_AT: Final = 64  # products at a time


@dataclass(frozen=True, slots=True)
class Cells:
    """Of n rows. middles: (cells, d) unit rows, float32. near: (n, p) int32, the cells with the nearest middles to
    each row, the nearest first, which is its own; MISSING fills up. regions: (r, d) unit rows, float32, the
    middles of the regions that the cells are in. cells_of_region: (r,) int64, how many are in each; they stand in
    this order.
    """

    middles: FloatArray
    near: RowArray
    regions: FloatArray
    cells_of_region: IntArray

    def __len__(self) -> int:
        return len(self.middles)

    @property
    def home(self) -> RowArray:
        """The cell that each row is in, (n,)."""
        return self.near[:, 0]


def cells_of(vectors: UnitRows, probes: int = FIRST_PROBES, region_cells: int = _REGION_CELLS) -> Cells:
    """Cells of about CELL_ROWS rows each, of which each row knows the `probes` nearest, or as many as it finds.

    Centroids are those of k-means in each region, and of k-means once more in cells that are crowded. vectors:
    (n, d) unit rows.
    """
    count = len(vectors)
    regions = _trained(vectors, np.arange(count), max(1, count // (CELL_ROWS * region_cells)))
    inside = rows_by_cell(nearest_cells(vectors, regions, 1), len(regions))
    middles = [_region_middles(vectors, rows) for rows in inside]
    sizes = np.array(list(map(len, middles)), np.int64)
    cells = Cells(np.concatenate(middles), np.zeros((0, 0), np.int32), regions[sizes > 0], sizes[sizes > 0])
    return replace(cells, near=cells_near(vectors, np.arange(count), cells, probes))


def cells_near(vectors: UnitRows, rows: IntArray, cells: Cells, probes: int) -> RowArray:
    """The `probes` cells nearest to these rows, each the nearest first, or as many as are found, (len(rows),
    probes); whether the rows have been among those of the cells or not.
    """
    near = np.full((len(rows), min(probes, len(cells))), MISSING, np.int32)
    for start in range(0, len(rows), _PART_ROWS):
        part = slice(start, start + _PART_ROWS)
        _look_into_regions(vectors[rows[part]], cells, near[part])
    return near


def further_cells(vectors: UnitRows, rows: IntArray, cells: Cells, probes: int, known: RowArray) -> RowArray:
    """`cells_near` without the cells that are known of each row, (len(rows), k): MISSING stands in their place.
    Asked for once more, cells that are as near as others may come in another order.
    """
    near = cells_near(vectors, rows, cells, probes)
    for column in known.T:
        near[near == column[:, None]] = MISSING
    return near


def write_cells(folder: Folder, cells: Cells) -> None:
    """Puts cells into a folder, with the one that each row is in; the others near to it are not needed again."""
    for name, array in (
        ("middles", cells.middles),
        ("home", cells.home),
        ("regions", cells.regions),
        ("cells_of_region", cells.cells_of_region),
    ):
        folder.write(name, array)


def read_cells(folder: Folder, dimension: int) -> Cells:
    """The cells that `write_cells` put there, of rows of this many numbers; each row knows its own."""
    return Cells(
        folder.array("middles", np.float32, dimension),
        folder.array("home", np.int32, 1),
        folder.array("regions", np.float32, dimension),
        folder.array("cells_of_region", np.int64),
    )


def rows_by_cell(near: RowArray, cells: int) -> list[IntArray]:
    """The rows of each cell, ascending. near: (n, p), the cells that each row belongs to; MISSING is left out."""
    flat = np.ascontiguousarray(near).ravel()
    ends = np.cumsum(np.bincount(flat + 1, minlength=cells + 1))
    return np.split(_by_cell(flat, near.shape[1], ends[:-1] - ends[0]), ends[1:-1] - ends[0])


@compiled
def _by_cell(flat: RowArray, width: int, starts: IntArray) -> IntArray:
    """Counting sort of the rows, `width` numbers each, by the cells that they name; those of a cell ascend.
    starts: (cells,) where each cell's begin.
    """
    rows = np.empty(np.count_nonzero(flat != MISSING), np.int64)
    free = starts.copy()
    for at in range(len(flat)):
        cell = flat[at]
        if cell != MISSING:
            rows[free[cell]] = at // width
            free[cell] += 1
    return rows


def _trained(vectors: UnitRows, rows: IntArray, count: int) -> FloatArray:
    """The middles of `count` clusters of these rows, (count, d)."""
    return centroids(vectors[rows[spaced(len(rows), count * TRAINING_ROWS)]], count)


def _region_middles(vectors: UnitRows, inside: IntArray) -> FloatArray:
    """Middles of the cells of a region, given the rows inside, (cells, d). There may be none."""
    if not len(inside):
        return np.zeros((0, vectors.shape[1]), np.float32)
    middles = _trained(vectors, inside, max(1, len(inside) // CELL_ROWS))
    members = rows_by_cell(nearest_cells(vectors, middles, 1, inside), len(middles))
    crowded = [len(rows) >= _SPLIT * CELL_ROWS for rows in members]
    parts = [_trained(vectors, inside[rows], len(rows) // CELL_ROWS) for rows in compress(members, crowded)]
    return np.concatenate([middles[~np.array(crowded)], *parts])


def nearest_cells(vectors: UnitRows, middles: FloatArray, probes: int, rows: IntArray | None = None) -> RowArray:
    """The cells with the `probes` nearest middles of each row, or of these ones, the nearest first, (n,
    probes).
    """
    rows = np.arange(len(vectors)) if rows is None else rows
    near = np.full((len(rows), probes), MISSING, np.int32)
    cosines = np.full((len(rows), probes), -2.0, np.float32)
    numbers = np.arange(len(middles))

    def lane(first: int, last: int) -> None:
        for start in range(first, last, CELL_ROWS):
            mine = np.arange(start, min(start + CELL_ROWS, last))
            _keep_blocks(vectors[rows[mine]], middles, mine, numbers, near, cosines)

    with one_thread_a_product():
        in_lanes(len(rows), lane)
    return near


def _look_into_regions(vectors: FloatArray, cells: Cells, near: RowArray) -> None:
    """Fills in the cells near to the rows, as many as `near` has room for, from the regions near to them."""
    near_regions = nearest_cells(vectors, cells.regions, min(_REGIONS, len(cells.regions)))
    visitors = rows_by_cell(near_regions, len(cells.regions))
    cosines = np.full(near.shape, -2.0, np.float32)
    numbers = np.split(np.arange(len(cells)), np.cumsum(cells.cells_of_region)[:-1])

    def lane(first: int, last: int) -> None:
        for visiting, inside in zip(visitors, numbers, strict=True):
            mine = visiting[np.searchsorted(visiting, first) : np.searchsorted(visiting, last)]
            for at in range(0, len(mine), _BLOCK_ROWS):
                block = mine[at : at + _BLOCK_ROWS]
                _keep_blocks(vectors[block], cells.middles[inside], block, inside, near, cosines)

    with one_thread_a_product():
        in_lanes(len(vectors), lane)


def _keep_blocks(
    vectors: FloatArray,
    middles: FloatArray,
    mine: IntArray,
    numbers: IntArray,
    near: RowArray,
    cosines: FloatArray,
) -> None:
    """Puts the cells of these numbers into the lists of the rows `mine`, some of them at a time."""
    for block in range(0, len(middles), CELL_ROWS):
        some = slice(block, block + CELL_ROWS)
        keep_nearest(vectors @ middles[some].T, mine, numbers[some], near, cosines, False)


@compiled
def keep_nearest(
    products: FloatArray,
    mine: IntArray,
    others: IntArray,
    rows: RowArray,
    cosines: FloatArray,
    same_kind: bool,
    first: int = 0,
) -> None:
    """Puts `others` into the lists of the rows `mine` where they are nearer than what is there.

    products: (len(mine), len(others)) cosines. rows, cosines: the lists, the nearest first, of the rows from
    `first` on. same_kind: whether equal numbers in `mine` and `others` are the same thing, which is no neighbour
    of itself.
    """
    last = rows.shape[1] - 1
    whole = len(others) - len(others) % _LOOKED_AT
    for at in range(len(mine)):
        row = mine[at] - first
        for start in range(0, whole, _LOOKED_AT):  # most hold nothing near, which is seen of many at a time
            least, near = cosines[row, last], 0
            for place in range(_LOOKED_AT):
                near += products[at, start + place] > least
            if near:
                _keep(products, at, start, start + _LOOKED_AT, mine[at], others, rows, cosines, same_kind, row)
        _keep(products, at, whole, len(others), mine[at], others, rows, cosines, same_kind, row)


@compiled
def _keep(
    products: FloatArray,
    at: int,
    start: int,
    stop: int,
    mine: int,
    others: IntArray,
    rows: RowArray,
    cosines: FloatArray,
    same_kind: bool,
    row: int,
) -> None:
    """`keep_nearest` of one row and a range of the others."""
    last = rows.shape[1] - 1
    least = cosines[row, last]
    for place in range(start, stop):
        cosine = products[at, place]
        if cosine > least and not (same_kind and others[place] == mine):
            _put(rows, cosines, row, others[place], cosine)
            least = cosines[row, last]


@compiled
def join_lists(mine: IntArray, found: RowArray, near: FloatArray, rows: RowArray, cosines: FloatArray) -> None:
    """Puts lists that were found elsewhere, (m, k) each, into those of the rows `mine`, as `keep_nearest` would
    have.
    """
    last = rows.shape[1] - 1
    for at in range(len(mine)):
        for place in range(found.shape[1]):
            if found[at, place] == MISSING or near[at, place] <= cosines[mine[at], last]:
                break
            _put(rows, cosines, mine[at], found[at, place], near[at, place])


@compiled
def _put(rows: RowArray, cosines: FloatArray, row: int, other: int, cosine: float) -> None:
    """Puts one more into the list of a row, behind those that are as near, and drops the last."""
    spot = rows.shape[1] - 1
    while spot > 0 and cosines[row, spot - 1] < cosine:
        cosines[row, spot] = cosines[row, spot - 1]
        rows[row, spot] = rows[row, spot - 1]
        spot -= 1
    cosines[row, spot] = cosine
    rows[row, spot] = other
