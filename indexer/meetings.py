"""Pools without a template: accounts that keep meeting in the same small groups.

A pool that works off a queue of unlike tasks shows no text that many share. But a task that is given to a few of
its accounts leaves a text that just these share, and the same accounts meet over text after text. Strangers do so
once; that two of them meet again is rare, and that a dozen do, each with several others, does not happen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammainc

from indexer.corpus import Corpus, Distinct
from indexer.runs import MOST_TEXTS
from indexer.senders import Senders

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Share = Callable[[BoolArray], IntArray]

MEETINGS: Final = 2  # times that two units must have met, over other texts each time, to know each other ...
CHANCE_COMMON: Final = 0.2  # ... so much oftener than chance that it gives two so many common acquaintances
COMMON: Final = 2  # others that two who know each other must both know, or it was chance
HUB: Final = 10  # times as many acquaintances as half of a pool has: of one who sends all there is
LEAST_POOL: Final = 10  # units
_CHUNK: Final = 1 << 20  # acquaintances that are looked at at a time


@dataclass(frozen=True, slots=True)
class Meetings:
    """m times that two units sent texts of one task, or the same one. first, second: (m,) their codes, first <
    second; first_text, second_text: (m,) what each of them sent. No row stands twice.
    """

    first: IntArray
    second: IntArray
    first_text: IntArray
    second_text: IntArray


def meeting_prompts(corpus: Corpus, role: Distinct, free: BoolArray, share: Share) -> list[frozenset[int]]:
    """For each pool that keeps meeting, the prompts over which it does, in the order of its first prompt; a prompt
    of two pools belongs to the one that sent it oftener.

    role: the distinct texts of the corpus in one role. free: (prompts,) those to look at, as a template that
    others have found would bring all of its senders together. share: of the texts.
    """
    text_of_prompt = np.where(free, role.text_of_prompt, -1)
    met = meetings(corpus.senders_of(text_of_prompt, len(role.texts)), share)
    unit, text = corpus.events.unit, text_of_prompt[corpus.event_prompt]
    pool = pools(met, np.bincount(unit[text >= 0], minlength=int(unit.max(initial=-1)) + 1))
    inside = (pool[met.first] >= 0) & (pool[met.first] == pool[met.second])
    units = np.concatenate([met.first[inside], met.second[inside]])
    texts = np.concatenate([met.first_text[inside], met.second_text[inside]])
    span = max(1, len(role.texts))
    sent = np.flatnonzero((text >= 0) & np.isin(unit * span + text, units * span + texts))
    rows, events = np.unique(
        np.stack([corpus.event_prompt[sent], pool[unit[sent]]], axis=1), axis=0, return_counts=True
    )
    _, first, place = np.unique(rows[:, 1], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[
        place
    ]  # of pools by their first prompt, not by who happened to come first
    order = np.lexsort([number, -events, rows[:, 0]])
    prompts, oftenest = np.unique(rows[order, 0], return_index=True)
    of_prompt = number[order][oftenest]
    return [frozenset(prompts[of_prompt == each].tolist()) for each in np.unique(of_prompt)]


def meetings(sent_by: Senders, share: Share) -> Meetings:
    """All meetings over texts that share a run of tokens which few have, and over one text that a few units sent.
    A text that nobody sent does not count.

    share: given the texts of interest, (n,), the pairs of them that share such a run, (m, 2), the smaller first.
    """
    counts = np.diff(sent_by.offsets)
    few = (counts > 0) & (counts <= MOST_TEXTS)
    same = np.flatnonzero(few & (counts > 1))
    return _between_units(np.concatenate([np.stack([same, same], axis=1), share(few)]), sent_by, counts)


def pools(met: Meetings, activity: IntArray) -> IntArray:
    """Pool of each unit, (units,), -1 for none. activity: (units,) events of each unit among those that are
    looked at.

    Chance draws both units of each meeting by activity, as heavy senders share popular prompts again and again.
    But two do not meet oftener by chance than either meets anybody, and of each pair MEETINGS count: whoever
    floods the traffic with meetings does not make those of others usual.

    Two units know each other if they met at least MEETINGS times, over other texts of both, and chance gives as
    many with a probability p at most (Poisson), where n p^2 = CHANCE_COMMON for n active units. A pool is a
    connected part, LEAST_POOL units or more, of the graph of those who know each other and COMMON others together
    (its truss; Cohen, 2008), without those who know HUB times as many as half of it do: a few who send all that
    goes round would make acquaintances of strangers.
    """
    units = len(activity)
    pairs, place, times = np.unique(
        np.stack([met.first, met.second], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    apart = _times_apart(met, place.ravel(), len(pairs))
    share, counted = activity / max(1, activity.sum()), np.minimum(times, MEETINGS)
    mine = np.bincount(pairs.ravel(), np.repeat(counted, 2), units)
    one, two = pairs.T
    chance = np.minimum(
        2 * counted.sum() * share[one] * share[two], np.maximum(mine[one] * share[two], mine[two] * share[one])
    )
    unlikely = (CHANCE_COMMON / max(1, int(np.count_nonzero(activity)))) ** 0.5
    known = _truss(pairs[(apart >= MEETINGS) & (gammainc(np.maximum(1, apart), chance) <= unlikely)], units)
    known = _truss(known[~_hubs(known, units)[known].any(axis=1)], units)
    component = connected_components(_graph(known, units), directed=False)[1]
    pooled = np.flatnonzero((np.bincount(component, minlength=units) >= LEAST_POOL)[component])
    pool = np.full(units, -1, np.int64)
    pool[pooled] = np.unique(component[pooled], return_inverse=True)[1]
    return pool


def _graph(known: IntArray, units: int) -> csr_array:
    """Symmetric adjacency (units, units) of pairs (m, 2)."""
    ends = np.concatenate([known, known[:, ::-1]])
    graph: csr_array = coo_array((np.ones(len(ends), np.int64), tuple(ends.T)), shape=(units, units)).tocsr()
    return graph


def _hubs(known: IntArray, units: int) -> BoolArray:
    """Whether each unit knows more than HUB times as many as half of those it hangs together with, (units,)."""
    degree = np.bincount(known.ravel(), minlength=units)
    component = connected_components(_graph(known, units), directed=False)[1]
    usual = median(degree, component, component) if units else degree
    hubs: BoolArray = degree > HUB * usual
    return hubs


def _truss(known: IntArray, units: int) -> IntArray:
    """The pairs (m, 2) that are left when all that do not know COMMON others together are taken away, again and
    again.
    """
    while not (kept := acquaintances(known, units) >= COMMON).all():
        known = known[kept]
    return known


def acquaintances(known: IntArray, units: int) -> IntArray:
    """How many others both units of each pair (m, 2) know, (m,).

    Of those that one of the two knows, the one who knows fewer, it looks which the other knows. So time grows with
    m^1.5 at most, though somebody knows everybody.
    """
    graph = _graph(known, units)
    degree = np.diff(graph.indptr).astype(np.int64)
    fewer = np.argmin(degree[known], axis=1)[:, None]
    one, other = (np.take_along_axis(known, each, axis=1).ravel() for each in (fewer, 1 - fewer))
    edges = np.sort(np.concatenate([known, known[:, ::-1]]) @ np.array([units, 1]))
    found = [np.zeros(0, np.int64)]
    looks = np.cumsum(degree[one])
    bounds = np.searchsorted(looks, np.arange(0, looks[-1] + _CHUNK if len(looks) else 0, _CHUNK))
    for start, stop in pairwise(np.unique(np.append(bounds, len(known)))):
        each = degree[one[start:stop]]
        row = np.repeat(np.arange(stop - start), each)
        within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
        third = graph.indices[graph.indptr[one[start:stop]][row] + within]
        wanted = other[start:stop][row] * units + third
        place = np.minimum(np.searchsorted(edges, wanted), len(edges) - 1)
        found.append(np.bincount(row[edges[place] == wanted], minlength=stop - start).astype(np.int64))
    return np.concatenate(found)


def _between_units(texts: IntArray, sent_by: Senders, counts: IntArray) -> Meetings:
    """Meetings of all units that sent the first text of each pair (m, 2) with those that sent the second."""
    each = counts[texts[:, 0]] * counts[texts[:, 1]]
    row = np.repeat(np.arange(len(texts)), each)
    within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
    one, other = texts[row, 0], texts[row, 1]
    first = sent_by.units[sent_by.offsets[one] + within // counts[other]]
    second = sent_by.units[sent_by.offsets[other] + within % counts[other]]
    met = np.where(one == other, first < second, first != second)  # over one text each pair comes up twice
    one, other, first, second = one[met], other[met], first[met], second[met]
    swapped = first > second
    return Meetings(
        np.where(swapped, second, first),
        np.where(swapped, first, second),
        np.where(swapped, other, one),
        np.where(swapped, one, other),
    )


def _times_apart(met: Meetings, place: IntArray, places: int) -> IntArray:
    """Meetings of each pair that were over other texts of both, (places,). place: the pair of each meeting."""
    first, second = (
        np.bincount(np.unique(np.stack([place, texts], axis=1), axis=0)[:, 0], minlength=places)
        for texts in (met.first_text, met.second_text)
    )
    return np.minimum(first, second)
