"""The hierarchy of a weighted forest, against the `hdbscan` package on the data written out."""

import numpy as np
import pytest
from hdbscan._hdbscan_linkage import label as single_linkage
from hdbscan.hdbscan_ import _tree_to_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.cluster import LONGEST_CHORD, NOISE, forest_clusters
from indexer.graph import Forest
from indexer.hierarchy import MOST_COPIES, select_clusters

DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RESOLUTION = 0.01
CEILING = 1.0


def forest_of(edges: list[tuple[int, int, float]], points: int) -> Forest:
    """Forest of edges (source, target, distance) without a ring."""
    ordered = sorted(edges, key=lambda edge: edge[2])
    component = np.arange(points)
    for source, target, _ in ordered:
        assert component[source] != component[target]
        component[component == component[target]] = component[source]
    columns = list(zip(*ordered, strict=True)) or [(), (), ()]
    return Forest(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
        np.unique(component, return_inverse=True)[1].astype(np.int64),
        np.zeros(points, np.bool_),
    )


def random_forest(seed: int, points: int, trees: int, levels: int = 0) -> Forest:
    """Each point but the first of each tree hangs on a random earlier one of its tree. levels: how many different
    distances there are, 0 for as many as edges.
    """
    rng = np.random.default_rng(seed)
    tree = np.arange(points) % trees
    distances = RESOLUTION + (CEILING - RESOLUTION) * rng.random(points)
    if levels:
        distances = np.linspace(RESOLUTION, CEILING, levels)[rng.integers(levels, size=points)]
    edges = [
        (int(rng.choice(np.flatnonzero(tree[:point] == tree[point]))), point, float(distances[point]))
        for point in range(trees, points)
    ]
    return forest_of(edges, points)


def chain(seed: int, points: int) -> Forest:
    """Each point hangs on the one before, the nearest first."""
    steps = np.sort(np.random.default_rng(seed).uniform(RESOLUTION, CEILING, points - 1))
    return forest_of([(at, at + 1, float(steps[at])) for at in range(points - 1)], points)


def oracle(forest: Forest, weights: IntArray, least: int, ceiling: float) -> IntArray:
    """Cluster of each point by the package's own functions: a point of weight w is written out as copies at the
    resolution, and a stranger beyond the ceiling makes one tree of all trees that are heavy enough.
    """
    copies = np.minimum(weights, least)
    copies[(np.bincount(forest.component, copies) < least)[forest.component]] = 0
    first = np.cumsum(copies) - copies
    owners = np.repeat(np.arange(len(copies)), copies)
    labels = np.full(len(weights), NOISE)
    if not len(owners):
        return labels
    own = np.flatnonzero(np.diff(owners, append=-1) == 0)
    inside = copies[forest.sources] > 0
    kept = np.flatnonzero(copies)
    roots = first[kept[np.unique(forest.component[kept], return_index=True)[1]]]
    stranger = len(owners) + np.arange(least if ceiling < LONGEST_CHORD else 1)
    edges = np.concatenate(
        [
            rows(own, own + 1, RESOLUTION),
            rows(first[forest.sources[inside]], first[forest.targets[inside]], forest.distances[inside]),
            rows(stranger[:-1], stranger[1:], RESOLUTION),
            rows(np.full(len(roots), stranger[0]), roots, ceiling),
        ]
    )
    tree = edges[np.argsort(edges[:, 2], kind="stable")]
    found = np.asarray(_tree_to_labels(None, single_linkage(tree), min_cluster_size=least)[0], np.int64)
    labels[kept] = found[first[kept]]
    return labels


def rows(sources: IntArray, targets: IntArray, distances: DoubleArray | float) -> DoubleArray:
    return np.column_stack([sources, targets, np.broadcast_to(distances, len(sources))]).astype(np.float64)


def assert_same_clusters(found: IntArray, expected: IntArray) -> None:
    """The same partition, noise included, whatever the numbers."""
    pairs = {(int(one), int(other)) for one, other in zip(found, expected, strict=True)}
    assert len(pairs) == len(set(found.tolist())) == len(set(expected.tolist()))
    assert all((one == NOISE) == (other == NOISE) for one, other in pairs)


@pytest.mark.parametrize("ceiling", [CEILING, LONGEST_CHORD])
@pytest.mark.parametrize("trees", [1, 2, 7])
@pytest.mark.parametrize("seed", range(4))
def test_random_forests(seed: int, trees: int, ceiling: float) -> None:
    forest = random_forest(seed, 600, trees)
    weights = np.random.default_rng(seed).integers(1, 4, size=600)
    found = forest_clusters(forest, weights, 8, ceiling, RESOLUTION)
    assert found.max() >= 2
    assert_same_clusters(found, oracle(forest, weights, 8, ceiling))


@pytest.mark.parametrize("ceiling", [CEILING, LONGEST_CHORD])
@pytest.mark.parametrize("seed", range(4))
def test_chains(seed: int, ceiling: float) -> None:
    forest = chain(seed, 400)
    ones = np.ones(400, np.int64)
    assert_same_clusters(forest_clusters(forest, ones, 10, ceiling, RESOLUTION), oracle(forest, ones, 10, ceiling))


@pytest.mark.parametrize("seed", range(4))
def test_points_that_stand_for_many(seed: int) -> None:
    """Some are clusters by themselves."""
    forest = random_forest(seed, 300, 3)
    weights = np.random.default_rng(seed).geometric(0.15, size=300)
    assert (weights >= 10).any()
    found = forest_clusters(forest, weights, 10, CEILING, RESOLUTION)
    assert_same_clusters(found, oracle(forest, weights, 10, CEILING))


@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.integers(1, 40),
    trees=st.integers(1, 5),
    least=st.integers(2, 6),
    ceiling=st.sampled_from([CEILING, LONGEST_CHORD]),
)
@settings(deadline=None)
def test_small_forests(seed: int, points: int, trees: int, least: int, ceiling: float) -> None:
    forest = random_forest(seed, points, min(trees, points))
    weights = np.random.default_rng(seed).integers(1, least + 3, size=points)
    found = forest_clusters(forest, weights, least, ceiling, RESOLUTION)
    assert_same_clusters(found, oracle(forest, weights, least, ceiling))


def test_equal_distances_are_decided_by_the_order_of_the_edges() -> None:
    """Of edges that tie, the earlier joins first; the package, given the same order, does the same."""
    forest = random_forest(3, 500, 2, levels=12)
    ones = np.ones(500, np.int64)
    assert_same_clusters(forest_clusters(forest, ones, 6, CEILING, RESOLUTION), oracle(forest, ones, 6, CEILING))


def test_by_hand() -> None:
    """Two dense triples and a point that hangs on; all of it is born at the ceiling, lambda 1.

    As one cluster: 7 points from lambda 1 to 2, where the last point falls, 6 from there to 4, where the triples
    part: 7 + 12 = 19. Apart: each triple 3 points from 4 to 20, 48 each. Of
    a lesser density, the whole is worth more.
    """
    edges = [(0, 1, 0.05), (1, 2, 0.05), (3, 4, 0.05), (4, 5, 0.05), (2, 3, 0.25), (5, 6, 0.5)]
    ones = np.ones(7, np.int64)
    found = forest_clusters(forest_of(edges, 7), ones, 3, CEILING, RESOLUTION)
    assert found.tolist() == [0, 0, 0, 1, 1, 1, NOISE]
    loose = [(one, other, 0.24 if distance < 0.1 else distance) for one, other, distance in edges]
    assert forest_clusters(forest_of(loose, 7), ones, 3, CEILING, RESOLUTION).tolist() == [0] * 7


def test_a_hierarchy_of_more_copies_than_its_numbers_hold_is_refused() -> None:
    """Sizes are 32 bits; one copy less is counted right, one more is not counted wrong."""
    none, heavy = np.zeros(0, np.int64), np.array([MOST_COPIES - 1, 1, 1], np.int64)
    with pytest.raises(ValueError, match=r"2,147,483,648 copies and 3 nodes"):
        select_clusters(none, none, np.zeros(0), heavy, 2, CEILING, RESOLUTION, roots_count=True)
    edge, near = np.array([0]), np.array([RESOLUTION])
    found = select_clusters(edge, edge + 1, near, heavy[:2], 2, CEILING, RESOLUTION, roots_count=True)
    assert found.tolist() == [0, 0]
