"""What a search is: a question over all stored prompts, and its page of hits."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Related prompts to `text`, nearest first, among the events that pass every filter given.

    limit: hits on the page, 1 to 200. offset: hits to skip, 0 to 10,000.
    words: each must stand in the prompt's text as it was sent, whatever the case of its letters; prompts beyond
    the first 50,000 that hold them all are not looked at.
    since (included) and until (excluded) bound the event's time. Prompts are found by the events that the
    generation covers; what is told of them counts those that came since, too.
    """

    text: str
    limit: int = 20
    offset: int = 0
    account_id: str | None = None
    campaign_id: str | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One stored prompt: cosine similarity to the query, its text as sent, and who sent it."""

    fingerprint: str
    similarity: float
    text: str
    system: str
    campaign_id: str | None
    events: int
    accounts: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Hits from `offset` on. facets: events by campaign, model and account (top ten) over the hits found.

    exhausted: whether there are no further hits behind this page.
    """

    hits: tuple[SearchHit, ...]
    offset: int
    exhausted: bool
    facets: dict[str, dict[str, int]]
    generation: str
    encoder: str
