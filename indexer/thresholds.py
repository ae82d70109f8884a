"""Exemplars and thresholds of all groups, and what background prompts reach: what a match is decided by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.cells import Cells, nearest_cells, rows_by_cell
from indexer.cluster import NOISE
from indexer.compiled import compiled
from indexer.exemplars import (
    ViewExemplars,
    choose_exemplars,
    least_cosines,
    margins,
    nearest_by_campaign,
    own_similarities,
    threshold,
)
from indexer.groups import UNGROUPED, Groups
from indexer.halves import Halves
from indexer.lanes import LANES, each_in_lanes
from indexer.settings import Detection
from indexer.spacing import spaced
from indexer.threads import one_thread_a_product
from indexer.vectors import FloatArray, UnitRows
from indexer.views import ViewTexts
from models.view import View

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NEAR_MARGIN: Final = 0.15
_VISITED: Final = 64  # cells that an exemplar's points may lie in
_BLOCK_ROWS: Final = 256  # of which the products with all exemplars fit into a cache of a few MiB


@dataclass(frozen=True, slots=True)
class ViewVectors:
    """A view with the vectors of its texts (p, d) and their cluster numbers (p,). alone: (p,) bool, nothing else
    is within the view's ceiling. cells: of the texts, where there are many.
    """

    texts: ViewTexts
    vectors: Halves
    labels: IntArray
    alone: NDArray[np.bool_]
    cells: Cells | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Of each prompt, the greatest margin (cosine minus threshold) to any group, minus infinity where it was held
    against none, and that group, UNGROUPED for none: both (prompts,).
    """

    margin: FloatArray
    group: IntArray


def group_exemplars(
    views: Sequence[ViewVectors],
    groups: Groups,
    ceilings: Mapping[View, float],
    detection: Detection,
) -> list[ViewExemplars]:
    """Exemplars and thresholds of every group in every view that found it."""
    sample = _sample(_half(np.flatnonzero(groups.of_prompt == UNGROUPED), 0), detection.background)
    complete: list[ViewExemplars] = []
    for each in views:
        view = each.texts.view
        chosen = _chosen(each, groups, detection.exemplars)
        exemplars = _view_exemplars(each, chosen)
        near = _nearest(each, exemplars, sample, len(groups))
        thresholds = {
            group: threshold(view, own_similarities(each.vectors.at(points), rows), near[:, group], ceilings[view])
            for group, (points, rows) in chosen.items()
        }
        complete.append(replace(exemplars, thresholds=thresholds))
    return complete


def _chosen(view: ViewVectors, groups: Groups, limit: int) -> dict[int, tuple[IntArray, IntArray]]:
    """For each group that the view found: its points there, and which of them are exemplars."""
    texts = view.texts
    group = groups.of_prompt[texts.prompts]
    relevant = (group != UNGROUPED) & (view.labels[texts.points] != NOISE)
    members = np.unique(group[relevant] * len(texts.texts) + texts.points[relevant])
    owner, point = np.divmod(members, len(texts.texts)) if len(texts.texts) else (members, members)
    numbers, starts = np.unique(owner, return_index=True)
    seen = [(int(number), points) for number, points in zip(numbers, np.split(point, starts[1:]), strict=False)]
    return {
        number: (points, choose_exemplars(view.vectors.at(points), limit))
        for number, points in seen
        if texts.view in groups.views[number]
    }


def _view_exemplars(view: ViewVectors, chosen: Mapping[int, tuple[IntArray, IntArray]]) -> ViewExemplars:
    """Exemplars without thresholds."""
    sources = [points[rows] for points, rows in chosen.values()]
    owners = [np.full(len(rows), group, np.int64) for group, (_, rows) in chosen.items()]
    none = np.zeros(0, np.int64)
    places = np.concatenate([none, *sources])
    return ViewExemplars(view.texts.view, view.vectors[places], np.concatenate([none, *owners]), places, {})


def _sample(rows: IntArray, size: int) -> IntArray:
    """At most `size` of the rows, evenly spaced."""
    return rows[spaced(len(rows), size)]


def _nearest(view: ViewVectors, exemplars: ViewExemplars, prompts: IntArray, groups: int) -> FloatArray:
    """Greatest cosine of each prompt to each group over all its texts in the view, (prompts, groups)."""
    texts = view.texts
    place = np.full(int(texts.prompts.max(initial=-1)) + 1, -1, np.int64)
    inside = prompts[prompts < len(place)]
    place[inside] = np.flatnonzero(prompts < len(place))
    rows = np.flatnonzero(place[texts.prompts] >= 0)
    near = nearest_by_campaign(view.vectors[texts.points[rows]], exemplars.vectors, exemplars.owners, groups)
    best = np.full((len(prompts), groups), -1.0, np.float32)
    shown, starts = np.unique(place[texts.prompts[rows]], return_index=True)  # rows are ordered by prompt
    best[shown] = np.maximum.reduceat(near, starts, axis=0) if len(starts) else best[shown]
    return best


def _all_margins(
    views: Sequence[ViewVectors], exemplars: Sequence[ViewExemplars], prompts: IntArray, groups: int
) -> FloatArray:
    near = [_nearest(view, each, prompts, groups) for view, each in zip(views, exemplars, strict=True)]
    needed = [least_cosines(each, groups) for each in exemplars]
    return margins(near, needed, len(prompts), groups)[0]


def reach_of(views: Sequence[ViewVectors], groups: Groups, exemplars: Sequence[ViewExemplars]) -> Reach:
    """How near prompts outside of all groups come to one, over the views of recurring text. No threshold is below
    the view's ceiling, so noise that is alone matches none and is not compared.
    """
    free = groups.of_prompt == UNGROUPED
    margin = np.full(len(free), -np.inf, np.float32)
    nearest = np.full(len(free), UNGROUPED, np.int64)
    for view, each in zip(views, exemplars, strict=True):
        if view.texts.view is View.WHOLE or not each.thresholds:
            continue
        texts = view.texts
        strange = view.alone & (view.labels == NOISE)
        rows = np.flatnonzero(free[texts.prompts] & ~strange[texts.points])
        points, place = np.unique(texts.points[rows], return_inverse=True)
        best, group = best_margins(view.vectors, points, each, len(groups), view.cells)
        order = np.lexsort((group[place], -best[place], texts.prompts[rows]))
        prompts, first = np.unique(texts.prompts[rows][order], return_index=True)
        best, group = best[place][order][first], group[place][order][first]
        nearer = (best > margin[prompts]) | ((best == margin[prompts]) & (group < nearest[prompts]))
        margin[prompts[nearer]], nearest[prompts[nearer]] = best[nearer], group[nearer]
    return Reach(margin, nearest)


def near_misses(reach: Reach) -> IntArray:
    """Prompts that just miss a group: those within NEAR_MARGIN below its threshold, in the order of the groups, of
    each the nearest first.
    """
    near = np.flatnonzero((reach.margin < 0) & (reach.margin >= -NEAR_MARGIN))
    found: IntArray = near[np.lexsort((near, -reach.margin[near], reach.group[near]))]
    return found


def extended(groups: Groups, reach: Reach) -> Groups:
    """Groups with the prompts that HDBSCAN called noise but that a match would assign; so what is stored
    and what a gateway is told agree (but for the odd prompt where texts are many, see `best_margins`).
    """
    joined = reach.margin >= 0
    return replace(
        groups,
        of_prompt=np.where(joined, reach.group, groups.of_prompt),
        strand=np.where(joined, 0, groups.strand),
    )


def best_margins(
    vectors: UnitRows, points: IntArray, exemplars: ViewExemplars, campaigns: int, cells: Cells | None = None
) -> tuple[FloatArray, IntArray]:
    """Of each point, the greatest margin (cosine minus threshold) to any campaign in the view and the number of
    that campaign, the smallest of equals: both (len(points),); minus infinity and UNGROUPED where it was compared
    with none.

    Every point is compared with every exemplar. With the cells of all rows of the view, it is compared with those
    exemplars that have its cell among the _VISITED nearest: hardly one that a point reaches is missed, and a
    hundred thousand exemplars are not held against each of a million points.
    """
    needed = least_cosines(exemplars, campaigns)[exemplars.owners]
    best = np.full(len(points), -np.inf, np.float32)
    group = np.full(len(points), UNGROUPED, np.int64)
    if cells is None:
        halves = np.array_split(np.arange(len(points)), LANES)
        pairs = [(mine, np.arange(len(needed))) for mine in halves]
    else:
        near = nearest_cells(exemplars.vectors, cells.middles, min(_VISITED, len(cells)))
        inside = rows_by_cell(cells.home[points][:, None], len(cells))
        pairs = list(zip(inside, rows_by_cell(near, len(cells)), strict=True))

    def compare(pair: tuple[IntArray, IntArray]) -> None:
        mine, others = pair
        reached = exemplars.vectors[others]
        for start in range(0, len(mine), _BLOCK_ROWS):
            block = mine[start : start + _BLOCK_ROWS]
            products = vectors[points[block]] @ reached.T
            _keep_best(products, block, needed[others], exemplars.owners[others], best, group)

    with one_thread_a_product():
        each_in_lanes([pair for pair in pairs if len(pair[0]) and len(pair[1])], compare)
    return best, group


@compiled
def _keep_best(
    products: FloatArray,
    mine: IntArray,
    needed: FloatArray,
    owners: IntArray,
    best: FloatArray,
    group: IntArray,
) -> None:
    """Greatest product minus `needed` of the rows `mine`, and its owner. owners ascend."""
    for at in range(len(mine)):
        row = mine[at]
        for place in range(len(needed)):
            margin = min(products[at, place], np.float32(1)) - needed[place]
            if margin > best[row] or (margin == best[row] and owners[place] < group[row]):
                best[row] = margin
                group[row] = owners[place]


def background_margins(
    views: Sequence[ViewVectors],
    clustered: Groups,
    exemplars: Sequence[ViewExemplars],
    alarmed: BoolArray,
    senders: IntArray,
    size: int,
) -> FloatArray:
    """Greatest margin of each background prompt to any alarmed group, ascending; -2 where there is none.

    Background is what clustering put into no alarmed group, watched groups included: of the half of the prompts
    that no threshold was set on, one of each sender, at most `size`. senders: (prompts,) a unit that sent it.
    `clustered` is as it was before `extended`: that takes every prompt that would match out of the background,
    and a rank among the rest would say nothing.
    """
    inside = np.append(alarmed, False)[clustered.of_prompt]  # UNGROUPED, -1, reads the appended False
    rows = _half(np.flatnonzero(~inside), 1)
    sample = _sample(np.sort(rows[np.unique(senders[rows], return_index=True)[1]]), size)
    if not alarmed.any():
        return np.full(len(sample), -2.0, np.float32)
    of_alarms = [_only(each, alarmed) for each in exemplars]
    near = _all_margins(views, of_alarms, sample, int(alarmed.sum()))
    found: FloatArray = np.sort(near.max(axis=1, initial=-2.0))
    return found


def _only(exemplars: ViewExemplars, wanted: BoolArray) -> ViewExemplars:
    """The exemplars and thresholds of the wanted groups, (groups,), which are numbered anew."""
    number, some = np.cumsum(wanted) - 1, wanted[exemplars.owners]
    return ViewExemplars(
        exemplars.view,
        exemplars.vectors[some],
        number[exemplars.owners[some]],
        exemplars.sources[some],
        {int(number[group]): each for group, each in exemplars.thresholds.items() if wanted[group]},
    )


def _half(prompts: IntArray, which: int) -> IntArray:
    """The prompts with even or odd numbers: in an order that fingerprints give that is as good as by lot."""
    chosen: IntArray = prompts[prompts % 2 == which]
    return chosen
