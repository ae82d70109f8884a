"""What calibration promises: honest ranks, weights with the right sign, and control over many tests."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from indexer.calibration import Calibration, Component, calibrate, load_calibration, q_values
from indexer.evidence import Measure
from models.campaign import EvidenceKind

SUMS = tuple(np.linspace(-5.0, 0.0, 200).tolist())
WIDE = tuple(np.linspace(-2.0, -1.0, 100).tolist())
ONE = Calibration({"depth": Component(2.0, 0.5, 3.0)}, SUMS, WIDE, 200, 10, 3)


def measure(name: str, value: float) -> Measure:
    return Measure(name, EvidenceKind.COORDINATION, value, value, "")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_q_values_equal_scipys(p_values: list[float]) -> None:
    assert q_values(p_values) == pytest.approx(false_discovery_control(p_values))


def test_nothing_tested_has_no_q_values() -> None:
    assert q_values([]).tolist() == []


def test_the_rank_of_a_sum_counts_the_benign_groups_at_least_as_high() -> None:
    assert ONE.p_value(-10.0, 12) == 1.0
    assert ONE.p_value(SUMS[100], 12) == pytest.approx((1 + 100) / 201)


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_a_higher_sum_is_never_likelier(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert (
        0 < ONE.p_value(high, 12) <= ONE.p_value(low, 12) + 0.01 <= 1.01
    )  # the tail is fitted, it may step where it begins


def test_a_wide_group_is_compared_with_wide_ones() -> None:
    assert ONE.p_value(-1.5, 25) == pytest.approx(51 / 101, abs=0.01)
    assert ONE.p_value(-1.5, 24) == pytest.approx(0.3, abs=0.01)
    assert ONE.p_value(0.5, 25) < 1e-5 < ONE.p_value(0.5, 24)


def test_too_few_of_a_width_are_compared_with_all() -> None:
    few = msgspec.structs.replace(ONE, wide=WIDE[:10])
    assert few.p_value(-1.5, 500) == pytest.approx(0.3, abs=0.05)


def test_beyond_the_benign_groups_the_tail_goes_on_falling() -> None:
    assert ONE.p_value(1.0, 12) < 0.1
    assert ONE.p_value(2.0, 12) == pytest.approx(ONE.p_value(1.0, 12) ** 2 / ONE.p_value(0.0, 12), rel=1e-6)


def test_a_contribution_is_against_the_usual_benign_group() -> None:
    assert ONE.contribution(measure("depth", 0.5)) == 0.0
    assert ONE.contribution(measure("depth", 2.0)) == 3.0
    assert ONE.contribution(replace(measure("depth", 2.0), certainty=0.25)) == 0.75
    assert ONE.contribution(replace(measure("depth", 2.0), observed=None, certainty=0.0)) == 0.0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_weights_are_never_negative_and_find_what_tells_them_apart(seed: int) -> None:
    dice = np.random.default_rng(seed)
    benign = [
        (measure("telling", a), measure("noise", b), measure("reversed", -a))
        for a, b in dice.normal(0, 1, (60, 2))
    ]
    planted = [
        (measure("telling", a), measure("noise", b), measure("reversed", -a))
        for a, b in dice.normal((2, 0), 1, (40, 2))
    ]
    found = calibrate(
        benign, planted, [20] * len(benign), worlds=4, beliefs={each.name: 0.0 for each in benign[0]}
    )
    weights = {name: each.weight for name, each in found.components.items()}
    assert weights["telling"] > max(0.5, weights["noise"])
    assert weights["reversed"] == 0.0
    assert min(weights.values()) >= 0
    assert (found.groups, found.campaigns, found.worlds) == (60, 40, 4)
    assert found.components["telling"].centre == pytest.approx(np.mean([row[0].value for row in benign]), abs=1e-4)


def test_what_rests_on_little_counts_little() -> None:
    sure, unsure = measure("depth", 3.0), replace(measure("depth", 0.0), certainty=0.5)
    found = calibrate([(sure,), (unsure,)], [(measure("depth", 5.0),)], [9, 9], 1)
    assert found.components["depth"].centre == 2.0


@pytest.mark.parametrize(("observed", "certainty"), [(1.0, 1.5), (1.0, -0.1), (None, 0.5)])
def test_a_measure_is_as_certain_as_what_was_observed(observed: float | None, certainty: float) -> None:
    with pytest.raises(ValueError, match="depth"):
        replace(measure("depth", 1.0), observed=observed, certainty=certainty)


def test_an_observation_that_is_missing_counts_as_usual() -> None:
    gone = replace(measure("depth", 0.0), observed=None, certainty=0.0)
    known = calibrate([(measure("depth", value),) for value in (0.0, 1.0)], [(measure("depth", 3.0),)], [9, 9], 1)
    with_gaps = calibrate(
        [(measure("depth", value),) for value in (0.0, 1.0)] + [(gone,)],
        [(measure("depth", 3.0),)],
        [9, 9, 9],
        1,
    )
    assert with_gaps.components["depth"].centre == known.components["depth"].centre == 0.5


def test_the_shipped_calibration_rests_on_many_groups() -> None:
    shipped = load_calibration()
    assert shipped.groups >= 300
    assert shipped.campaigns >= 200
    assert [*shipped.narrow, *shipped.wide] == [*sorted(shipped.narrow), *sorted(shipped.wide)]
    assert min(len(shipped.narrow), len(shipped.wide)) >= 100
    assert all(each.weight >= 0 for each in shipped.components.values())
