"""Cells in many regions are as good as in one, and each row knows the ones near to it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from indexer.cells import (
    MISSING,
    Cells,
    RowArray,
    cells_near,
    cells_of,
    further_cells,
    nearest_cells,
    read_cells,
    rows_by_cell,
    write_cells,
)
from indexer.neighbours import all_neighbours
from indexer.vectors import FloatArray, normalise
from indexer.workspace import Folder

ROWS = 9_000


@pytest.fixture(scope="module")
def rows() -> FloatArray:
    rng = np.random.default_rng(3)
    middles = normalise(rng.normal(size=(150, 24)).astype(np.float32))
    return normalise(middles[rng.integers(150, size=ROWS)] + 0.1 * rng.normal(size=(ROWS, 24)).astype(np.float32))


def test_each_row_is_in_the_nearest_of_the_cells_that_it_looked_at(rows: FloatArray) -> None:
    cells = cells_of(rows, 6, region_cells=2)
    assert 10 < len(cells) < 40
    cosines = np.take_along_axis(rows @ cells.middles.T, cells.near.astype(np.int64), 1)
    assert (np.diff(cosines, axis=1) <= 1e-6).all()
    assert all(len(set(near.tolist())) == 6 for near in cells.near)
    nearest = nearest_cells(rows, cells.middles, 1)[:, 0]
    assert np.mean(cells.home == nearest) > 0.99


def test_regions_lose_next_to_no_neighbours(rows: FloatArray) -> None:
    exact = all_neighbours(rows, 10, least_cosine=0.8)[0]
    found = all_neighbours(rows, 10, least_cosine=0.8, probes=8, cells=cells_of(rows, region_cells=2))[0]
    kept = [len(set(one) & set(other)) for one, other in zip(exact.tolist(), found.tolist(), strict=True)]
    assert sum(kept) >= 0.97 * sum(len(set(each)) for each in exact.tolist())


def test_no_cell_is_looked_into_twice_whatever_order_they_came_in(rows: FloatArray) -> None:
    """Middles of near-copies are nearly one, and come in another order when a few rows are asked for alone."""
    cells, asked = cells_of(rows, region_cells=3), np.arange(40, 900, 7)
    every = cells_near(rows, asked, cells, 12)
    known = every[:, [7, 0, 2, 5]]
    known[3] = MISSING
    found = further_cells(rows, asked, cells, 12, known)
    expected = np.where((every[:, :, None] == known[:, None]).any(axis=2), MISSING, every)
    np.testing.assert_array_equal(found, expected)
    assert (
        (found != MISSING).sum(axis=1) == (every != MISSING).sum(axis=1) - (known != MISSING).sum(axis=1)
    ).all()


def test_rows_by_cell_leaves_out_what_is_missing() -> None:
    near = np.array([[0, 2], [2, MISSING], [MISSING, MISSING], [0, 1]], np.int32)
    assert [each.tolist() for each in rows_by_cell(near, 4)] == [[0, 3], [3], [0, 1], []]
    assert [each.tolist() for each in rows_by_cell(near[2:3], 1)] == [[]]


@given(
    arrays(np.int32, st.tuples(st.integers(0, 40), st.integers(1, 5)), elements=st.integers(MISSING, 7)),
    st.sampled_from(["C", "F", "part"]),
)
def test_the_counting_sort_is_a_stable_sort(near: RowArray, kind: str) -> None:
    given_so = {"C": near, "F": np.asfortranarray(near), "part": near[::-1, : max(1, near.shape[1] - 1)]}[kind]
    rows = np.repeat(np.arange(len(given_so)), given_so.shape[1])
    order = np.argsort(given_so.ravel(), kind="stable")
    expected = [rows[order][given_so.ravel()[order] == cell].tolist() for cell in range(8)]
    assert [each.tolist() for each in rows_by_cell(given_so, 8)] == expected


def test_cells_come_back_with_the_one_that_each_row_is_in(tmp_path: Path) -> None:
    middles = np.eye(3, 4, dtype=np.float32)
    regions = np.eye(2, 4, dtype=np.float32)
    write_cells(Folder(tmp_path), Cells(middles, np.array([[2, 0], [1, 0]], np.int32), regions, np.array([1, 2])))
    found = read_cells(Folder(tmp_path), 4)
    np.testing.assert_array_equal(found.middles, middles)
    np.testing.assert_array_equal(found.regions, regions)
    assert (found.home.tolist(), found.cells_of_region.tolist()) == ([2, 1], [1, 2])
