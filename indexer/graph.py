"""From neighbour lists to the spanning forest that HDBSCAN's hierarchy is read from.

Distance is the chord between unit vectors, sqrt(2 - 2 cosine), in [0, 2]: Euclidean, so HDBSCAN's geometry
holds, and monotone in cosine.
"""

from dataclasses import dataclass, fields
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.boruvka import lightest_edges
from indexer.cells import MISSING, RowArray
from indexer.compiled import compiled
from indexer.neighbours import EXACT_LIMIT, PROBES, all_neighbours
from indexer.spacing import spaced
from indexer.union_find import root_of
from indexer.vectors import FloatArray, UnitRows, normalise
from indexer.workspace import Folder

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DISTANCE_FLOOR: Final = 1e-4  # distances below are noise of float32
_MEDOID_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Forest:
    """Minimum spanning forest of n points. sources, targets: (m,) int64; distances: (m,) float64, mutual
    reachability, ascending. component: (n,) int64, number of the tree a point is in. alone: (n,) bool, no other
    point was found within the ceiling.
    """

    sources: IntArray
    targets: IntArray
    distances: DoubleArray
    component: IntArray
    alone: BoolArray


def write_forest(folder: Folder, forest: Forest) -> None:
    """Puts a forest into a folder."""
    for each in fields(Forest):
        folder.write(each.name, getattr(forest, each.name))


def read_forest(folder: Folder) -> Forest:
    """The forest that `write_forest` put there, mapped into memory."""
    sources, targets, component = (folder.array(name, np.int64) for name in ("sources", "targets", "component"))
    return Forest(
        sources, targets, folder.array("distances", np.float64), component, folder.array("alone", np.bool_)
    )


def chord(cosine: float) -> float:
    """Chord length of a cosine."""
    return float(np.sqrt(max(0.0, 2.0 - 2.0 * cosine)))


def spanning_forest(
    vectors: UnitRows,
    weights: IntArray,
    neighbours: int,
    min_samples: int,
    ceiling: float,
    resolution: float = DISTANCE_FLOOR,
    probes: int = PROBES,
    exact_limit: int = EXACT_LIMIT,
) -> Forest:
    """Forest over the mutual-reachability distances (Campello et al., 2013) of weighted points.

    vectors: (n, d) unit rows, float32, distinct. weights: (n,) >= 1, how many equal points each stands for.
    neighbours: list length of the neighbour graph. probes, exact_limit: see `all_neighbours`.
    min_samples: the core distance of a point is that to its min_samples-th other point, equal ones included (the
    convention of the `hdbscan` package). ceiling: edges longer than this are left out, so unrelated points stay
    apart.
    resolution: shorter distances count as this one, equal points included.

    Every edge carries a true distance and no edge is shorter than in the complete graph, so a missing
    neighbour can only split a group, never join two.
    """
    rows, lengths = all_neighbours(
        vectors,
        neighbours,
        least_cosine=1 - ceiling**2 / 2,
        same_cosine=1 - resolution**2 / 2 if resolution > DISTANCE_FLOOR else inf,  # no float32 is so near to 1
        probes=probes,
        exact_limit=exact_limit,
    )
    return forest_of(vectors, weights, rows, lengths, min_samples, ceiling, resolution)


def forest_of(
    vectors: UnitRows,
    weights: IntArray,
    rows: RowArray,
    lengths: FloatArray,
    min_samples: int,
    ceiling: float,
    resolution: float = DISTANCE_FLOOR,
) -> Forest:
    """`spanning_forest`, given the neighbour lists, as `all_neighbours` gives them."""
    core = core_distances(rows, lengths, weights, min_samples, resolution)
    sources, targets, distances = lightest_edges(rows, lengths, core, ceiling, resolution)
    alone = (rows == MISSING).all(axis=1)
    forest = _kruskal(sources, targets, distances, alone)
    return _joined_across_components(vectors, core, forest, rows.shape[1], ceiling, resolution)


@compiled
def core_distances(
    rows: RowArray, lengths: FloatArray, weights: IntArray, min_samples: int, resolution: float
) -> DoubleArray:
    """Least radius around each point that holds min_samples other points by weight, (n,); inf if its list does
    not.

    rows, lengths: as `all_neighbours` gives them. The point's own weight - 1 equal copies lie at distance 0.
    """
    core = np.full(len(rows), np.inf)
    for point in range(len(rows)):
        within = weights[point] - 1
        if within >= min_samples:
            core[point] = resolution
            continue
        for place in range(rows.shape[1]):
            other = rows[point, place]
            if other == MISSING:
                break
            within += weights[other]
            if within >= min_samples:
                core[point] = max(float(lengths[point, place]), resolution)
                break
    return core


def _kruskal(sources: IntArray, targets: IntArray, distances: DoubleArray, alone: BoolArray) -> Forest:
    """Minimum spanning forest of the given edges between points of which some are `alone`, (points,)."""
    order = np.lexsort((targets, sources, distances))
    kept, component = _joining(len(alone), sources[order], targets[order])
    edges = order[kept]
    return Forest(sources[edges], targets[edges], distances[edges], component, alone)


@compiled
def _joining(count: int, sources: IntArray, targets: IntArray) -> tuple[NDArray[np.bool_], IntArray]:
    """Which edges, taken one after the other, join two trees (m,); and the number of each point's tree
    (count,).
    """
    above = np.full(count, -1, np.int32)
    kept = np.zeros(len(sources), np.bool_)
    for edge in range(len(sources)):
        one, other = root_of(above, sources[edge]), root_of(above, targets[edge])
        if one != other:
            above[max(one, other)] = min(one, other)
            kept[edge] = True
    number = np.empty(count, np.int64)
    trees = 0
    for point in range(count):  # a root is the first point of its tree
        root = root_of(above, point)
        if root == point:
            number[point] = trees
            trees += 1
        else:
            number[point] = number[root]
    return kept, number


def _joined_across_components(
    vectors: UnitRows, core: DoubleArray, forest: Forest, neighbours: int, ceiling: float, resolution: float
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
    rows, lengths = all_neighbours(vectors[medoids], neighbours, least_cosine=1 - ceiling**2 / 2)
    near, place = np.nonzero(rows != MISSING)
    sources, targets = medoids[near], medoids[rows[near, place]]
    reach = np.maximum(lengths[near, place], resolution, dtype=np.float64)
    reach = np.maximum(reach, np.maximum(core[sources], core[targets]))
    within = reach <= ceiling
    return _kruskal(
        np.concatenate([forest.sources, sources[within]]),
        np.concatenate([forest.targets, targets[within]]),
        np.concatenate([forest.distances, reach[within]]),
        forest.alone,
    )


def _medoids(vectors: UnitRows, component: IntArray, wanted: IntArray) -> IntArray:
    """The point nearest to the mean direction of each wanted component, shape (len(wanted),); of a large one only
    some points are looked at.
    """
    order = np.argsort(component, kind="stable")
    starts = np.searchsorted(component[order], wanted)
    ends = np.searchsorted(component[order], wanted, side="right")
    medoids = np.empty(len(wanted), np.int64)
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        members = order[start + spaced(end - start, _MEDOID_POINTS)]
        rows = vectors[members]
        medoids[place] = members[np.argmax(rows @ normalise(rows.mean(axis=0, keepdims=True))[0])]
    return medoids
