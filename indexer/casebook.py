"""What an analyst reads of one generation, beside the answers to prompts and searches: who sent what, when, and
how near it comes.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.generation import Generation
from indexer.match import Matcher
from indexer.prompt_map import MappedPoints, newest, rows_now
from indexer.search import Searcher, places_of
from indexer.spacing import spaced
from indexer.store import Store
from indexer.texts import Texts
from indexer.traffic import Traffic
from models.campaign import Campaign
from models.compared import Compared, ComparedPage, LabSample
from models.errors import UnknownCampaign
from models.generation import Manifest
from models.match import ViewSimilarity
from models.search import SearchHit
from models.traffic import AccountTraffic, CampaignHour, TrafficHour
from models.view import View

IntArray = NDArray[np.int64]
_Seen = tuple[int, tuple[ViewSimilarity, ...]]  # a row, and what the views show of it

_COMPARED: Final = 400  # prompts of a campaign that are put in order
_READ: Final = 500
_OTHERS: Final = 20  # campaigns that are nearest to one
_OF_EACH: Final = 10  # prompts of each of these
_NEAR_EACH: Final = 10  # of each exemplar, prompts outside that are looked at


class Casebook:
    """Immutable and thread-safe; all answers are of one generation."""

    def __init__(
        self, generation: Generation, matcher: Matcher, searcher: Searcher, store: Store, maps: Path
    ) -> None:
        """maps: where `indexer.prompt_map` keeps them."""
        self.manifest: Manifest = generation.manifest
        self.campaigns: tuple[Campaign, ...] = matcher.campaigns
        self._matcher = matcher
        self._searcher = searcher
        self._store = store
        self._maps = maps
        self._prints = np.asarray(generation.array(layout.FINGERPRINTS), np.uint8)
        self._places = places_of(matcher.campaigns)
        self._group = np.asarray(generation.array(layout.GROUP), np.int64)
        self._traffic = Traffic.of(generation, [each.campaign_id for each in matcher.campaigns])
        self._near_prompt, self._near_campaign = (
            np.asarray(generation.array(name), np.int64) if generation.holds(name) else np.zeros(0, np.int64)
            for name in (layout.NEAR_PROMPT, layout.NEAR_CAMPAIGN)
        )

    @property
    def name(self) -> str:
        """The generation's."""
        return self.manifest.generation

    def place(self, campaign_id: str) -> int:
        """Number of a campaign, by its id or by that of one that merged into it. Raises UnknownCampaign."""
        if campaign_id not in self._places:
            raise UnknownCampaign(f"no campaign {campaign_id} in generation {self.manifest.generation}")
        return self._places[campaign_id]

    def hours(self, flagged: Collection[str]) -> tuple[TrafficHour, ...]:
        """All traffic by hour, and that of the campaigns of these ids."""
        return self._traffic.hours(self._flagged(flagged))

    def busiest(self, flagged: Collection[str], most: int) -> list[tuple[str, int, int]]:
        """The accounts that sent most events of the campaigns of these ids: the number of these, and of all its
        events.
        """
        return self._traffic.busiest(self._flagged(flagged), most)

    def campaign_hours(self, campaign_id: str) -> tuple[CampaignHour, ...]:
        """The hours in which a campaign sent anything. Raises UnknownCampaign."""
        return self._traffic.of_campaign(self.place(campaign_id))

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
        rows = np.flatnonzero(self._group == place)
        some = rows[offset : offset + limit]
        page = self._compared(
            [(int(row), views) for row, views in zip(some, self._views(some, place), strict=True)]
        )
        return ComparedPage(tuple(page), len(page), len(rows))

    def all_prompts(self, campaign_id: str) -> Iterator[SearchHit]:
        """All of a campaign's prompts in the order of their fingerprints, some hundreds in memory at a time; they
        are compared with nothing. Raises UnknownCampaign.
        """
        rows = np.flatnonzero(self._group == self.place(campaign_id))
        return (hit for at in range(0, len(rows), _READ) for hit in self._described(rows[at : at + _READ]))

    def typical(self, campaign_id: str, limit: int, offset: int, fringe: bool = False) -> ComparedPage:
        """A campaign's prompts by how near they are to it, the nearest first, or the farthest if `fringe`: of up
        to 400 that are evenly spaced among all. Raises UnknownCampaign.
        """
        place = self.place(campaign_id)
        rows = np.flatnonzero(self._group == place)
        some = rows[spaced(len(rows), _COMPARED)]
        ordered = self._in_order(some, place)
        page = (ordered[::-1] if fringe else ordered)[offset : offset + limit]
        return ComparedPage(tuple(self._compared(page)), len(some), len(rows))

    def near_misses(self, campaign_id: str, limit: int) -> ComparedPage:
        """Prompts outside of every campaign that come near to one, the nearest first. Raises UnknownCampaign."""
        place = self.place(campaign_id)
        near = self._in_order(self._near(place), place)
        return ComparedPage(tuple(self._compared(near[:limit])), len(near), len(near))

    def lab(self, campaign_id: str) -> LabSample:
        """What a campaign's thresholds can be tried on. Raises UnknownCampaign."""
        place = self.place(campaign_id)
        own = np.flatnonzero(self._group == place)
        some = own[spaced(len(own), _COMPARED)]
        parts = some, self._near(place), self._near_others(place)
        mine, outside, others = (tuple(self._compared(self._in_order(rows, place))) for rows in parts)
        return LabSample(mine, outside, others, len(own))

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

    def _near(self, place: int) -> IntArray:
        """Rows of prompts outside of every campaign that come near to one, by recurring or by whole text."""
        begin, end = np.searchsorted(self._near_campaign, [place, place + 1]).tolist()
        found = [self._near_prompt[begin:end][:_COMPARED]]  # which begin with the nearest
        exemplars, outside = self._matcher.exemplars_of(View.WHOLE, place), self._group < 0
        if len(exemplars) and outside.any():
            found.append(self._searcher.nearest(exemplars, outside, _NEAR_EACH))
        rows: IntArray = np.unique(np.concatenate(found))
        return rows

    def _near_others(self, place: int) -> IntArray:
        """Rows of prompts of other campaigns, some of each of those whose exemplars come nearest."""
        nearness = np.full(len(self.campaigns), -np.inf)
        for view in (View.WHOLE, View.RECURRING, View.SYSTEM):
            mine = self._matcher.exemplars_of(view, place)
            if len(mine):
                np.maximum(nearness, self._matcher.nearness(view, mine), out=nearness)
        nearness[place] = -np.inf
        nearest = np.argsort(-nearness, kind="stable")[:_OTHERS]
        rows = [np.flatnonzero(self._group == other) for other in nearest[np.isfinite(nearness[nearest])].tolist()]
        found: IntArray = np.concatenate(
            [np.zeros(0, np.int64), *(each[spaced(len(each), _OF_EACH)] for each in rows)]
        )
        return found

    def _in_order(self, rows: IntArray, place: int) -> list[_Seen]:
        """Rows with what the views show of them and a campaign, the nearest first."""
        seen = [(int(row), views) for row, views in zip(rows, self._views(rows, place), strict=True)]
        return sorted(seen, key=lambda each: -_best(each[1])[1])

    def _compared(self, seen: Sequence[_Seen]) -> list[Compared]:
        """The prompts of these rows; those without events are left out."""
        rows = np.array([row for row, _ in seen], np.int64)
        prints = [self._prints[row].tobytes().hex() for row in rows.tolist()]
        views_of = dict(zip(prints, (views for _, views in seen), strict=True))
        return [
            Compared(replace(hit, similarity=similarity), margin, views_of[hit.fingerprint])
            for hit in self._described(rows)
            for similarity, margin in [_best(views_of[hit.fingerprint])]
        ]

    def _described(self, rows: IntArray) -> list[SearchHit]:
        return self._searcher.described(rows, self._store)

    def _flagged(self, ids: Collection[str]) -> NDArray[np.bool_]:
        return np.array([each.campaign_id in ids for each in self.campaigns], np.bool_)

    def _views(self, rows: IntArray, place: int) -> list[tuple[ViewSimilarity, ...]]:
        return self._matcher.compared(self._searcher.prompts(rows, self._store), place)


def _best(views: Sequence[ViewSimilarity]) -> tuple[float, float]:
    """Similarity and margin in the view where a prompt is nearest; of a campaign without exemplars the very
    prompt.
    """
    nearest = max(views, key=lambda each: each.margin, default=None)
    return (nearest.similarity, nearest.margin) if nearest else (1.0, 0.0)
