"""The console's list of campaigns, and what is new among them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from api_double import NOW, make_campaign

from app.console.listing import Wanted, chosen, models_of, urgent_rows
from app.console.news import news_since
from app.schemas import EXAMPLE_PROMPT
from models.campaign import CampaignLabel, HistoryEntry, Label, Level


def campaign(name: str, level: Level, **more: Any) -> Any:
    return replace(make_campaign(name, level, EXAMPLE_PROMPT), **more)


def test_rows_count_what_came_lately_and_heed_what_analysts_said() -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)
    busy = campaign("c-1", Level.LIKELY, last_seen=end)
    past = campaign("c-2", Level.STRONG, last_seen=end - timedelta(days=3))
    verdict = CampaignLabel("c-2", Label.BENIGN, "", "mira", end)
    rows = urgent_rows([busy, past], {"c-2": verdict}, {"c-1": 34 + 13})
    assert [(row.lately, row.level) for row in rows] == [(34 + 13, Level.LIKELY), (0, Level.WATCH)]
    assert [row.campaign.campaign_id for row in chosen(rows, Wanted(sort="lately", upwards=True))] == [
        "c-2",
        "c-1",
    ]
    assert [row.campaign.campaign_id for row in chosen(rows, Wanted(label="benign"))] == ["c-2"]
    assert chosen(rows, Wanted(sort="nothing")) == rows
    assert [row.campaign.campaign_id for row in chosen(rows, Wanted(since=end))] == ["c-1"]
    assert models_of([busy]) == sorted(busy.models)


def test_news_are_what_was_noticed_since_alarms_first() -> None:
    def became(event: str, hour: int) -> HistoryEntry:
        return HistoryEntry(f"g{10 + hour:02}", NOW + timedelta(hours=hour), event, 1, 1, "")

    watched = campaign("c-1", Level.WATCH, history=(became("born", 5),))
    moved = campaign("c-2", Level.STRONG, history=(became("born", -1), became("pool swap", 1), became("grew", 2)))
    calm = campaign("c-3", Level.STRONG, history=(became("born", -1), became("unchanged", 3)))

    def told(generation: str, moment: datetime) -> list[tuple[str, list[str]]]:
        found = news_since(urgent_rows([watched, moved, calm], {}), generation, moment)
        return [(each.row.campaign.campaign_id, [one.event for one in each.entries]) for each in found]

    assert told("", NOW) == [("c-2", ["grew", "pool swap"]), ("c-1", ["born"])]
    assert told("g11", NOW) == [("c-2", ["grew"]), ("c-1", ["born"])]  # whenever that was looked at
    assert told("g15", NOW) == []
