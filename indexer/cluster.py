"""HDBSCAN over weighted points: hierarchy and selection. The only door to the `hdbscan` package.

The package's own fit compares all pairs in high dimensions and knows no weights; its tree functions work on
any spanning tree. So the forest comes from `indexer.graph`, and this file turns it into one tree of unit
points: a point of weight w is replaced by copies at the floor distance, and the trees of the forest are
joined at the ceiling, which is where the forest was cut.
"""

from typing import Final

import numpy as np
from hdbscan._hdbscan_linkage import label as single_linkage
from hdbscan.hdbscan_ import _tree_to_labels
from numpy.typing import NDArray

from indexer.graph import DISTANCE_FLOOR, Forest, spanning_forest
from indexer.index import EXACT_LIMIT
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

NOISE: Final = -1
LONGEST_CHORD: Final = 2.0


def cluster(
    vectors: FloatArray,
    weights: IntArray,
    *,
    min_cluster_size: int,
    min_samples: int,
    neighbours: int,
    ceiling: float,
    resolution: float = DISTANCE_FLOOR,
    exact_limit: int = EXACT_LIMIT,
) -> IntArray:
    """Cluster number of each point, NOISE for none, shape (n,).

    vectors: (n, d) unit rows, float32, distinct. weights: (n,) int64 >= 1. min_cluster_size counts weight.
    ceiling: longest chord that may join two points. resolution: chord below which differences do not count;
    HDBSCAN weighs a group by 1 / distance, so without it a few popular texts outweigh the template they fill.
    Numbers follow the order of the rows, so equal input in
    equal order gives equal output; give the rows in an order that depends on their content only.
    """
    if not len(vectors):
        return np.zeros(0, np.int64)
    forest = spanning_forest(vectors, weights, neighbours, min_samples, ceiling, resolution, exact_limit)
    return forest_clusters(forest, weights, min_cluster_size, ceiling, resolution)


def forest_clusters(
    forest: Forest, weights: IntArray, min_cluster_size: int, ceiling: float, resolution: float = DISTANCE_FLOOR
) -> IntArray:
    """Clusters that excess of mass selects from the hierarchy of a forest; see `cluster`.

    A tree of the forest lighter than min_cluster_size is noise. A copy beyond min_cluster_size could not
    change which clusters exist, and would let one viral prompt outweigh every split around it, so a point
    has at most min_cluster_size copies.
    """
    copies = np.minimum(weights, min_cluster_size)
    heavy = np.bincount(forest.component, copies) >= min_cluster_size
    kept = np.flatnonzero(heavy[forest.component])
    labels = np.full(len(weights), NOISE, np.int64)
    if not len(kept):
        return labels
    tree, owners = _unit_tree(forest, kept, copies, min_cluster_size, ceiling, resolution)
    found, *_ = _tree_to_labels(None, single_linkage(tree), min_cluster_size=min_cluster_size)
    labels[owners[::-1]] = np.asarray(found, np.int64)[: len(owners)][::-1]  # a point is where its first copy is
    return _renumbered(labels)


def _unit_tree(
    forest: Forest, kept: IntArray, copies: IntArray, min_cluster_size: int, ceiling: float, resolution: float
) -> tuple[DoubleArray, IntArray]:
    """Spanning tree over the copies of the kept points, rows (source, target, distance) by ascending
    distance, and the point each copy stands for.

    A stranger, copies more that come last and stand for no point, is joined to each tree at the ceiling. HDBSCAN
    never selects the root, so the stranger is large enough to be a cluster: then the root is parent to the
    stranger and to the only tree, where there is but one. A ceiling that cuts nothing leaves plain HDBSCAN, in
    which all points together are no cluster.
    """
    first = np.full(len(copies), -1, np.int64)
    first[kept] = np.cumsum(copies[kept]) - copies[kept]
    owners = np.repeat(kept, copies[kept])
    inside = first[forest.sources] >= 0
    own = np.flatnonzero(np.diff(owners, append=-1) == 0)
    roots = first[kept[np.unique(forest.component[kept], return_index=True)[1]]]
    stranger = len(owners) + np.arange(min_cluster_size if ceiling < LONGEST_CHORD else 1)
    edges = np.concatenate(
        [
            _edges(own, own + 1, np.full(len(own), resolution)),
            _edges(first[forest.sources[inside]], first[forest.targets[inside]], forest.distances[inside]),
            _edges(stranger[:-1], stranger[1:], np.full(len(stranger) - 1, resolution)),
            _edges(np.full(len(roots), stranger[0]), roots, np.full(len(roots), ceiling)),
        ]
    )
    ordered = edges[np.argsort(edges[:, 2], kind="stable")]
    return ordered, owners


def _edges(sources: IntArray, targets: IntArray, distances: DoubleArray) -> DoubleArray:
    return np.column_stack([sources, targets, distances]).astype(np.float64)


def _renumbered(labels: IntArray) -> IntArray:
    """The same clusters numbered by their first member."""
    clusters, first = np.unique(labels[labels != NOISE], return_index=True)
    rank = np.empty(len(clusters), np.int64)
    rank[np.argsort(first)] = np.arange(len(clusters))
    renumbered = np.full(len(labels), NOISE, np.int64)
    renumbered[labels != NOISE] = rank[np.searchsorted(clusters, labels[labels != NOISE])]
    return renumbered
