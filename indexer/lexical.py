"""What vectors miss: texts that share a template word for word, whatever else they hold.

Payloads of one kind ("write a Python function that ...") recur too, so recurring texts of one template differ
by what is left of their slots, and HDBSCAN keeps only the densest of them. The grams typical of each cluster
put the template together again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from indexer.cluster import NOISE
from indexer.grams import GRAM_TOKENS, HashArray, TokenTable, look_up
from indexer.lanes import each_in_lanes
from indexer.occurrences import Occurrences, occurrences

IntArray = NDArray[np.int64]
RowArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

CORE_SHARE: Final = 0.5  # of a cluster's weight that must hold a gram for it to be typical
SAME_TEMPLATE: Final = 0.4  # Jaccard similarity of typical grams from which two clusters are one
CONTAINED: Final = 0.6  # share of a cluster's typical grams that a text must hold to belong to it
MIN_CORE_GRAMS: Final = 3
REPEATED_SHARE: Final = 0.03  # of a cluster's weight that must hold a gram for it to be one of its wordings ...
MIN_REPEATED: Final = 3.0  # ... and weight
OWN_SHARE: Final = 0.25  # ... and of all weight that holds it, that must be in the cluster
WORDED: Final = 0.5  # share of a text's own grams that must be wordings of a cluster for it to belong to it
MIN_WORDED_GRAMS: Final = 6
_BUDGET: Final = 20_000_000
_KEPT: Final = 20_000_000  # tokens, up to which all grams are kept; 16 bytes each
_TEXTS_AT_A_TIME: Final = 100_000


@dataclass(frozen=True, slots=True)
class TextGrams:
    """The grams of n texts, a part of all grams at a time, and how many stand behind each text, (n,) int64. What
    few grams a caller keeps is in memory; all that there are only if they are few, as `parts`.
    """

    found: Occurrences
    weights: IntArray
    parts: Sequence[tuple[HashArray, IntArray]] = ()

    def typical(self, labels: IntArray) -> "ClusterGrams":
        """The grams that at least CORE_SHARE of a cluster's weight holds."""
        totals = _totals(labels, self.weights)
        return self._kept(labels, lambda each: each.weights >= CORE_SHARE * totals[each.clusters])

    def own_wordings(self, labels: IntArray) -> "ClusterGrams":
        """The grams that a cluster holds again and again and that are its own: at least OWN_SHARE of the weight
        that holds them is in it. An everyday phrase that a few of its texts were given is not.
        """
        least = np.maximum(REPEATED_SHARE * _totals(labels, self.weights), MIN_REPEATED)
        return self._kept(
            labels,
            lambda each: (each.weights >= least[each.clusters]) & (each.weights >= OWN_SHARE * each.everywhere),
        )

    def held(self, hashes: HashArray, chosen: BoolArray) -> csr_array:
        """Which of the grams (g,), ascending, stand in which of the chosen (n,) texts: (n, g) of ones."""

        def look(part: int) -> tuple[RowArray, RowArray]:
            grams, texts = self._part(part)
            place, known = look_up(hashes, grams)
            there = np.flatnonzero(chosen[texts] & known)
            return texts[there].astype(np.int32), place[there].astype(np.int32)

        found = each_in_lanes(range(self.found.parts), look)
        texts, places = (np.concatenate(each) for each in zip(*found, strict=True))
        return _ones(texts, places, (len(self.weights), len(hashes)))

    def of_texts(self) -> IntArray:
        """Distinct grams of each text, (n,)."""
        counts = np.zeros(len(self.weights), np.int64)
        for part in range(self.found.parts):
            counts += np.bincount(self._part(part)[1], minlength=len(counts))
        return counts

    def _part(self, number: int) -> tuple[HashArray, IntArray]:
        """Distinct pairs of a gram and a text, by gram, of one part."""
        return self.parts[number] if self.parts else self.found.distinct_part(number)

    def _kept(self, labels: IntArray, keep: "Callable[[_Entries], BoolArray]") -> "ClusterGrams":
        def look(part: int) -> tuple[HashArray, IntArray]:
            entries = _entries(*self._part(part), labels, self.weights)
            kept = keep(entries)
            return entries.hashes[kept], entries.clusters[kept]

        found = each_in_lanes(range(self.found.parts), look)
        hashes, clusters = (np.concatenate(each) for each in zip(*found, strict=True))
        known, place = np.unique(hashes, return_inverse=True)
        shape = (int(labels.max(initial=NOISE)) + 1, len(known))
        return ClusterGrams(known, _ones(clusters, place, shape))


@dataclass(frozen=True, slots=True)
class ClusterGrams:
    """Grams of clusters. hashes: (g,) uint64, ascending. of_cluster: (clusters, g) of ones."""

    hashes: HashArray
    of_cluster: csr_array


@dataclass(frozen=True, slots=True)
class _Entries:
    """m pairs of a gram and a cluster that holds it: the gram, the cluster, the weight of the cluster's texts that
    hold it and that of all texts which do, each (m,).
    """

    hashes: HashArray
    clusters: IntArray
    weights: IntArray
    everywhere: IntArray


def _entries(hashes: HashArray, texts: IntArray, labels: IntArray, weights: IntArray) -> _Entries:
    """Entries of the grams of a part, see `TextGrams._part`."""
    known, gram = np.unique(hashes, return_inverse=True)
    everywhere = np.bincount(gram, weights[texts], len(known)).astype(np.int64)
    inside = labels[texts] != NOISE
    clusters = int(labels.max(initial=NOISE)) + 1
    entry, place = np.unique(gram[inside] * clusters + labels[texts][inside], return_inverse=True)
    weight = np.bincount(place, weights[texts][inside], len(entry)).astype(np.int64)
    gram, cluster = np.divmod(entry, max(1, clusters))
    return _Entries(known[gram], cluster, weight, everywhere[gram])


def text_grams(table: TokenTable, weights: IntArray, budget: int = _BUDGET) -> TextGrams:
    """Grams of the texts of a table; about `budget` of them are looked at at a time."""
    found = occurrences(table, np.full(len(table), GRAM_TOKENS), 1, budget)
    if len(table.hashes) > _KEPT:
        return TextGrams(found, weights)
    return TextGrams(found, weights, each_in_lanes(range(found.parts), found.distinct_part))


def join_templates(table: TokenTable, weights: IntArray, labels: IntArray) -> IntArray:
    """Cluster numbers (p,) with clusters of one template made one, and with the texts that were noise put in
    the cluster whose typical grams they hold, or whose wordings they are made of, if any.

    table: the tokens of the p texts. weights: (p,), how many stand behind each.
    """
    if not (labels != NOISE).any():
        return labels
    grams = text_grams(table, weights)
    typical = grams.typical(labels)
    # What is typical of several clusters together is so of one of them, so no other gram is needed from here.
    held = grams.held(typical.hashes, np.ones(len(labels), np.bool_))
    extended = _extended(held, weights, _joined(labels, typical.of_cluster))
    wordings = grams.own_wordings(extended)
    noise = extended == NOISE
    return _made_of(grams.held(wordings.hashes, noise), grams.of_texts(), weights, extended, wordings.of_cluster)


def _members(labels: IntArray, values: IntArray) -> csr_array:
    """(clusters, texts): the value of each text in the row of its cluster."""
    inside = np.flatnonzero(labels != NOISE)
    shape = (int(labels.max(initial=NOISE)) + 1, len(labels))
    found: csr_array = coo_array((values[inside], (labels[inside], inside)), shape=shape).tocsr()
    return found


def _totals(labels: IntArray, weights: IntArray) -> IntArray:
    """Weight of each cluster, (clusters,)."""
    inside = labels != NOISE
    return np.bincount(labels[inside], weights[inside], int(labels.max(initial=NOISE)) + 1).astype(np.int64)


def _rows(matrix: csr_array) -> IntArray:
    """The row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _only(matrix: csr_array, kept: BoolArray) -> csr_array:
    """The matrix with only these of its stored entries, as ones."""
    return _ones(_rows(matrix)[kept], matrix.indices[kept], matrix.shape)


def _ones(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> csr_array:
    """Ones at these places, and nothing elsewhere."""
    found: csr_array = coo_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape).tocsr()
    return found


def _at_least(by_cluster: csr_array, least: NDArray[np.floating]) -> csr_array:
    """Ones where a cluster's entry is at least its `least`."""
    return _only(by_cluster, by_cluster.data >= least[_rows(by_cluster)])


def _joined(labels: IntArray, typical: csr_array) -> IntArray:
    """Labels with clusters that share most of their typical grams given the smallest label among them."""
    common = (typical @ typical.T).tocoo()
    sizes = np.diff(typical.indptr)
    either = sizes[common.row] + sizes[common.col] - common.data
    same = common.data >= SAME_TEMPLATE * either
    links = coo_array((common.data[same], (common.row[same], common.col[same])), shape=common.shape)
    component = connected_components(links, directed=False)[1]
    smallest = np.unique(component, return_index=True)[1][component]
    found: IntArray = np.where(labels == NOISE, NOISE, smallest[labels])
    return found


def _extended(held_by: csr_array, weights: IntArray, labels: IntArray) -> IntArray:
    """Labels with each noise text in the cluster it shares most typical grams with, if it holds enough. held_by:
    (texts, grams), the grams that may be typical.
    """
    by_cluster = (_members(labels, weights) @ held_by).tocsr()
    typical = _at_least(by_cluster, CORE_SHARE * _totals(labels, weights))
    sizes = np.diff(typical.indptr)
    large = _only(typical, (sizes >= MIN_CORE_GRAMS)[_rows(typical)])
    return _with_most(held_by, labels, large, lambda text, cluster, held: held >= CONTAINED * sizes[cluster])


def _made_of(
    held_by: csr_array, of_texts: IntArray, weights: IntArray, labels: IntArray, wordings: csr_array
) -> IntArray:
    """Labels with each noise text in the cluster that most of its grams come from, if enough do: where each
    sentence of a template has several wordings, hardly any of them is typical, and no text is like another. A
    cluster that would more than double takes in none of them.

    held_by: (texts, grams), the wordings in each text. of_texts: (texts,) distinct grams of each. wordings:
    (clusters, grams).
    """
    taken = _with_most(
        held_by,
        labels,
        wordings,
        lambda text, cluster, held: (held >= WORDED * of_texts[text]) & (held >= MIN_WORDED_GRAMS),
    )
    doubled = _totals(taken, weights) > 2 * _totals(labels, weights)
    found: IntArray = np.where(doubled[taken], labels, taken)
    return found


def _with_most(
    held_by: csr_array, labels: IntArray, of_cluster: csr_array, enough: Callable[..., BoolArray]
) -> IntArray:
    """Labels with each noise text in the cluster that it shares most grams with, if it shares enough with any;
    ties go to the smaller number.

    enough: whether it does, given text, cluster and number of grams of several pairs, each (m,). Phrases that
    everybody uses are typical of hundreds of clusters, so pairs are many: of some texts at a time they are in
    memory.
    """
    extended = labels.copy()
    noise = np.flatnonzero(labels == NOISE)
    across = of_cluster.T.tocsr()
    for start in range(0, len(noise), _TEXTS_AT_A_TIME):
        texts = noise[start : start + _TEXTS_AT_A_TIME]
        shared = (held_by[texts] @ across).tocoo()
        text, cluster, held = texts[shared.row], shared.col.astype(np.int64), shared.data
        kept = enough(text, cluster, held)
        text, cluster, held = text[kept], cluster[kept], held[kept]
        best = np.lexsort((cluster, -held, text))
        found, first = np.unique(text[best], return_index=True)
        extended[found] = cluster[best][first]
    return extended
