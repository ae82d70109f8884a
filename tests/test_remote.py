"""What others work out of the graph is what is worked out here, whoever answers and whoever does not."""

from collections.abc import Callable

import numpy as np
import pytest

from indexer import remote
from indexer.cells import cells_of
from indexer.cluster import NOISE, forest_clusters
from indexer.graph import chord, forest_of, spanning_forest
from indexer.neighbours import all_neighbours
from indexer.remote import RemoteGraph
from indexer.vectors import FloatArray, normalise

COUNT = 6_000


class Others:
    """They answer in this process, but for every so many questions; 0 for all of them."""

    def __init__(self, silent: int) -> None:
        self.asked = 0
        self._silent = silent

    def ask(self, question: bytes) -> Callable[[], bytes | None]:
        self.asked += 1
        if self._silent and self.asked % self._silent == 0:
            return lambda: None
        return lambda: remote.answer(question)


@pytest.fixture(scope="module")
def rows() -> FloatArray:
    """Near-duplicates of forty texts, and one cell that is crowded."""
    rng = np.random.default_rng(4)
    middles = normalise(rng.normal(size=(40, 32)).astype(np.float32))
    sent = np.concatenate([rng.integers(40, size=COUNT - 4_500), np.zeros(4_500, np.int64)])
    return normalise(middles[sent] + 0.02 * rng.normal(size=(COUNT, 32)).astype(np.float32))


@pytest.mark.parametrize("silent", [0, 3, 1])
def test_neighbours_and_clusters_are_the_same(
    rows: FloatArray, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_VISITORS", 700)
    others = Others(silent)
    graph, weights, cells = RemoteGraph(others), np.arange(COUNT) % 3 + 1, cells_of(rows)
    here = all_neighbours(rows, 10, least_cosine=0.8, probes=8, cells=cells)
    there = all_neighbours(rows, 10, least_cosine=0.8, probes=8, cells=cells, compare=graph.compare)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)
    assert others.asked > 10
    forest = forest_of(rows, weights, *here, 5, chord(0.8))
    labels = forest_clusters(forest, weights, 12, chord(0.8), 1e-4)
    assert len(np.unique(labels[labels != NOISE])) > 30
    np.testing.assert_array_equal(graph.clusters(forest, weights, 12, chord(0.8), 1e-4), labels)


def test_one_tree_that_nothing_was_cut_off_is_clustered_as_here(rows: FloatArray) -> None:
    forest = spanning_forest(rows[:300], np.ones(300, np.int64), 299, 5, 2.0)
    ones = np.ones(300, np.int64)
    labels = RemoteGraph(Others(0)).clusters(forest, ones, 10, 2.0, 1e-4)
    np.testing.assert_array_equal(labels, forest_clusters(forest, ones, 10, 2.0, 1e-4))
