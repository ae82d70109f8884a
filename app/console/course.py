"""The course of a campaign, drawn: its events by model and by template, its senders, and what it came from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.console.charts import Chart, timeline
from models.campaign import Campaign, HistoryEntry
from models.traffic import CampaignHour

_NO_MODEL: Final = "no model given"
_NO_TEMPLATE: Final = "no template"
_HEIGHT: Final = 130
_SHOWN: Final = 12  # steps of a lineage, the last ones
_ORDINARY: Final = frozenset({"unchanged", "grew", "shrank"})


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a campaign's lineage. into, out_of: ids of the campaigns it took in or came from."""

    entry: HistoryEntry
    into: tuple[str, ...]
    out_of: tuple[str, ...]


def drawn_by_model(hours: Sequence[CampaignHour], history: Iterable[HistoryEntry]) -> Chart:
    """Events over time by model, with its shifts."""
    return _stacked(hours, [{name or _NO_MODEL: n for name, n in each.models.items()} for each in hours], history)


def drawn_by_strand(hours: Sequence[CampaignHour], history: Iterable[HistoryEntry]) -> Chart:
    """Events over time by template, with its shifts."""
    rows = [{_called(strand): n for strand, n in each.strands.items()} for each in hours]
    return _stacked(hours, rows, history)


def drawn_senders(hours: Sequence[CampaignHour]) -> Chart:
    """Accounts that were active, by hour; over longer bars they are added up, hour by hour."""
    return timeline([each.hour for each in hours], {"": [each.accounts for each in hours]}, height=_HEIGHT)


def lineage(one: Campaign) -> tuple[Step, ...]:
    """The steps that changed what the campaign is made of, the first of them first; at most the last _SHOWN."""
    steps = [
        Step(
            entry,
            entry.others if entry.event == "merged" else (),
            entry.others if entry.event == "split" else (),
        )
        for entry in one.history
        if entry.event not in _ORDINARY
    ]
    return tuple(steps[-_SHOWN:])


def _stacked(
    hours: Sequence[CampaignHour], rows: Sequence[Mapping[str, int]], history: Iterable[HistoryEntry]
) -> Chart:
    total = Counter[str]()
    for row in rows:
        total.update(row)
    names = [name for name, _ in total.most_common()]
    return timeline(
        [each.hour for each in hours],
        {name: [row.get(name, 0) for row in rows] for name in names},
        _marks(history),
    )


def _marks(history: Iterable[HistoryEntry]) -> list[tuple[datetime, str]]:
    """Where something shifted: once each, though every generation since tells of it."""
    found = {(entry.shift.end, entry.shift.kind.value) for entry in history if entry.shift}
    return sorted(found)


def _called(strand: int) -> str:
    return f"template {strand}" if strand >= 0 else _NO_TEMPLATE
