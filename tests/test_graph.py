"""The spanning forest against complete graphs, worked out by numpy and scipy in double precision."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree

from indexer import graph
from indexer.graph import DISTANCE_FLOOR, Forest, chord, spanning_forest
from indexer.neighbours import Lists, all_neighbours
from indexer.vectors import FloatArray, normalise

DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def rows_of(seed: int, count: int, dimension: int = 12, groups: int = 5) -> FloatArray:
    """Points in a few loose groups."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, dimension))
    rows = centres[rng.integers(groups, size=count)] + 0.4 * rng.normal(size=(count, dimension))
    return normalise(rows.astype(np.float32))


def chords(rows: FloatArray) -> DoubleArray:
    wide = rows.astype(np.float64)
    return np.sqrt(((wide[:, None] - wide[None]) ** 2).sum(axis=-1))


def cores(rows: FloatArray, weights: IntArray, min_samples: int) -> DoubleArray:
    """Core distance of each point from the data with each point written out weight times."""
    owners = np.repeat(np.arange(len(rows)), weights)
    expanded = np.sort(chords(rows)[:, owners], axis=1)
    core: DoubleArray = expanded[:, min_samples]  # column 0 is the point itself
    return np.maximum(core, DISTANCE_FLOOR)


def reachability(rows: FloatArray, weights: IntArray, min_samples: int) -> DoubleArray:
    core = cores(rows, weights, min_samples)
    return np.maximum(chords(rows), np.maximum(core[:, None], core[None]))


def ones(rows: FloatArray) -> IntArray:
    return np.ones(len(rows), np.int64)


def components(forest: Forest) -> int:
    return len(np.unique(forest.component))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_samples", [1, 5])
def test_with_all_neighbours_the_forest_is_the_minimum_spanning_tree(seed: int, min_samples: int) -> None:
    rows = rows_of(seed, 150)
    forest = spanning_forest(rows, ones(rows), 149, min_samples, ceiling=2.0)
    full = reachability(rows, ones(rows), min_samples)
    tree = minimum_spanning_tree(np.triu(full, 1))
    assert len(forest.distances) == 149
    assert components(forest) == 1
    np.testing.assert_allclose(forest.distances, np.sort(tree.data), atol=1e-5)
    np.testing.assert_allclose(forest.distances, full[forest.sources, forest.targets], atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_weights_move_core_distances_as_copies_would(seed: int) -> None:
    rows = rows_of(seed, 120)
    weights = np.random.default_rng(seed).integers(1, 9, size=120)
    forest = spanning_forest(rows, weights, 119, min_samples=5, ceiling=2.0)
    full = reachability(rows, weights, 5)
    np.testing.assert_allclose(forest.distances, full[forest.sources, forest.targets], atol=1e-5)
    np.testing.assert_allclose(forest.distances, np.sort(minimum_spanning_tree(np.triu(full, 1)).data), atol=1e-5)


def test_a_core_distance_by_hand() -> None:
    """Points at 0, 10, 30 degrees; the third other point of the first is a copy of the last."""
    angles = np.radians([0.0, 10.0, 30.0])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    forest = spanning_forest(rows, np.array([2, 1, 4]), 2, min_samples=3, ceiling=2.0)
    near, far = 2 * np.sin(np.radians(10)), 2 * np.sin(np.radians(15))
    # Cores: 30 degrees from the first (own copy, the second, then the last), 20 from the second (two copies of
    # the first at 10, the last at 20), nothing from the last, which is four itself.
    np.testing.assert_allclose(forest.distances, [near, far], atol=1e-6)
    assert sorted(zip(forest.sources.tolist(), forest.targets.tolist(), strict=True))[0][0] == 0


@pytest.mark.parametrize("neighbours", [5, 8, 20])
def test_no_edge_is_shorter_than_in_the_complete_graph(neighbours: int) -> None:
    rows = rows_of(11, 300)
    forest = spanning_forest(rows, ones(rows), neighbours, min_samples=5, ceiling=2.0)
    full = reachability(rows, ones(rows), 5)
    np.testing.assert_allclose(forest.distances, full[forest.sources, forest.targets], atol=1e-5)
    best = np.sort(minimum_spanning_tree(np.triu(full, 1)).data)
    shared = best[: len(forest.distances)]
    assert (forest.distances >= shared - 1e-5).all()


@pytest.mark.parametrize("ceiling", [0.3, 0.6, 0.8, 1.0])
def test_a_ceiling_cuts_the_longer_edges_and_no_other(ceiling: float) -> None:
    rows = rows_of(12, 200)
    whole = spanning_forest(rows, ones(rows), 199, 3, ceiling=2.0)
    cut = spanning_forest(rows, ones(rows), 199, 3, ceiling)
    np.testing.assert_array_equal(cut.distances, whole.distances[whole.distances <= ceiling])
    assert components(cut) == 200 - len(cut.distances)
    assert (cut.component[cut.sources] == cut.component[cut.targets]).all()


def test_a_point_without_enough_in_its_list_stays_alone() -> None:
    rows = rows_of(13, 4)
    forest = spanning_forest(rows, ones(rows), 16, min_samples=5, ceiling=2.0)
    assert forest.distances.tolist() == []
    assert components(forest) == 4


def test_near_duplicates_keep_their_distance() -> None:
    """By cosine in float32 these are equal."""
    angles = 2e-3 * np.arange(4)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    forest = spanning_forest(rows, ones(rows), 3, min_samples=1, ceiling=2.0)
    np.testing.assert_allclose(forest.distances, 2e-3, rtol=1e-3)


def test_equal_rows_lie_at_the_floor() -> None:
    rows = np.repeat(rows_of(14, 1), 6, axis=0)
    forest = spanning_forest(rows, ones(rows), 5, min_samples=3, ceiling=1.0)
    assert forest.distances.tolist() == [DISTANCE_FLOOR] * 5


def test_halves_that_fill_each_others_lists_are_joined() -> None:
    """Two dense spots of one group: each list is full of its own spot, though the other is within reach."""
    rng = np.random.default_rng(15)
    spots = np.repeat([[1.0, 0.0, 0.0], [0.95, 0.3, 0.0]], 40, axis=0) + 0.01 * rng.normal(size=(80, 3))
    rows = normalise(spots.astype(np.float32))
    forest = spanning_forest(rows, ones(rows), 8, min_samples=3, ceiling=1.0)
    full = reachability(rows, ones(rows), 3)
    assert components(forest) == 1
    assert len(forest.distances) == 79
    np.testing.assert_allclose(forest.distances, full[forest.sources, forest.targets], atol=1e-5)
    assert components(spanning_forest(rows, ones(rows), 8, min_samples=3, ceiling=0.2)) == 2


def test_chord_of_a_cosine() -> None:
    assert [chord(cosine) for cosine in (1.0, 0.5, 0.0, -1.0, 1.0000001)] == pytest.approx([0, 1, 2**0.5, 2, 0])


@pytest.mark.parametrize(("resolution", "same"), [(0.2, 0.98), (0.01, 0.99995), (DISTANCE_FLOOR, math.inf)])
def test_what_the_resolution_makes_equal_need_not_be_looked_for(
    resolution: float, same: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def neighbours(*given: Any, same_cosine: float, **named: Any) -> Lists:
        asked.append(same_cosine)
        return all_neighbours(*given, same_cosine=same_cosine, **named)

    monkeypatch.setattr(graph, "all_neighbours", neighbours)
    rows = normalise(np.random.default_rng(4).normal(size=(50, 8)).astype(np.float32))
    graph.spanning_forest(rows, np.ones(50, np.int64), 8, 3, 1.0, resolution)
    assert asked == [pytest.approx(same, abs=1e-12)]
