"""HDBSCAN's hierarchy over a spanning forest of weighted points: linkage, condensed tree, excess of mass.

The definitions are those of Campello, Moulavi and Sander (2013, "Density-based clustering based on hierarchical
density estimates") in the form of the `hdbscan` package, which serves the tests as oracle. Time is linear in the
number of edges but for the union-find, and no step recurses, so a chain of a million points is as good as any
tree.

A point of weight w is w equal points, which lie at the `resolution` from one another; the copies are never written
out. Density is lambda, one over distance.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled
from indexer.union_find import root_of

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def select_clusters(
    sources: IntArray,
    targets: IntArray,
    distances: DoubleArray,
    weights: IntArray,
    min_cluster_size: int,
    ceiling: float,
    resolution: float,
    roots_count: bool,
) -> IntArray:
    """The cluster that excess of mass selects for each point, any number >= 0, or -1 for noise; (n,) int64.

    sources, targets: (m,) int64, edges of a forest over n points. distances: (m,) float64, ascending, at least
    `resolution` and at most `ceiling`, all > 0. weights: (n,) int64 >= 1. roots_count: whether a tree as a whole
    can be a cluster, one that is born at the ceiling; if not, only parts of trees can.
    """
    left, right, size = _linkage(sources, targets, weights)
    parent, _birth, stability, cluster = _condensed(
        left, right, size, 1.0 / distances, len(weights), min_cluster_size, 1.0 / ceiling, 1.0 / resolution
    )
    chosen = _selected(parent, stability, roots_count)
    found: IntArray = np.where(cluster >= 0, np.append(chosen, -1)[cluster], -1)
    return found


@compiled
def _linkage(sources: IntArray, targets: IntArray, weights: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Single-linkage dendrogram: edge i makes node n + i of the two nodes that it joins, left and right (m,).

    size: (n + m,) weight below each node, the points' own first.
    """
    points, edges = len(weights), len(sources)
    left = np.empty(edges, np.int64)
    right = np.empty(edges, np.int64)
    size = np.empty(points + edges, np.int64)
    size[:points] = weights
    above = np.arange(points + edges)
    for edge in range(edges):
        one, other = root_of(above, sources[edge]), root_of(above, targets[edge])
        node = points + edge
        left[edge], right[edge] = one, other
        size[node] = size[one] + size[other]
        above[one] = node
        above[other] = node
    return left, right, size


@compiled
def _condensed(
    left: IntArray,
    right: IntArray,
    size: IntArray,
    density: DoubleArray,
    points: int,
    least: int,
    lowest: float,
    highest: float,
) -> tuple[IntArray, DoubleArray, DoubleArray, IntArray]:
    """The dendrogram without nodes lighter than `least`: from the top down, a node goes on being its parent's
    cluster unless both halves are heavy enough to be clusters of their own.

    density: (m,) lambda of each node that an edge made. lowest, highest: lambda at which trees begin and at which
    copies of a point part. Of c clusters, parents before children: parent (c,) or -1 for a whole tree, birth (c,)
    lambda at which it appears, stability (c,). cluster: (n,) the one that each point is last in, or -1.
    """
    edges = len(left)
    nodes = points + edges
    owner = np.full(nodes, -1, np.int64)
    fallen = np.zeros(nodes, np.bool_)  # out of its owner, which has its weight already
    is_root = np.ones(nodes, np.bool_)
    total = 0
    for point in range(points):
        total += size[point]
    most = 2 * (total // least) + 1
    parent = np.empty(most, np.int64)
    birth = np.empty(most, np.float64)
    stability = np.zeros(most, np.float64)
    count = 0
    for edge in range(edges):
        is_root[left[edge]] = False
        is_root[right[edge]] = False
    for node in range(nodes - 1, -1, -1):
        if is_root[node] and size[node] >= least:
            parent[count], birth[count] = -1, lowest
            owner[node] = count
            count += 1
        mine = owner[node]
        if mine < 0:
            continue
        if node < points:
            if not fallen[node]:
                stability[mine] += size[node] * (highest - birth[mine])
            continue
        edge = node - points
        one, other = left[edge], right[edge]
        owner[one] = mine
        owner[other] = mine
        if fallen[node]:
            fallen[one] = True
            fallen[other] = True
            continue
        gained = density[edge] - birth[mine]
        if size[one] >= least and size[other] >= least:
            stability[mine] += size[node] * gained
            for half in (one, other):
                parent[count], birth[count] = mine, density[edge]
                owner[half] = count
                count += 1
            continue
        for half in (one, other):
            if size[half] < least:
                fallen[half] = True
                stability[mine] += size[half] * gained
    return parent[:count], birth[:count], stability[:count], owner[:points]


@compiled
def _selected(parent: IntArray, stability: DoubleArray, roots_count: bool) -> IntArray:
    """The selected cluster that each is or lies in, (c,), or -1: a cluster is selected if it is at least as stable
    as what is selected below it, and lies in no selected one.
    """
    count = len(parent)
    below = np.zeros(count, np.float64)
    worthy = np.zeros(count, np.bool_)
    for cluster in range(count - 1, -1, -1):
        above = parent[cluster]
        worthy[cluster] = (above >= 0 or roots_count) and stability[cluster] >= below[cluster]
        if above >= 0:
            below[above] += max(stability[cluster], below[cluster])
    chosen = np.full(count, -1, np.int64)
    for cluster in range(count):
        above = parent[cluster]
        if above >= 0 and chosen[above] >= 0:
            chosen[cluster] = chosen[above]
        elif worthy[cluster]:
            chosen[cluster] = cluster
    return chosen
