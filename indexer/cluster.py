"""HDBSCAN over weighted points: from vectors to cluster numbers.

The `hdbscan` package compares all pairs in high dimensions, knows no weights and needs one connected tree. Here
the spanning forest comes from `indexer.graph`, its hierarchy from `indexer.hierarchy`, and the trees are joined at
the ceiling, which is where the forest was cut. The package is the oracle in the tests.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.graph import DISTANCE_FLOOR, Forest, spanning_forest
from indexer.hierarchy import select_clusters
from indexer.neighbours import EXACT_LIMIT, PROBES
from indexer.vectors import UnitRows

IntArray = NDArray[np.int64]

NOISE: Final = -1
LONGEST_CHORD: Final = 2.0


def cluster(
    vectors: UnitRows,
    weights: IntArray,
    *,
    min_cluster_size: int,
    min_samples: int,
    neighbours: int,
    ceiling: float,
    resolution: float = DISTANCE_FLOOR,
    probes: int = PROBES,
    exact_limit: int = EXACT_LIMIT,
) -> IntArray:
    """Cluster number of each point, NOISE for none, shape (n,).

    vectors: (n, d) unit rows, float32, distinct. weights: (n,) int64 >= 1. min_cluster_size counts weight.
    ceiling: longest chord that may join two points. resolution: chord below which differences do not count;
    HDBSCAN weighs a group by 1 / distance, so without it a few popular texts outweigh the template they fill.
    neighbours, probes, exact_limit: of the neighbour graph, see `indexer.neighbours`.
    Numbers follow the order of the rows, so equal input in equal order gives equal output; give the rows in an
    order that depends on their content only. Whoever wants the forest too takes the two steps one by one.
    """
    if not len(vectors):
        return np.zeros(0, np.int64)
    forest = spanning_forest(vectors, weights, neighbours, min_samples, ceiling, resolution, probes, exact_limit)
    return forest_clusters(forest, weights, min_cluster_size, ceiling, resolution)


def forest_clusters(
    forest: Forest, weights: IntArray, min_cluster_size: int, ceiling: float, resolution: float = DISTANCE_FLOOR
) -> IntArray:
    """Clusters that excess of mass selects from the hierarchy of a forest; see `cluster`.

    A tree of the forest lighter than min_cluster_size is noise. A copy beyond min_cluster_size could not
    change which clusters exist, and would let one viral prompt outweigh every split around it, so a point
    has at most min_cluster_size copies.

    HDBSCAN never selects the root, all points together. Under a ceiling each tree is a part of what lies beyond
    it, and so can be a cluster, even if it is the only one; a ceiling that cuts nothing leaves plain HDBSCAN.
    """
    copies = np.minimum(weights, min_cluster_size)
    roots_count = do_roots_count(forest, copies, min_cluster_size, ceiling)
    found = select_clusters(
        forest.sources,
        forest.targets,
        forest.distances,
        copies,
        min_cluster_size,
        ceiling,
        resolution,
        roots_count,
    )
    return renumbered(found)


def do_roots_count(forest: Forest, copies: IntArray, min_cluster_size: int, ceiling: float) -> bool:
    """Whether a whole tree can be a cluster: not if one is all there is, and nothing was cut off."""
    heavy_trees = int((np.bincount(forest.component, copies) >= min_cluster_size).sum())
    return ceiling < LONGEST_CHORD or heavy_trees > 1


def renumbered(labels: IntArray) -> IntArray:
    """The same clusters numbered by their first member."""
    clusters, first = np.unique(labels[labels != NOISE], return_index=True)
    rank = np.empty(len(clusters), np.int64)
    rank[np.argsort(first)] = np.arange(len(clusters))
    renumbered = np.full(len(labels), NOISE, np.int64)
    renumbered[labels != NOISE] = rank[np.searchsorted(clusters, labels[labels != NOISE])]
    return renumbered
