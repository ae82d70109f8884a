"""Batches hold all things in order, and none is larger than it must be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.batches import batch_ranges, batches


@given(st.lists(st.integers(0, 9)), st.integers(1, 20), st.integers(1, 6))
def test_batches_end_once_they_are_full(sizes: list[int], most_size: int, most: int) -> None:
    found = list(batches(iter(sizes), lambda size: size, most_size, most))
    assert [size for batch in found for size in batch] == sizes
    for batch in found:
        assert sum(batch[:-1]) < most_size
        assert len(batch) <= most
    assert all(sum(batch) >= most_size or len(batch) == most for batch in found[:-1])


@given(st.lists(st.integers(0, 9)), st.integers(1, 20), st.integers(1, 6))
def test_ranges_are_the_same_batches(sizes: list[int], most_size: int, most: int) -> None:
    expected = list(batches(sizes, lambda size: size, most_size, most))
    assert [
        sizes[first:last] for first, last in batch_ranges(np.array(sizes, np.int64), most_size, most)
    ] == expected


def test_things_are_taken_only_when_it_is_their_turn() -> None:
    taken: list[int] = []
    found = batches((taken.append(n) or n for n in range(10)), lambda _: 1, 3)  # type: ignore[func-returns-value]
    assert next(found) == taken == [0, 1, 2]
