"""Rows kept as float16 come back as numpy would have them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from indexer.halves import Halves
from indexer.vectors import normalise


@given(arrays(np.uint16, (5, 7)), st.lists(st.integers(0, 4), max_size=6))
def test_every_finite_number_comes_back(bits: np.ndarray, places: list[int]) -> None:  # type: ignore[type-arg]
    """Any pattern of bits but those of infinities and of what is no number, which a unit row never holds."""
    halves = np.where(bits & 0x7C00 == 0x7C00, bits & 0x83FF, bits).astype(np.uint16).view(np.float16)
    rows = Halves(halves, np.array(places, np.int64))
    expected = normalise(halves.astype(np.float64))[places].astype(np.float32)
    np.testing.assert_allclose(rows[:], expected, rtol=1e-5, atol=1e-12)


def test_rows_are_taken_by_number_slice_and_selection() -> None:
    rng = np.random.default_rng(1)
    vectors = normalise(rng.normal(size=(50, 16)).astype(np.float32))
    places = rng.permutation(50)[:30]
    rows = Halves(vectors.astype(np.float16), places)
    assert (len(rows), rows.shape) == (30, (30, 16))
    expected = normalise(vectors.astype(np.float16).astype(np.float32))[places]
    np.testing.assert_allclose(rows[:], expected, atol=1.2e-7)
    np.testing.assert_array_equal(rows[5:9], rows[:][5:9])
    np.testing.assert_array_equal(rows[np.array([7, 7, 2])], rows[:][[7, 7, 2]])
    np.testing.assert_array_equal(rows.at(np.array([3, 1]))[:], rows[:][[3, 1]])


def test_a_row_of_noughts_is_the_first_axis() -> None:
    assert Halves(np.zeros((1, 3), np.float16), np.array([0]))[:].tolist() == [[1, 0, 0]]
