"""Which of a thousand campaigns one prompt may resemble, so that only their exemplars are compared with it."""

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.exemplars import ViewExemplars, least_cosines
from indexer.index import LEAST_CODED, CodeIndex
from indexer.ranges import places_in
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_NO_CAMPAIGNS: Final = np.zeros(0, np.int64)

EXACT_ROWS: Final = 1_000  # exemplars that are compared one by one in a tenth of a millisecond
MANY_QUERIES: Final = 8  # windows of a long prompt, from which one product with all is the shorter way
LISTED: Final = 64  # campaigns, more than an answer lists
_LEAST_CANDIDATES: Final = 256  # exemplars that are compared with a prompt, and so many for each campaign listed
_CANDIDATES_EACH: Final = 8


class Shortlist:
    """The exemplars of one view, and where to look among them.

    With codes, those with about the greatest margins are found by them, and only they are compared; without, all.
    """

    def __init__(self, exemplars: ViewExemplars, campaigns: int, codes: CodeIndex | None = None) -> None:
        """codes: what `codes_of` gives for the same exemplars."""
        self.exemplars = exemplars
        self.needed = least_cosines(exemplars, campaigns)
        owners = exemplars.owners
        self._bounds = np.searchsorted(owners, np.arange(campaigns + 1))
        self._present = np.flatnonzero(np.diff(self._bounds))
        self._codes = codes

    def worth(self, queries: FloatArray, listed: int = LISTED, also: BoolArray | None = None) -> IntArray:
        """The campaigns that the queries (n, d) may reach, ascending: those with a margin of 0 or more, the
        `listed` nearest, and the nearest of `also`, (campaigns,).
        """
        if not len(queries):
            return _NO_CAMPAIGNS
        if self._codes is not None and len(queries) < MANY_QUERIES:
            rows = self._codes.nearest(lifted_queries(queries), max(_LEAST_CANDIDATES, _CANDIDATES_EACH * listed))
            owners = self.exemplars.owners[rows]
            cosines = np.matmul(self.exemplars.vectors[rows], queries[:, :, None])[:, :, 0]
            margins = cosines - self.needed[owners]
            # If what is far down in a list of candidates is reached, there may be more: nobody hides a campaign
            # behind others.
            is_whole = not (margins[:, margins.shape[1] // 2 :] >= 0).any()
            if is_whole and len(set(owners.ravel().tolist())) >= min(listed, len(self._present)):
                chosen = _chosen(margins.ravel(), owners.ravel(), listed, also)
                if also is None or also[chosen].any():
                    return chosen
                return np.union1d(chosen, self._nearest_of(queries, also))
        margins = self.nearest(queries, self._present) - self.needed[self._present]
        return _chosen(margins, self._present, listed, also)

    def _nearest_of(self, queries: FloatArray, also: BoolArray) -> IntArray:
        """The nearest of the campaigns asked for, where no candidate is one of them: (1,), or (0,) of none."""
        those = self._present[also[self._present]]
        margins = self.nearest(queries, those) - self.needed[those]
        return those[margins.argmax() : margins.argmax() + 1] if len(those) else those

    def nearest(self, queries: FloatArray, chosen: IntArray) -> FloatArray:
        """Greatest cosine of any query (n, d) to the exemplars of each chosen campaign (m,), ascending: (m,), -1
        for those that have none.
        """
        best = np.full(len(chosen), -1.0, np.float32)
        first, last = self._bounds[chosen], self._bounds[chosen + 1]
        some = last > first
        if len(queries) and some.any():
            first, last = first[some], last[some]
            vectors = self.exemplars.vectors
            if len(first) < len(self._present):
                vectors = vectors[places_in(first, last - first)]
            cosines = (queries @ vectors.T).max(axis=0)
            starts = np.concatenate([[0], np.cumsum(last - first)[:-1]])
            best[some] = np.clip(np.maximum.reduceat(cosines, starts), -1.0, 1.0)
        return best


def _chosen(margins: FloatArray, owners: IntArray, listed: int, also: BoolArray | None) -> IntArray:
    """`worth`, given margins (m,) and the campaigns that they are to."""
    order = np.argsort(-margins, kind="stable")
    nearest = list(dict.fromkeys(owners[order].tolist()))
    chosen = {*nearest[:listed], *owners[margins >= 0].tolist()}
    if also is not None:
        chosen |= set(itertools.islice((each for each in nearest if also[each]), 1))
    return np.array(sorted(chosen), np.int64)


def codes_of(exemplars: ViewExemplars, campaigns: int, exact_rows: int = EXACT_ROWS) -> CodeIndex | None:
    """Codes of the exemplars of one view, nearest to a prompt where its margin is about the greatest; None of at
    most `exact_rows`, which are all compared sooner. A hundred thousand take seconds to learn. campaigns: how many
    there are.

    An inner product can be a margin: of the unit rows (e, -t, sqrt(1 - t^2)) / sqrt 2, for an exemplar e whose
    campaign needs the cosine t, and (q, 1, 0) / sqrt 2, it is (q.e - t) / 2 (Bachrach et al., 2014).
    """
    if len(exemplars.owners) <= max(exact_rows, LEAST_CODED):
        return None
    needed = least_cosines(exemplars, campaigns)[exemplars.owners]
    return CodeIndex.build(lifted(exemplars.vectors, np.minimum(1.0, needed)))


def lifted(vectors: FloatArray, needed: FloatArray) -> FloatArray:
    """Unit rows (n, d + 2) of exemplars (n, d), given the cosine in [-1, 1] that each one's campaign needs."""
    rest = np.sqrt(np.maximum(0.0, 1 - needed**2))
    rows = np.concatenate([vectors, -needed[:, None], rest[:, None]], axis=1) * np.float32(0.5**0.5)
    return np.ascontiguousarray(rows, np.float32)


def lifted_queries(queries: FloatArray) -> FloatArray:
    """Unit rows (n, d + 2) whose inner products with `lifted` rows are half the margins."""
    ends = np.tile(np.array([1.0, 0.0], np.float32), (len(queries), 1))
    rows = np.concatenate([queries, ends], axis=1) * np.float32(0.5**0.5)
    return np.ascontiguousarray(rows, np.float32)
