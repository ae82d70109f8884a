"""From neighbour lists to the spanning forest that HDBSCAN's hierarchy is read from. The only door to scipy's
graph routines.

Distance is the chord between unit vectors, sqrt(2 - 2 cosine), in [0, 2]: Euclidean, so HDBSCAN's geometry
holds, and monotone in cosine.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from indexer.index import EXACT_LIMIT, self_neighbours
from indexer.vectors import FloatArray, normalise

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

# Distances below are noise of float32; and scipy's sparse graphs drop edges of weight zero.
DISTANCE_FLOOR: Final = 1e-4
_BLOCK_EDGES: Final = 200_000


@dataclass(frozen=True, slots=True)
class Forest:
    """Minimum spanning forest of n points. sources, targets: (m,) int64; distances: (m,) float64, mutual
    reachability, ascending. component: (n,) int64, number of the tree a point is in.
    """

    sources: IntArray
    targets: IntArray
    distances: DoubleArray
    component: IntArray


def chord(cosine: float) -> float:
    """Chord length of a cosine."""
    return float(np.sqrt(max(0.0, 2.0 - 2.0 * cosine)))


def spanning_forest(
    vectors: FloatArray,
    weights: IntArray,
    neighbours: int,
    min_samples: int,
    ceiling: float,
    resolution: float = DISTANCE_FLOOR,
    exact_limit: int = EXACT_LIMIT,
) -> Forest:
    """Forest over the mutual-reachability distances (Campello et al., 2013) of weighted points.

    vectors: (n, d) unit rows, float32, distinct. weights: (n,) >= 1, how many equal points each stands for.
    neighbours: list length of the neighbour graph. min_samples: the core distance of a point is that to its
    min_samples-th other point, equal ones included (the convention of the `hdbscan` package).
    ceiling: edges longer than this are left out, so unrelated points stay apart.
    resolution: shorter distances count as this one, equal points included.

    Every edge carries a true distance and no edge is shorter than in the complete graph, so a missing
    neighbour can only split a group, never join two.
    """
    _, rows = self_neighbours(vectors, neighbours, exact_limit)
    sources, targets = _pairs(rows)
    lengths = _distances(vectors, sources, targets, resolution)
    core = _core_distances(len(vectors), sources, targets, lengths, weights, min_samples, resolution)
    forest = _minimum_forest(len(vectors), sources, targets, _reach(core, sources, targets, lengths), ceiling)
    return _joined_across_components(vectors, core, forest, neighbours, ceiling, resolution)


def _pairs(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Directed pairs (point, neighbour) of the neighbour lists, missing neighbours left out."""
    sources = np.repeat(np.arange(len(rows)), rows.shape[1])
    targets = rows.ravel()
    known = targets >= 0
    return sources[known], targets[known]


def _distances(vectors: FloatArray, sources: IntArray, targets: IntArray, resolution: float) -> DoubleArray:
    """Chord of each pair, from the difference: sqrt(2 - 2 cosine) loses all digits for near-duplicates."""
    lengths = np.empty(len(sources), np.float64)
    for start in range(0, len(sources), _BLOCK_EDGES):
        block = slice(start, start + _BLOCK_EDGES)
        difference = vectors[sources[block]] - vectors[targets[block]]
        lengths[block] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return np.maximum(lengths, resolution)


def _core_distances(
    count: int,
    sources: IntArray,
    targets: IntArray,
    lengths: DoubleArray,
    weights: IntArray,
    min_samples: int,
    resolution: float,
) -> DoubleArray:
    """Least radius around each point that holds min_samples other points by weight; inf if its list does not.

    The point's own weight - 1 equal copies lie at distance 0.
    """
    order = np.lexsort((lengths, sources))
    sources, lengths, gained = sources[order], lengths[order], weights[targets[order]]
    running = np.cumsum(gained)
    starts = np.searchsorted(sources, np.arange(count))
    before = np.concatenate([[0], running])[starts]
    within = weights[sources] - 1 + running - before[sources]
    enough = np.flatnonzero(within >= min_samples)
    core = np.full(count, np.inf)
    first_sources, first = np.unique(sources[enough], return_index=True)
    core[first_sources] = lengths[enough[first]]
    core[weights > min_samples] = resolution
    return core


def _reach(core: DoubleArray, sources: IntArray, targets: IntArray, lengths: DoubleArray) -> DoubleArray:
    return np.maximum(lengths, np.maximum(core[sources], core[targets]))


def _minimum_forest(
    count: int, sources: IntArray, targets: IntArray, reach: DoubleArray, ceiling: float
) -> Forest:
    near = reach <= ceiling
    low, high = np.minimum(sources, targets)[near], np.maximum(sources, targets)[near]
    edges, first = np.unique(low * count + high, return_index=True)  # scipy would add up an edge given twice
    matrix = coo_array((reach[near][first], (edges // count, edges % count)), shape=(count, count)).tocsr()
    tree = minimum_spanning_tree(matrix).tocoo()
    _, component = connected_components(matrix, directed=False)
    order = np.lexsort((tree.col, tree.row, tree.data))
    return Forest(
        tree.row[order].astype(np.int64),
        tree.col[order].astype(np.int64),
        tree.data[order].astype(np.float64),
        component.astype(np.int64),
    )


def _joined_across_components(
    vectors: FloatArray, core: DoubleArray, forest: Forest, neighbours: int, ceiling: float, resolution: float
) -> Forest:
    """The forest with edges between components that the neighbour lists could not see.

    Where a template has more near-duplicates than a list is long, each list is full of the nearest and the
    rest of the group looks unreachable. The medoids of the components see one another.
    """
    sizes = np.bincount(forest.component)
    large = np.flatnonzero(sizes > neighbours)
    if len(large) < 2:
        return forest
    medoids = _medoids(vectors, forest.component, large)
    _, rows = self_neighbours(vectors[medoids], neighbours)
    near, far = _pairs(rows)
    sources, targets = medoids[near], medoids[far]
    reach = _reach(core, sources, targets, _distances(vectors, sources, targets, resolution))
    return _minimum_forest(
        len(vectors),
        np.concatenate([forest.sources, sources]),
        np.concatenate([forest.targets, targets]),
        np.concatenate([forest.distances, reach]),
        ceiling,
    )


def _medoids(vectors: FloatArray, component: IntArray, wanted: IntArray) -> IntArray:
    """The point nearest to the mean direction of each wanted component, shape (len(wanted),)."""
    order = np.argsort(component, kind="stable")
    starts = np.searchsorted(component[order], wanted)
    ends = np.searchsorted(component[order], wanted, side="right")
    medoids = np.empty(len(wanted), np.int64)
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        members = order[start:end]
        mean = normalise(vectors[members].mean(axis=0, keepdims=True))
        medoids[place] = members[np.argmax(vectors[members] @ mean[0])]
    return medoids
