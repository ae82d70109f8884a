"""A queue that hands out each item so many times is told from whatever people choose to ask about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, nbinom, poisson

from indexer.replication import NO_ITEMS, Replication, _queue, replication

Ints = NDArray[np.int64]
UNITS = 2000
NONE = np.zeros(0, np.int64)


def of(counts: object, units: int = UNITS) -> Replication:
    """Items that so many units asked about, each time others."""
    return replication(*asked(np.asarray(counts, np.int64), range(units), np.random.default_rng(0)))


def asked(counts: Ints, units: range, dice: np.random.Generator) -> tuple[Ints, Ints]:
    """Item and unit of each event: of each item as many of the units as given."""
    item = np.repeat(np.arange(len(counts)), counts)
    return item, np.concatenate([dice.choice(units, count, replace=False) for count in counts] or [NONE])


def several(groups: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Groups with items and units of their own, as one."""
    items = [item + 10_000 * number for number, (item, _) in enumerate(groups)]
    units = [unit + 10_000 * number for number, (_, unit) in enumerate(groups)]
    return np.concatenate(items), np.concatenate(units)


def test_items_handed_out_a_fixed_number_of_times_are_a_queues() -> None:
    for times in (2, 3, 4, 8, 16):
        found = of([times] * 60, units=60)
        assert found.times == times
        assert found.accounts == times
        assert found.gain > 20


def test_a_queue_cut_off_and_with_strays_is_still_one() -> None:
    dice = np.random.default_rng(1)
    counts = np.concatenate([dice.binomial(4, 0.85, 150), np.ones(20), dice.integers(5, 40, 12)])
    found = of(counts[counts > 0].astype(np.int64), units=150)
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
    assert of([10] * 100, units=10) == Replication(10.0, 0, 0.0)


def test_circles_that_ask_about_the_same_things_are_no_queue() -> None:
    """Classes, teams and pairs have as fixed a number of askers, but always the same ones."""
    dice = np.random.default_rng(3)
    circles = {
        "classes": [asked(dice.binomial(12, 0.8, 6).clip(1), range(12), dice) for _ in range(3)],
        "teams": [asked(np.full(6, 4), range(4), dice) for _ in range(12)],
        "pairs": [asked(np.full(4, 2), range(2), dice) for _ in range(40)],
    }
    for name, groups in circles.items():
        assert replication(*several(groups)).gain < 1, name
    assert of([4] * 72, units=48).gain > 20  # as many of the teams' size, dealt to anybody


def test_so_few_items_of_each_unit_cannot_tell_a_queue_from_circles() -> None:
    assert of([2] * 50, units=2000).gain == 0  # hardly anybody has a second one
    assert of([2] * 400, units=200).gain > 20


def test_an_account_that_always_asks_first_and_others_that_follow_are_no_queue() -> None:
    dice = np.random.default_rng(4)
    for mean in (0.5, 2.0, 5.0):
        assert of(1 + dice.poisson(mean, 3000), units=UNITS).gain < 1


def test_nothing_to_be_asked_about() -> None:
    assert of([]) == NO_ITEMS


def test_few_items_gain_little() -> None:
    few = [of([4] * items, units=max(8, items)).gain for items in (2, 10, 40)]
    assert few == sorted(few)
    assert few[0] < 1 < 15 < few[2]


def test_thousands_of_items_gain_no_more_than_hundreds() -> None:
    assert of([4] * 2000, units=UNITS).gain == pytest.approx(of([4] * 200, units=200).gain, rel=0.05)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_the_gain_equals_that_of_scipys_laws(counts: list[int]) -> None:
    """Over the same grids: the best queue with strays, against the best law of choice with strays."""
    values = np.array(counts)
    strays = falling(counts)[values - 1]
    means = np.geomspace(0.002, 4 * values.mean(), 160)
    laws = [poisson.pmf(values, mean) / -np.expm1(-mean) for mean in means]
    laws += [poisson.pmf(values - 1, mean) for mean in means]
    for variation in (0.1, 0.3, 1.0, 3.0, 10.0):
        odds = 1 / (1 + variation * means)
        laws += [nbinom.pmf(values, 1 / variation, p) / (1 - nbinom.pmf(0, 1 / variation, p)) for p in odds]
        laws += [nbinom.pmf(values - 1, 1 / variation, p) for p in odds]
    queues = [
        binom.pmf(values, number, rate) / (1 - (1 - rate) ** number)
        for number in range(2, 17)
        for rate in np.linspace(0.5, 0.99, 25)
    ]
    shares = (0.02, 0.05, 0.1, 0.2, 0.4)
    choice = [(1 - share) * law + share * strays for law in laws for share in (0.0, *shares)]
    chosen = max(float(np.log(law).sum()) for law in (strays, *choice))
    dealt = max(float(np.log((1 - share) * law + share * strays).sum()) for law in queues for share in shares)
    assert _queue(values)[0] == pytest.approx(max(0.0, dealt - chosen - 3), abs=1e-6)


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
