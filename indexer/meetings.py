"""Pools without a template: accounts that keep meeting in the same small groups.

A pool that works off a queue of unlike tasks shows no text that many share. But a task that is given to a few of
its accounts leaves a text that just these share, and the same accounts meet over text after text. Strangers do so
once; that two of them meet again is rare, and that a dozen do, each with several others, does not happen.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammainc

from indexer.corpus import Corpus, Distinct
from indexer.grams import HashArray, Senders, TokenTable, bucket_shift, count_buckets, once
from indexer.runs import MOST_TEXTS, held_together, runs_of

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MEETINGS: Final = 2  # times that two units must have met, over other texts each time, to know each other ...
CHANCE_COMMON: Final = 0.2  # ... so much oftener than chance that it gives two so many common acquaintances
COMMON: Final = 2  # others that two who know each other must both know, or it was chance
LEAST_POOL: Final = 10  # units
_CHUNK: Final = 100_000  # pairs whose acquaintances are compared at a time


@dataclass(frozen=True, slots=True)
class Meetings:
    """m times that two units sent texts of one task, or the same one. first, second: (m,) their codes, first <
    second; first_text, second_text: (m,) what each of them sent. No row stands twice.
    """

    first: IntArray
    second: IntArray
    first_text: IntArray
    second_text: IntArray


def meeting_prompts(corpus: Corpus, role: Distinct, table: TokenTable, free: BoolArray) -> list[frozenset[int]]:
    """For each pool that keeps meeting, the prompts over which it does, in the order of its first unit; a prompt
    of two pools is the first one's.

    role: the distinct texts of the corpus in one role; table: their tokens. free: (prompts,) those to look at, as
    a template that others have found would bring all of its senders together.
    """
    text_of_prompt = np.where(free, role.text_of_prompt, -1)
    met = meetings(table, corpus.senders_of(text_of_prompt, len(role.texts)))
    unit, text = corpus.events.unit, text_of_prompt[corpus.event_prompt]
    pool = pools(met, np.bincount(unit[text >= 0], minlength=int(unit.max(initial=-1)) + 1))
    inside = (pool[met.first] >= 0) & (pool[met.first] == pool[met.second])
    units = np.concatenate([met.first[inside], met.second[inside]])
    texts = np.concatenate([met.first_text[inside], met.second_text[inside]])
    span = max(1, len(role.texts))
    sent = np.flatnonzero((text >= 0) & np.isin(unit * span + text, units * span + texts))
    rows = np.unique(np.stack([corpus.event_prompt[sent], pool[unit[sent]]], axis=1), axis=0)
    prompts, first = np.unique(rows[:, 0], return_index=True)
    of_prompt = rows[first, 1]
    return [frozenset(prompts[of_prompt == number].tolist()) for number in np.unique(of_prompt)]


def meetings(table: TokenTable, sent_by: Senders) -> Meetings:
    """All meetings over texts that share a run of tokens which at most MOST_TEXTS have, and over one text that a
    few units sent. A text that nobody sent does not count.
    """
    counts = np.diff(sent_by.offsets)
    hashes, owners = _runs(table, (counts > 0) & (counts <= MOST_TEXTS))
    same = np.flatnonzero((counts > 1) & (counts <= MOST_TEXTS))
    pairs = [np.stack([same, same], axis=1)]
    for texts in held_together(hashes, owners, MOST_TEXTS):
        sharing = np.unique(texts, axis=0)  # a passage that texts share is many runs
        one, other = np.triu_indices(texts.shape[1], 1)
        pairs.append(np.stack([sharing[:, one].ravel(), sharing[:, other].ravel()], axis=1))
    return _between_units(np.unique(np.concatenate(pairs), axis=0), sent_by, counts)


def pools(met: Meetings, activity: IntArray) -> IntArray:
    """Pool of each unit, (units,), -1 for none. activity: (units,) events of each unit among those
    that are looked at.

    Chance draws both units of each meeting by activity, so heavy senders share popular prompts again and again. Of
    each pair MEETINGS count: a few that flood the traffic with meetings of their own do not make others' usual.
    Two units know each other if they met at least MEETINGS times, over other texts of both, and chance gives as
    many with a probability p at most (Poisson), where n p^2 = CHANCE_COMMON for n active units. A pool is a
    connected part, LEAST_POOL units or more, of the graph of those who know each other and COMMON others together
    (its truss; Cohen, 2008).
    """
    units = len(activity)
    pairs, place, times = np.unique(
        np.stack([met.first, met.second], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    apart = _times_apart(met, place.ravel(), len(pairs))
    share = activity / max(1, activity.sum())
    chance = 2 * np.minimum(times, MEETINGS).sum() * share[pairs].prod(axis=1)
    unlikely = (CHANCE_COMMON / max(1, int(np.count_nonzero(activity)))) ** 0.5
    known = pairs[(apart >= MEETINGS) & (gammainc(np.maximum(1, apart), chance) <= unlikely)]
    graph = _graph(known, units)
    while not (kept := _acquaintances(graph, known) >= COMMON).all():
        known = known[kept]
        graph = _graph(known, units)
    component = connected_components(graph, directed=False)[1]
    pooled = np.flatnonzero((np.bincount(component, minlength=units) >= LEAST_POOL)[component])
    pool = np.full(units, -1, np.int64)
    pool[pooled] = np.unique(component[pooled], return_inverse=True)[1]
    return pool


def _graph(known: IntArray, units: int) -> csr_array:
    """Symmetric adjacency (units, units) of pairs (m, 2)."""
    ends = np.concatenate([known, known[:, ::-1]])
    graph: csr_array = coo_array((np.ones(len(ends), np.int64), tuple(ends.T)), shape=(units, units)).tocsr()
    return graph


def _acquaintances(graph: csr_array, known: IntArray) -> IntArray:
    """How many others both units of each pair know, (m,)."""
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(known), _CHUNK):
        part = known[start : start + _CHUNK]
        found.append(graph[part[:, 0]].multiply(graph[part[:, 1]]).sum(axis=1))
    return np.concatenate(found)


def _runs(table: TokenTable, chosen: BoolArray) -> tuple[HashArray, IntArray]:
    """Runs of tokens that several of the chosen texts may share, once a text: (hashes, text).

    Most runs occur once: a counter for each hash bucket rules them out before they are collected.
    """
    shift = bucket_shift(len(table.hashes))
    counts = count_buckets(np.zeros(0, np.uint64), shift)
    for hashes, _ in runs_of(table, chosen):
        counts += count_buckets(hashes, shift)
    found = [(np.zeros(0, np.uint64), np.zeros(0, np.int64))]
    for hashes, text in runs_of(table, chosen):
        several = counts[(hashes >> shift).astype(np.int64)] > 1
        found.append(once(hashes[several], text[several]))
    return np.concatenate([hashes for hashes, _ in found]), np.concatenate([text for _, text in found])


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
