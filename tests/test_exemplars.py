"""What stands for a campaign covers it, and its threshold is the one the formula gives by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.exemplars import (
    FALSE_POSITIVE_RATE,
    ViewExemplars,
    choose_exemplars,
    least_cosines,
    margins,
    nearest_by_campaign,
    own_similarities,
    threshold,
)
from indexer.vectors import FloatArray, normalise
from models.campaign import ViewThreshold
from models.view import View

NO_VECTORS = np.zeros((0, 2), np.float32)
NO_ROWS = np.zeros(0, np.int64)


def unit_rows(count: int, dimension: int, seed: int) -> FloatArray:
    return normalise(np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32))


def at_angles(*degrees: float) -> FloatArray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def cosines(*values: float) -> FloatArray:
    return np.array(values, np.float32)


def test_the_first_exemplar_is_the_most_central_and_the_next_the_farthest() -> None:
    points = at_angles(0, 40, 50, 55, 130)
    assert choose_exemplars(points, 3).tolist() == [2, 4, 0]
    assert choose_exemplars(points, 1).tolist() == [2]


def test_exemplars_cover_every_group_of_points() -> None:
    middles = unit_rows(12, 32, seed=1)
    noise = np.random.default_rng(2).standard_normal((600, 32)).astype(np.float32) * 0.01
    points = normalise(middles[np.arange(600) % 12] + noise)
    chosen = choose_exemplars(points, 32)
    assert sorted(chosen % 12) == list(range(12))  # one for each, though 32 were allowed
    assert float((points @ points[chosen].T).max(axis=1).min()) > 0.95


def test_equal_points_need_one_exemplar() -> None:
    assert choose_exemplars(np.repeat(at_angles(30), 100, axis=0), 32).tolist() == [0]
    assert choose_exemplars(at_angles(30), 32).tolist() == [0]


def test_the_outermost_two_per_cent_never_stand_for_a_group() -> None:
    points = np.concatenate([at_angles(*np.linspace(0, 20, 99)), at_angles(180)])
    assert 99 not in choose_exemplars(points, 32)


def test_exemplars_of_a_group_larger_than_the_sample() -> None:
    points = unit_rows(2500, 8, seed=3)
    chosen = choose_exemplars(points, 20)
    assert len(set(chosen.tolist())) == 20
    assert chosen.max() < 2500


def test_nearest_by_campaign_equals_a_loop_over_all_pairs() -> None:
    queries, vectors = unit_rows(50, 6, seed=4), unit_rows(9, 6, seed=5)
    owners = np.array([0, 0, 0, 2, 3, 3, 3, 3, 5])
    near = nearest_by_campaign(queries, vectors, owners, 7)
    for row, campaign in np.ndindex(50, 7):
        mine = [float(queries[row] @ vectors[place]) for place in range(9) if owners[place] == campaign]
        assert near[row, campaign] == pytest.approx(max(mine, default=-1.0), abs=1e-6)


def test_nearest_by_campaign_over_several_blocks() -> None:
    queries, vectors = unit_rows(4100, 3, seed=6), unit_rows(4, 3, seed=7)
    near = nearest_by_campaign(queries, vectors, np.array([0, 1, 1, 2]), 3)
    every = queries @ vectors.T
    expected = np.stack([every[:, 0], every[:, 1:3].max(axis=1), every[:, 3]], axis=1)
    np.testing.assert_allclose(near, expected, atol=1e-6)


def test_without_exemplars_or_queries() -> None:
    assert nearest_by_campaign(at_angles(0), NO_VECTORS, NO_ROWS, 2).tolist() == [[-1.0, -1.0]]
    assert nearest_by_campaign(NO_VECTORS, at_angles(0), np.array([0]), 2).shape == (0, 2)


def test_a_cosine_never_exceeds_one() -> None:
    long = np.array([[1.001, 0.0]], np.float32)
    assert nearest_by_campaign(long, long, np.array([0]), 1).tolist() == [[1.0]]


def test_with_a_gap_the_threshold_lies_half_way() -> None:
    own, background = cosines(*[0.9] * 20), cosines(*np.linspace(0.0, 0.5, 500))
    found = threshold(View.WHOLE, own, background, floor=0.1)
    assert found.threshold == pytest.approx((0.5 + 0.9) / 2, abs=1e-6)
    assert (found.view, found.background, found.background_size) == (View.WHOLE, 0.5, 500)
    assert found.typical == pytest.approx(0.9, abs=1e-6)


def test_typical_is_what_95_per_cent_of_its_own_reach() -> None:
    own = cosines(*np.linspace(0.0, 1.0, 101))
    assert threshold(View.WHOLE, own, cosines(), -1.0).typical == pytest.approx(0.05, abs=1e-6)


def test_the_false_positive_rate_allows_for_outliers_in_a_large_background() -> None:
    background = np.full(5000, 0.2, np.float32)
    background[:4] = 0.99  # fewer than one in a thousand
    found = threshold(View.RECURRING, cosines(0.8, 0.8), background, floor=0.0)
    assert found.threshold == pytest.approx((0.2 + 0.8) / 2, abs=1e-6)
    assert found.background == pytest.approx(0.99)


def test_where_they_overlap_no_more_background_passes_than_promised() -> None:
    background = np.sort(np.random.default_rng(8).uniform(0, 0.95, 4000).astype(np.float32))
    found = threshold(View.WHOLE, cosines(0.3, 0.4, 0.6), background, floor=0.0)
    assert float((background >= np.float32(found.threshold)).mean()) <= FALSE_POSITIVE_RATE
    assert found.threshold == pytest.approx(float(background[-4]) + 1e-3, abs=1e-6)  # a step above the background


def test_the_floor_and_the_ceiling_of_a_threshold() -> None:
    assert threshold(View.WHOLE, cosines(0.9), cosines(0.1), floor=0.8).threshold == pytest.approx(0.8)
    assert threshold(View.WHOLE, cosines(0.5), cosines(1.0), floor=0.8).threshold == 0.9999


def test_without_a_background_the_floor_decides() -> None:
    found = threshold(View.SYSTEM, cosines(0.9, 0.9), cosines(), floor=0.7)
    assert found == ViewThreshold(View.SYSTEM, 0.7, -1.0, 0, found.typical, found.own)


def test_own_similarity_leaves_the_point_itself_out() -> None:
    points = at_angles(0, 10, 30, 90)
    own = own_similarities(points, np.array([0, 3]))
    expected = [np.cos(np.radians(angle)) for angle in (90, 10, 30, 90)]
    np.testing.assert_allclose(own, expected, atol=1e-6)


def test_a_lone_exemplar_is_as_typical_as_the_best_of_the_rest() -> None:
    points = at_angles(0, 10, 30)
    own = own_similarities(points, np.array([0]))
    np.testing.assert_allclose(own, np.cos(np.radians([10, 10, 30])), atol=1e-6)
    assert own_similarities(at_angles(0), np.array([0])).tolist() == [1.0]


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
def test_own_similarities_equal_a_loop(count: int, limit: int, seed: int) -> None:
    points = unit_rows(count, 3, seed)
    exemplars = choose_exemplars(points, limit)
    own = own_similarities(points, exemplars)
    for row in range(count):
        others = [float(points[row] @ points[place]) for place in exemplars if place != row]
        if others:
            assert own[row] == pytest.approx(max(others), abs=1e-6)


def exemplars_of(view: View, **thresholds: float) -> ViewExemplars:
    by_campaign = {int(name[1:]): ViewThreshold(view, value, 0.0, 10, 0.9) for name, value in thresholds.items()}
    return ViewExemplars(view, NO_VECTORS, NO_ROWS, NO_ROWS, by_campaign)


def test_the_best_margin_over_the_views_and_the_view_that_gave_it() -> None:
    views = [exemplars_of(View.RECURRING, c0=0.5, c1=0.75), exemplars_of(View.WHOLE, c0=0.25)]
    near = [
        np.array([[0.75, 0.5, 1.0], [-1.0, -1.0, -1.0], [0.5, 1.0, 1.0]], np.float32),
        np.array([[0.375, 1.0, 1.0], [0.5, 1.0, 1.0], [-1.0, -1.0, 1.0]], np.float32),
    ]
    best, view = margins(near, [least_cosines(each, 3) for each in views], 3, 3)
    assert best.tolist() == [[0.25, -0.25, -2.0], [0.25, -2.0, -2.0], [0.0, 0.25, -2.0]]
    assert view.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_margins_without_views() -> None:
    best, view = margins([], [], 3, 2)
    assert best.tolist() == [[-2.0, -2.0]] * 3
    assert view.shape == (3, 2)


def test_a_campaign_without_a_threshold_can_be_reached_by_nothing() -> None:
    assert least_cosines(exemplars_of(View.WHOLE, c1=0.25), 3).tolist() == [np.inf, 0.25, np.inf]


def margins_by_loop(
    nearest: list[FloatArray], views: list[ViewExemplars], rows: int, campaigns: int
) -> tuple[FloatArray, FloatArray]:
    best, view = np.full((rows, campaigns), -2.0, np.float32), np.zeros((rows, campaigns), np.int64)
    for row, campaign in np.ndindex(rows, campaigns):
        for place, each in enumerate(views):
            cosine = nearest[place][row, campaign]
            if campaign in each.thresholds and cosine > -1:
                margin = cosine - np.float32(each.thresholds[campaign].threshold)
                if margin > best[row, campaign]:
                    best[row, campaign], view[row, campaign] = margin, place
    return best, view


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4), st.integers(1, 5), st.integers(0, 999))
def test_margins_equal_a_loop(rows: int, campaigns: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    names = [[f"c{number}" for number in range(campaigns) if dice.random() < 0.7] for _ in range(3)]
    views = [
        exemplars_of(view, **{name: float(dice.uniform(-1, 1)) for name in chosen})
        for view, chosen in zip((View.WHOLE, View.RECURRING, View.SYSTEM), names, strict=True)
    ]
    near = [np.round(dice.uniform(-1, 1, (rows, campaigns)), 1).astype(np.float32) for _ in views]
    found = margins(near, [least_cosines(each, campaigns) for each in views], rows, campaigns)
    for one, other in zip(found, margins_by_loop(near, views, rows, campaigns), strict=True):
        assert one.tolist() == other.tolist()
