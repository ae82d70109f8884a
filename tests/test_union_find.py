"""Groups that grow, against sets that are written out."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.compiled import compiled, fetch
from indexer.union_find import AHEAD, fetch_ahead, root_of

IntArray = NDArray[np.int64]
POINTS = 40

pairs = st.lists(st.tuples(st.integers(0, POINTS - 1), st.integers(0, POINTS - 1)), max_size=120)


@compiled
def sum_fetched(array: IntArray) -> int:
    total = 0
    for index in range(len(array)):
        fetch(array, len(array) - 1 - index)
        total += array[index]
    return total


def test_fetching_is_an_instruction_of_the_processor() -> None:
    code = numba.njit(sum_fetched.py_func)  # compiled here and now: what comes from a cache cannot be looked into
    code(np.arange(3))
    assert any("llvm.prefetch" in text for text in code.inspect_llvm().values())


def joined(edges: list[tuple[int, int]]) -> NDArray[np.int32]:
    """What is above each point once the edges are joined, the second root of each below the first."""
    above = np.full(POINTS, -1, np.int32)
    for one, other in edges:
        first, second = root_of(above, one), root_of(above, other)
        if first != second:
            above[second] = first
    return above


@given(pairs)
def test_groups_are_those_of_sets(edges: list[tuple[int, int]]) -> None:
    groups = {point: frozenset([point]) for point in range(POINTS)}
    for one, other in edges:
        together = groups[one] | groups[other]
        groups |= dict.fromkeys(together, together)
    above = joined(edges)
    roots = [root_of(above, point) for point in range(POINTS)]
    assert all(above[root] == -1 for root in roots)
    assert all((roots[a] == roots[b]) == (groups[a] == groups[b]) for a in range(POINTS) for b in range(POINTS))


def test_the_way_to_the_root_is_split() -> None:
    above = np.array([-1, 0, 1, 2, 3], np.int32)
    assert root_of(above, 4) == 0
    assert above.tolist() == [-1, 0, 0, 1, 2]


@given(pairs.filter(bool))
def test_looking_ahead_changes_nothing_and_tells_what_is_above_both_ends(edges: list[tuple[int, int]]) -> None:
    above, (sources, targets) = joined(edges), np.array(edges, np.int64).T.copy()
    before = above.copy()
    for edge in range(len(edges)):
        near = edges[min(edge + AHEAD, len(edges) - 1)]
        expected = tuple(int(above[end]) if above[end] >= 0 else end for end in near)
        assert fetch_ahead(above, sources, targets, edge) == expected
    np.testing.assert_array_equal(above, before)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_fetching_changes_nothing(dtype: type[np.generic], step: int) -> None:
    array = np.arange(300).astype(dtype)[::step]
    assert sum_fetched(array) == sum(range(0, 300, step))
    np.testing.assert_array_equal(array, np.arange(0, 300, step).astype(dtype))
