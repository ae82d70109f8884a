"""HDBSCAN's hierarchy over a spanning forest of weighted points: linkage, condensed tree, excess of mass.

The definitions are those of Campello, Moulavi and Sander (2013, "Density-based clustering based on hierarchical
density estimates") in the form of the `hdbscan` package, which serves the tests as oracle. Time is linear in the
number of edges but for the union-find, and no step recurses, so a chain of a million points is as good as any
tree.

A point of weight w is w equal points, which lie at the `resolution` from one another; the copies are never written
out. Density is lambda, one over distance.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.compiled import compiled, fetch
from indexer.union_find import NodeArray, fetch_ahead, root_of

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

MOST_COPIES: Final = 2**31 - 1  # also of nodes: more would not fit the numbers that a tree is made of


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
    can be a cluster, one that is born at the ceiling; if not, only parts of trees can. ValueError beyond
    MOST_COPIES copies, or nodes, which are one for each point and each edge.
    """
    copies, nodes = int(weights.sum()), len(weights) + len(sources)
    if max(copies, nodes) > MOST_COPIES:
        raise ValueError(f"{copies:,} copies and {nodes:,} nodes: a hierarchy has at most {MOST_COPIES:,} of each")
    halves, leaving = _dendrogram(sources, targets, weights, min_cluster_size)
    owner = np.full(nodes, -1, np.int32)
    parent, stability = _condensed(
        halves, leaving, 1.0 / distances, weights, min_cluster_size, 1.0 / ceiling, 1.0 / resolution, owner
    )
    selected: IntArray = _selected(parent, stability, roots_count).astype(np.int64)
    found: IntArray = np.append(selected, -1)[owner[: len(weights)]]  # -1, no cluster, leads to the -1 at the end
    return found


def _dendrogram(
    sources: IntArray, targets: IntArray, weights: IntArray, least: int
) -> tuple[NodeArray, NodeArray]:
    """Single linkage: edge i makes node n + i of the two nodes that it joins.

    halves: (m, 2) int32, the nodes joined, ~node for one lighter than `least`. leaving: (m,) int32, the weight
    that leaves the cluster it is in at this edge: all of it if both halves are heavy enough to be clusters of
    their own, else that of the light ones; 0 where even both together are light, which are out already.
    """
    points, edges = len(weights), len(sources)
    halves, leaving = np.empty((edges, 2), np.int32), np.empty(edges, np.int32)
    above, size = np.empty(points, np.int32), np.empty(points, np.int32)
    _join(sources, targets, weights, least, halves, leaving, above, size)
    return halves, leaving


@compiled
def _join(
    sources: IntArray,
    targets: IntArray,
    weights: IntArray,
    least: int,
    halves: NodeArray,
    leaving: NodeArray,
    above: NodeArray,
    size: NodeArray,
) -> None:
    """Fills the halves and leaving of `_dendrogram`. above, size: (n,) to work on, of a root ~ the node that its
    group is, and its weight.

    Where the edges lead is rarely in the processor's caches: what is looked up there is four bytes a point, twice,
    asked for ahead, and NumPy makes the arrays, as it asks the system for large pages.
    """
    points, edges = len(weights), len(sources)
    for point in range(points):
        above[point] = ~point
        size[point] = weights[point]
    for edge in range(edges):
        soon, soon_other = fetch_ahead(above, sources, targets, edge)
        fetch(size, soon)
        fetch(size, soon_other)
        one, other = root_of(above, sources[edge]), root_of(above, targets[edge])
        if size[one] < size[other]:
            one, other = other, one
        heavier, lighter = size[one], size[other]
        node, half = ~above[one], ~above[other]
        halves[edge, 0] = node if heavier >= least else ~node
        halves[edge, 1] = half if lighter >= least else ~half
        both = heavier + lighter
        if lighter >= least:
            leaving[edge] = both
        elif heavier >= least:
            leaving[edge] = lighter
        else:
            leaving[edge] = both if both >= least else 0
        above[other] = one
        above[one] = ~(points + edge)
        size[one] = both


@compiled
def _condensed(
    halves: NodeArray,
    leaving: NodeArray,
    density: DoubleArray,
    weights: IntArray,
    least: int,
    lowest: float,
    highest: float,
    owner: NodeArray,
) -> tuple[NodeArray, DoubleArray]:
    """The dendrogram without nodes lighter than `least`: from the top down, a node goes on being its parent's
    cluster unless both halves are heavy enough to be clusters of their own.

    density: (m,) lambda of each node that an edge made. lowest, highest: lambda at which trees begin and at which
    copies of a point part. owner: (n + m,) of -1, becomes the cluster that each node is last in, if any. Of c
    clusters, parents before children: parent (c,) int32 or -1 for a whole tree, stability (c,).
    """
    points, edges = len(weights), len(halves)
    most = min(2 * (weights.sum() // least) + 1, points + edges)  # each begins at a node of its own
    parent = np.empty(most, np.int32)
    birth = np.empty(most, np.float64)
    stability = np.zeros(most, np.float64)
    count = 0
    for edge in range(edges - 1, -1, -1):
        one, other = halves[edge]
        mine, node, half = owner[points + edge], max(one, ~one), max(other, ~other)
        if not leaving[edge]:
            owner[node] = mine
            owner[half] = mine
            continue
        if mine < 0:
            mine = count
            parent[count], birth[count] = -1, lowest
            count += 1
        stability[mine] += leaving[edge] * (density[edge] - birth[mine])
        owner[node] = mine
        owner[half] = mine
        if one >= 0 and other >= 0:
            for child in (node, half):
                owner[child] = count
                parent[count], birth[count] = mine, density[edge]
                count += 1
    for point in range(points - 1, -1, -1):
        if weights[point] < least:
            continue
        mine = owner[point]
        if mine < 0:
            mine = count
            owner[point] = mine
            parent[count], birth[count] = -1, lowest
            count += 1
        stability[mine] += weights[point] * (highest - birth[mine])
    return parent[:count], stability[:count]


@compiled
def _selected(parent: NodeArray, stability: DoubleArray, roots_count: bool) -> NodeArray:
    """The selected cluster that each is or lies in, (c,) int32, or -1: a cluster is selected if it is at least as
    stable as what is selected below it, and lies in no selected one.
    """
    count = len(parent)
    below = np.zeros(count, np.float64)
    worthy = np.zeros(count, np.bool_)
    for cluster in range(count - 1, -1, -1):
        above = parent[cluster]
        worthy[cluster] = (above >= 0 or roots_count) and stability[cluster] >= below[cluster]
        if above >= 0:
            below[above] += max(stability[cluster], below[cluster])
    chosen = np.full(count, -1, np.int32)
    for cluster in range(count):
        above = parent[cluster]
        if above >= 0 and chosen[above] >= 0:
            chosen[cluster] = chosen[above]
        elif worthy[cluster]:
            chosen[cluster] = cluster
    return chosen
