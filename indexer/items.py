"""What a group's prompts are about: the items that its template is put round, whatever the words round them.

Two prompts of a group are about one item if they share most of what few others of the group say.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from indexer.grams import HashArray, TokenTable, once
from indexer.runs import MOST_TEXTS, runs_of
from indexer.views import Words

IntArray = NDArray[np.int64]

SAME: Final = 0.5  # of the shorter text's own runs that the other must have, to be about the same
_BUDGET: Final = 8_000_000
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)


def prompt_items(words: Words, group_of_prompt: IntArray) -> IntArray:
    """Item of each prompt, (prompts,), -1 for one without text in this role. A text that stands in prompts of two
    groups is compared in one of them.
    """
    text = words.role.text_of_prompt
    group = np.full(len(words.table), -1, np.int64)
    group[text[text >= 0]] = group_of_prompt[text >= 0]
    return np.where(text >= 0, np.append(items_of(words.table, group), -1)[text], -1)


def items_of(table: TokenTable, group: IntArray, budget: int = _BUDGET) -> IntArray:
    """Item of each of n texts, (n,), numbered from 0. group: (n,) of each text, negative for none; only texts of
    one group are compared, and a text of none is an item of its own.

    A run that more than MOST_TEXTS texts of the group have is its template's. The others are a text's own.
    budget: tokens that are held at a time.
    """
    order = np.argsort(group, kind="stable")
    order = order[group[order] >= 0]
    links = [np.zeros((0, 2), np.int64)]
    for first, last in _batches(group[order], np.diff(table.offsets)[order], budget):
        texts = order[first:last]
        links.append(texts[_linked(table.select(texts), group[texts], budget)])
    linked = np.concatenate(links)
    graph = coo_array((np.ones(len(linked), bool), tuple(linked.T)), shape=(len(table), len(table)))
    found: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def _batches(group: IntArray, lengths: IntArray, budget: int) -> Iterator[tuple[int, int]]:
    """Ranges of texts, given in the order of their groups, of whole groups with at most `budget` tokens together;
    a larger group has one to itself.
    """
    borders = [*np.unique(group, return_index=True)[1].tolist(), len(group)]
    tokens = np.concatenate([[0], np.cumsum(lengths)])
    first = 0
    for begin, end in pairwise(borders):
        if begin > first and tokens[end] - tokens[first] > budget:
            yield first, begin
            first = begin
    if first < len(group):
        yield first, len(group)


def _linked(table: TokenTable, group: IntArray, budget: int) -> IntArray:
    """Pairs of texts, (m, 2), that are about the same. group: (n,) of each text."""
    hashes, owners = _own_runs(table, group, budget)
    own = np.bincount(owners, minlength=len(table))
    pairs, shared = _sharing(hashes, owners, len(table))
    linked: IntArray = pairs[shared >= SAME * own[pairs].min(axis=1)]
    return linked


def _own_runs(table: TokenTable, group: IntArray, budget: int) -> tuple[HashArray, IntArray]:
    """Runs that at most MOST_TEXTS texts of a group have, once a text: (hashes, text) by hash. Of more tokens than
    the budget every second, third, ... run, by its hash, so that texts of one item keep the same ones.
    """
    parts = np.uint64(1 + len(table.hashes) // budget)
    found = [(np.zeros(0, np.uint64), np.zeros(0, np.int64))]
    for hashes, text in runs_of(table, np.ones(len(table), bool)):
        kept = hashes % parts == 0
        mixed = hashes ^ (group[text].astype(np.uint64) * _MIX)  # the same words in two groups are two runs
        found.append(once(mixed[kept], text[kept]))
    hashes = np.concatenate([each for each, _ in found])
    owners = np.concatenate([each for _, each in found])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    _, place, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    few = sizes[place] <= MOST_TEXTS
    return hashes[few], owners[few]


def _sharing(hashes: HashArray, owners: IntArray, texts: int) -> tuple[IntArray, IntArray]:
    """Pairs of texts that share runs, (m, 2), and how many, (m,). hashes: ascending."""
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]][: len(hashes)])
    sizes = np.diff(np.append(starts, len(hashes)))
    keys = [np.zeros(0, np.int64)]
    for size in range(2, MOST_TEXTS + 1):
        members = owners[starts[sizes == size][:, None] + np.arange(size)]
        one, other = np.triu_indices(size, 1)
        keys.append((members[:, one] * texts + members[:, other]).ravel())
    distinct, shared = np.unique(np.concatenate(keys), return_counts=True)
    return np.stack([distinct // texts, distinct % texts], axis=1), shared
