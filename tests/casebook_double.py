"""A small casebook that keeps all of `app.state.Casebook`'s contract in memory."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from indexer.prompt_map import MappedPoints
from models.campaign import Campaign
from models.compared import Compared, ComparedPage, LabSample
from models.errors import UnknownAccount, UnknownCampaign
from models.match import ViewSimilarity
from models.search import SearchHit
from models.traffic import AccountTraffic, CampaignAccount, CampaignHour, FlaggedAccount, Peer, TrafficHour
from models.view import View

GENERATION = "g-0001"
THRESHOLD = 0.8
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST, LAST = NOW - timedelta(days=2), NOW - timedelta(hours=1)


MEMBERS = (CampaignAccount("a1", None, 70, FIRST, LAST, 1.0), CampaignAccount("a2", "o1", 30, FIRST, LAST, 0.5))
HOURS = (CampaignHour(FIRST, 60, 2, {"m-4": 60}, {0: 60}), CampaignHour(LAST, 40, 2, {"m-5": 40}, {0: 40}))


class MemoryCasebook:
    """The same members sent all of each campaign's events in the same two hours."""

    def __init__(
        self,
        campaigns: tuple[Campaign, ...],
        is_mapped: bool,
        members: Sequence[CampaignAccount] = MEMBERS,
    ) -> None:
        self.campaigns = campaigns
        self.members = tuple(members)
        self.is_mapped = is_mapped

    def read_ahead(self) -> None:
        """Nothing is on a disk."""

    def place(self, campaign_id: str) -> int:
        for place, each in enumerate(self.campaigns):
            if campaign_id in (each.campaign_id, *each.formerly):
                return place
        raise UnknownCampaign(f"no campaign {campaign_id!r} in generation {GENERATION}")

    def campaign(self, campaign_id: str) -> Campaign:
        return self.campaigns[self.place(campaign_id)]

    def hours(self, flagged: Collection[str]) -> tuple[TrafficHour, ...]:
        found: dict[datetime, list[int]] = {}
        for each in self.campaigns:
            for hour in HOURS:
                both = found.setdefault(hour.hour, [0, 0])
                both[0] += hour.events
                both[1] += hour.events if each.campaign_id in flagged else 0
        return tuple(TrafficHour(hour, *found[hour]) for hour in sorted(found))

    def busiest(self, flagged: Collection[str], most: int) -> list[FlaggedAccount]:
        bad, events = Counter[str](), Counter[str]()
        for each in self.campaigns:
            for member in self.members:
                events[member.account_id] += member.events
                bad[member.account_id] += member.events if each.campaign_id in flagged else 0
        return [FlaggedAccount(name, n, events[name]) for name, n in bad.most_common(most) if n]

    def campaign_hours(self, campaign_id: str) -> tuple[CampaignHour, ...]:
        self.place(campaign_id)
        return HOURS

    def campaign_accounts(self, campaign_id: str, which: slice = slice(None)) -> tuple[CampaignAccount, ...]:
        self.place(campaign_id)
        return self.members[which]

    def lately(self, span: timedelta) -> dict[str, int]:
        events = sum(each.events for each in HOURS if each.hour >= LAST - span)
        return {each.campaign_id: events for each in self.campaigns}

    def account_names(self) -> list[str]:
        return sorted({member.account_id for member in self.members})

    def account(self, account_id: str) -> AccountTraffic:
        if account_id not in self.account_names():
            raise UnknownAccount("no event of the current generation is of this account")
        mine = self.campaigns_of([account_id])[account_id]
        first, events = self.campaigns[0], sum(mine.values())
        clock = [[0] * 24 for _ in range(7)]
        clock[0][3] = events
        peers = [Peer(name, 2, 0.5) for name in self.account_names() if name != account_id]
        return AccountTraffic(
            account_id=account_id,
            events=events,
            prompts=len(mine),
            first_seen=first.first_seen,
            last_seen=first.last_seen,
            campaigns=mine,
            models={"m-4": events},
            organisations=tuple(
                each.org_id for each in self.members if each.account_id == account_id and each.org_id
            ),
            clock=tuple(map(tuple, clock)),
            peers=tuple(peers),
        )

    def account_prompts(self, account_id: str, limit: int, offset: int) -> list[SearchHit]:
        return [hit_of(each, 1.0) for each in self.campaigns][offset : offset + limit]

    def campaigns_of(self, account_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        return {
            name: {
                each.campaign_id: member.events
                for each in self.campaigns
                for member in self.members
                if member.account_id == name
            }
            for name in account_ids
        }

    def typical(self, campaign_id: str, limit: int, offset: int, fringe: bool = False) -> ComparedPage:
        hit = hit_of(self.campaign(campaign_id), 0.95)
        seen = ViewSimilarity(View.WHOLE, 0.95, THRESHOLD)
        return ComparedPage((Compared(hit, 0.95 - THRESHOLD, (seen,), True),)[offset : offset + limit], 1, 80)

    def near_misses(self, campaign_id: str, limit: int) -> ComparedPage:
        hit = replace(hit_of(self.campaign(campaign_id), 0.75), campaign_id=None)
        seen = ViewSimilarity(View.WHOLE, 0.75, THRESHOLD)
        return ComparedPage((Compared(hit, 0.75 - THRESHOLD, (seen,), False),)[:limit], 1, 1)

    def lab(self, campaign_id: str) -> LabSample:
        own, near = self.typical(campaign_id, 1, 0).prompts, self.near_misses(campaign_id, 1).prompts
        others = tuple(
            replace(near[0], hit=hit_of(each, 0.75))
            for place, each in enumerate(self.campaigns)
            if place != self.place(campaign_id)
        )
        return LabSample(own, near, others, 80)

    name = GENERATION

    def mapped(self) -> MappedPoints | None:
        places = np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2)
        return (
            MappedPoints(GENERATION, places, np.array([0, 1, 2]), np.array([0, 1, -1])) if self.is_mapped else None
        )

    def prompts_at(self, rows: Sequence[int]) -> dict[int, SearchHit]:
        return {row: hit_of(self.campaigns[row], 1.0) for row in rows if row < len(self.campaigns)}

    def all_prompts(self, campaign_id: str) -> Iterator[SearchHit]:
        return iter([hit_of(self.campaign(campaign_id), 1.0)])


def hit_of(campaign: Campaign, similarity: float) -> SearchHit:
    """The prompt that stands for a campaign, as a search finds it."""
    exemplar = campaign.exemplars[0]
    return SearchHit(
        fingerprint=exemplar.fingerprint,
        similarity=similarity,
        text=exemplar.text,
        system="",
        campaign_id=campaign.campaign_id,
        events=campaign.events,
        accounts=campaign.accounts,
        first_seen=campaign.first_seen,
        last_seen=campaign.last_seen,
    )
