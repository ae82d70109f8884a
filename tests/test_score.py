"""Laws of the score: what it may never do, whatever its weights."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from indexer.aims import Aim
from indexer.calibration import PRIOR, load_calibration
from indexer.evidence import (
    BALANCED,
    ORGANIC,
    Background,
    Observation,
    count_log_likelihood,
    effective_number,
    largest_share_within,
    measures,
    same_value,
)
from indexer.replication import NO_ITEMS, Replication
from indexer.rhythm import Rhythm, Sessions, rhythm, sessions
from indexer.score import (
    LIKELY,
    LIKELY_RATE,
    MIN_ALARM_DEPTH,
    MIN_ALARM_UNITS,
    NARROW_RATE,
    STRONG,
    Verdict,
    alarms,
    case_of,
    is_wide_and_deep,
    judge,
    most_rate,
)
from models.campaign import Evidence, EvidenceKind, Level, Template
from models.view import View

HOUR = 3600
DAY_HOURS = np.array([1.0] * 8 + [6.0] * 12 + [2.0] * 4)
BACKGROUND = Background(
    DAY_HOURS / DAY_HOURS.sum(), np.full(24, 1 / 24), Rhythm(0.5, 10_000), 0.02, Sessions(0.5, 10_000), 0.01
)
NONE = np.zeros(0, np.int64)


def template(skeleton: str) -> Template:
    return Template(skeleton, "", 0.5, 1.0, "user", ())


REASONING = template("Think step by step and write down every intermediate conclusion about {1} before you answer")


def group(**changes: Any) -> Observation:
    """Forty accounts that do as a scheduler bids, round the clock."""
    seen = Observation(
        counts=np.full(40, 25),
        passers_by=0,
        dominant=0,
        hours=np.full(24, 42),
        rhythm=Rhythm(0.0, 960),
        dedication=np.full(40, 0.9),
        created=NONE,
        payments=NONE,
        networks=NONE,
        sessions=Sessions(0.0, 960),
        replication=NO_ITEMS,
        template=REASONING,
        aim=Aim("reasoning", 2.0),
        disguised=0.0,
        handovers=0,
        views=(View.WHOLE, View.RECURRING),
    )
    return replace(seen, **changes)


def judged(seen: Observation) -> Verdict:
    """Verdict on a group that is the only one."""
    return judge([case_of(seen, BACKGROUND, load_calibration())])[0]


def value(seen: Observation, name: str) -> float:
    return next(each.value for each in measures(seen, BACKGROUND) if each.name == name)


def line(seen: Observation, name: str) -> Evidence:
    return next(each for each in judged(seen).evidence if each.name == name)


def score(**changes: Any) -> float:
    return judged(group(**changes)).score


def best_by_brute_force(counts: list[int], variation: float, least: int) -> float:
    """Negative binomial of which counts below `least` are not shown: scipy's, over a fine grid of means."""
    shape = 1.0 / variation
    means = np.geomspace(0.05, max(2.0, 4.0 * float(np.mean(counts))), 2000)
    odds = shape / (shape + means)
    log_shown = nbinom.logsf(least - 1, shape, odds)
    each = [nbinom.logpmf(count, shape, odds) - log_shown for count in counts]
    return float(np.sum(each, axis=0).max())


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=30),
    st.sampled_from([BALANCED, ORGANIC, 0.5, 4.0]),
    st.sampled_from([1, 2]),
)
def test_the_likelihood_of_counts_equals_scipys(counts: list[int], variation: float, least: int) -> None:
    best = best_by_brute_force(counts, variation, least)
    found = count_log_likelihood(np.array(counts), variation, least)
    assert best - 0.02 * len(counts) <= found <= best + 0.001 * len(counts)


def test_a_schedulers_counts_look_balanced_and_peoples_do_not() -> None:
    dice = np.random.default_rng(1)
    scheduled = 1 + dice.poisson(24, 60)
    human = 1 + dice.negative_binomial(1 / ORGANIC, 1 / (1 + ORGANIC * 24), 60)
    assert line(group(counts=scheduled), "balance").weight > 0 > line(group(counts=human), "balance").weight


def test_a_textbook_campaign_is_strong_and_its_evidence_adds_up() -> None:
    found = judged(group())
    assert (found.level, found.capability) == (Level.STRONG, "reasoning")
    total = PRIOR + sum(each.weight for each in found.evidence)
    assert found.score == pytest.approx(1 / (1 + np.exp(-total)))
    assert len({each.name for each in found.evidence}) == len(found.evidence)
    kinds = {each.name: each.kind for each in found.evidence}
    assert [name for name, kind in kinds.items() if kind is EvidenceKind.CONTENT] == [
        "elicitation",
        "shared text",
        "system prompt",
        "disguise",
    ]


def test_a_viral_prompt_is_watched_only() -> None:
    viral = group(counts=np.ones(500, np.int64), rhythm=Rhythm(0.0, 0), dedication=np.full(500, 0.05))
    assert judged(viral).level is Level.WATCH


@pytest.mark.parametrize(
    ("units", "depth", "alarm"),
    [
        (MIN_ALARM_UNITS, 25, True),
        (MIN_ALARM_UNITS - 1, 25, False),
        (300, MIN_ALARM_DEPTH, True),
        (300, MIN_ALARM_DEPTH - 1, False),
    ],
)
def test_an_alarm_needs_width_and_depth(
    units: int, depth: float, alarm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.score.PRIOR", 50.0)  # sure otherwise
    found = judged(group(counts=np.full(units, int(depth)), dedication=np.full(units, 0.9)))
    assert found.score > STRONG
    assert found.level.is_alarm == alarm


def test_width_is_of_those_who_share_the_work() -> None:
    """Nine testers are no campaign whoever else tries their prompt; one heavy sender hides no campaign."""
    testers = [300] * (MIN_ALARM_UNITS - 1)
    assert not is_wide_and_deep(np.array([*testers, 2, 2, 2, 2, 2]))
    assert not is_wide_and_deep(np.array([*testers, *[1] * 500]))
    assert is_wide_and_deep(np.array([300] * MIN_ALARM_UNITS))
    assert is_wide_and_deep(np.array([*[25] * 40, 100_000]))
    assert effective_number(np.array([*[25] * 40, 100_000])) == pytest.approx(40)
    assert effective_number(np.array([7])) == pytest.approx(1)


def test_depth_is_of_what_is_sent_so_strangers_hide_no_campaign() -> None:
    pool = [25] * 40
    assert is_wide_and_deep(np.array([*pool, *[1] * 900]))
    assert not is_wide_and_deep(np.array([*pool, *[1] * 1100]))
    assert not is_wide_and_deep(np.array([1] * 600 + [2] * 100))  # a viral prompt


def test_a_passer_by_does_not_make_a_pool_of_a_few_testers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.score.PRIOR", 50.0)  # sure otherwise
    counts = np.array([40] * (MIN_ALARM_UNITS - 1) + [1])
    found = judged(group(counts=counts, dedication=np.full(len(counts), 0.9)))
    assert (found.level, found.false_discovery) == (Level.WATCH, 1.0)


COUNTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=40)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    counts = np.array(draw(COUNTS))
    hours = np.array(draw(st.lists(st.integers(0, 5000), min_size=24, max_size=24)))
    hours[draw(st.integers(0, 23))] += 1
    some = st.lists(st.integers(0, 4), max_size=40).map(lambda values: np.array(values, np.int64))
    return group(
        counts=counts,
        hours=hours,
        rhythm=Rhythm(draw(st.floats(-1, 1)), draw(st.integers(0, 10_000))),
        dedication=np.full(len(counts), draw(st.floats(0.001, 1.0))),
        created=draw(some) * 100 * 86_400,
        payments=draw(some),
        template=template(draw(st.sampled_from(["", "{1} code {2}", REASONING.skeleton, "word " * 5000]))),
        views=tuple(draw(st.sets(st.sampled_from(View), min_size=1))),
    )


@settings(deadline=None, max_examples=60)
@given(observations())
def test_no_single_line_decides_and_what_is_missing_weighs_nothing(seen: Observation) -> None:
    found = judged(seen)
    for each in found.evidence:
        assert abs(each.weight) <= 8.0, each
        assert (each.observed is None) == each.explanation.startswith("not available")
        if each.observed is None:
            assert (each.expected, each.weight) == (None, 0.0)
    assert 0.0 <= found.score <= 1.0
    assert found.level.is_alarm <= (found.score >= LIKELY)
    assert (found.level is Level.STRONG) <= (found.score >= STRONG)


@settings(deadline=None, max_examples=30)
@given(observations())
def test_the_order_of_the_units_does_not_matter(seen: Observation) -> None:
    turned = replace(seen, counts=seen.counts[::-1], created=seen.created[::-1], payments=seen.payments[::-1])
    assert judged(turned).score == pytest.approx(judged(seen).score)


def test_missing_fields_are_not_available() -> None:
    found = {each.name: each for each in judged(group()).evidence}
    for name in ("births", "payments", "networks"):
        assert (found[name].observed, found[name].expected, found[name].weight) == (None, None, 0.0)
        assert found[name].explanation.startswith("not available")


def test_accounts_without_a_second_event_show_no_clock() -> None:
    assert line(group(rhythm=Rhythm(0.0, 0)), "clock").observed is None


def test_depth_never_speaks_against() -> None:
    lines = [line(group(counts=np.full(40, depth)), "depth").weight for depth in range(1, 40)]
    assert lines == sorted(lines)
    scores = [score(counts=np.full(40, depth)) for depth in range(1, 40)]
    assert scores == sorted(scores)


def test_more_units_never_speak_against() -> None:
    scores = [score(counts=np.full(units, 5), dedication=np.full(units, 0.9)) for units in range(8, 200, 8)]
    assert scores == sorted(scores)


def test_one_payment_method_for_all_lowers_and_a_pool_raises() -> None:
    one, pool, own = np.zeros(40, np.int64), np.arange(40) % 8, np.arange(40)
    assert score(payments=one) < score(payments=own) < score(payments=pool)
    assert line(group(payments=pool), "payments").observed == 5.0


def test_accounts_born_together_raise() -> None:
    together, scattered = np.arange(40) * HOUR, np.arange(40) * 90 * 86_400
    assert value(group(created=together), "births") > value(group(created=scattered), "births") == 0.0
    assert score(created=together) >= score(created=scattered)
    assert line(group(created=together), "births").observed == 1.0


def test_accounts_that_never_rest_beat_accounts_with_hours_of_their_own() -> None:
    """Also if each lives in a time zone of its own, so that together they seem to work round the clock."""
    count, days = 40, 30
    accounts = np.repeat(np.arange(count), days)
    day = np.tile(np.arange(days), count) * 86_400
    dice = np.random.default_rng(3)
    restless = day + dice.integers(0, 86_400, count * days)
    human = day + (accounts * 86_400 // count + dice.integers(9 * HOUR, 17 * HOUR, count * days)) % 86_400
    measured = rhythm(accounts, restless), rhythm(accounts, human)
    assert abs(measured[0].concentration) < 0.1 < 0.5 < measured[1].concentration
    weights = [line(group(rhythm=each), "clock").weight for each in measured]
    assert weights[0] > 0 > weights[1]
    assert score(rhythm=measured[0]) > score(rhythm=measured[1])


def test_a_group_that_keeps_office_hours_is_doubted() -> None:
    office = np.zeros(24, np.int64)
    office[9:12] = 300
    assert score(hours=office) < score()


def test_one_company_excuses_a_group_only_if_it_sits_down_as_people_do() -> None:
    site = np.zeros(40, np.int64)
    people, turns = (group(networks=site, sessions=Sessions(excess, 960)) for excess in (0.5, 0.0))
    certain = [
        next(each.certainty for each in measures(seen, BACKGROUND) if each.name == "balance")
        for seen in (people, turns)
    ]
    assert certain == [0.0, 1.0]


def test_hours_of_its_own_excuse_a_group_only_if_it_sits_down_as_people_do() -> None:
    """A scheduler that runs for three hours a day keeps hours, but its accounts take turns within them."""
    night = np.zeros(24, np.int64)
    night[1:4] = 300
    together = np.arange(40) * HOUR
    people = group(hours=night, created=together, sessions=Sessions(0.5, 960))
    turns = group(hours=night, created=together, sessions=Sessions(0.0, 960))
    unknown = group(hours=night, created=together, sessions=Sessions(0.0, 0))
    for name in ("balance", "births"):
        certain = [
            next(each.certainty for each in measures(seen, BACKGROUND) if each.name == name)
            for seen in (people, unknown, turns)
        ]
        assert certain[0] == certain[1] < 0.1 < 0.9 < certain[2]


def test_items_handed_out_so_many_times_raise() -> None:
    queue = Replication(3.9, 4, 60.0)
    assert score(replication=queue) > score()
    assert line(group(replication=queue), "replication").observed == 3.9
    assert "handed out 4 times" in line(group(replication=queue), "replication").explanation
    assert value(group(replication=NO_ITEMS), "replication") == 0.0


def test_content_alone_cannot_alarm() -> None:
    heavy_and_light = np.r_[np.full(25, 2), np.full(6, 20)]
    weak = group(
        counts=heavy_and_light,
        dedication=np.full(31, 0.02),
        rhythm=Rhythm(0.5, 500),
        sessions=Sessions(0.5, 500),
        aim=Aim("reasoning", 5.0),
    )
    assert is_wide_and_deep(heavy_and_light)
    assert judged(weak).level is Level.WATCH


def test_a_group_seen_in_the_system_prompt_only_is_doubted() -> None:
    assert score(views=(View.SYSTEM,)) < score(views=(View.SYSTEM, View.WHOLE)) == score()
    assert score(views=(View.SYSTEM, View.EXACT)) == score(views=(View.SYSTEM,))  # one prompt of it is repeated


def test_few_networks_for_many_accounts_raise_and_a_single_one_lowers() -> None:
    many, few, one = np.arange(40), np.arange(40) % 5, np.zeros(40, np.int64)
    values = [value(group(networks=each), "networks") for each in (one, many, few)]
    assert values == sorted(values)
    assert values[0] == -1.0
    assert line(group(networks=few), "networks").observed == pytest.approx(40 * 7 / (40 * 39) / 0.01)


def test_accounts_that_take_turns_beat_accounts_with_sessions() -> None:
    accounts, day = np.repeat(np.arange(20), 10), 86_400
    turns = np.tile(np.arange(10) * day // 10, 20)
    sitting = np.tile(np.arange(10) * 60, 20) + np.repeat(np.arange(20) * 3000, 10)
    assert sessions(accounts, turns, day).excess < 0 < 0.99 < sessions(accounts, sitting, day).excess
    assert sessions(accounts, turns, day).gaps == 180
    weights = [value(group(sessions=sessions(accounts, each, day)), "sessions") for each in (turns, sitting)]
    assert weights == [1.0, 0.0]
    assert sessions(np.arange(5), np.arange(5), day).gaps == 0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=30))
def test_the_chance_of_the_same_value_equals_a_loop(values: list[int]) -> None:
    pairs = [one == other for i, one in enumerate(values) for other in values[i + 1 :]]
    assert same_value(np.array(values)) == pytest.approx(sum(pairs) / len(pairs))


def test_the_more_groups_are_tested_the_surer_each_must_be() -> None:
    dull = group(
        counts=np.r_[np.full(30, 2), np.full(10, 40)], rhythm=Rhythm(0.5, 960), sessions=Sessions(0.5, 960)
    )
    alone, among = (
        judged(group()),
        judge([case_of(each, BACKGROUND, load_calibration()) for each in (group(), *[dull] * 99)])[0],
    )
    assert alone.p_value == among.p_value
    assert among.false_discovery == pytest.approx(min(1.0, 100 * alone.false_discovery))
    assert alone.score == among.score


@pytest.mark.parametrize(
    ("rates", "alarmed"),
    [
        (
            [0.05, 0.03, 1.0],
            [False, False, False],
        ),  # perhaps all are benign
        ([0.05, 0.02, 1.0], [True, True, False]),
        ([0.05, 0.07, 0.001], [True, False, True]),
        ([1.0, 1.0, 1.0], [False, False, False]),
        ([0.05, 1.0, 0.0], [True, False, True]),
    ],
)
def test_the_first_alarm_must_be_rarer_than_the_next(rates: list[float], alarmed: list[bool]) -> None:
    assert alarms([0.9] * 3, np.array(rates), [0.06] * 3).tolist() == alarmed


def test_only_an_alarm_is_a_first_one() -> None:
    rates = np.array([0.001, 0.01, 0.05])
    assert not alarms([0.8, 0.9, 0.9], rates, [0.06, 0.002, 0.06]).any()  # of no score, too narrow, not the first


def test_an_alarm_needs_a_score_and_the_rate_of_its_like() -> None:
    rates = np.array([0.001, 0.001, 0.01, 0.01])
    assert alarms([0.84, 0.85, 0.99, 0.99], rates, [0.06, 0.06, 0.06, 0.002]).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert alarms([], np.zeros(0), []).tolist() == []


def test_few_units_and_mere_meetings_need_a_rate_thirty_times_as_low() -> None:
    assert most_rate(25, (View.WHOLE,)) == LIKELY_RATE
    assert most_rate(24, (View.WHOLE,)) == NARROW_RATE == LIKELY_RATE / 30
    assert most_rate(300, (View.MEETINGS,)) == NARROW_RATE
    assert most_rate(300, (View.RECURRING, View.MEETINGS)) == LIKELY_RATE


def test_letters_dressed_up_speak_for_a_campaign_that_behaves_as_people_do() -> None:
    people = group(
        counts=np.r_[np.full(20, 4), np.full(15, 12), np.full(5, 60)],
        rhythm=Rhythm(0.5, 960),
        sessions=Sessions(0.5, 960),
        dedication=np.full(40, 0.5),
        aim=Aim("", 0.0),
    )
    plain, few, many = (judged(replace(people, disguised=share)) for share in (0.0, 0.05, 0.3))
    assert plain.level is Level.WATCH
    assert few.score == plain.score  # copied from a web page
    assert many.level.is_alarm
    assert value(replace(people, disguised=0.15), "disguise") == pytest.approx(0.5)
    assert line(replace(people, disguised=1.0), "disguise").weight == pytest.approx(5.0)


def test_people_who_meet_over_what_goes_round_are_only_watched() -> None:
    """As a simulated world had them: ordinary, but for a restless few and that they meet."""
    pool = group(
        counts=np.r_[np.full(60, 2), np.full(20, 5), np.full(8, 40)],
        rhythm=Rhythm(0.03, 330),
        sessions=Sessions(0.3, 330),
        dedication=np.full(88, 0.5),
        template=template(""),
        aim=Aim("", None),
        views=(View.MEETINGS,),
    )
    certain = [group()] * 9  # campaigns, beside which a rate is easily low
    with_words = replace(pool, views=(View.MEETINGS, View.RECURRING))
    *_, met, wrote = judge(
        [case_of(each, BACKGROUND, load_calibration()) for each in (*certain, pool, with_words)]
    )
    assert met.score == pytest.approx(wrote.score)
    assert (met.level, wrote.level) == (Level.WATCH, Level.LIKELY), (wrote.score, wrote.false_discovery)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), max_size=20), st.integers(0, 300))
def test_largest_share_within_equals_a_loop(moments: list[int], width: int) -> None:
    inside = [sum(first <= other <= first + width for other in moments) for first in moments]
    expected = max(inside) / len(moments) if moments else 0.0
    assert largest_share_within(np.array(moments, np.int64), width) == expected


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), max_size=20))
def test_rhythm_equals_the_mean_over_pairs(events: list[tuple[int, int]]) -> None:
    table = np.array(events, np.int64).reshape(len(events), 2)
    found = rhythm(table[:, 0], table[:, 1])
    total = pairs = 0.0
    for account in range(4):
        times = sorted({time // HOUR * HOUR for owner, time in events if owner == account})
        if len(times) < 2:
            continue
        cosines = [
            np.cos(2 * np.pi * (one - other) / 86_400)
            for i, one in enumerate(times)
            for j, other in enumerate(times)
            if i != j
        ]
        total += float(np.mean(cosines)) * (len(times) - 1)
        pairs += len(times) - 1
    assert found.pairs == pairs
    assert found.concentration == pytest.approx(total / pairs if pairs else 0.0, abs=1e-9)
