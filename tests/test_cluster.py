"""Weighted HDBSCAN on a neighbour graph, against the `hdbscan` package's own fit."""

import os

import numpy as np
import pytest
from hdbscan import HDBSCAN
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from indexer.cluster import NOISE, cluster
from indexer.encode import load_encoder
from indexer.graph import chord
from indexer.sample import Text, Texts, load_texts
from indexer.settings import load_settings
from indexer.vectors import FloatArray, normalise
from models.text import canonical

IntArray = NDArray[np.int64]

LEADING_AXES = 64  # of the static tier, which orders its axes by variance: all pairs of 2,000 points in seconds
UNCUT = 2.0
ORDERS = 40


@pytest.fixture(scope="module")
def texts() -> Texts:
    return load_texts()


def vectors_of(texts: list[str], axes: int = LEADING_AXES) -> FloatArray:
    encoder = load_encoder("static", load_settings(None, os.environ).weights)
    return normalise(np.ascontiguousarray(encoder.encode(texts)[:, :axes]))


def some(texts: tuple[Text, ...], count: int, seed: int) -> list[str]:
    chosen = np.random.default_rng(seed).choice(len(texts), count, replace=False)
    return [canonical(texts[int(place)].text) for place in chosen]


def ones(vectors: FloatArray) -> IntArray:
    return np.ones(len(vectors), np.int64)


def blobs(seed: int, sizes: list[int], noise: int = 0, dimension: int = 16, spread: float = 0.05) -> FloatArray:
    """Distinct points round as many random centres as there are sizes, then points anywhere."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(normalise(rng.normal(size=(len(sizes), dimension)).astype(np.float32)), sizes, axis=0)
    inside = centres + spread * rng.normal(size=centres.shape)
    return normalise(np.concatenate([inside, rng.normal(size=(noise, dimension))]).astype(np.float32))


def with_all_neighbours(
    vectors: FloatArray,
    weights: IntArray,
    min_cluster_size: int = 10,
    min_samples: int = 5,
    ceiling: float = UNCUT,
) -> IntArray:
    return cluster(
        vectors,
        weights,
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        neighbours=max(1, len(vectors) - 1),
        ceiling=ceiling,
    )


def as_shipped(vectors: FloatArray, weights: IntArray | None = None, ceiling: float = chord(0.7)) -> IntArray:
    return cluster(
        vectors,
        ones(vectors) if weights is None else weights,
        min_cluster_size=10,
        min_samples=5,
        neighbours=16,
        ceiling=ceiling,
    )


def package(vectors: FloatArray) -> IntArray:
    """Labels of the package's own fit, in double precision over all pairs."""
    found: IntArray = HDBSCAN(min_cluster_size=10, min_samples=5).fit(vectors.astype(np.float64)).labels_
    return found


@pytest.mark.parametrize(("seed", "wrapped", "background"), [(0, 480, 500), (1, 720, 1200), (3, 720, 1200)])
def test_real_texts_cluster_as_the_hdbscan_package_has_them(
    texts: Texts, seed: int, wrapped: int, background: int
) -> None:
    """Not 1.0: mutual-reachability distances tie by construction (all edges within a core distance are equal),
    and which of two equal edges comes first decides on which side of a split a point is. The package agrees
    with its own fit of the same rows in another order no better (0.993 to 0.998 on these).
    """
    templates, payloads = some(texts.templates, 12, seed), some(texts.payloads, wrapped, seed)
    prompts = [f"{templates[number % 12]} {payload}" for number, payload in enumerate(payloads)]
    vectors = np.unique(vectors_of(sorted({*prompts, *some(texts.background, background, seed)})), axis=0)
    assert len(vectors) > 0.95 * (wrapped + background)
    oracle, labels = package(vectors), with_all_neighbours(vectors, ones(vectors))
    assert oracle.max() + 1 >= 6
    assert adjusted_rand_score(oracle, labels) >= 0.99  # noise counts as one more cluster
    assert np.mean(labels == NOISE) == pytest.approx(np.mean(oracle == NOISE), abs=0.005)


@pytest.mark.parametrize("seed", range(5))
def test_weighted_points_cluster_as_the_data_written_out(seed: int) -> None:
    """The same points several times over are ties without end. The order of the rows decides them, and the last
    digits of a product, which differ between processors: the package agrees with itself in another order as little
    as 0.966. So some order of the rows has to give what we give.
    """
    vectors = blobs(seed, [25, 40, 12, 30], noise=40)
    weights = np.random.default_rng(seed).integers(1, 5, size=len(vectors))
    owners = np.repeat(np.arange(len(vectors)), weights)
    weighted = with_all_neighbours(vectors, weights)[owners]
    expanded = with_all_neighbours(vectors[owners], np.ones(len(owners), np.int64))
    assert weighted.max() + 1 >= 4
    assert adjusted_rand_score(expanded, weighted) == 1.0
    rows = np.random.default_rng(seed)
    orders = [rows.permutation(len(owners)) for _ in range(ORDERS)]
    assert max(adjusted_rand_score(package(vectors[owners[each]]), weighted[each]) for each in orders) >= 0.995


def test_weight_alone_can_make_a_cluster_or_not() -> None:
    vectors = blobs(1, [1, 1, 3], spread=0.02)
    weights = np.array([10, 9, 4, 3, 3])
    assert as_shipped(vectors, weights).tolist() == [0, NOISE, 1, 1, 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_rows_does_not_change_the_partition(seed: int) -> None:
    vectors = blobs(seed, [30, 50, 15], noise=60)
    shuffle = np.random.default_rng(seed).permutation(len(vectors))
    assert adjusted_rand_score(as_shipped(vectors)[shuffle], as_shipped(vectors[shuffle])) == 1.0


def test_numbers_follow_the_order_of_the_rows() -> None:
    vectors = blobs(2, [20, 20, 20])
    expected = np.repeat([0, 1, 2], 20)
    np.testing.assert_array_equal(as_shipped(vectors), expected)
    np.testing.assert_array_equal(as_shipped(vectors[::-1]), expected)


def test_no_points_one_point_two_points() -> None:
    vectors = blobs(3, [2])
    assert as_shipped(vectors[:0]).tolist() == []
    assert as_shipped(vectors[:1]).tolist() == [NOISE]
    assert as_shipped(vectors).tolist() == [NOISE, NOISE]
    assert as_shipped(vectors[:1], np.array([10])).tolist() == [0]
    assert as_shipped(vectors, np.array([6, 6])).tolist() == [0, 0]


@pytest.mark.parametrize(("count", "label"), [(9, NOISE), (10, 0), (40, 0)])
def test_identical_points_are_one_cluster_if_there_are_enough(count: int, label: int) -> None:
    assert as_shipped(np.repeat(blobs(4, [1]), count, axis=0)).tolist() == [label] * count


@pytest.mark.parametrize("count", [10, 12, 60, 300])
def test_a_single_group_is_found_under_a_ceiling(count: int) -> None:
    """HDBSCAN by itself never calls all points one cluster, and a world may hold just one campaign."""
    vectors = blobs(5, [count])
    assert as_shipped(vectors).tolist() == [0] * count
    assert with_all_neighbours(vectors, ones(vectors)).tolist() == [NOISE] * count


def test_a_single_group_among_strangers_is_found_under_a_ceiling() -> None:
    assert as_shipped(blobs(6, [40], noise=100)).tolist() == [0] * 40 + [NOISE] * 100


def test_a_tree_too_light_for_a_cluster_is_noise() -> None:
    assert as_shipped(blobs(7, [9, 30, 8])).tolist() == [NOISE] * 9 + [0] * 30 + [NOISE] * 8


def test_unrelated_real_prompts_are_all_noise_under_a_ceiling(texts: Texts) -> None:
    vectors = np.unique(vectors_of(some(texts.background, 3000, 0), axes=256), axis=0)
    assert set(as_shipped(vectors, ceiling=chord(0.85)).tolist()) == {NOISE}


def test_two_real_templates_never_merge(texts: Texts) -> None:
    # Long enough to outweigh their payload, as the templates of campaigns are.
    long = [template for template in some(texts.templates, 400, 1) if 300 < len(template) < 900][:12]
    payloads = [payload for payload in some(texts.payloads, 2000, 1) if len(payload) < 250][:480]
    owner = np.arange(480) % 12
    wrapped = [f"{long[number % 12]} {payload}" for number, payload in enumerate(payloads)]
    labels = as_shipped(vectors_of(wrapped, axes=256), ceiling=chord(0.85))
    assert labels.max() + 1 >= 10
    for number in range(labels.max() + 1):
        assert len(set(owner[labels == number].tolist())) == 1
