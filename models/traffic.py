"""What traffic looks like when it is counted: by hour, by campaign and by account."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TrafficHour:
    """All events of one hour (UTC, its start), and those of them that are of an alarmed campaign."""

    hour: datetime
    events: int
    flagged: int


@dataclass(frozen=True, slots=True)
class CampaignHour:
    """A campaign's events in one hour (UTC, its start). accounts: how many sent them. models: events by model (""
    if none was given). strands: events by number of the template; -1 for prompts with none.
    """

    hour: datetime
    events: int
    accounts: int
    models: dict[str, int]
    strands: dict[int, int]


@dataclass(frozen=True, slots=True)
class CampaignAccount:
    """An account in a campaign. org_id: its organisation, None for none. dedication: share of all its events that
    belong to the campaign.
    """

    account_id: str
    org_id: str | None
    events: int
    first_seen: datetime
    last_seen: datetime
    dedication: float


@dataclass(frozen=True, slots=True)
class FlaggedAccount:
    """An account that sent events of campaigns that are flagged. flagged: how many, of all its `events`."""

    account_id: str
    flagged: int
    events: int


@dataclass(frozen=True, slots=True)
class Peer:
    """An account that acts with another. together: pairs of a campaign and an hour in which both sent something.
    overlap: their share of the pairs in which either did (Jaccard), in (0, 1].
    """

    account_id: str
    together: int
    overlap: float


@dataclass(frozen=True, slots=True)
class AccountTraffic:
    """All of an account's events.

    campaigns: events by campaign id, most first; those outside of campaigns are left out. models: events by model,
    most first. organisations: all that it was ever of, ascending. clock: events by weekday (Monday first) and hour
    of the day (UTC), 7 x 24. peers: the nearest, at most 20.
    """

    account_id: str
    events: int
    prompts: int
    first_seen: datetime
    last_seen: datetime
    campaigns: dict[str, int]
    models: dict[str, int]
    organisations: tuple[str, ...]
    clock: tuple[tuple[int, ...], ...]
    peers: tuple[Peer, ...]
