"""The shortlist holds what one product with every exemplar would find, and says nothing of what it leaves out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.exemplars import ViewExemplars, least_cosines, nearest_by_campaign
from indexer.shortlist import LISTED, MANY_QUERIES, Shortlist, codes_of, lifted, lifted_queries
from indexer.vectors import FloatArray, normalise
from models.campaign import ViewThreshold
from models.view import View

CAMPAIGNS, EXEMPLARS, DIMENSION = 200, 16, 48


def drawn(dice: np.random.Generator, count: int, dimension: int = DIMENSION) -> FloatArray:
    return normalise(dice.standard_normal((count, dimension)).astype(np.float32))


def among(campaigns: int, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.isin(np.arange(campaigns), chosen)


def exemplars(vectors: FloatArray, owners: list[int], needed: dict[int, float]) -> ViewExemplars:
    thresholds = {place: ViewThreshold(View.WHOLE, value, 0.0, 10, 0.9) for place, value in needed.items()}
    rows = np.array(owners, np.int64)
    return ViewExemplars(View.WHOLE, vectors, rows, np.full(len(rows), -1), thresholds)


@pytest.fixture(scope="module")
def crowded() -> tuple[ViewExemplars, FloatArray]:
    """Campaigns of a few topics with thresholds of their own, and queries near them or near their topics only."""
    dice = np.random.default_rng(1)
    topics = drawn(dice, 20)
    middles = normalise(topics[dice.integers(0, 20, CAMPAIGNS)] + 0.8 * drawn(dice, CAMPAIGNS))
    owners = np.repeat(np.arange(CAMPAIGNS), EXEMPLARS)
    vectors = normalise(middles[owners] + 0.6 * drawn(dice, len(owners)))
    needed = {place: float(dice.uniform(0.4, 0.95)) for place in range(CAMPAIGNS)}
    near = middles[dice.integers(0, CAMPAIGNS, 150)] + 0.6 * drawn(dice, 150)
    queries = normalise(np.concatenate([near, topics[dice.integers(0, 20, 150)] + drawn(dice, 150)]))
    return exemplars(vectors, owners.tolist(), needed), queries


def test_what_is_reached_is_on_the_list(crowded: tuple[ViewExemplars, FloatArray]) -> None:
    known, queries = crowded
    short = Shortlist(known, CAMPAIGNS, codes_of(known, CAMPAIGNS, 0))
    every = nearest_by_campaign(queries, known.vectors, known.owners, CAMPAIGNS) - short.needed
    lists = np.stack([among(CAMPAIGNS, short.worth(query[None])) for query in queries])
    assert lists.sum(axis=1).mean() < CAMPAIGNS / 3  # or it would be no short list
    reached = every >= 0
    assert reached.sum() > 300
    assert (lists & reached).sum() == reached.sum()
    assert lists[np.arange(len(queries)), every.argmax(axis=1)].mean() >= 0.99


def test_the_cosines_of_the_list_are_exact_and_no_others_are_given(
    crowded: tuple[ViewExemplars, FloatArray],
) -> None:
    known, queries = crowded
    short = Shortlist(known, CAMPAIGNS, codes_of(known, CAMPAIGNS, 0))
    several = queries[:3]
    chosen = short.worth(several)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    expected = nearest_by_campaign(several, known.vectors, known.owners, CAMPAIGNS).max(axis=0)
    np.testing.assert_allclose(short.nearest(several, chosen), expected[chosen], atol=1e-6)


@pytest.mark.parametrize("exact_rows", [0, 10_000])
def test_of_few_exemplars_or_for_many_windows_the_list_is_exact(
    exact_rows: int, crowded: tuple[ViewExemplars, FloatArray]
) -> None:
    known, queries = crowded
    several = queries[:MANY_QUERIES] if exact_rows == 0 else queries[:1]
    short = Shortlist(known, CAMPAIGNS, codes_of(known, CAMPAIGNS, exact_rows))
    margin = nearest_by_campaign(several, known.vectors, known.owners, CAMPAIGNS).max(axis=0) - short.needed
    expected = (margin >= 0) | (margin >= np.sort(margin)[-LISTED])
    assert short.worth(several).tolist() == np.flatnonzero(expected).tolist()


def test_no_crowd_hides_a_campaign_that_is_reached() -> None:
    """Sixty campaigns sent what comes nearer to the prompt than the one that matters."""
    dice = np.random.default_rng(2)
    query = drawn(dice, 1)
    crowd = normalise(query + 0.1 * drawn(dice, 60 * 32))
    own = normalise(query + 1.2 * drawn(dice, 32))
    needed = dict.fromkeys(range(60), 0.5) | {60: float((own @ query.T).max()) - 0.02}
    known = exemplars(np.concatenate([crowd, own]), np.repeat(np.arange(61), 32).tolist(), needed)
    for exact_rows in (0, 10_000):
        assert Shortlist(known, 61, codes_of(known, 61, exact_rows)).worth(query).tolist() == list(range(61))


def test_nothing_to_compare() -> None:
    known = exemplars(np.eye(2, dtype=np.float32), [1, 1], {1: 0.5})
    none = np.zeros((0, 2), np.float32)
    short = Shortlist(known, 3)
    every = np.arange(3)
    assert short.worth(none).tolist() == []
    assert short.nearest(none, every).tolist() == [-1.0] * 3
    assert short.nearest(known.vectors[:1], every).tolist() == [-1.0, 1.0, -1.0]
    assert short.nearest(known.vectors[:1], every[:1]).tolist() == [-1.0]
    assert short.nearest(known.vectors[:1], every[:0]).tolist() == []
    assert Shortlist(exemplars(none, [], {}), 2).nearest(known.vectors, every[:2]).tolist() == [-1.0, -1.0]
    assert Shortlist(exemplars(none, [], {}), 2).worth(known.vectors).tolist() == []


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9999))
def test_an_inner_product_of_lifted_rows_is_half_the_margin(seed: int) -> None:
    dice = np.random.default_rng(seed)
    rows, queries = drawn(dice, 4, 6), drawn(dice, 3, 6)
    needed = dice.uniform(-1, 1, 4).astype(np.float32)
    one, other = lifted(rows, needed), lifted_queries(queries)
    np.testing.assert_allclose(other @ one.T, (queries @ rows.T - needed) / 2, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1, atol=1e-6)


def test_an_exemplar_whose_campaign_has_no_threshold_there_is_never_near() -> None:
    known = exemplars(np.eye(2, dtype=np.float32), [0, 1], {1: 0.5})
    short = Shortlist(known, 2, codes_of(known, 2, 0))
    assert short.needed.tolist() == least_cosines(known, 2).tolist() == [np.inf, 0.5]
    assert short.worth(np.eye(2, dtype=np.float32)[1:]).tolist() == [0, 1]


@pytest.mark.parametrize("exact_rows", [0, 10_000])
def test_a_shorter_list_holds_the_nearest_what_is_reached_and_the_nearest_of_those_asked_for(
    exact_rows: int, crowded: tuple[ViewExemplars, FloatArray]
) -> None:
    known, queries = crowded
    short = Shortlist(known, CAMPAIGNS, codes_of(known, CAMPAIGNS, exact_rows))
    also = np.arange(CAMPAIGNS) % 7 == 0
    same = 0
    for query in queries:
        margin = nearest_by_campaign(query[None], known.vectors, known.owners, CAMPAIGNS)[0] - short.needed
        expected = (margin >= 0) | (margin >= np.sort(margin)[-3])
        expected[np.where(also, margin, -np.inf).argmax()] = True
        same += short.worth(query[None], 3, also).tolist() == np.flatnonzero(expected).tolist()
    assert same == len(queries) if exact_rows else same >= 0.97 * len(queries)  # codes tell about how near


def test_a_few_near_campaigns_of_many_exemplars_do_not_shorten_the_list() -> None:
    """Hits are exemplars; a list is of campaigns, and as long as was asked for."""
    dice = np.random.default_rng(3)
    query = drawn(dice, 1)
    near = normalise(query + 0.5 * drawn(dice, 40 * 32))
    far = drawn(dice, 100)
    needed = dict.fromkeys(range(140), 0.999)
    known = exemplars(
        np.concatenate([near, far]), [*np.repeat(np.arange(40), 32).tolist(), *range(40, 140)], needed
    )
    for exact_rows in (0, 10_000):
        chosen = Shortlist(known, 140, codes_of(known, 140, exact_rows)).worth(query, 50)
        assert len(chosen) == 50
        assert set(range(40)) <= set(chosen.tolist())


@pytest.mark.parametrize("exact_rows", [0, 10_000])
def test_the_nearest_of_those_asked_for_is_found_behind_any_crowd(exact_rows: int) -> None:
    """Sixty watched campaigns lie nearer; the margin to the nearest alarmed one must not depend on them."""
    dice = np.random.default_rng(4)
    query = drawn(dice, 1)
    near = normalise(query + 0.3 * drawn(dice, 60 * 32))
    needed = dict.fromkeys(range(62), 0.99)
    known = exemplars(np.concatenate([near, drawn(dice, 64)]), np.repeat(np.arange(62), 32).tolist(), needed)
    also = np.arange(62) >= 60
    expected = int(nearest_by_campaign(query, known.vectors, known.owners, 62)[0, 60:].argmax()) + 60
    short = Shortlist(known, 62, codes_of(known, 62, exact_rows))
    chosen = short.worth(query, 3, also)
    assert [each for each in chosen.tolist() if also[each]] == [expected]
    assert len(chosen) == 4
    assert len(short.worth(query, 3, np.zeros(62, bool))) == 3
