"""Groups that the same accounts send: one campaign with several templates.

A pool of accounts that works through several templates, says the same in several languages, or leaves one
template for another shows as several groups of prompts. Each of them alone may look like people; that the same
few accounts meet in all of them does not.
"""

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from indexer.corpus import Corpus
from indexer.groups import DEEP, UNGROUPED, Groups, merged

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

MIN_COMMON_UNITS: Final = 6
OVERLAP: Final = 0.15  # Jaccard similarity of the two sets of units
CONTAINED: Final = 0.5  # share of the smaller group's units that must be in the larger one ...
LIFT: Final = 3.0  # ... if there are so many times as many common units as their activity explains
PARTLY_CONTAINED: Final = 0.3  # the same two where chance is out of the question
_GROUPS_AT_A_TIME: Final = 512  # whose overlaps with all are in memory
GREAT_LIFT: Final = 10.0
VARIED: Final = 0.5  # distinct prompts by events, of a group that may be part of a thin pool ...
THIN_DEPTH: Final = 3.0  # ... if the median unit of all its groups together sent so many


def join_pools(corpus: Corpus, groups: Groups) -> Groups:
    """Groups with those that the same pool of accounts sends made one; each keeps its strand.

    Two groups have one pool if their units coincide far more than chance explains, see `common_units`, and
    one of them is deep, as are both together. The other may be shallow: the least used of several templates or
    languages is sent once by most of a pool. Where a pool spreads its work so thin that none is deep, all of them
    together have to be deeper still, and each to bring ever new prompts: one audience's viral prompts do not.
    """
    if len(groups) < 2:
        return groups
    events = events_by_unit(corpus, groups)
    units = np.diff(events.indptr)
    first, second, common, expected = common_units(events, np.bincount(corpus.events.unit))
    smaller = np.minimum(units[first], units[second])
    same = (common >= LIFT * expected) & (common >= CONTAINED * smaller)
    same |= common >= GREAT_LIFT * expected
    first, second = first[same], second[same]
    deep = _depths(events) >= DEEP
    sure = deep[first] | deep[second]
    sure[sure] = _depths(events[first[sure]] + events[second[sure]]) >= DEEP
    varied = _variety(corpus, groups) >= VARIED
    pool = _connected(first[sure], second[sure], len(groups))
    linked = sure | (varied[first] & varied[second])
    thin = _connected(first[linked], second[linked], len(groups))
    member = coo_array((np.ones(len(thin), np.int64), (thin, np.arange(len(thin)))))
    deep_together = _depths((member @ events).tocsr()) >= THIN_DEPTH
    return merged(groups, np.where(deep_together[thin], thin + len(groups), pool))


def _connected(first: IntArray, second: IntArray, groups: int) -> IntArray:
    """Component number of each group, (groups,), if first and second are linked."""
    links = coo_array((np.ones(len(first)), (first, second)), shape=(groups, groups))
    component: IntArray = connected_components(links, directed=False)[1].astype(np.int64)
    return component


def _depths(events: csr_array) -> DoubleArray:
    """Median events of the units that are in each row, (rows,)."""
    return np.array([np.median(events.data[a:b]) for a, b in pairwise(events.indptr)], np.float64)


def _variety(corpus: Corpus, groups: Groups) -> DoubleArray:
    """Distinct prompts of each group by its events, (groups,), in (0, 1]."""
    sent = groups.of_prompt[corpus.event_prompt]
    prompts = groups.of_prompt[groups.of_prompt != UNGROUPED]
    count = len(groups)
    return np.bincount(prompts, minlength=count) / np.bincount(sent[sent != UNGROUPED], minlength=count)


def events_by_unit(corpus: Corpus, groups: Groups) -> csr_array:
    """Events of each unit in each group, (groups, units)."""
    group = groups.of_prompt[corpus.event_prompt]
    inside = group != UNGROUPED
    pairs = (np.ones(inside.sum(), np.int64), (group[inside], corpus.events.unit[inside]))
    events: csr_array = coo_array(pairs, shape=(len(groups), int(corpus.events.unit.max()) + 1)).tocsr()
    events.sum_duplicates()
    return events


def common_units(events: csr_array, activity: IntArray) -> tuple[IntArray, IntArray, IntArray, DoubleArray]:
    """Pairs of groups that have many of their units in common, MIN_COMMON_UNITS, PARTLY_CONTAINED of the smaller
    and OVERLAP of both together: (first, second, common units, how many chance would give).

    events: (groups, units). activity: (units,) events of each unit in the whole traffic. Chance draws as many
    units as the second group has, in proportion to their activity: a unit of the first is then in the second
    with probability 1 - exp(-units * share), so busy units meet often and prove little. Of the two directions
    the larger expectation counts.
    """
    present = (events > 0).astype(np.int64)
    sizes = np.diff(events.indptr)
    blocks = (_overlapping(present, sizes, start) for start in range(0, len(sizes), _GROUPS_AT_A_TIME))
    first, second, common = (np.concatenate(each) for each in zip(*blocks, strict=True))
    shares = activity / activity.sum()
    expected = np.array(
        [
            max(_expected(present, a, sizes[b], shares), _expected(present, b, sizes[a], shares))
            for a, b in zip(first, second, strict=True)
        ],
        np.float64,
    )
    return first, second, common, expected


def _overlapping(present: csr_array, sizes: IntArray, start: int) -> tuple[IntArray, IntArray, IntArray]:
    """First, second and common units of the pairs of `common_units` whose first group is one from `start` on."""
    shared = (present[start : start + _GROUPS_AT_A_TIME] @ present.T).tocoo()
    first, second, common = (each.astype(np.int64) for each in (start + shared.row, shared.col, shared.data))
    smaller, either = np.minimum(sizes[first], sizes[second]), sizes[first] + sizes[second] - common
    kept = (first < second) & (common >= MIN_COMMON_UNITS)
    kept &= (common >= PARTLY_CONTAINED * smaller) & (common >= OVERLAP * either)
    return first[kept], second[kept], common[kept]


def _expected(present: csr_array, group: int, draws: int, shares: DoubleArray) -> float:
    mine = present.indices[present.indptr[group] : present.indptr[group + 1]]
    return float((1 - np.exp(-draws * shares[mine])).sum())
