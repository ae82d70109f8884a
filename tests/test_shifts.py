"""Shifts in made-up traffic: found where they are, to the minute, and not where they are not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import shifts as shifts_module
from indexer.shifts import FoundShift, Traffic, pauses, pool_swap, shifts
from models.campaign import ShiftKind

HOUR, DAY = 3600, 86_400
START = 1_772_323_200


def traffic(
    times: np.ndarray, accounts: np.ndarray, strands: np.ndarray | None = None, models: np.ndarray | None = None
) -> Traffic:
    none = np.zeros(len(times), np.int64)
    return Traffic(
        START + times.astype(np.int64),
        accounts,
        none if strands is None else strands,
        none if models is None else models,
    )


def nobody() -> Traffic:
    return traffic(np.zeros(0), np.zeros(0, np.int64))


def uniform(dice: np.random.Generator, accounts: int, each: int, begin: float, end: float) -> tuple:  # type: ignore[type-arg]
    return dice.uniform(begin, end, accounts * each), np.repeat(np.arange(accounts), each)


def found(group: Traffic, others: Traffic | None = None) -> list[FoundShift]:
    return shifts(group, int(group.times.max()), lambda: others or nobody())


@pytest.mark.parametrize("seed", range(5))
def test_a_pool_that_takes_over_is_a_swap(seed: int) -> None:
    dice = np.random.default_rng(seed)
    old, old_ids = uniform(dice, 40, 25, 0, 4.2 * DAY)
    new, new_ids = uniform(dice, 50, 25, 4.2 * DAY, 10 * DAY)
    group = traffic(np.r_[old, new], np.r_[old_ids, 100 + new_ids])
    (swap,) = found(group)
    assert swap.kind is ShiftKind.POOL_SWAP
    assert abs(swap.end - (START + 4.2 * DAY)) < HOUR
    assert abs(swap.begin - (START + 4.2 * DAY)) < HOUR
    assert swap.accounts == (40, 50)
    assert (swap.share, swap.p_value < 1e-6) == (1.0, True)


def test_a_few_accounts_that_stay_do_not_hide_a_swap() -> None:
    dice = np.random.default_rng(1)
    old, old_ids = uniform(dice, 40, 25, 0, 5 * DAY)
    new, new_ids = uniform(dice, 40, 25, 5 * DAY, 10 * DAY)
    stay, stay_ids = uniform(dice, 4, 25, 0, 10 * DAY)
    group = traffic(np.r_[old, new, stay], np.r_[old_ids, 100 + new_ids, 200 + stay_ids])
    (swap,) = found(group)
    assert abs(swap.end - (START + 5 * DAY)) < HOUR
    assert 0.9 < swap.share < 1.0


@pytest.mark.parametrize("seed", range(5))
def test_growth_rotation_nights_and_zones_are_no_swap(seed: int) -> None:
    dice = np.random.default_rng(seed)
    early, early_ids = uniform(dice, 40, 8, 0, 10 * DAY)
    late, late_ids = uniform(dice, 60, 8, 6 * DAY, 10 * DAY)
    growth = traffic(np.r_[early, late], np.r_[early_ids, 100 + late_ids])
    begins = np.linspace(0, 9, 80)
    rotation = traffic(
        np.concatenate([dice.uniform(b, b + 1, 6) * DAY for b in begins]), np.repeat(np.arange(80), 6)
    )
    day, hours = dice.integers(0, 10, (60, 8)), dice.uniform(9, 17, (60, 8))
    office = traffic((day * DAY + hours * HOUR).ravel(), np.repeat(np.arange(60), 8))
    zones = np.repeat(dice.integers(0, 24, 60), 8).reshape(60, 8)
    world = traffic(((hours + zones) % 24 * HOUR + day * DAY).ravel(), np.repeat(np.arange(60), 8))
    for group in (growth, rotation, office, world):
        assert pool_swap(group.times, group.accounts) == []


def pivoting(dice: np.random.Generator, share: float, at: float) -> tuple:  # type: ignore[type-arg]
    times, accounts = uniform(dice, 60, 80, 0, 10 * DAY)
    return times, accounts, ((times >= at) & (accounts < share * 60)).astype(np.int64)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_half_a_pool_that_moves_to_another_template_is_a_pivot(seed: int, share: float) -> None:
    at = 4 * DAY + 5.5 * HOUR
    times, accounts, strands = pivoting(np.random.default_rng(seed), share, at)
    (pivot,) = found(traffic(times, accounts, strands))
    assert (pivot.kind, pivot.before, pivot.after) == (ShiftKind.TEMPLATE_PIVOT, 0, 1)
    assert abs(pivot.end - (START + at)) < HOUR
    assert pivot.share == pytest.approx(share, abs=0.05)
    assert pivot.p_value < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_a_pool_that_took_over_during_a_pause_is_told(seed: int) -> None:
    """Batches of eight hours, each account three times in each; a new pool from the second day's batch on."""
    dice = np.random.default_rng(seed)
    old = uniform(dice, 60, 3, 0, 8 * HOUR)
    new = uniform(dice, 60, 3, 24 * HOUR, 32 * HOUR)
    times, accounts = np.r_[old[0], new[0]], np.r_[old[1], new[1] + 60]
    (swap,) = found(traffic(times, accounts))
    assert swap.kind is ShiftKind.POOL_SWAP
    assert swap.begin - START < 8 * HOUR <= 24 * HOUR <= swap.end - START
    assert min(swap.accounts) >= 40


@pytest.mark.parametrize("seed", range(5))
def test_templates_used_side_by_side_are_no_pivot(seed: int) -> None:
    dice = np.random.default_rng(seed)
    times, accounts = uniform(dice, 60, 12, 0, 10 * DAY)
    assert found(traffic(times, accounts, dice.integers(0, 2, len(times)))) == []
    assert found(traffic(times, accounts, accounts % 2)) == []
    assert found(traffic(times, accounts, np.where(times > 5 * DAY, accounts % 3 == 0, 0).astype(np.int64))) != []


@pytest.mark.parametrize("seed", range(3))
def test_a_move_to_a_new_model_counts_only_beyond_what_everybody_does(seed: int) -> None:
    dice = np.random.default_rng(seed)
    at = 3 * DAY
    times, accounts, moved = pivoting(dice, 0.6, at)
    models = np.where(moved, 2, dice.integers(0, 2, len(times)))
    crowd_times, crowd = uniform(dice, 300, 8, 0, 10 * DAY)
    still = traffic(crowd_times, crowd, models=dice.integers(0, 2, len(crowd)))
    along = traffic(crowd_times, crowd, models=np.where((crowd_times > at) & (crowd % 2 == 0), 2, 0))
    group = traffic(times, accounts, models=models)
    (pivot,) = found(group, still)
    assert (pivot.kind, pivot.after) == (ShiftKind.MODEL_PIVOT, 2)
    assert abs(pivot.end - (START + at)) < HOUR
    assert found(group, along) == []


def test_a_silence_is_told_when_it_began_and_when_it_ended() -> None:
    times = START + np.r_[np.arange(0, 3 * DAY, HOUR), np.arange(9 * DAY, 10 * DAY, HOUR)]
    dormant, revived = pauses(times, int(times.max()))
    assert (dormant.kind, dormant.begin) == (ShiftKind.DORMANT, START + 3 * DAY - HOUR)
    assert (revived.kind, revived.end) == (ShiftKind.REVIVED, START + 9 * DAY)
    (still,) = pauses(times[times < START + 3 * DAY], START + 6 * DAY)
    assert (still.kind, still.begin, still.end) == (ShiftKind.DORMANT, START + 3 * DAY - HOUR, START + 6 * DAY)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 20 * DAY), min_size=1, max_size=60), st.integers(0, 40 * DAY))
def test_pauses_equal_a_search_by_hand(times: list[int], more: int) -> None:
    moments = sorted(set(times))
    gaps = [(b - a, a, b) for a, b in pairwise(moments)]
    until = moments[-1] + more
    expected = []
    for place, (gap, a, b) in enumerate(gaps):
        rest = max((other[0] for at, other in enumerate(gaps) if at != place), default=0)
        if gap >= max(48 * HOUR, 5 * rest):
            expected += [(ShiftKind.DORMANT, a, b), (ShiftKind.REVIVED, a, b)]
    if gaps and until - moments[-1] >= max(48 * HOUR, 5 * max(gaps)[0]):
        expected.append((ShiftKind.DORMANT, moments[-1], until))
    assert [(s.kind, s.begin, s.end) for s in pauses(np.array(times, np.int64), until)] == expected


def test_a_handful_of_events_has_no_shift() -> None:
    assert shifts(traffic(np.arange(5.0) * DAY, np.arange(5)), START + 30 * DAY, nobody) == []


def test_a_small_pool_that_moved_as_one_is_seen() -> None:
    """Thirty accounts with three or four events each: two thirds of them changed the model at half-time."""
    dice = np.random.default_rng(5)
    times, accounts = uniform(dice, 30, 4, 0, DAY)
    models = ((times > DAY / 2) & (accounts < 20)).astype(np.int64)
    (shift,) = found(traffic(times, accounts, models=models))
    assert shift.kind is ShiftKind.MODEL_PIVOT
    assert abs(shift.end - START - DAY / 2) < 2 * HOUR


@pytest.mark.parametrize("seed", range(20))
def test_people_who_do_one_thing_after_another_do_not_pivot(seed: int) -> None:
    """Forty people, each with a session on one template and a session on the other, in either order."""
    dice = np.random.default_rng(seed)
    begins = dice.uniform(0, DAY, (40, 2))
    times = (begins[:, :, None] + np.arange(5) * 120).ravel()
    strands = np.tile(np.repeat([0, 1], 5), 40)
    assert found(traffic(times, np.repeat(np.arange(40), 10), strands)) == []


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.booleans()), min_size=30, max_size=250),
    st.sampled_from([1, 40, 1 << 18]),
)
def test_moments_at_once_equal_each_by_itself(events: list[tuple[int, int, bool]], cells: int) -> None:
    times, accounts, chosen = (np.array(column) for column in zip(*events, strict=True))
    tried = np.unique(times[chosen])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shifts_module, "_CELLS_AT_A_TIME", cells)
        found = shifts_module._may_have_moved(times, accounts, chosen, tried)
    expected = []
    for moment in tried.tolist():
        there = shifts_module._moves(accounts, times < moment, chosen)
        least = max(shifts_module.MIN_SIDE, shifts_module.LEAST_SHARE * there.judged.sum())
        expected.append(bool(there.moved.sum() >= least))
    assert found.tolist() == expected


def test_moments_at_which_a_pool_moved_are_among_those_looked_at() -> None:
    accounts = np.repeat(np.arange(12), 4)
    times = np.tile(np.array([1, 2, 11, 12]), 12)
    chosen = times > 5
    tried = np.unique(times[chosen])
    assert shifts_module._may_have_moved(times, accounts, chosen, tried).tolist() == [True, True]
