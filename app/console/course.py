"""The course of a campaign, drawn: its events by model and by template, its senders, and what it came from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.console.charts import WIDTH, Chart, timeline
from models.campaign import Campaign, HistoryEntry
from models.traffic import CampaignHour

_NO_MODEL: Final = "no model given"
_NO_TEMPLATE: Final = "no template"
_HEIGHT: Final = 130
_SHOWN: Final = 7  # steps of a lineage, the last ones, for which there is room side by side
_OTHERS: Final = 3
_ORDINARY: Final = frozenset({"unchanged", "grew", "shrank"})


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a campaign's lineage. x: where it stands in the picture. others: ids of the campaigns that it took
    in or came out of, by whether they joined it.
    """

    entry: HistoryEntry
    x: float
    joined: bool

    @property
    def others(self) -> tuple[str, ...]:
        """Campaigns that it took in, or came out of."""
        return self.entry.others[:_OTHERS]

    @property
    def more(self) -> int:
        """How many more there are than are drawn."""
        return len(self.entry.others) - len(self.others)


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
    entries = [entry for entry in one.history if entry.event not in _ORDINARY][-_SHOWN:]
    room = WIDTH / max(1, len(entries))
    return tuple(
        Step(entry, round(room * (at + 0.5), 1), entry.event == "merged") for at, entry in enumerate(entries)
    )


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
