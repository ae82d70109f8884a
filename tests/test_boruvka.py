"""The lightest edges of neighbour lists, against SciPy's minimum spanning forest of all their edges."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from indexer.boruvka import _join_at_resolution, lightest_edges
from indexer.cells import MISSING, RowArray
from indexer.vectors import FloatArray

DoubleArray = NDArray[np.float64]

RESOLUTION: Final = 0.25
CEILING: Final = 1.0


def lists_of(seed: int, points: int, width: int, levels: int) -> tuple[RowArray, FloatArray, DoubleArray]:
    """Lists of differing length, the nearest first, and core distances, some of them infinite. levels: how many
    different distances there are beside the resolution and the ceiling, some below the one and above the other.
    """
    rng = np.random.default_rng(seed)
    steps = np.array([RESOLUTION, CEILING, *np.linspace(0.05, 1.2, levels)])
    others = np.argsort(rng.random((points, points - 1)), axis=1)[:, :width]
    rows = (others + (others >= np.arange(points)[:, None])).astype(np.int32)
    lengths = np.sort(rng.choice(steps, (points, width)), axis=1).astype(np.float32)
    gone = np.arange(width) >= rng.integers(0, width + 1, size=(points, 1))
    rows[gone] = MISSING
    core = np.maximum(rng.choice(steps, points), RESOLUTION)
    core[rng.random(points) < 0.1] = np.inf
    return rows, lengths, core


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 40),
    st.integers(1, 6),
    st.sampled_from([2, 5, 1000]),
    st.sampled_from([CEILING, RESOLUTION, RESOLUTION / 2]),
)
def test_the_edges_are_a_minimum_spanning_forest(
    seed: int, points: int, width: int, levels: int, ceiling: float
) -> None:
    rows, lengths, core = lists_of(seed, points, min(width, points - 1), levels)
    point, place = np.nonzero(rows != MISSING)
    other = rows[point, place]
    reach = np.maximum(np.maximum(lengths[point, place], RESOLUTION), np.maximum(core[point], core[other]))
    full = np.full((points, points), np.inf)
    for low, high, distance in zip(np.minimum(point, other), np.maximum(point, other), reach, strict=True):
        if distance <= ceiling:
            full[low, high] = min(full[low, high], distance)
    low, high = np.nonzero(np.isfinite(full))
    given_edges = coo_array((full[low, high], (low, high)), (points, points)).tocsr()

    sources, targets, distances = lightest_edges(rows, lengths, core, ceiling, RESOLUTION)
    assert (sources < targets).all()
    np.testing.assert_array_equal(distances, full[sources, targets])
    np.testing.assert_array_equal(np.sort(distances), np.sort(minimum_spanning_tree(given_edges).data))
    found = coo_array((distances, (sources, targets)), (points, points)).tocsr()
    trees, component = connected_components(found, directed=False)
    assert trees == points - len(sources)  # no ring
    np.testing.assert_array_equal(component, connected_components(given_edges, directed=False)[1])


@pytest.mark.parametrize("points", [0, 1])
def test_without_edges(points: int) -> None:
    rows, lengths = np.full((points, 3), MISSING, np.int32), np.zeros((points, 3), np.float32)
    found = lightest_edges(rows, lengths, np.full(points, np.inf), CEILING, RESOLUTION)
    assert [len(each) for each in found] == [0, 0, 0]


def test_one_look_joins_what_lies_at_the_resolution() -> None:
    """Of 0 to 2 all near one another, 3 that only 2 is near to, and 4, near to 3 but no core of its own."""
    rows = np.array([[1, 2], [0, 2], [3, 1], [4, MISSING], [3, MISSING]], np.int32)
    lengths = np.array([[0.1, 0.25], [0.1, 0.2], [0.25, 0.3], [0.1, 0], [0.1, 0]], np.float32)
    core = np.array([RESOLUTION, RESOLUTION, RESOLUTION, RESOLUTION, 0.5])
    above, inside = np.full(5, -1, np.int32), np.zeros(5, np.bool_)
    sources, targets = np.full(4, -1, np.int64), np.full(4, -1, np.int64)
    assert _join_at_resolution(rows, lengths, core, RESOLUTION, above, inside, sources, targets) == 3
    assert list(zip(sources[:3].tolist(), targets[:3].tolist(), strict=True)) == [(0, 1), (0, 2), (2, 3)]
    assert inside.tolist() == [True, True, False, False, False]
    assert above.tolist() == [-1, 0, 0, 0, -1]
