"""What vectors miss: texts that share a template word for word, whatever else they hold.

Payloads of one kind ("write a Python function that ...") recur too, so recurring texts of one template differ
by what is left of their slots, and HDBSCAN keeps only the densest of them. The grams typical of each cluster
put the template together again.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from indexer.cluster import NOISE
from indexer.distinct import distinct_in_texts
from indexer.grams import GRAM_TOKENS, HashArray, TokenTable, token_table
from indexer.views import ViewTexts

IntArray = NDArray[np.int64]
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


@dataclass(frozen=True, slots=True)
class TextGrams:
    """Which grams stand in which of n texts. hashes: (g,) uint64, ascending. held: (n, g) int8 of ones.
    weights: (n,) int64, how many stand behind each text.
    """

    hashes: HashArray
    held: csr_array
    weights: IntArray

    def of_texts(self) -> IntArray:
        """Distinct grams of each text, (n,)."""
        return np.diff(self.held.indptr).astype(np.int64)

    def by_cluster(self, labels: IntArray) -> csr_array:
        """Weight of each cluster that holds each gram, (clusters, g)."""
        found: csr_array = (_members(labels, self.weights) @ self.held).tocsr()
        return found

    def typical(self, labels: IntArray) -> csr_array:
        """`by_cluster`, only of the grams that at least CORE_SHARE of the cluster's weight holds."""
        return _at_least(self.by_cluster(labels), CORE_SHARE * _totals(labels, self.weights))


def text_grams(table: TokenTable, weights: IntArray) -> TextGrams:
    """Grams of the texts of a table."""
    hashes, owners = distinct_in_texts(*table.occurrences(0, len(table), GRAM_TOKENS))
    known, gram = np.unique(hashes, return_inverse=True)
    starts = np.searchsorted(owners, np.arange(len(table) + 1))
    shape = (len(table), len(known))
    return TextGrams(
        known, csr_array((np.ones(len(gram), np.int8), gram.astype(np.int32), starts), shape), weights
    )


def join_templates(texts: ViewTexts, labels: IntArray) -> IntArray:
    """Cluster numbers (p,) with clusters of one template made one, and with the texts that were noise put in
    the cluster whose typical grams they hold, or whose wordings they are made of, if any.
    """
    if not (labels != NOISE).any():
        return labels
    grams = text_grams(token_table(texts.texts), texts.weights)
    joined = _joined(labels, grams.typical(labels))
    extended = _extended(grams, joined)
    return _made_of(grams, extended, _own_wordings(grams, extended))


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
    shape, rows = matrix.shape, _rows(matrix)[kept]
    found: csr_array = coo_array((np.ones(len(rows), np.int64), (rows, matrix.indices[kept])), shape=shape).tocsr()
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


def _extended(grams: TextGrams, labels: IntArray) -> IntArray:
    """Labels with each noise text in the cluster it shares most typical grams with, if it holds enough."""
    typical = grams.typical(labels)
    sizes = np.diff(typical.indptr)
    large = _only(typical, (sizes >= MIN_CORE_GRAMS)[_rows(typical)])
    text, cluster, held = _held_by_noise(grams, labels, large)
    enough = held >= CONTAINED * sizes[cluster]
    return _with_most(labels, text[enough], cluster[enough], held[enough])


def _own_wordings(grams: TextGrams, labels: IntArray) -> csr_array:
    """The grams that each cluster holds again and again and that are its own: at least OWN_SHARE of the weight
    that holds them is in it. An everyday phrase that a few of its texts were given is not. (clusters, grams) of
    ones.
    """
    by_cluster = grams.by_cluster(labels)
    everywhere = grams.held.T @ grams.weights
    repeated = by_cluster.data >= np.maximum(
        REPEATED_SHARE * _totals(labels, grams.weights)[_rows(by_cluster)], MIN_REPEATED
    )
    return _only(by_cluster, repeated & (by_cluster.data >= OWN_SHARE * everywhere[by_cluster.indices]))


def _made_of(grams: TextGrams, labels: IntArray, wordings: csr_array) -> IntArray:
    """Labels with each noise text in the cluster that most of its grams come from, if enough do: where each
    sentence of a template has several wordings, hardly any of them is typical, and no text is like another. A
    cluster that would more than double takes in none of them.
    """
    text, cluster, held = _held_by_noise(grams, labels, wordings)
    enough = (held >= WORDED * grams.of_texts()[text]) & (held >= MIN_WORDED_GRAMS)
    taken = _with_most(labels, text[enough], cluster[enough], held[enough])
    doubled = _totals(taken, grams.weights) > 2 * _totals(labels, grams.weights)
    found: IntArray = np.where(doubled[taken], labels, taken)
    return found


def _held_by_noise(
    grams: TextGrams, labels: IntArray, of_cluster: csr_array
) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs of a noise text and a cluster that it shares grams with, and how many: text, cluster, count, each
    (m,).
    """
    noise = np.flatnonzero(labels == NOISE)
    shared = (grams.held[noise] @ of_cluster.T).tocoo()
    return noise[shared.row], shared.col.astype(np.int64), shared.data


def _with_most(labels: IntArray, text: IntArray, cluster: IntArray, held: IntArray) -> IntArray:
    """Labels with the text of each pair in the cluster it holds most of; ties go to the smaller number."""
    best = np.lexsort((cluster, -held, text))
    found, first = np.unique(text[best], return_index=True)
    extended = labels.copy()
    extended[found] = cluster[best][first]
    return extended
