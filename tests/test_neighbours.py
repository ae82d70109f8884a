"""The neighbour graph against all pairs compared by numpy."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import byte_products
from indexer.cells import CELL_ROWS, MISSING, RowArray, cells_of
from indexer.graph import chord
from indexer.neighbours import Visit, all_neighbours, compare_here
from indexer.vectors import FloatArray, UnitRows, normalise

IntArray = NDArray[np.int64]


def unit_rows(seed: int, count: int, dimension: int = 24) -> FloatArray:
    return normalise(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def groups(seed: int, sizes: list[int], spread: float, dimension: int = 24) -> FloatArray:
    """Rows round random middles, shuffled."""
    rng = np.random.default_rng(seed)
    middle = np.repeat(unit_rows(seed, len(sizes), dimension), sizes, axis=0)
    return normalise(rng.permutation(middle + (spread * rng.normal(size=middle.shape)).astype(np.float32)))


def nearest(rows: FloatArray, k: int) -> tuple[IntArray, NDArray[np.float64]]:
    """Row numbers and chords of the k nearest others by all pairs, in double precision."""
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.maximum(0, 2 - 2 * wide @ wide.T))
    np.fill_diagonal(lengths, np.inf)
    order = np.argsort(lengths, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(lengths, order, axis=1)


def recall(lengths: FloatArray, true: NDArray[np.float64]) -> float:
    """Share of the true neighbours that were found, by how far they are: equals may stand for one another."""
    return float(np.mean(lengths <= true[:, -1:] + 1e-5))


def test_all_pairs() -> None:
    rows = unit_rows(1, 700)
    found, lengths = all_neighbours(rows, 6)
    expected, true = nearest(rows, 6)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(lengths, true, atol=1e-5)
    assert (found.dtype, lengths.dtype) == (np.int32, np.float32)


def test_rows_farther_than_the_least_cosine_do_not_count() -> None:
    rows = groups(2, [30, 3, 60], spread=0.1)
    expected, true = nearest(rows, 8)
    found, lengths = all_neighbours(rows, 8, least_cosine=0.7)
    within = true <= chord(0.7)
    assert 0 < within.sum() < within.size
    np.testing.assert_array_equal(found, np.where(within, expected, MISSING))
    np.testing.assert_allclose(lengths[within], true[within], atol=1e-5)
    assert np.isinf(lengths[~within]).all()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_rows(count: int) -> None:
    found, lengths = all_neighbours(unit_rows(3, count), 16)
    assert found.shape == lengths.shape == (count, 16)
    assert ((found != MISSING).sum(axis=1) == max(0, count - 1)).all()
    assert all(row not in found[row] for row in range(count))


def test_a_row_is_never_its_own_neighbour_even_among_equals() -> None:
    rows = np.repeat(unit_rows(6, 4), [30, 1, 5, 2], axis=0)
    own = np.repeat(np.arange(4), [30, 1, 5, 2])
    found, lengths = all_neighbours(rows, 3)
    assert not (found == np.arange(38)[:, None]).any()
    assert all(len(set(row)) == 3 for row in found.tolist())
    for row in range(38):
        twins = min(3, int((own == own[row]).sum()) - 1)
        assert (own[found[row, :twins]] == own[row]).all()
        assert (lengths[row, :twins] == 0).all()


def test_near_duplicates_are_ordered_by_what_they_differ_in() -> None:
    """By cosine in float32 all of these are equal."""
    angles = 1e-4 * np.array([0, 1, 3, 7])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found, lengths = all_neighbours(rows, 3)
    assert found[0].tolist() == [1, 2, 3]
    np.testing.assert_allclose(lengths[0], angles[1:], rtol=1e-3)


@pytest.mark.parametrize("by_bytes", [True, False])
def test_cells_find_nearly_all_that_is_near(by_bytes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not by_bytes:
        monkeypatch.setattr(byte_products, "are_bytes_exact", lambda: False)
    rows = groups(7, [40] * 150 + [1] * 4000, spread=0.08)
    _, true = nearest(rows, 10)
    found, lengths = all_neighbours(rows, 10, probes=8, exact_limit=1000)
    assert recall(lengths, true) < 1
    everywhere = recall(all_neighbours(rows, 10, exact_limit=1000)[1], true)  # in all cells there are
    assert everywhere >= 0.9999 if by_bytes else everywhere == 1.0
    near = true <= chord(0.7)
    within = all_neighbours(rows, 10, least_cosine=0.7, probes=8, exact_limit=1000)[1]
    assert np.mean(within[near] <= true[near] + 1e-5) >= 0.98
    known = found != MISSING
    np.testing.assert_allclose(
        lengths[known], np.linalg.norm(rows[np.nonzero(known)[0]] - rows[found[known]], axis=1), atol=1e-5
    )


def test_what_bytes_choose_is_as_near_as_what_float32_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though near-duplicates differ by less than bytes tell, as some more than are wanted are measured."""
    rows = groups(12, [600] * 8 + [30] * 100, spread=0.03, dimension=96)
    cells, lists = cells_of(rows), []
    for exact in (True, False):
        monkeypatch.setattr(byte_products, "are_bytes_exact", lambda exact=exact: exact)
        lists.append(all_neighbours(rows, 8, least_cosine=0.7, probes=8, cells=cells))
    (chosen, lengths), (_, shortest) = lists
    assert (lengths >= shortest - 1e-6).all()
    assert np.mean(lengths <= shortest + 1e-6) > 0.99
    assert (chosen != MISSING).all()


def test_cells_give_the_same_each_time() -> None:
    rows = groups(8, [30] * 60, spread=0.1)
    one, other = (all_neighbours(rows, 5, probes=3, exact_limit=500) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])


def test_a_cell_crowded_with_near_duplicates_costs_others_nothing() -> None:
    """Whoever sends more near-duplicates than a cell may hold is compared in parts; his rows still have neighbours
    as near as can be, and those of others are found as before.
    """
    crowd = groups(9, [12 * CELL_ROWS], spread=0.002)
    others = groups(10, [20] * 100, spread=0.08)
    rows = np.concatenate([others, crowd])
    found, lengths = all_neighbours(rows, 8, least_cosine=0.7, probes=8, exact_limit=1000)
    _, true = nearest(others, 8)
    near = true <= chord(0.7)
    assert np.mean(lengths[: len(others)][near] <= true[near] + 1e-5) >= 0.98
    assert (found[len(others) :] != MISSING).all()
    assert (found[len(others) :] >= len(others)).all()
    assert lengths[len(others) :].max() < 0.02


def test_a_row_with_a_list_full_of_the_same_text_looks_no_further_and_loses_nothing_that_counts() -> None:
    """Of what counts as equally near any k are as good; what is less near is found as before."""
    rows = groups(11, [300] * 10 + [6] * 500, spread=0.02)
    cells, same = cells_of(rows, region_cells=3), 0.98
    visits: list[int] = []

    def compare(vectors: UnitRows, some: Iterable[Visit], found: RowArray, cosines: FloatArray) -> None:
        kept = list(some)
        visits.append(sum(len(visit.visiting) for visit in kept))
        compare_here(vectors, kept, found, cosines)

    lists = []
    for enough in (math.inf, same):
        visits.clear()
        lists.append(
            all_neighbours(rows, 8, least_cosine=0.7, same_cosine=enough, probes=12, cells=cells, compare=compare)
        )
        lists.append((visits[0] + visits[1], sum(visits[2:])))
    (every, lengths), (first, further), (_, spared), (still, fewer) = lists
    assert first == still
    assert fewer < 0.6 * further  # six of a text are no list of eight
    np.testing.assert_allclose(np.maximum(lengths, chord(same)), np.maximum(spared, chord(same)), atol=1e-6)
    assert (every != MISSING).any(axis=1).all()
