"""What an analyst reads of one generation, beside the answers to prompts and searches: who sent what, when, and
how near it comes.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.comparison import Comparison, Seen
from indexer.generation import Generation
from indexer.match import Matcher
from indexer.prompt_map import MappedPoints, newest, rows_now
from indexer.published import Published
from indexer.search import Searcher
from indexer.store import Store
from indexer.texts import Texts
from models.campaign import Campaign
from models.compared import Compared, ComparedPage, LabSample
from models.generation import Manifest
from models.search import SearchHit
from models.traffic import AccountTraffic, CampaignAccount, CampaignHour, FlaggedAccount, TrafficHour

IntArray = NDArray[np.int64]

_READ: Final = 100


class Casebook:
    """Immutable and thread-safe; all answers are of one generation."""

    def __init__(
        self, generation: Generation, matcher: Matcher, searcher: Searcher, store: Store, maps: Path
    ) -> None:
        """maps: where `indexer.prompt_map` keeps them."""
        self.manifest: Manifest = generation.manifest
        self.campaigns: tuple[Campaign, ...] = matcher.campaigns
        self._generation = generation
        self._searcher = searcher
        self._store = store
        self._maps = maps
        self._prints = np.asarray(generation.array(layout.FINGERPRINTS), np.uint8)
        self._group = np.asarray(generation.array(layout.GROUP), np.int64)
        self._published = Published.of(generation, matcher.campaigns)
        self._traffic = self._published.traffic
        self._comparison = Comparison(generation, matcher, searcher, store)

    @property
    def name(self) -> str:
        """The generation's."""
        return self.manifest.generation

    def read_ahead(self) -> None:
        """Has the system read the generation's files into memory, so that the first reader need not wait."""
        self._generation.read_ahead()

    def place(self, campaign_id: str) -> int:
        """Number of a campaign, by its id or by that of one that merged into it. Raises UnknownCampaign."""
        return self._published.place(campaign_id)

    def campaign(self, campaign_id: str) -> Campaign:
        """A campaign, by its id or by that of one that merged into it. Raises UnknownCampaign."""
        return self._published.campaign(campaign_id)

    def hours(self, flagged: Collection[str]) -> tuple[TrafficHour, ...]:
        """All traffic by hour, and that of the campaigns of these ids."""
        return self._traffic.hours(self._flagged(flagged))

    def busiest(self, flagged: Collection[str], most: int) -> list[FlaggedAccount]:
        """The accounts that sent most events of the campaigns of these ids, most first."""
        return self._traffic.busiest(self._flagged(flagged), most)

    def campaign_hours(self, campaign_id: str) -> tuple[CampaignHour, ...]:
        """The hours in which a campaign sent anything. Raises UnknownCampaign."""
        return self._traffic.of_campaign(self.place(campaign_id))

    def campaign_accounts(self, campaign_id: str, which: slice = slice(None)) -> tuple[CampaignAccount, ...]:
        """The accounts of a campaign, the busiest first, those at these places only. Raises UnknownCampaign."""
        return self._traffic.accounts_of(self.place(campaign_id), which)

    def lately(self, span: timedelta) -> dict[str, int]:
        """Events by campaign id in so long a time before the last one of all campaigns; only what there is."""
        return self._traffic.lately(span)

    def sent_by(self, organisations: Collection[str]) -> dict[str, dict[str, int]]:
        """Events by campaign id and organisation, of these organisations, most first; only what there is."""
        return self._traffic.sent_by(organisations)

    def account_names(self) -> Texts:
        """All accounts, ascending."""
        return self._traffic.account_names()

    def account(self, account_id: str) -> AccountTraffic:
        """What one account sent, and who acts with it. Raises UnknownAccount."""
        return self._traffic.of_account(account_id)

    def account_prompts(self, account_id: str, limit: int, offset: int) -> list[SearchHit]:
        """The account's prompts with its own events, those it sent most often first. Raises UnknownAccount."""
        rows = self._traffic.prompts_of(account_id)[offset : offset + limit]
        return self._searcher.described(rows, self._store, account_id)

    def campaigns_of(self, account_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Events by campaign id, most first, of each of these accounts."""
        return self._traffic.campaigns_of(account_ids)

    def members(self, campaign_id: str, limit: int, offset: int) -> ComparedPage:
        """A campaign's prompts in the order of their fingerprints. Raises UnknownCampaign."""
        place = self.place(campaign_id)
        rows = self._comparison.rows(place)
        page = self._compared(self._comparison.seen(rows[offset : offset + limit], place))
        return ComparedPage(page, len(page), len(rows))

    def all_prompts(self, campaign_id: str) -> Iterator[SearchHit]:
        """All of a campaign's prompts in the order of their fingerprints, a hundred in memory at a time; they
        are compared with nothing. Raises UnknownCampaign.
        """
        rows = self._comparison.rows(self.place(campaign_id))
        return (hit for at in range(0, len(rows), _READ) for hit in self._described(rows[at : at + _READ]))

    def typical(self, campaign_id: str, limit: int, offset: int, fringe: bool = False) -> ComparedPage:
        """A campaign's prompts by how near they are to it, the nearest first, or the farthest if `fringe`: of up
        to 200 that are evenly spaced among all. Raises UnknownCampaign.
        """
        place = self.place(campaign_id)
        ordered = self._comparison.own(place)
        page = (ordered[::-1] if fringe else ordered)[offset : offset + limit]
        return ComparedPage(self._compared(page), len(ordered), len(self._comparison.rows(place)))

    def near_misses(self, campaign_id: str, limit: int) -> ComparedPage:
        """Prompts outside of every campaign that come near to one, the nearest first. Raises UnknownCampaign."""
        near = self._comparison.near(self.place(campaign_id))
        return ComparedPage(self._compared(near[:limit]), len(near), len(near))

    def lab(self, campaign_id: str) -> LabSample:
        """What a campaign's thresholds can be tried on. Raises UnknownCampaign."""
        place, looked = self.place(campaign_id), self._comparison
        own, outside, others = map(self._compared, (looked.own(place), looked.near(place), looked.others(place)))
        return LabSample(own, outside, others, len(looked.rows(place)))

    def mapped(self) -> MappedPoints | None:
        """The newest map, with what is known of its points now; None if none was drawn."""
        drawn = newest(self._maps)
        if drawn is None:
            return None
        rows = rows_now(drawn.prints, self._prints)
        there = rows >= 0
        return MappedPoints(drawn.generation, drawn.places[there], rows[there], self._group[rows[there]])

    def prompts_at(self, rows: Sequence[int]) -> dict[int, SearchHit]:
        """The prompts of these rows of this generation, by row; rows that are none are left out."""
        inside = [row for row in dict.fromkeys(rows) if 0 <= row < len(self._group)]
        row_of = {self._prints[row].tobytes().hex(): row for row in inside}
        return {row_of[hit.fingerprint]: hit for hit in self._described(np.array(inside, np.int64))}

    def _compared(self, seen: Sequence[Seen]) -> tuple[Compared, ...]:
        """The prompts of these rows; those without events are left out."""
        of_print = {self._prints[each.row].tobytes().hex(): each for each in seen}
        found = []
        for hit in self._described(np.array([each.row for each in seen], np.int64)):
            each = of_print[hit.fingerprint]
            similarity, margin = each.best
            found.append(Compared(replace(hit, similarity=similarity), margin, each.views, each.whole))
        return tuple(found)

    def _described(self, rows: IntArray) -> list[SearchHit]:
        return self._searcher.described(rows, self._store)

    def _flagged(self, ids: Collection[str]) -> NDArray[np.bool_]:
        return np.array([each.campaign_id in ids for each in self.campaigns], np.bool_)
