"""A group's portrait, counted by hand on nine events."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from indexer.aims import NO_AIM
from indexer.calibration import load_calibration
from indexer.corpus import Corpus
from indexer.describe import (
    Portrait,
    background_of,
    events_by_group,
    hour_of_day,
    observe,
    portray,
    totals_of,
)
from indexer.events import EventTable, Names
from indexer.evidence import Observation
from indexer.score import Background, case_of, is_wide_and_deep, judge
from indexer.times import moment_of_seconds
from models.campaign import Evidence, Template
from models.event import unit_of
from models.view import View
from tests.test_groups import corpus_with

DAY = int(datetime(2026, 2, 3, tzinfo=UTC).timestamp())
HOUR = 3600
TEMPLATE = Template("", "", 0.0, 0.0, "user", ())


@dataclass(frozen=True)
class Row:
    prompt: int
    account: str
    at: int  # seconds after midnight
    model: str | None = None
    org: str | None = None
    created: int = -1
    payment: str | None = None
    disguised: int = 0


ROWS = (
    Row(0, "bob", 10 * HOUR, "m1"),
    Row(1, "ann", 10 * HOUR + 5, "m1", org="acme"),
    Row(2, "bob", 11 * HOUR, "m2"),
    Row(0, "cat", 11 * HOUR + 1, org="acme"),
    Row(1, "bob", 12 * HOUR, "m1"),
    Row(3, "ann", 12 * HOUR + 9, "m3", org="acme"),
    Row(3, "dan", 12 * HOUR + 10, "m3"),
    Row(1, "dan", 9 * HOUR, "m2"),
    Row(1, "dan", 34 * HOUR, "m2"),
)


def coded(values: list[str | None]) -> tuple[np.ndarray, Names]:
    names = tuple(dict.fromkeys(value for value in values if value is not None))
    codes = [-1 if value is None else names.index(value) for value in values]
    return np.array(codes, np.int64), Names(names)


def table(rows: tuple[Row, ...]) -> EventTable:
    account, account_names = coded([row.account for row in rows])
    unit, unit_names = coded([unit_of(row.account, row.org) for row in rows])
    model, model_names = coded([row.model for row in rows])
    payment, payment_names = coded([row.payment for row in rows])
    return EventTable(
        sequence=np.arange(1, len(rows) + 1),
        prompt=np.array([row.prompt for row in rows], np.int64),
        account=account,
        unit=unit,
        timestamp=np.array([DAY + row.at for row in rows], np.int64),
        created_at=np.array([row.created for row in rows], np.int64),
        model=model,
        payment=payment,
        network=np.full(len(rows), -1, np.int64),
        disguised=np.array([row.disguised for row in rows], np.int64),
        account_names=account_names,
        unit_names=unit_names,
        model_names=model_names,
        payment_names=payment_names,
        network_names=Names(()),
    )


def corpus_of(rows: tuple[Row, ...]) -> Corpus:
    events = table(rows)
    count = max((row.prompt for row in rows), default=-1) + 1
    return corpus_with(count, events)


def portrait(rows: tuple[Row, ...], groups: list[int]) -> Portrait:
    """Portrait of group 0, given the group of each prompt."""
    corpus = corpus_of(rows)
    mine = events_by_group(corpus, np.array(groups), max(groups) + 1)[0]
    events = corpus.events
    totals = totals_of(events)
    seen = observe(corpus, mine, TEMPLATE, NO_AIM, (View.WHOLE,), totals, 0, np.arange(len(corpus)))
    return portray(corpus, mine, judge([case_of(seen, background_of(events, totals), load_calibration())])[0])


def evidence(found: Portrait, name: str) -> Evidence:
    return next(each for each in found.verdict.evidence if each.name == name)


def sent(counts: dict[str, int]) -> tuple[Row, ...]:
    """Each account's events of one prompt, an hour apart."""
    names = [name for name, count in counts.items() for _ in range(count)]
    return tuple(Row(0, name, HOUR * hour) for hour, name in enumerate(names))


def observed(rows: tuple[Row, ...]) -> Observation:
    corpus, events = corpus_of(rows), table(rows)
    everything = np.arange(len(rows))
    return observe(
        corpus, everything, TEMPLATE, NO_AIM, (View.WHOLE,), totals_of(events), 0, np.zeros(1, np.int64)
    )


def test_strangers_who_sent_it_once_do_not_make_a_pool_shallow() -> None:
    """A published sentence in a campaign's template, or accounts that are there to water it down."""
    pool, strangers = {f"a{n}": 9 for n in range(12)}, {f"s{n}": 1 for n in range(16)}
    watered = observed(sent({**pool, **strangers}))
    assert (watered.counts.tolist(), watered.passers_by) == ([9] * 12, 16)
    assert len(watered.dedication) == 12
    assert is_wide_and_deep(watered.counts)
    many = observed(sent({**pool, **{f"s{n}": 1 for n in range(60)}}))
    assert (len(many.counts), many.passers_by) == (72, 0)  # more than a fifth of what is sent
    few = observed(sent({**pool, "s": 1}))
    assert (len(few.counts), few.passers_by) == (13, 0)  # so few make nothing shallow


@pytest.mark.parametrize(
    ("pool", "times", "strangers", "aside"),
    [(25, 9, 225, True), (25, 9, 226, False), (24, 9, 200, False), (25, 5, 120, True), (25, 4, 90, False)],
)
def test_strangers_up_to_half_of_all_are_left_aside_beside_many_who_send_it_often(
    pool: int, times: int, strangers: int, aside: bool
) -> None:
    seen = observed(sent({f"a{n}": times for n in range(pool)} | {f"s{n}": 1 for n in range(strangers)}))
    assert (len(seen.counts), seen.passers_by) == ((pool, strangers) if aside else (pool + strangers, 0))


def test_who_sends_a_large_part_does_not_speak_for_the_others() -> None:
    """Whoever runs a pool could else pay a few who work as people do, to make all look like people."""
    pool = {f"a{n}": 9 for n in range(30)}
    covered = observed(sent({**pool, "boss": 300, "clerk": 100, **{f"s{n}": 1 for n in range(40)}}))
    assert (covered.counts.tolist(), covered.passers_by, covered.dominant) == ([9] * 30, 40, 2)
    assert len(covered.dedication) == 30
    line = evidence(portrait(sent({**pool, "boss": 300}), [0]), "spread")
    assert "1 that sent a large part of it do not share it" in line.explanation


@pytest.mark.parametrize(
    ("size", "each", "strangers", "times"),
    [(12, 100, 200, 1), (12, 100, 40, 2), (40, 25, 60, 1), (12, 200, 26, 1), (40, 100, 60, 3)],
)
def test_a_pool_is_not_left_aside_for_being_heavy(size: int, each: int, strangers: int, times: int) -> None:
    """Else strangers, or accounts that hardly send anything, would hide it."""
    pool, cover = {f"a{n}": each for n in range(size)}, {f"s{n}": times for n in range(strangers)}
    seen = observed(sent({**pool, **cover}))
    assert seen.dominant == 0
    assert np.count_nonzero(seen.counts == each) == size


@pytest.mark.parametrize("heavy", [{"boss": 300}, {"boss": 300, "clerk": 300}])
def test_strangers_do_not_shield_who_sends_a_large_part(heavy: dict[str, int]) -> None:
    pool = {f"a{n}": 25 for n in range(40)}
    seen = observed(sent({**pool, **heavy, **{f"s{n}": 1 for n in range(250)}}))
    assert (seen.counts.tolist(), seen.passers_by, seen.dominant) == ([25] * 40, 250, len(heavy))


def test_a_heavy_one_beside_many_or_among_few_is_a_user_like_others() -> None:
    many = observed(sent({**{f"a{n}": 9 for n in range(30)}, "heavy": 50}))
    assert (len(many.counts), many.dominant) == (31, 0)  # less than a fifth
    few = observed(sent({**{f"a{n}": 9 for n in range(24)}, "heavy": 300}))
    assert (len(few.counts), few.dominant) == (25, 0)


def test_what_most_people_send_once_has_no_passers_by() -> None:
    viral = observed(sent({f"a{n}": 1 + (n % 5 == 0) for n in range(60)}))
    assert (len(viral.counts), viral.passers_by) == (60, 0)
    assert not is_wide_and_deep(viral.counts)


def at(seconds: int) -> datetime:
    return moment_of_seconds(DAY + seconds)


def test_counts_times_and_models() -> None:
    found = portrait(ROWS, [0, 0, 0, -1])
    assert (found.events, found.prompts, found.accounts, found.units) == (7, 3, 4, 3)
    assert found.depth == 2.0  # bob 3, acme 2 (of two accounts), dan 2
    assert found.first_seen == datetime(2026, 2, 3, 9, tzinfo=UTC)
    assert found.last_seen == datetime(2026, 2, 4, 10, tzinfo=UTC)
    assert list(found.models.items()) == [("m1", 3), ("m2", 3), ("", 1)]


def test_the_verdict_sees_units_not_accounts() -> None:
    found = portrait(ROWS, [0, 0, 0, -1])
    assert evidence(found, "depth").observed == 2.0
    assert evidence(found, "dedication").observed == pytest.approx(2 / 3)  # bob 1, acme 2 of 3, dan 2 of 3


def test_births_and_payments_count_each_account_once() -> None:
    born = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    rows = tuple(
        Row(
            0,
            f"a{number:02}",
            turn,
            created=born + (0 if number < 9 else number * 30 * 86400),
            payment=f"p{number % 6}",
        )
        for number in range(12)
        for turn in range(1 + number % 3)
    )
    found = portrait(rows, [0])
    assert evidence(found, "births").observed == 9 / 12
    assert evidence(found, "payments").observed == 2.0
    unknown = portrait(tuple(replace(row, created=-1, payment=None) for row in rows), [0])
    assert evidence(unknown, "births").observed is None
    assert evidence(unknown, "payments").observed is None


def test_events_by_group_equals_a_loop() -> None:
    corpus, groups = corpus_of(ROWS), [1, -1, 0, 1]
    rows = events_by_group(corpus, np.array(groups), 3)
    expected = [[place for place, row in enumerate(ROWS) if groups[row.prompt] == group] for group in range(3)]
    assert [each.tolist() for each in rows] == expected


def test_totals() -> None:
    totals = totals_of(table(ROWS))
    assert totals.of_unit.tolist() == [3, 3, 3]  # bob, acme, dan


def test_the_background() -> None:
    born = {name: DAY - day * 86400 for name, day in (("bob", 1), ("ann", 2), ("cat", 3), ("dan", 100))}
    rows = tuple(replace(row, created=born[row.account]) for row in ROWS)
    found: Background = background_of(table(rows), totals_of(table(rows)))
    expected = np.ones(24)
    for hour in (10, 10, 11, 11, 12, 12, 12, 9, 10):
        expected[hour] += 1
    np.testing.assert_allclose(found.hours, expected / 33)
    coverage = np.zeros(24)
    coverage[[9, 10, 11, 12]] = [1, 2, 1, 1]  # the tenth hour on two days
    np.testing.assert_allclose(found.coverage, coverage / 5)
    assert found.birth_share == 3 / 4


def test_the_background_of_no_traffic() -> None:
    found = background_of(table(()), totals_of(table(())))
    np.testing.assert_allclose(found.hours, 1 / 24)
    assert found.birth_share == 0.0


def test_hour_of_day() -> None:
    times = np.array([DAY - 1, DAY, DAY + HOUR - 1, DAY + HOUR, DAY + 25 * HOUR])
    assert hour_of_day(times).tolist() == [23, 0, 0, 1, 1]
