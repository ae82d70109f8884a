"""A queue that hands out each item so many times is told from whatever people choose to ask about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, nbinom, poisson

from indexer.replication import NO_ITEMS, Replication, replication

UNITS = 200


def of(counts: object, units: int = UNITS) -> Replication:
    return replication(np.asarray(counts, np.int64), units)


def test_items_handed_out_a_fixed_number_of_times_are_a_queues() -> None:
    for times in (2, 3, 4, 8, 16):
        found = of([times] * 60)
        assert found.times == times
        assert found.accounts == times
        assert found.gain > 20


def test_a_queue_cut_off_and_with_strays_is_still_one() -> None:
    dice = np.random.default_rng(1)
    counts = np.concatenate([dice.binomial(4, 0.85, 150), np.ones(20), dice.integers(5, 40, 12)])
    found = of(counts[counts > 0])
    assert found.times == 4
    assert found.gain > 20


@pytest.mark.parametrize("seed", range(6))
def test_what_people_choose_is_no_queue(seed: int) -> None:
    dice = np.random.default_rng(seed)
    alike = dice.poisson(dice.uniform(0.05, 6), 400)
    popular = dice.poisson(dice.gamma(dice.uniform(0.1, 2), 3, 400))
    ranked = np.bincount(dice.zipf(1.6, 600))
    for counts in (alike, popular, ranked, np.ones(300)):
        assert of(counts[counts > 0]).gain < 1


def test_homework_and_a_benchmark_that_all_of_them_run_are_no_queue() -> None:
    assert of([30] * 10, units=30).gain == 0
    assert of([8] * 100, units=8).gain == 0
    assert of([5] * 100, units=8) == Replication(5.0, 0, 0.0)


def test_nothing_to_be_asked_about() -> None:
    assert of([]) == NO_ITEMS


def test_few_items_gain_little() -> None:
    assert of([4, 4]).gain < of([4] * 10).gain < of([4] * 40).gain
    assert of([2]).gain == 0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_the_gain_equals_that_of_scipys_laws(counts: list[int]) -> None:
    """Over the same grids: the best queue with strays, against the best law of choice with strays."""
    values = np.array(counts)
    strays = falling(counts)[values - 1]
    means = np.geomspace(0.002, 4 * values.mean(), 160)
    laws = [poisson.pmf(values, mean) / -np.expm1(-mean) for mean in means]
    for variation in (0.1, 0.3, 1.0, 3.0, 10.0):
        odds = 1 / (1 + variation * means)
        laws += [nbinom.pmf(values, 1 / variation, p) / (1 - nbinom.pmf(0, 1 / variation, p)) for p in odds]
    queues = [
        binom.pmf(values, number, rate) / (1 - (1 - rate) ** number)
        for number in range(2, 17)
        for rate in np.linspace(0.5, 0.99, 25)
    ]
    shares = (0.02, 0.05, 0.1, 0.2, 0.4)
    choice = [(1 - share) * law + share * strays for law in laws for share in (0.0, *shares)]
    chosen = max(float(np.log(law).sum()) for law in (strays, *choice))
    dealt = max(float(np.log((1 - share) * law + share * strays).sum()) for law in queues for share in shares)
    assert of(counts).gain == pytest.approx(max(0.0, dealt - chosen - 3), abs=1e-6)


def falling(counts: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    """The likeliest falling law: slopes of the least concave majorant of the cumulated shares."""
    most = max(counts)
    total = [sum(count <= value for count in counts) / len(counts) for value in range(most + 1)]
    slopes = [
        min(
            max((total[end] - total[begin]) / (end - begin) for end in range(value, most + 1))
            for begin in range(value)
        )
        for value in range(1, most + 1)
    ]
    return np.array(slopes)
