"""Prompts that a match would assign, against a loop over all pairs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.cells import cells_of
from indexer.cluster import NOISE
from indexer.exemplars import ViewExemplars
from indexer.groups import UNGROUPED, Groups
from indexer.halves import Halves
from indexer.thresholds import NEAR_MARGIN, Reach, ViewVectors, best_margins, extended, near_misses, reach_of
from indexer.vectors import FloatArray, normalise
from indexer.views import ViewTexts
from models.campaign import ViewThreshold
from models.view import View

IntArray = NDArray[np.int64]

PROMPTS = 60
CAMPAIGNS = 5


def vectors_of(rng: np.random.Generator, count: int) -> FloatArray:
    return normalise(rng.normal(size=(count, 6)).astype(np.float32))


def view_of(rng: np.random.Generator, view: View, texts: int) -> ViewVectors:
    """A view that shows most prompts, some of them with two texts."""
    prompts = np.sort(rng.choice(PROMPTS, PROMPTS, replace=True)).astype(np.int64)
    points = rng.integers(texts, size=PROMPTS)
    names = tuple(f"text {number}" for number in range(texts))
    shown = ViewTexts(view, names, prompts, points, np.ones(texts, np.int64))
    rows = Halves(vectors_of(rng, texts).astype(np.float16), np.arange(texts))
    return ViewVectors(shown, rows, rng.integers(-1, 2, size=texts), rng.random(texts) < 0.2)


def exemplars_of(rng: np.random.Generator, view: View, owners: list[int]) -> ViewExemplars:
    needed = {
        owner: ViewThreshold(view, float(rng.uniform(0.3, 0.8)), 0.0, 10, 0.9, ()) for owner in sorted(set(owners))
    }
    return ViewExemplars(
        view, vectors_of(rng, len(owners)), np.array(owners, np.int64), np.arange(len(owners)), needed
    )


def by_loops(views: list[ViewVectors], groups: Groups, exemplars: list[ViewExemplars]) -> list[int]:
    """Campaign of each prompt, slowly."""
    found = groups.of_prompt.tolist()
    for prompt in np.flatnonzero(groups.of_prompt == UNGROUPED).tolist():
        best: tuple[float, int] = (-1.0, UNGROUPED)
        for view, each in zip(views, exemplars, strict=True):
            if view.texts.view is View.WHOLE:
                continue
            for point in view.texts.points[view.texts.prompts == prompt]:
                if view.alone[point] and view.labels[point] == NOISE:
                    continue
                for exemplar, owner in zip(each.vectors, each.owners.tolist(), strict=True):
                    margin = (
                        float(view.vectors[np.array([point])][0] @ exemplar) - each.thresholds[owner].threshold
                    )
                    if (margin, -owner) > (best[0], -best[1]) and margin >= 0:
                        best = (margin, owner)
        found[prompt] = best[1]
    return found


@pytest.mark.parametrize("seed", range(8))
def test_prompts_that_a_match_would_assign_are_taken_in(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = (View.RECURRING, View.SYSTEM, View.WHOLE)
    views = [view_of(rng, view, 25) for view in kinds]
    exemplars = [
        exemplars_of(rng, View.RECURRING, [0, 0, 1, 3, 3, 3]),
        exemplars_of(rng, View.SYSTEM, [1, 2, 2]),
        exemplars_of(rng, View.WHOLE, [4, 4]),
    ]
    of_prompt = np.where(rng.random(PROMPTS) < 0.3, rng.integers(CAMPAIGNS, size=PROMPTS), UNGROUPED)
    groups = Groups(of_prompt, ((View.RECURRING,),) * CAMPAIGNS, np.where(of_prompt == UNGROUPED, UNGROUPED, 0))
    found = extended(groups, reach_of(views, groups, exemplars))
    assert found.of_prompt.tolist() == by_loops(views, groups, exemplars)
    assert (found.of_prompt != of_prompt).sum() >= 3
    assert ((found.strand == UNGROUPED) == (found.of_prompt == UNGROUPED)).all()
    assert found.views == groups.views


def test_near_misses_are_those_just_below_a_threshold() -> None:
    margin = np.array([-0.01, 0.0, -0.2, -0.149, -np.inf, -0.03, -0.03], np.float32)
    reach = Reach(margin, np.array([2, 0, 0, 0, UNGROUPED, 2, 0]))
    assert near_misses(reach).tolist() == [6, 3, 0, 5]
    assert NEAR_MARGIN == 0.15


def test_without_campaigns_nothing_is_taken_in() -> None:
    rng = np.random.default_rng(0)
    views = [view_of(rng, View.RECURRING, 5)]
    none = Groups(np.full(PROMPTS, UNGROUPED), (), np.full(PROMPTS, UNGROUPED))
    found = extended(none, reach_of(views, none, [exemplars_of(rng, View.RECURRING, [])]))
    assert (found.of_prompt == UNGROUPED).all()


def test_in_cells_what_is_reached_is_found_and_nothing_else() -> None:
    """Where there are many texts, an exemplar looks for points in the cells near to it."""
    rng = np.random.default_rng(5)
    middles = normalise(rng.normal(size=(60, 32)).astype(np.float32))
    vectors = normalise(
        middles[rng.integers(60, size=9000)] + 0.08 * rng.normal(size=(9000, 32)).astype(np.float32)
    )
    rows = Halves(vectors.astype(np.float16), np.arange(9000))
    owners = np.repeat(np.arange(40), 5)
    needed = {owner: ViewThreshold(View.RECURRING, 0.75, 0.0, 10, 0.9, ()) for owner in range(40)}
    chosen = normalise(middles[owners] + 0.05 * rng.normal(size=(200, 32)).astype(np.float32))
    exemplars = ViewExemplars(View.RECURRING, chosen, owners, np.arange(200), needed)
    points = np.sort(rng.choice(9000, 5000, replace=False))
    exact, group = best_margins(rows, points, exemplars, 40)
    near, group_near = best_margins(rows, points, exemplars, 40, cells_of(rows, 4))
    reached = exact >= 0
    assert 2000 < np.count_nonzero(reached) < 4500
    assert np.mean(group[reached] == group_near[reached]) > 0.999
    np.testing.assert_allclose(near[near >= 0], exact[near >= 0], atol=1e-6)
    assert not (near[~reached] >= 0).any()
