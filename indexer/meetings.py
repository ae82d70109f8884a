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

from indexer.corpus import Corpus, Distinct
from indexer.grams import HashArray, Senders, TokenTable

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SHARED_TOKENS: Final = 8  # running tokens that two texts must share to be of one task ...
SHARED_CHARACTERS: Final = 16  # ... if they write words apart; in a script without spaces a character is a token
_UNSPACED: Final = 0.3  # share of a text's tokens from which it counts as such
MOST_TEXTS: Final = 12  # that may share them: what more do is a template or goes round, and other views see it
MEETINGS: Final = 2  # times that two units must have met, over other texts each time, to know each other ...
LIFT: Final = 3.0  # ... if that is so many times what chance gives two that meet so many
COMMON: Final = 2  # others that two who know each other must both know, or it was chance
LEAST_POOL: Final = 10  # units


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
    """For each pool that keeps meeting, the prompts over which it does, in the order of its first unit.

    role: the distinct texts of the corpus in one role; table: their tokens. free: (prompts,) those to look at, as
    a template that others have found would bring all of its senders together.
    """
    text_of_prompt = np.where(free, role.text_of_prompt, -1)
    sent_by = corpus.senders_of(text_of_prompt, len(role.texts))
    met = meetings(table, sent_by)
    units = int(corpus.events.unit.max(initial=-1)) + 1
    pool = pools(met.first, met.second, met.first_text, met.second_text, units)
    inside = (pool[met.first] >= 0) & (pool[met.first] == pool[met.second])
    sent = np.concatenate(
        [
            np.stack([pool[met.first[inside]], met.first[inside], met.first_text[inside]], axis=1),
            np.stack([pool[met.second[inside]], met.second[inside], met.second_text[inside]], axis=1),
        ]
    )
    span = max(1, len(role.texts))
    pool_of_sending = {int(unit) * span + int(text): int(number) for number, unit, text in sent}
    found: list[set[int]] = [set() for _ in range(int(pool.max(initial=-1)) + 1)]
    text = text_of_prompt[corpus.event_prompt]
    for prompt, key in zip(corpus.event_prompt.tolist(), (corpus.events.unit * span + text).tolist(), strict=True):
        if key in pool_of_sending and free[prompt]:
            found[pool_of_sending[key]].add(prompt)
    return [frozenset(prompts) for prompts in found]


def meetings(table: TokenTable, sent_by: Senders) -> Meetings:
    """All meetings over texts that share SHARED_TOKENS running tokens which no more than MOST_TEXTS have, and over
    one text that a few units sent. A text that nobody sent does not count.
    """
    counts = np.diff(sent_by.offsets)
    hashes, owners = _runs(table, counts > 0)
    order = np.argsort(hashes, kind="stable")  # of each run its texts, ascending
    owners = owners[order]
    starts = np.flatnonzero(np.r_[True, np.diff(hashes[order].view(np.int64)) != 0][: len(order)])
    sizes = np.diff(np.append(starts, len(order)))
    few = (sizes > 1) & (sizes <= MOST_TEXTS)
    pairs = [np.zeros((0, 2), np.int64)]
    for size in range(2, MOST_TEXTS + 1):
        runs = owners[starts[few & (sizes == size)][:, None] + np.arange(size)]
        one, other = np.triu_indices(size, 1)
        sharing = np.unique(runs, axis=0)  # a passage that texts share is many runs
        pairs.append(np.stack([sharing[:, one].ravel(), sharing[:, other].ravel()], axis=1))
    same = np.flatnonzero((counts > 1) & (counts <= MOST_TEXTS))
    texts = np.unique(np.concatenate([*pairs, np.stack([same, same], axis=1)]), axis=0)
    texts = texts[(counts[texts] <= MOST_TEXTS).all(axis=1)]
    return _between_units(texts, sent_by, counts)


def pools(first: IntArray, second: IntArray, first_text: IntArray, second_text: IntArray, units: int) -> IntArray:
    """Pool of each unit, (units,), -1 for none.

    Two units know each other if they met at least MEETINGS times, over other texts of both, and LIFT times as
    often as chance would let them, k l / sum for units that met k and l times (Chung and Lu, 2002). A pool is a
    connected part of the graph of those who know each other and COMMON others together (its truss; Cohen, 2008).
    """
    pairs, place, times = np.unique(
        np.stack([first, second], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    place = place.ravel()
    apart = np.minimum(_distinct(place, first_text, len(pairs)), _distinct(place, second_text, len(pairs)))
    degree = np.bincount(first, minlength=units) + np.bincount(second, minlength=units)
    chance = degree[pairs].prod(axis=1) / max(1, degree.sum())
    known = pairs[(apart >= MEETINGS) & (times >= LIFT * chance)]
    graph = csr_array((units, units), dtype=np.int64)
    while len(known):
        both = np.concatenate([known, known[:, ::-1]])
        graph = coo_array((np.ones(len(both), np.int64), (both[:, 0], both[:, 1])), shape=(units, units)).tocsr()
        kept = (graph @ graph)[known[:, 0], known[:, 1]] >= COMMON
        if kept.all():
            break
        known, graph = known[kept], csr_array((units, units), dtype=np.int64)
    component = connected_components(graph, directed=False)[1]
    pooled = np.flatnonzero((np.bincount(component, minlength=units) >= LEAST_POOL)[component])
    pool = np.full(units, -1, np.int64)
    pool[pooled] = np.unique(component[pooled], return_inverse=True)[1]
    return pool


def _runs(table: TokenTable, chosen: BoolArray) -> tuple[HashArray, IntArray]:
    """Running tokens of the chosen texts, long enough to be of one task, once a text: (hashes, text)."""
    owners = np.repeat(np.arange(len(table)), np.diff(table.offsets))
    unspaced = np.bincount(owners, table.unspaced, len(table)) > _UNSPACED * np.diff(table.offsets)
    found = []
    for length, fitting in ((SHARED_TOKENS, chosen & ~unspaced), (SHARED_CHARACTERS, chosen & unspaced)):
        hashes, text = table.distinct_grams(0, len(table), length)
        found.append((hashes[fitting[text]], text[fitting[text]]))
    return np.concatenate([hashes for hashes, _ in found]), np.concatenate([text for _, text in found])


def _between_units(texts: IntArray, sent_by: Senders, counts: IntArray) -> Meetings:
    """Meetings of all units that sent the first text of each pair (m, 2) with those that sent the second."""
    each = counts[texts[:, 0]] * counts[texts[:, 1]]
    row = np.repeat(np.arange(len(texts)), each)
    within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
    one, other = texts[row, 0], texts[row, 1]
    first = sent_by.units[sent_by.offsets[one] + within // counts[other]]
    second = sent_by.units[sent_by.offsets[other] + within % counts[other]]
    swapped = first > second
    columns = np.stack(
        [
            np.where(swapped, second, first),
            np.where(swapped, first, second),
            np.where(swapped, other, one),
            np.where(swapped, one, other),
        ],
        axis=1,
    )
    rows = np.unique(columns[first != second], axis=0)
    return Meetings(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3])


def _distinct(place: IntArray, values: IntArray, places: int) -> IntArray:
    """How many different values each place has, (places,)."""
    rows = np.unique(np.stack([place, values], axis=1), axis=0)
    return np.bincount(rows[:, 0], minlength=places).astype(np.int64)
