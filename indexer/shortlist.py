"""Which of a thousand campaigns one prompt may resemble, so that only their exemplars are compared with it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.exemplars import ViewExemplars, least_cosines
from indexer.index import VectorIndex
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

EXACT_ROWS: Final = 4_000  # exemplars that are compared one by one in a fraction of a millisecond
MANY_QUERIES: Final = 8  # windows of a long prompt, from which one product with all is the shorter way
LISTED: Final = 64  # campaigns, more than an answer lists
_NEAREST: Final = 512  # exemplars by their margins; a campaign has up to 32
_LISTS_PER_ROOT: Final = 1


class Shortlist:
    """The exemplars of one view, and where to look among them.

    Where there are more than `exact_rows`, those with the greatest margins are looked up in inverted lists. An
    inner product can be a margin: of the unit rows (e, -t, sqrt(1 - t^2)) / sqrt 2, for an exemplar e whose
    campaign needs the cosine t, and (q, 1, 0) / sqrt 2, it is (q.e - t) / 2 (Bachrach et al., 2014).
    """

    def __init__(self, exemplars: ViewExemplars, campaigns: int, exact_rows: int = EXACT_ROWS) -> None:
        self.exemplars = exemplars
        self.needed = least_cosines(exemplars, campaigns)
        owners = exemplars.owners
        self._bounds = np.searchsorted(owners, np.arange(campaigns + 1))
        self._has_any = np.diff(self._bounds) > 0
        self._with_any = int(self._has_any.sum())
        self._index: VectorIndex | None = None
        if len(owners) > exact_rows:
            rows = lifted(exemplars.vectors, np.minimum(1.0, self.needed[owners]))
            self._index = VectorIndex.build(rows, exact_limit=0, lists_per_root=_LISTS_PER_ROOT)

    @property
    def campaigns(self) -> int:
        return len(self.needed)

    def worth(self, queries: FloatArray, listed: int = LISTED, also: BoolArray | None = None) -> BoolArray:
        """The campaigns that the queries (n, d) may reach, (campaigns,): those with a margin of 0 or more, the
        `listed` nearest, and the nearest of `also`, (campaigns,).
        """
        if not len(queries):
            return np.zeros(self.campaigns, bool)
        if self._index is not None and len(queries) < MANY_QUERIES:
            halves, rows = self._index.search(lifted_queries(queries), _NEAREST)
            found = rows >= 0
            owners = self.exemplars.owners[rows[found]]
            # If all that was found is reached, there may be more: nobody hides a campaign behind others.
            if not (halves[:, -1] >= 0).any() and len(set(owners.tolist())) >= min(listed, self._with_any):
                return self._chosen(halves[found], owners, listed, also)
        present = np.flatnonzero(self._has_any)
        margins = self.nearest(queries, self._has_any)[present] - self.needed[present]
        return self._chosen(margins, present, listed, also)

    def _chosen(self, margins: FloatArray, owners: IntArray, listed: int, also: BoolArray | None) -> BoolArray:
        """`worth`, given margins (m,), or halves of them, and the campaigns that they are to."""
        chosen = np.zeros(self.campaigns, bool)
        chosen[owners[margins >= 0]] = True
        owners = owners[np.argsort(-margins, kind="stable")]
        firsts = np.sort(np.unique(owners, return_index=True)[1])
        chosen[owners[firsts[:listed]]] = True
        if also is not None and (those := np.flatnonzero(also[owners])).size:
            chosen[owners[those[0]]] = True
        return chosen

    def nearest(self, queries: FloatArray, chosen: BoolArray) -> FloatArray:
        """Greatest cosine of any query (n, d) to each chosen campaign's exemplars, (campaigns,); -1 for the others
        and for those that have none.
        """
        best = np.full(self.campaigns, -1.0, np.float32)
        present = np.flatnonzero(chosen & self._has_any)
        if len(queries) and len(present):
            first, last = self._bounds[present], self._bounds[present + 1]
            vectors = self.exemplars.vectors
            if len(present) < self._with_any:
                vectors = vectors[_ranges(first, last)]
            cosines = (queries @ vectors.T).max(axis=0)
            starts = np.concatenate([[0], np.cumsum(last - first)[:-1]])
            best[present] = np.clip(np.maximum.reduceat(cosines, starts), -1.0, 1.0)
        return best


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


def _ranges(starts: IntArray, ends: IntArray) -> IntArray:
    """All numbers from each start up to its end, in their order."""
    lengths = ends - starts
    total = np.concatenate([[0], np.cumsum(lengths)])
    ranges: IntArray = np.arange(total[-1]) + np.repeat(starts - total[:-1], lengths)
    return ranges
