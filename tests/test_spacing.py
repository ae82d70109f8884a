"""A spaced sample is distinct, ascending, of the size asked for, and reaches both ends."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.spacing import spaced


@given(st.integers(0, 5000), st.integers(2, 400))
def test_places_are_even_and_reach_both_ends(count: int, most: int) -> None:
    places = spaced(count, most)
    assert len(places) == min(count, most)
    steps = np.diff(places)
    assert (steps >= 1).all()
    assert len(steps) == 0 or steps.max() - steps.min() <= 1
    assert places[[0, -1]].tolist() == [0, count - 1] if count else not len(places)


def test_what_is_few_is_taken_whole() -> None:
    assert spaced(3, 10).tolist() == [0, 1, 2]
    assert spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert spaced(0, 4).tolist() == []
    assert spaced(7, 1).tolist() == [0]
