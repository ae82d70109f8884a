"""What is new: of each campaign that something has become of since a moment, the last that was noticed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.console.listing import Row
from models.campaign import HistoryEntry, ShiftKind

NOTABLE: Final = frozenset({"born", "grew", "split", "merged", *(kind.value for kind in ShiftKind)})


@dataclass(frozen=True, slots=True)
class News:
    """entries: what was noticed of the campaign, the newest first."""

    row: Row
    entries: tuple[HistoryEntry, ...]


def news_since(rows: Iterable[Row], generation: str, moment: datetime) -> list[News]:
    """What was noticed by generations after this one, or, if none is named, after a moment: alarms first, and of
    each level what came last. Names of generations are in the order in which they were made.
    """

    def is_new(entry: HistoryEntry) -> bool:
        return entry.generation > generation if generation else entry.at > moment

    found = []
    for row in rows:
        entries = [each for each in row.campaign.history if each.event in NOTABLE and is_new(each)]
        if entries:
            found.append(News(row, tuple(reversed(entries))))
    return sorted(found, key=lambda each: (-each.row.level.rank, -each.entries[0].at.timestamp()))
