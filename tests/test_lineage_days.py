"""Ten days of traffic, indexed every night: ids stay, and a pool swap and a pivot are told once, at their hour."""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from indexer import layout
from indexer.encode import load_encoder
from indexer.generation import open_current
from indexer.progress import SilentProgress
from indexer.reindex import reindex
from indexer.sample import load_texts
from indexer.settings import load_settings
from indexer.simulate import Cast, Simulated, WorldSpec, simulate
from indexer.store import Store
from models.campaign import Campaign, HistoryEntry, ShiftKind
from models.event import parse_event

SEED, DAYS = 5, 10
HOUR = timedelta(hours=1)


def time_of(event: Simulated) -> datetime:
    return datetime.fromisoformat(event.row["timestamp"])


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Simulated], list[dict[str, Campaign]]]:
    """The events, and for each night the campaigns by the kind of events that they mostly are."""
    spec = WorldSpec(
        events=9000, days=DAYS, cast=Cast.VARIED, recipes=("swap", "pivot"), look_alikes=("extension",)
    )
    events = sorted(simulate(spec, load_texts(), SEED), key=time_of)
    settings = load_settings(tmp_path_factory.mktemp("nights"), os.environ)
    encoder = load_encoder(settings.encoder, settings.weights)
    latest, begin = datetime.now(UTC), time_of(events[0])
    kinds = {event.row["event_id"]: event.kind for event in events}
    found: list[dict[str, Campaign]] = []
    with Store.open(settings.database) as store:
        for day in range(1, DAYS + 1):
            today = [e for e in events if timedelta(days=day - 1) <= time_of(e) - begin < timedelta(days=day)]
            store.add_events([parse_event(each.row, latest) for each in today])
            reindex(settings, store, encoder, lambda: datetime.now(UTC), SilentProgress(), full=False)
            found.append(_by_kind(settings.generations, store, kinds))
    return events, found


def _by_kind(generations: Path, store: Store, kinds: dict[str, str]) -> dict[str, Campaign]:
    generation = open_current(generations)
    campaigns = generation.value(layout.CAMPAIGNS, list[Campaign])
    ids = np.asarray(generation.array(layout.PROMPT_IDS)).tolist()
    group = dict(zip(ids, np.asarray(generation.array(layout.GROUP)).tolist(), strict=True))
    events = store.event_table(store.watermark())
    names = dict(pair for batch in store.event_ids(store.watermark()) for pair in batch)
    counts: dict[str, Counter[int]] = {}
    for sequence, prompt in zip(events.sequence.tolist(), events.prompt.tolist(), strict=True):
        if group[prompt] >= 0:
            counts.setdefault(kinds[names[sequence]], Counter())[group[prompt]] += 1
    return {kind: campaigns[found.most_common(1)[0][0]] for kind, found in counts.items()}


def told(campaign: Campaign, kind: ShiftKind) -> list[HistoryEntry]:
    return [entry for entry in campaign.history if entry.shift and entry.shift.kind is kind]


@pytest.mark.parametrize("kind", ["campaign:swap", "campaign:pivot"])
def test_a_campaign_keeps_its_id_from_the_night_it_is_found(
    nights: tuple[list[Simulated], list[dict[str, Campaign]]], kind: str
) -> None:
    ids = [night[kind].campaign_id for night in nights[1] if kind in night]
    assert len(ids) >= DAYS - 2
    assert len(set(ids)) == 1


def test_the_pool_swap_is_told_once_at_its_hour(
    nights: tuple[list[Simulated], list[dict[str, Campaign]]],
) -> None:
    events, found = nights
    mine = [event for event in events if event.kind == "campaign:swap"]
    (entry,) = told(found[-1]["campaign:swap"], ShiftKind.POOL_SWAP)
    assert entry.shift is not None
    first, last = {}, {}
    for event in mine:
        account = event.row["account_id"]
        first.setdefault(account, time_of(event))
        last[account] = time_of(event)
    old = [account for account in last if last[account] < entry.shift.end]
    new = [account for account in first if first[account] >= entry.shift.end]
    assert len(old) + len(new) == len(first)  # nobody works for both pools
    assert 0.4 < len(old) / len(first) < 0.6
    assert abs(entry.shift.end - min(first[account] for account in new)) <= HOUR


def test_the_pivot_is_told_once_with_both_sides(
    nights: tuple[list[Simulated], list[dict[str, Campaign]]],
) -> None:
    campaign = nights[1][-1]["campaign:pivot"]
    entries = told(campaign, ShiftKind.TEMPLATE_PIVOT) + told(campaign, ShiftKind.MODEL_PIVOT)
    assert 1 <= len(entries) <= 2
    for entry in entries:
        assert entry.shift is not None
        assert entry.shift.share >= 0.4
        assert entry.shift.end - entry.shift.begin <= timedelta(hours=24)
    strands = {strand.number for strand in campaign.strands}
    for entry in told(campaign, ShiftKind.TEMPLATE_PIVOT):
        assert entry.shift is not None
        assert {entry.shift.before.strand, entry.shift.after.strand} <= strands
