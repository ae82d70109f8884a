"""Our own engine over a world's events, as the benchmarks run it beside the peers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from indexer import layout
from indexer.encode import load_encoder
from indexer.generation import open_current
from indexer.progress import SilentProgress
from indexer.reindex import reindex
from indexer.settings import Settings, load_settings
from indexer.simulate import SimulatedEvent
from indexer.store import Store
from models.campaign import Campaign
from models.event import parse_event

BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    """labels: place in `campaigns` of each event, -1 for none, in the order of the events."""

    labels: list[int]
    campaigns: list[Campaign]

    def alarmed(self) -> set[int]:
        """Places of the campaigns that are alarms."""
        return {place for place, campaign in enumerate(self.campaigns) if campaign.level.is_alarm}


def index(events: Sequence[SimulatedEvent], folder: Path) -> Settings:
    """Stores and indexes the events in a data folder; returns its settings."""
    settings = load_settings(folder, os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    encoder, latest = load_encoder(settings.encoder, settings.weights), datetime.now(UTC)
    with Store.open(settings.database) as store:
        for start in range(0, len(events), BATCH):
            store.add_events([parse_event(each.row, latest) for each in events[start : start + BATCH]])
        reindex(settings, store, encoder, lambda: datetime.now(UTC), SilentProgress(), full=True)
    return settings


def found_in(events: Sequence[SimulatedEvent], settings: Settings) -> Found:
    """What the current generation of a data folder says of the events, all of which it holds."""
    with Store.open(settings.database) as store:
        table = store.event_table(store.watermark())
        names = dict(pair for batch in store.event_ids(store.watermark()) for pair in batch)
    generation = open_current(settings.generations)
    prompts = np.asarray(generation.array(layout.PROMPT_IDS)).tolist()
    group = dict(zip(prompts, np.asarray(generation.array(layout.GROUP)).tolist(), strict=True))
    of_event = {
        names[number]: group[prompt]
        for number, prompt in zip(table.sequence.tolist(), table.prompt.tolist(), strict=True)
    }
    campaigns = generation.value(layout.CAMPAIGNS, list[Campaign])
    return Found([of_event[each.row["event_id"]] for each in events], campaigns)
