"""The campaigns of a list: what each row tells, which rows pass the filters, and in what order."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from models.campaign import Campaign, CampaignLabel, Level, level_now

LATELY: Final = timedelta(hours=24)
_NOT_TOLD: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Row:
    """A campaign as a list tells of it. level: with what an analyst said. lately: events in the last LATELY of all
    campaigns' traffic.
    """

    campaign: Campaign
    level: Level
    label: CampaignLabel | None
    lately: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list was asked for. Empty: whatever there is. words: all must be in the template, the id or the
    capability. sort: a column of COLUMNS, "" for the most urgent first.
    """

    words: str = ""
    level: str = ""
    label: str = ""
    model: str = ""
    since: datetime | None = None
    until: datetime | None = None
    sort: str = ""
    upwards: bool = False


@dataclass(frozen=True, slots=True)
class Turned:
    """Where a list is turned to. at: the page, from 1, of `pages`. rows: which of all rows it shows."""

    at: int
    pages: int
    rows: slice


COLUMNS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "level": lambda row: row.level.rank,
    "score": lambda row: row.campaign.score,
    "capability": lambda row: row.campaign.capability,
    "accounts": lambda row: row.campaign.accounts,
    "events": lambda row: row.campaign.events,
    "lately": lambda row: row.lately,
    "first": lambda row: row.campaign.first_seen,
    "last": lambda row: row.campaign.last_seen,
}


def urgent_rows(
    campaigns: Iterable[Campaign], labels: Mapping[str, CampaignLabel], lately: Mapping[str, int] = _NOT_TOLD
) -> list[Row]:
    """A row for each, the most urgent level first; of one level in the order of the campaigns. labels, lately: by
    campaign id; what campaigns sent lately is told only if it is given.
    """
    rows = [_row(each, labels.get(each.campaign_id), lately.get(each.campaign_id, 0)) for each in campaigns]
    return sorted(rows, key=lambda row: -row.level.rank)


def turned_to(page: int, count: int, size: int) -> Turned:
    """The page of a list of `count` rows, so many on each; the last one where there are not so many pages."""
    pages = max(1, -(-count // size))
    at = min(page, pages)
    return Turned(at, pages, slice((at - 1) * size, at * size))


def row_of(campaign: Campaign, label: CampaignLabel | None) -> Row:
    """The row of one campaign alone, with what is said of it; what it sent lately is not told."""
    return _row(campaign, label, 0)


def chosen(rows: Iterable[Row], wanted: Wanted) -> list[Row]:
    """Those that pass, in the order that is wanted; equals stay as they are."""
    found = [row for row in rows if _passes(row, wanted)]
    key = COLUMNS.get(wanted.sort)
    return sorted(found, key=key, reverse=not wanted.upwards) if key else found


def models_of(campaigns: Iterable[Campaign]) -> list[str]:
    """All models that any of them asked."""
    return sorted({model for each in campaigns for model in each.models if model})


def _row(campaign: Campaign, label: CampaignLabel | None, lately: int) -> Row:
    return Row(campaign, level_now(campaign.level, label.label if label else None), label, lately)


def _passes(row: Row, wanted: Wanted) -> bool:
    one = row.campaign
    label = row.label.label.value if row.label else "none"
    text = f"{one.campaign_id} {one.capability} {one.template.skeleton}".casefold()
    return (
        wanted.level in ("", row.level.value)
        and wanted.label in ("", label)
        and (not wanted.model or wanted.model in one.models)
        and (wanted.since is None or one.last_seen >= wanted.since)
        and (wanted.until is None or one.first_seen < wanted.until)
        and all(word in text for word in wanted.words.casefold().split())
    )
