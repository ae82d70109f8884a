"""The minimum spanning forest of neighbour lists (Borůvka, 1926): no edge is ever sorted or copied."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from indexer.cells import MISSING, RowArray
from indexer.compiled import compiled
from indexer.union_find import NodeArray, root_of
from indexer.vectors import FloatArray

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@compiled
def lightest_edges(
    rows: RowArray, lengths: FloatArray, core: DoubleArray, ceiling: float, resolution: float
) -> tuple[IntArray, IntArray, DoubleArray]:
    """Sources, the lower of two points, targets and distances of the forest's edges, each (m,), in no order.

    rows, lengths: as `all_neighbours` gives them. core: (n,) core distances, at least `resolution`, the distance
    that shorter ones count as. ceiling: longer edges are left out.

    In each round every tree takes the lightest edge that leaves it, so the number of trees at least halves. Equal
    distances are told apart by the points, or trees could close a ring; at the resolution they are taken as found.
    """
    points, width = rows.shape
    sources = np.empty(max(0, points - 1), np.int64)
    targets = np.empty(max(0, points - 1), np.int64)
    distances = np.empty(max(0, points - 1), np.float64)
    above = np.full(points, -1, np.int32)
    inside = np.zeros(points, np.bool_)  # nothing in its list leaves its tree below the ceiling, now or later
    count = 0
    if resolution <= ceiling:
        count = _join_at_resolution(rows, lengths, core, resolution, above, inside, sources, targets)
        distances[:count] = resolution
    tree = np.empty(points, np.int32)
    best = np.empty(points, np.float64)
    best_low = np.empty(points, np.int32)
    best_high = np.empty(points, np.int32)
    while True:
        for point in range(points):
            tree[point] = root_of(above, point)
        best[:] = inf
        for point in range(points):
            if inside[point]:
                continue
            mine, leaves = tree[point], False
            for place in range(width):
                other = rows[point, place]
                if other == MISSING:
                    break
                if tree[other] == mine:
                    continue
                reach = max(float(lengths[point, place]), resolution, core[point], core[other])
                if reach > ceiling:
                    continue
                leaves = True
                low, high = min(point, other), max(point, other)
                for each in (mine, tree[other]):
                    if reach < best[each] or (
                        reach == best[each]
                        and (low < best_low[each] or (low == best_low[each] and high < best_high[each]))
                    ):
                        best[each], best_low[each], best_high[each] = reach, low, high
            inside[point] = not leaves
        found = False
        for each in range(points):
            if best[each] == inf:
                continue
            one, other = root_of(above, best_low[each]), root_of(above, best_high[each])
            if one != other:
                above[max(one, other)] = min(one, other)
                sources[count], targets[count], distances[count] = best_low[each], best_high[each], best[each]
                count += 1
                found = True
        if not found:
            return sources[:count], targets[:count], distances[:count]


@compiled
def _join_at_resolution(
    rows: RowArray,
    lengths: FloatArray,
    core: DoubleArray,
    resolution: float,
    above: NodeArray,
    inside: BoolArray,
    sources: IntArray,
    targets: IntArray,
) -> int:
    """Joins points at the resolution from one another, of near-duplicates the most: no edge is lighter, so any
    that join two trees are of a minimum spanning forest, and one look at each is enough. Fills the edges, of which
    it gives the number, and says of points whether all in their lists are in their trees now.
    """
    points, width = rows.shape
    count = 0
    for point in range(points):
        if core[point] > resolution:
            continue
        mine, all_joined = root_of(above, point), True
        for place in range(width):
            other = rows[point, place]
            if other == MISSING:
                break
            if lengths[point, place] > resolution:  # and so are those after it
                all_joined = False
                break
            if above[other] == mine:
                continue
            if core[other] > resolution:
                all_joined = False
                continue
            theirs = root_of(above, other)
            if theirs != mine:
                mine, theirs = min(mine, theirs), max(mine, theirs)
                above[theirs] = mine
                sources[count], targets[count] = min(point, other), max(point, other)
                count += 1
        inside[point] = all_joined
    return count
