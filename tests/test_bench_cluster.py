"""What `scripts/bench cluster` judges answers by, on answers judged by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from indexer.neighbours import all_neighbours
from indexer.vectors import normalise

sys.path.append(str(Path(__file__).parents[1] / "scripts" / "benches"))

from clustering.planted import FORESTS, tree, write_vectors
from clustering.quality import quality, recall


def test_each_planted_cluster_counts_by_the_found_one_that_fits_it_best() -> None:
    """A cluster of 4 is found but for one and with one of the background, one of 2 is noise."""
    truth = np.array([0, 0, 0, 0, 1, 1, -1, -1, -1, -1])
    found = np.array([5, 5, 5, -1, -1, -1, 5, -1, -1, -1])
    judged = quality(truth, found)
    assert judged.f1 == pytest.approx((4 * 2 * 3 / (4 + 4) + 2 * 0) / 6)
    assert judged.noise_f1 == pytest.approx(2 * 3 / (4 + 6))
    assert judged.clusters == 1
    assert quality(truth, truth).figures() == {"f1": 1, "noise_f1": 1, "ari": 1, "clusters": 2}


def test_all_in_one_cluster_is_a_poor_answer() -> None:
    truth = np.array([0, 0, 1, 1, -1, -1, -1, -1])
    judged = quality(truth, np.zeros(8, np.int64))
    assert judged.f1 == pytest.approx(2 * 2 / (2 + 8))
    assert (judged.noise_f1, judged.ari) == (0, 0)


def test_recall_counts_what_is_as_near_as_the_true_neighbours() -> None:
    rows = normalise(np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32))
    found, _ = all_neighbours(rows, 4)
    sample = np.arange(0, 300, 3)
    cosines = np.sort(rows[sample] @ rows.T, axis=1)[:, -2:-6:-1]
    assert recall(rows, found, sample, cosines) == 1
    missed = found.copy()
    missed[:, 3] = -1
    assert recall(rows, missed, sample, cosines) == pytest.approx(0.75)
    near = np.minimum((cosines >= 0.8).sum(axis=1), 3).sum() / (cosines >= 0.8).sum()
    assert recall(rows, missed, sample, cosines, least=0.8) == pytest.approx(near)


@pytest.mark.parametrize("kind", FORESTS)
@pytest.mark.parametrize("points", [999, 1000])
def test_planted_trees_span_all_points_in_ascending_order(kind: str, points: int) -> None:
    sources, targets, distances = tree(kind, points, seed=1)
    assert len(sources) == points - 1
    assert (np.diff(distances) >= 0).all()
    component = np.arange(points)
    for source, target in zip(sources, targets, strict=True):
        assert component[source] != component[target]
        component[component == component[target]] = component[source]
    assert len(set(component.tolist())) == 1


def test_planted_vectors_are_unit_rows_with_copies_inside_clusters(tmp_path: Path) -> None:
    write_vectors(tmp_path, 2000, 16, seed=1, copies=True)
    vectors, truth = np.load(tmp_path / "vectors.npy"), np.load(tmp_path / "truth.npy")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    _, number = np.unique(vectors, axis=0, return_inverse=True)
    assert number.max() + 1 < 2000
    for group in np.flatnonzero(np.bincount(number) > 1):
        assert len(set(truth[number == group].tolist())) == 1
        assert truth[number == group][0] >= 0
    assert (truth < 0).mean() == pytest.approx(0.6, abs=0.1)
