"""What a group's prompts are about: the items that its template is put round, whatever the words round them.

The words that many texts of the group share are its template; what is left is an item, and whatever chatter stands
beside it. Two prompts are about one item if they share much of what is left.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from indexer.distinct import bucket_counts, count_in, distinct_in_texts
from indexer.grams import HashArray, TokenTable, bucket_shift
from indexer.recurring import covered
from indexer.runs import MOST_TEXTS, SHARED_CHARACTERS, held_together, run_lengths, runs_of
from indexer.views import Words

IntArray = NDArray[np.int64]

SAME: Final = 0.2  # of the runs of the text that has fewer, that the other must have, to be about the same
_BATCH_TOKENS: Final = 10_000_000  # of texts that are looked at at a time
SAMPLED_RUNS: Final = 32  # of each text, those of least hash, so that texts which share many share sampled ones
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)


def prompt_items(words: Words, group_of_prompt: IntArray) -> IntArray:
    """Item of each prompt, (prompts,), -1 for one of no group or without words of its own in this role. A text
    that stands in prompts of two groups is compared in one of them.
    """
    text = words.role.text_of_prompt
    grouped = (text >= 0) & (group_of_prompt >= 0)
    group = np.full(len(words.table), -1, np.int64)
    group[text[grouped]] = group_of_prompt[grouped]
    return np.where(grouped, np.append(items_of(words.table, group), -1)[text], -1)


def items_of(table: TokenTable, group: IntArray) -> IntArray:
    """Item of each of n texts, (n,): -1 for a text of no group, and for one that is all template. group: (n,) of
    each text, negative for none; only texts of one group are compared.
    """
    found = np.full(len(table), -1, np.int64)
    items = 0
    for texts in _batches(table, group):
        found[texts] = np.where((item := _items(table.select(texts), group[texts])) >= 0, item + items, -1)
        items = int(found.max(initial=-1)) + 1
    return found


def _batches(table: TokenTable, group: IntArray) -> Iterator[IntArray]:
    """The texts of some groups at a time, with about _BATCH_TOKENS of tokens or one group."""
    order = np.argsort(group, kind="stable")
    order = order[np.searchsorted(group[order], 0) :]
    ends = np.flatnonzero(np.diff(group[order], append=-1)) + 1  # of groups
    tokens = np.cumsum(np.diff(table.offsets)[order])[ends - 1]
    last = 0
    for batch in np.split(ends, np.flatnonzero(np.diff(tokens // _BATCH_TOKENS)) + 1):
        if len(batch):
            yield np.sort(order[last : batch[-1]])
            last = int(batch[-1])


def _items(table: TokenTable, group: IntArray) -> IntArray:
    """`items_of` texts that all have a group."""
    own = _own_words(table, group)
    hashes, owners = _sampled_runs(own, group)
    pairs, shared = _sharing(hashes, owners, len(table))
    linked = pairs[shared >= SAME * np.bincount(owners, minlength=len(table))[pairs].min(axis=1)]
    graph = coo_array((np.ones(len(linked), bool), tuple(linked.T)), shape=(len(table), len(table)))
    found: IntArray = np.where(np.diff(own.offsets) > 0, connected_components(graph, directed=False)[1], -1)
    return found


def _own_words(table: TokenTable, group: IntArray) -> TokenTable:
    """The table without the grams that more than MOST_TEXTS texts of a group have."""
    hashes, inside = table.grams()
    owner = np.repeat(np.arange(len(table)), np.diff(table.offsets))
    mixed = hashes ^ _salt(group)[owner]
    shift = bucket_shift(len(mixed))
    texts = bucket_counts(shift)
    count_in(texts, distinct_in_texts(mixed[inside], owner[inside])[0], shift)
    common = texts[(mixed >> shift).astype(np.int64)] > MOST_TEXTS
    return table.keep(~covered(common & inside))


def _sampled_runs(table: TokenTable, group: IntArray) -> tuple[HashArray, IntArray]:
    """SAMPLED_RUNS of each text's runs that at most MOST_TEXTS texts of its group have: (hashes, text)."""
    salt, shift = _salt(group), bucket_shift(len(table.hashes))
    counts = bucket_counts(shift)
    for hashes, text in _runs(table):
        count_in(counts, distinct_in_texts(hashes ^ salt[text], text)[0], shift)
    found = [(np.zeros(0, np.uint64), np.zeros(0, np.int64))]
    for hashes, text in _runs(table):
        mixed = hashes ^ salt[text]
        few = counts[(mixed >> shift).astype(np.int64)] <= MOST_TEXTS
        mixed, owner = distinct_in_texts(mixed[few], text[few])
        rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
        found.append((mixed[rank < SAMPLED_RUNS], owner[rank < SAMPLED_RUNS]))
    hashes = np.concatenate([each for each, _ in found])
    owners = np.concatenate([each for _, each in found])
    return hashes, owners


def _runs(table: TokenTable) -> Iterator[tuple[HashArray, IntArray]]:
    """Runs of all texts; a text too short for one has one of all its tokens."""
    yield from runs_of(table, np.ones(len(table), bool))
    lengths = np.diff(table.offsets)
    short = np.flatnonzero(lengths < run_lengths(table))
    few = table.select(short)
    for length in range(1, SHARED_CHARACTERS):
        for hashes, text in few.runs(length, lengths[short] == length):
            yield hashes, short[text]


def _salt(group: IntArray) -> HashArray:
    """So that the same words in two groups are two runs."""
    return group.astype(np.uint64) * _MIX


def _sharing(hashes: HashArray, owners: IntArray, texts: int) -> tuple[IntArray, IntArray]:
    """Pairs of texts that share runs, (m, 2), and how many, (m,). hashes, owners: a row for each text of a run."""
    keys, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for members in held_together(hashes, owners, MOST_TEXTS):
        one, other = np.triu_indices(members.shape[1], 1)
        of_size = np.unique((members[:, one] * texts + members[:, other]).ravel(), return_counts=True)
        keys.append(of_size[0])
        counts.append(of_size[1])
    distinct, place = np.unique(np.concatenate(keys), return_inverse=True)
    shared = np.bincount(place, np.concatenate(counts), len(distinct))
    return np.stack([distinct // texts, distinct % texts], axis=1), shared.astype(np.int64)
