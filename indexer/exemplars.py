"""Exemplars and thresholds: what a prompt must resemble, and how closely, to count as a campaign's.

A campaign is matched against a few of its own texts, not against the corpus. Each threshold lies between the
similarity that background prompts reach and the one the campaign's own prompts reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.confidence import FALSE_POSITIVE_RATE
from indexer.spacing import spaced
from indexer.vectors import FloatArray, UnitRows, normalise
from models.campaign import ViewThreshold
from models.view import View

IntArray = NDArray[np.int64]

_CANDIDATES: Final = 2000
_FRINGE: Final = 0.02  # share of a group's texts, the farthest from its middle, that never stand for it
_SPACING: Final = 0.05  # an exemplar nearer than this (1 - cosine) to a chosen one adds nothing
_TYPICAL_SHARE: Final = 0.05
_QUANTILES: Final = 101
_STEP: Final = 1e-3  # above the background; the last digits of a float32 product depend on how it is computed
_HIGHEST: Final = 0.9999  # so that the very same text always counts
_BLOCK_ROWS: Final = 4096


@dataclass(frozen=True, slots=True)
class ViewExemplars:
    """Exemplars of all campaigns in one view.

    vectors: (m, d) float32 unit rows. owners: (m,) int64, the campaign of each, ascending. sources: (m,)
    int64, the point each was taken from. thresholds: by campaign number.
    """

    view: View
    vectors: FloatArray
    owners: IntArray
    sources: IntArray
    thresholds: dict[int, ViewThreshold]


def choose_exemplars(vectors: UnitRows, limit: int) -> IntArray:
    """Rows of a group's points that cover it, most central first, shape (at most limit,).

    Farthest-first traversal (Gonzalez, 1985) from the medoid, over at most 2,000 points without the outermost
    two per cent, until `limit` rows or until every point has an exemplar close by.
    """
    rows = spaced(len(vectors), _CANDIDATES)
    candidates = vectors[rows]
    closeness = candidates @ normalise(candidates.mean(axis=0, keepdims=True))[0]
    order = np.argsort(-closeness, kind="stable")[: max(1, int(np.ceil(len(rows) * (1 - _FRINGE))))]
    rows, candidates = rows[order], candidates[order]
    chosen = [0]
    covered = candidates @ candidates[0]
    while len(chosen) < min(limit, len(rows)):
        farthest = int(np.argmin(covered))
        if covered[farthest] > 1 - _SPACING:
            break
        chosen.append(farthest)
        covered = np.maximum(covered, candidates @ candidates[farthest])
    return rows[chosen]


def nearest_by_campaign(queries: FloatArray, vectors: FloatArray, owners: IntArray, campaigns: int) -> FloatArray:
    """Greatest cosine of each query to each campaign's exemplars, (queries, campaigns); -1 where it has none."""
    best = np.full((len(queries), campaigns), -1.0, np.float32)
    if not len(owners):
        return best
    present, starts = np.unique(owners, return_index=True)
    for start in range(0, len(queries), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        best[block, present] = np.maximum.reduceat(queries[block] @ vectors.T, starts, axis=1)
    return np.clip(best, -1.0, 1.0)


def threshold(view: View, own: FloatArray, background: FloatArray, floor: float) -> ViewThreshold:
    """Threshold of one campaign in one view.

    own: the cosines of its own texts to the nearest exemplar other than themselves. background: those of
    background prompts, -1 for prompts the view shows nothing of. floor: never lower than this.

    Half way between the background's FALSE_POSITIVE_RATE quantile and what 95 % of its own texts reach; if
    they overlap, the background's quantile, so that a promise of few false positives outweighs recall.
    """
    usual = float(np.quantile(background, 1 - FALSE_POSITIVE_RATE, method="higher")) if len(background) else -1.0
    typical = float(np.quantile(own, _TYPICAL_SHARE)) if len(own) else 1.0
    needed = (usual + typical) / 2 if typical > usual else usual + _STEP
    return ViewThreshold(
        view=view,
        threshold=float(min(_HIGHEST, max(floor, needed))),
        background=float(background.max()) if len(background) else -1.0,
        background_size=len(background),
        typical=typical,
        own=tuple(np.round(np.quantile(own, np.linspace(0, 1, _QUANTILES)), 4).tolist()) if len(own) else (),
    )


def own_similarities(vectors: UnitRows, exemplars: IntArray) -> FloatArray:
    """Cosine of each of a group's points to its nearest exemplar, itself left out, shape (n,)."""
    across = vectors[exemplars].T
    best = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        cosines = vectors[block] @ across
        here = (exemplars >= start) & (exemplars < start + _BLOCK_ROWS)
        cosines[exemplars[here] - start, np.flatnonzero(here)] = -1.0
        best[block] = cosines.max(axis=1)
    if len(exemplars) == 1:  # nothing else to compare with: an exemplar is as typical as the group's best
        best[exemplars[0]] = best.max() if len(vectors) > 1 else 1.0
    return best


def least_cosines(exemplars: ViewExemplars, campaigns: int) -> FloatArray:
    """Threshold of each campaign in the view, (campaigns,) float32; infinite where it has none."""
    needed = np.full(campaigns, np.inf, np.float32)
    for campaign, each in exemplars.thresholds.items():
        needed[campaign] = each.threshold
    return needed


def margins(
    nearest: Sequence[FloatArray], needed: Sequence[FloatArray], rows: int, campaigns: int
) -> tuple[FloatArray, IntArray]:
    """Greatest margin (cosine minus threshold) of each row to each campaign over the views, and the place of the
    view that gave it, the first of equals: both (rows, campaigns). The margin is -2 where no view can tell.

    nearest: for each view the cosines, (rows, campaigns), -1 where it shows nothing. needed: its `least_cosines`.
    """
    best = np.full((rows, campaigns), -2.0, np.float32)
    view = np.zeros((rows, campaigns), np.int64)
    for place, (cosines, least) in enumerate(zip(nearest, needed, strict=True)):
        margin = np.where((cosines > -1) & np.isfinite(least), cosines - least, np.float32(-2.0))
        better = margin > best
        best[better] = margin[better]
        view[better] = place
    return best, view
