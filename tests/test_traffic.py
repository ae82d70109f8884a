"""Counts of traffic equal those by loops over the events."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.event_columns import Coded, EventColumns
from indexer.texts import Texts
from indexer.traffic import Traffic
from models.errors import UnknownAccount
from models.traffic import CampaignAccount, FlaggedAccount

START = datetime(2026, 2, 4, 22, 30, tzinfo=UTC)  # a Wednesday
ACCOUNTS = ("a", "ab", "b", "zz")
MODELS = ("m-4", "m-5")
IDS = ("c-0", "c-1", "c-2")
GROUP = (0, 0, 1, -1, 2, -1)
STRAND = (0, 1, 0, -1, -1, -1)
ORGANISATIONS = ("o", "org:o")


@dataclass(frozen=True)
class Sent:
    account: int
    prompt: int
    model: int
    second: int
    organisation: int = -1

    @property
    def at(self) -> datetime:
        return START + timedelta(seconds=self.second)

    @property
    def hour(self) -> datetime:
        return self.at.replace(minute=0, second=0)

    @property
    def group(self) -> int:
        return GROUP[self.prompt]


events_given = st.lists(
    st.builds(
        Sent,
        st.integers(0, 3),
        st.integers(0, len(GROUP) - 1),
        st.integers(-1, 1),
        st.integers(0, 6 * 3600),
        st.integers(-1, 1),
    ),
    min_size=1,
    max_size=40,
)


def traffic_of(sent: list[Sent]) -> Traffic:
    def codes(values: list[int]) -> np.ndarray:
        return np.array(values, np.int32)

    columns = EventColumns(
        codes([each.prompt for each in sent]),
        codes([each.group for each in sent]),
        np.array([int(each.at.timestamp()) for each in sent], np.int64),
        Coded(codes([each.account for each in sent]), Texts.of(ACCOUNTS)),
        Coded(codes([each.model for each in sent]), Texts.of(MODELS)),
        Coded(codes([each.organisation for each in sent]), Texts.of(ORGANISATIONS)),
    )
    return Traffic(columns, np.array(STRAND), IDS)


def organisation_of(each: Sent) -> str | None:
    return ORGANISATIONS[each.organisation] if each.organisation >= 0 else None


def model_of(each: Sent) -> str:
    return MODELS[each.model] if each.model >= 0 else ""


@given(events_given, st.lists(st.booleans(), min_size=3, max_size=3))
def test_every_hour_is_told_with_what_is_flagged(sent: list[Sent], flagged: list[bool]) -> None:
    found = traffic_of(sent).hours(np.array(flagged))
    hours = sorted({each.hour for each in sent})
    all_of, bad = (
        Counter(each.hour for each in sent),
        Counter(each.hour for each in sent if each.group >= 0 and flagged[each.group]),
    )
    assert [(each.hour, each.events, each.flagged) for each in found] == [(h, all_of[h], bad[h]) for h in hours]


@given(events_given, st.integers(0, 2))
def test_the_hours_of_a_campaign(sent: list[Sent], number: int) -> None:
    mine = [each for each in sent if each.group == number]
    found = traffic_of(sent).of_campaign(number)
    assert [each.hour for each in found] == sorted({each.hour for each in mine})
    for each in found:
        here = [event for event in mine if event.hour == each.hour]
        assert each.events == len(here)
        assert each.accounts == len({event.account for event in here})
        assert each.models == Counter(map(model_of, here))
        assert each.strands == Counter(STRAND[event.prompt] for event in here)


@given(events_given, st.integers(0, 3))
def test_an_account_with_its_campaigns_clock_and_peers(sent: list[Sent], account: int) -> None:
    mine = [each for each in sent if each.account == account]
    traffic = traffic_of(sent)
    if not mine:
        with pytest.raises(UnknownAccount):
            traffic.of_account(ACCOUNTS[account])
        return
    found = traffic.of_account(ACCOUNTS[account])
    assert (found.events, found.prompts) == (len(mine), len({each.prompt for each in mine}))
    assert (found.first_seen, found.last_seen) == (min(e.at for e in mine), max(e.at for e in mine))
    assert found.campaigns == Counter(IDS[each.group] for each in mine if each.group >= 0)
    assert list(found.campaigns.values()) == sorted(found.campaigns.values(), reverse=True)
    assert found.models == Counter(map(model_of, mine))
    assert found.organisations == tuple(sorted({name for each in mine if (name := organisation_of(each))}))
    clock = Counter((each.at.weekday(), each.at.hour) for each in mine)
    assert {(d, h): n for d, row in enumerate(found.clock) for h, n in enumerate(row) if n} == clock

    ours = {each.group for each in mine if each.group >= 0}
    cells: dict[int, set[tuple[int, datetime]]] = {}
    for each in sent:
        if each.group in ours:
            cells.setdefault(each.account, set()).add((each.group, each.hour))
    expected = {
        ACCOUNTS[other]: (len(both), len(both) / len(theirs | cells[account]))
        for other, theirs in cells.items()
        if other != account and (both := theirs & cells[account])
    }
    assert {peer.account_id: (peer.together, pytest.approx(peer.overlap)) for peer in found.peers} == expected
    overlaps = [peer.overlap for peer in found.peers]
    assert overlaps == sorted(overlaps, reverse=True)


@given(events_given, st.integers(0, 2), st.integers(0, 4), st.integers(0, 4))
def test_the_accounts_of_a_campaign_the_busiest_first(sent: list[Sent], number: int, begin: int, end: int) -> None:
    theirs: dict[str, list[Sent]] = {}
    for each in sent:
        if each.group == number:
            theirs.setdefault(ACCOUNTS[each.account], []).append(each)
    everything = Counter(ACCOUNTS[each.account] for each in sent)
    expected = [
        CampaignAccount(
            name,
            organisation_of(mine[0]),
            len(mine),
            min(each.at for each in mine),
            max(each.at for each in mine),
            len(mine) / everything[name],
        )
        for name, mine in theirs.items()
    ]
    expected.sort(key=lambda each: (-each.events, each.account_id))
    assert traffic_of(sent).accounts_of(number) == tuple(expected)
    assert traffic_of(sent).accounts_of(number, slice(begin, end)) == tuple(expected[begin:end])


@given(events_given, st.integers(0, 7 * 3600))
def test_what_campaigns_sent_lately(sent: list[Sent], seconds: int) -> None:
    inside = [each for each in sent if each.group >= 0]
    end = max((each.at for each in inside), default=START)
    expected = Counter(IDS[e.group] for e in inside if e.at >= end - timedelta(seconds=seconds))
    assert traffic_of(sent).lately(timedelta(seconds=seconds)) == expected


@given(events_given, st.sets(st.sampled_from((*ORGANISATIONS, "", "p"))))
def test_what_organisations_sent_of_campaigns(sent: list[Sent], wanted: set[str]) -> None:
    found = traffic_of(sent).sent_by(wanted)
    pairs = [(IDS[each.group], organisation_of(each)) for each in sent if each.group >= 0]
    assert {(name, org): n for name, each in found.items() for org, n in each.items()} == Counter(
        pair for pair in pairs if pair[1] in wanted
    )
    assert all(list(each.values()) == sorted(each.values(), reverse=True) for each in found.values())


@given(events_given)
def test_prompts_of_an_account_and_campaigns_of_many(sent: list[Sent]) -> None:
    traffic = traffic_of(sent)
    for number in {each.account for each in sent}:
        counts = Counter(each.prompt for each in sent if each.account == number)
        expected = [prompt for prompt, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
        assert traffic.prompts_of(ACCOUNTS[number]).tolist() == expected
    found = traffic.campaigns_of([*ACCOUNTS, "nobody"])
    assert found.pop("nobody") == {}
    for number, name in enumerate(ACCOUNTS):
        assert found[name] == Counter(IDS[e.group] for e in sent if e.account == number and e.group >= 0)


@given(events_given, st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_busiest_accounts(sent: list[Sent], flagged: list[bool]) -> None:
    bad = Counter(ACCOUNTS[e.account] for e in sent if e.group >= 0 and flagged[e.group])
    events = Counter(ACCOUNTS[e.account] for e in sent)
    expected = [FlaggedAccount(*pair, events[pair[0]]) for pair in bad.items()]
    expected.sort(key=lambda each: (-each.flagged, each.account_id))
    assert traffic_of(sent).busiest(np.array(flagged), 3) == expected[:3]


def test_a_generation_without_events_tells_of_none() -> None:
    none = traffic_of([])
    assert none.hours(np.zeros(3, bool)) == ()
    assert none.of_campaign(0) == ()
    assert none.accounts_of(0) == ()
    assert none.lately(timedelta(days=1)) == {}
    assert none.sent_by(["o"]) == {}
    assert none.busiest(np.ones(3, bool), 3) == []
