"""What vectors miss: texts that share a template word for word, whatever else they hold.

Payloads of one kind ("write a Python function that ...") recur too, so recurring texts of one template differ
by what is left of their slots, and HDBSCAN keeps only the densest of them. The grams typical of each cluster
put the template together again.
"""

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.cluster import NOISE
from indexer.grams import HashArray, TokenTable, token_table
from indexer.views import ViewTexts

IntArray = NDArray[np.int64]

CORE_SHARE: Final = 0.5  # of a cluster's weight that must hold a gram for it to be typical
SAME_TEMPLATE: Final = 0.4  # Jaccard similarity of typical grams from which two clusters are one
CONTAINED: Final = 0.6  # share of a cluster's typical grams that a text must hold to belong to it
MIN_CORE_GRAMS: Final = 3
REPEATED_SHARE: Final = 0.03  # of a cluster's weight that must hold a gram for it to be one of its wordings ...
MIN_REPEATED: Final = 3.0  # ... and weight
OWN_SHARE: Final = 0.25  # ... and of all weight that holds it, that must be in the cluster
WORDED: Final = 0.5  # share of a text's own grams that must be wordings of a cluster for it to belong to it
MIN_WORDED_GRAMS: Final = 6


def join_templates(texts: ViewTexts, labels: IntArray) -> IntArray:
    """Cluster numbers (p,) with clusters of one template made one, and with the texts that were noise put in
    the cluster whose typical grams they hold, or whose wordings they are made of, if any.
    """
    if not (labels != NOISE).any():
        return labels
    table = token_table(texts.texts)
    joined = _joined(labels, core_grams(table, texts.weights, labels))
    extended = _extended(table, joined, core_grams(table, texts.weights, joined))
    wordings = held_grams(table, texts.weights, extended, REPEATED_SHARE, MIN_REPEATED)
    own = _own_grams(table, texts.weights, extended, wordings)
    return _made_of(table, texts.weights, extended, own)


def core_grams(table: TokenTable, weights: IntArray, labels: IntArray) -> dict[int, HashArray]:
    """For each cluster its typical grams, ascending: those that at least CORE_SHARE of its weight holds."""
    return held_grams(table, weights, labels, CORE_SHARE, 0.0)


def held_grams(
    table: TokenTable, weights: IntArray, labels: IntArray, share: float, least: float
) -> dict[int, HashArray]:
    """For each cluster, ascending, the grams that at least `share` of its weight holds, and `least` of it."""
    hashes, owners = table.distinct_grams(0, len(table))
    member = labels[owners] != NOISE
    hashes, owners = hashes[member], owners[member]
    order = np.lexsort((hashes, labels[owners]))
    hashes, owners = hashes[order], owners[order]
    label = labels[owners]
    first = np.ones(len(hashes), bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (label[1:] != label[:-1])
    starts = np.flatnonzero(first)
    held = np.add.reduceat(weights[owners], starts) if len(starts) else np.zeros(0)
    totals = np.bincount(labels[labels != NOISE], weights[labels != NOISE])
    typical = starts[held >= np.maximum(share * totals[label[starts]], least)]
    return {int(number): hashes[typical[label[typical] == number]] for number in np.unique(label[typical])}


def _joined(labels: IntArray, cores: dict[int, HashArray]) -> IntArray:
    """Labels with clusters that share most of their typical grams given the smallest label among them."""
    parents = np.arange(int(labels.max()) + 1)

    def root(label: int) -> int:
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = int(parents[label])
        return label

    sets = {label: frozenset(core.tolist()) for label, core in cores.items()}
    for one, other in _sharing(sets):
        common = len(sets[one] & sets[other])
        if common >= SAME_TEMPLATE * (len(sets[one]) + len(sets[other]) - common):
            low, high = sorted((root(one), root(other)))
            parents[high] = low
    roots = np.array([root(label) for label in range(len(parents))])
    return np.where(labels == NOISE, NOISE, roots[labels])


def _sharing(sets: dict[int, frozenset[int]]) -> list[tuple[int, int]]:
    """Pairs of clusters with at least one typical gram in common, ascending."""
    holders: dict[int, list[int]] = defaultdict(list)
    for label in sorted(sets):
        for gram in sets[label]:
            holders[gram].append(label)
    return sorted({(a, b) for labels in holders.values() for i, a in enumerate(labels) for b in labels[i + 1 :]})


def _extended(table: TokenTable, labels: IntArray, cores: dict[int, HashArray]) -> IntArray:
    """Labels with each noise text in the cluster it shares most typical grams with, if it holds enough."""
    large = {label: core for label, core in cores.items() if len(core) >= MIN_CORE_GRAMS}
    found, held = _held_by_noise(table, labels, large)
    sizes = np.zeros(int(labels.max()) + 1)
    sizes[list(large)] = [len(core) for core in large.values()]
    enough = held >= CONTAINED * sizes[found[:, 1]]
    return _with_most(labels, found[enough], held[enough])


def _own_grams(
    table: TokenTable, weights: IntArray, labels: IntArray, grams_of: dict[int, HashArray]
) -> dict[int, HashArray]:
    """The grams of each cluster that are its own: at least OWN_SHARE of the weight that holds them is in it. An
    everyday phrase that a few of its texts were given is not.
    """
    hashes, owners = table.distinct_grams(0, len(table))
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    total = np.concatenate([[0], np.cumsum(weights[owners])])
    found = {}
    for label, grams in grams_of.items():
        inside = np.concatenate([[0], np.cumsum(weights[owners] * (labels[owners] == label))])
        first, last = np.searchsorted(hashes, grams, side="left"), np.searchsorted(hashes, grams, side="right")
        mine, all_there_is = inside[last] - inside[first], total[last] - total[first]
        found[label] = grams[mine >= OWN_SHARE * all_there_is]
    return found


def _made_of(table: TokenTable, weights: IntArray, labels: IntArray, wordings: dict[int, HashArray]) -> IntArray:
    """Labels with each noise text in the cluster that most of its grams come from, if enough do: where each
    sentence of a template has several wordings, hardly any of them is typical, and no text is like another. A
    cluster that would more than double takes in none of them.
    """
    found, held = _held_by_noise(table, labels, wordings)
    own = np.bincount(table.distinct_grams(0, len(table))[1], minlength=len(table))
    enough = (held >= WORDED * own[found[:, 0]]) & (held >= MIN_WORDED_GRAMS)
    taken = _with_most(labels, found[enough], held[enough])
    clusters = int(labels.max()) + 1
    before, after = (
        np.bincount(each[each != NOISE], weights[each != NOISE], clusters) for each in (labels, taken)
    )
    return np.where((after <= 2 * before)[taken], taken, labels)


def _held_by_noise(
    table: TokenTable, labels: IntArray, grams_of: dict[int, HashArray]
) -> tuple[IntArray, IntArray]:
    """Pairs (m, 2) of a noise text and a cluster that it shares grams with, and how many (m,)."""
    grams = np.concatenate([np.zeros(0, np.uint64), *grams_of.values()])
    of_gram = np.repeat(np.array(list(grams_of), np.int64), [len(each) for each in grams_of.values()])
    order = np.argsort(grams, kind="stable")
    grams, of_gram = grams[order], of_gram[order]
    hashes, owners = table.distinct_grams(0, len(table))
    noise = labels[owners] == NOISE
    hashes, owners = hashes[noise], owners[noise]
    first, last = np.searchsorted(grams, hashes, side="left"), np.searchsorted(grams, hashes, side="right")
    repeats = last - first
    places = np.repeat(first - (np.cumsum(repeats) - repeats), repeats) + np.arange(repeats.sum())
    pairs = np.stack([np.repeat(owners, repeats), of_gram[places]], axis=1)
    return np.unique(pairs, axis=0, return_counts=True)


def _with_most(labels: IntArray, found: IntArray, held: IntArray) -> IntArray:
    """Labels with the text of each pair (text, cluster) in the cluster it holds most of; ties to the smaller."""
    best = np.lexsort((found[:, 1], -held, found[:, 0]))
    texts, place = np.unique(found[best, 0], return_index=True)
    extended = labels.copy()
    extended[texts] = found[best][place, 1]
    return extended
