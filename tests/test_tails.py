"""Tails of distributions, against the distributions themselves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from indexer.tails import binomial_tail, hypergeometric_tail, lower_tail, upper_tail


@st.composite
def takings(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Least, drawn, marked and total of one blind taking."""
    total = draw(st.integers(1, 5000))
    drawn, marked = draw(st.integers(0, total)), draw(st.integers(0, total))
    return draw(st.integers(-2, total + 2)), drawn, marked, total


@given(st.lists(takings(), min_size=1, max_size=6))
def test_hypergeometric_tail_is_that_of_scipy(asked: list[tuple[int, int, int, int]]) -> None:
    least, drawn, marked, total = np.array(asked, np.int64).T
    found = hypergeometric_tail(least.astype(np.float64), drawn, marked, total)
    np.testing.assert_allclose(found, hypergeom.sf(least - 1, total, marked, drawn), rtol=1e-8, atol=1e-300)
    assert ((found >= 0) & (found <= 1)).all()


def test_half_a_hit_more_is_one_hit_more() -> None:
    """Of 4 items 2 are marked, 2 are taken: one or more marked ones in 5 of 6 ways, both in 1."""
    twos, fours = np.full(4, 2), np.full(4, 4)
    found = hypergeometric_tail(np.array([0.0, 0.5, 1.5, 2.5]), twos, twos, fours)
    np.testing.assert_allclose(found, [1.0, 5 / 6, 1 / 6, 0.0], rtol=1e-12)


@given(st.integers(-2, 40), st.integers(0, 40), st.floats(0.0, 1.0))
def test_binomial_tail_is_that_of_scipy(least: int, trials: int, chance: float) -> None:
    np.testing.assert_allclose(
        binomial_tail(least, trials, chance), binom.sf(least - 1, trials, chance), atol=1e-12
    )


def test_no_taking_has_no_chance() -> None:
    none = np.zeros(0, np.int64)
    assert hypergeometric_tail(np.zeros(0), none, none, none).shape == (0,)


@given(st.lists(st.floats(0.0, 0.9), min_size=1, max_size=12), st.integers(0, 12))
def test_upper_tail_bounds_the_exact_chance(chances: list[float], observed: int) -> None:
    """The exact distribution of a sum of unequal trials, one trial after the other."""
    exact = np.ones(1)
    for chance in chances:
        exact = np.convolve(exact, [1 - chance, chance])
    bound = upper_tail(observed, np.array(chances))
    assert bound >= exact[observed:].sum() - 1e-9
    assert bound <= 1.0


def test_upper_tail_is_a_probability_where_as_many_are_expected() -> None:
    """Just above the mean every t of the grid gives more than 1."""
    assert upper_tail(4, np.full(9, 4 / 9 - 1e-4)) == 1.0


def test_upper_tail_is_close_where_it_matters() -> None:
    """18 of 20 accounts moved, each with a chance of a third: 2.2e-7 exactly, 4e-4 as a Poisson sum."""
    bound = upper_tail(18, np.full(20, 1 / 3))
    assert 2.2e-7 < bound < 2e-6


@given(st.floats(0.1, 50.0), st.integers(0, 60))
def test_lower_tail_bounds_the_poisson_chance(expected: float, observed: int) -> None:
    exact = np.exp(-expected) * np.cumprod([1.0, *(expected / np.arange(1, observed + 1))]).sum()
    assert lower_tail(observed, expected) >= min(1.0, exact) - 1e-12
