"""Ten days of traffic, indexed every night: ids stay, and a pool swap and a pivot are told once, at their hour."""

import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from indexer import layout
from indexer.actors import BACKGROUND, Actor
from indexer.axes import Axes, crowd
from indexer.clock import Clock
from indexer.encode import load_encoder
from indexer.generation import open_current
from indexer.progress import SilentProgress
from indexer.reindex import reindex
from indexer.sample import Texts, load_texts
from indexer.settings import load_settings
from indexer.simulate import SimulatedEvent, play
from indexer.speech import Speech
from indexer.store import Store
from models.campaign import Campaign, HistoryEntry, ShiftKind
from models.event import parse_event

SEED, DAYS = 5, 10
HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
SWAP, PIVOT = BEGIN + timedelta(days=DAYS) * 0.45, BEGIN + timedelta(days=DAYS) * 0.6


def cast_of(texts: Texts) -> tuple[Actor, ...]:
    """Users, a writing extension of theirs, a pool that is exchanged, and one of which half moves on."""
    dice = Random(SEED)
    payloads = tuple(each.text for each in texts.payloads)
    attacker = Axes(accounts=60, prompts=40, mixing=0.3, fillings=payloads, clock=Clock.ROUND_THE_CLOCK)
    return (
        Actor(BACKGROUND, accounts=300, prompts=15),
        replace(crowd(dice, DAYS).actor(dice), kind="benign:extension", accounts=60, prompts=10),
        replace(replace(attacker, accounts=100, swap_at=0.45).actor(dice), kind="campaign:swap"),
        replace(
            replace(attacker, task="grading", pivot_at=0.6, pivot_share=0.5, pivot_template=True).actor(dice),
            kind="campaign:pivot",
        ),
    )


def time_of(event: SimulatedEvent) -> datetime:
    return datetime.fromisoformat(event.row["timestamp"])


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[SimulatedEvent], list[dict[str, Campaign]]]:
    """The events, and for each night the campaigns by the kind of events that they mostly are."""
    texts = load_texts()
    speech = Speech(texts, hop=0.12, change=0.5, rng=Random(SEED))
    events = sorted(play(cast_of(texts), speech, BEGIN, DAYS, SEED), key=time_of)
    settings = load_settings(tmp_path_factory.mktemp("nights"), os.environ)
    encoder = load_encoder(settings.encoder, settings.weights)
    latest = datetime.now(UTC)
    kinds = {event.row["event_id"]: event.kind for event in events}
    found: list[dict[str, Campaign]] = []
    with Store.open(settings.database) as store:
        for day in range(1, DAYS + 1):
            today = [e for e in events if timedelta(days=day - 1) <= time_of(e) - BEGIN < timedelta(days=day)]
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
    nights: tuple[list[SimulatedEvent], list[dict[str, Campaign]]], kind: str
) -> None:
    ids = [night[kind].campaign_id for night in nights[1] if kind in night]
    assert len(ids) >= DAYS - 2
    assert len(set(ids)) == 1


def test_the_pool_swap_is_told_once_at_its_hour(
    nights: tuple[list[SimulatedEvent], list[dict[str, Campaign]]],
) -> None:
    (entry,) = told(nights[1][-1]["campaign:swap"], ShiftKind.POOL_SWAP)
    assert entry.shift is not None
    assert abs(entry.shift.begin - SWAP) <= HOUR
    assert abs(entry.shift.end - SWAP) <= HOUR
    assert entry.shift.before.accounts == 50
    assert entry.shift.after.accounts >= 20  # those that had shown themselves twice on the night it was noticed
    noticed = next(
        day for day, night in enumerate(nights[1], 1) if told(night["campaign:swap"], ShiftKind.POOL_SWAP)
    )
    assert noticed <= 6  # it happened at noon of day 5
    assert not told(nights[1][-1]["campaign:pivot"], ShiftKind.POOL_SWAP)


def test_half_a_pools_move_to_another_template_is_told_once_with_both_sides(
    nights: tuple[list[SimulatedEvent], list[dict[str, Campaign]]],
) -> None:
    campaign = nights[1][-1]["campaign:pivot"]
    (entry,) = told(campaign, ShiftKind.TEMPLATE_PIVOT)
    assert entry.shift is not None
    assert entry.shift.begin <= PIVOT <= entry.shift.end
    assert entry.shift.end - PIVOT <= HOUR
    assert 0.4 <= entry.shift.share <= 0.6
    assert entry.at - PIVOT > timedelta(0)
    noticed = [night["campaign:pivot"] for night in nights[1]]
    first = next(day for day, each in enumerate(noticed, 1) if told(each, ShiftKind.TEMPLATE_PIVOT))
    assert first <= 8  # it happened at the end of day 6
    before, after = (
        next(strand for strand in campaign.strands if strand.number == side.strand)
        for side in (entry.shift.before, entry.shift.after)
    )
    assert before.template.skeleton != after.template.skeleton
    assert abs(after.first_seen - PIVOT) <= HOUR
