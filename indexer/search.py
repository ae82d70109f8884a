"""Search over all stored prompts of one generation: nearest by meaning, among the events that pass a filter."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.encode import Encoder
from indexer.event_columns import EventColumns
from indexer.generation import Generation
from indexer.store import PromptEvents, Store
from indexer.vectors import FloatArray
from models.campaign import Campaign
from models.errors import BadPrompt
from models.prompt import Prompt
from models.search import SearchHit, SearchPage, SearchQuery
from models.text import canonical
from models.view import View

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NO_CAMPAIGN: Final = -2  # no prompt has it; -1 is that of prompts in none

_FIRST_REACH: Final = 256
_WIDEN: Final = 4
_WIDEST: Final = 256  # times as many windows as prompts are wanted
_FACET_VALUES: Final = 10
_HOLDING: Final = 50_000  # prompts with the words that were asked for


class Searcher:
    """Answers searches for one generation. Immutable after construction."""

    def __init__(self, generation: Generation, encoder: Encoder, campaigns: Sequence[Campaign]) -> None:
        """campaigns: those of the generation."""
        generation.manifest.spaces[View.WHOLE].require(encoder.space)
        self._encoder = encoder
        self._manifest = generation.manifest
        self._index = generation.index(layout.WHOLE_INDEX)
        self._prompt_of_window = np.asarray(generation.array(layout.WHOLE_PROMPT), np.int64)
        self._prompt_ids = np.asarray(generation.array(layout.PROMPT_IDS), np.int64)
        self._group = np.asarray(generation.array(layout.GROUP), np.int64)
        self._columns = EventColumns.of(generation)
        self._names = tuple(each.campaign_id for each in campaigns)
        self._places = places_of(campaigns)

    def search(self, query: SearchQuery, store: Store) -> SearchPage:
        """Page of the prompts nearest to the query. Only those that may pass its filters are looked at, and the
        reach is widened until the page is full or all of them were, so a narrow filter still finds what there is.
        """
        text = canonical(query.text)
        if not text:
            raise BadPrompt("the query has no text")
        vectors = self._encoder.encode(self._encoder.windows(text)[:1])
        wanted = query.offset + query.limit
        only = self._windows(query, store)
        reach, most = _FIRST_REACH, len(self._index) if only is None else int(np.count_nonzero(only))
        while True:
            cosines, windows = self._index.search(vectors, min(reach, most), only)
            ranked = self._ranked(cosines[0], windows[0])
            found = self._filtered(ranked, query, store)
            if len(found) > wanted or reach >= most:
                break
            reach *= _WIDEN
        return self._page(found, ranked, query, store)

    def _windows(self, query: SearchQuery, store: Store) -> BoolArray | None:
        """Which windows are of prompts that may pass the query's filters, (windows,); None for all of them."""
        passing = None if self._columns is None else self._columns.passing(query, len(self._group))
        if query.campaign_id is not None:
            inside = self._group == self._number_of(query.campaign_id)
            passing = inside if passing is None else passing & inside
        if query.words:
            holding = np.isin(self._prompt_ids, store.prompts_with(query.words, _HOLDING))
            passing = holding if passing is None else passing & holding
        return None if passing is None else passing[self._prompt_of_window]

    def _number_of(self, campaign_id: str) -> int:
        """Number of a campaign, by its id or a former one; NO_CAMPAIGN for one that is not there."""
        return self._places.get(campaign_id, NO_CAMPAIGN)

    def described(self, rows: IntArray, store: Store, account_id: str | None = None) -> list[SearchHit]:
        """The prompts of these rows, in this order, with all their events or those of one account; those that have
        none are left out. Their similarity is 1: they were compared with nothing.
        """
        ids = self._prompt_ids[rows].tolist()
        found = store.events_of_prompts(ids, account_id=account_id)
        return self._hits(found, dict.fromkeys(ids, 1.0), dict(zip(ids, rows.tolist(), strict=True)), store)

    def prompts(self, rows: IntArray, store: Store) -> list[Prompt]:
        """The texts of the prompts of these rows."""
        return [Prompt(each.system, each.user) for each in store.prompts_by_id(self._prompt_ids[rows].tolist())]

    def nearest(self, vectors: FloatArray, among: BoolArray, most: int) -> IntArray:
        """Rows of the prompts whose whole text is nearest to any of these unit rows, (m, d), `most` for each if
        there are so many among the nearest few thousand windows, ascending. among: (prompts,) which may be. A long
        prompt has many windows, and may not stand for several.
        """
        only = among[self._prompt_of_window]
        reach, there = most, int(np.count_nonzero(only))
        while True:
            _, windows = self._index.search(vectors, min(reach, there), only)
            prompts = [self._first_prompts(each, most) for each in windows]
            if reach >= min(there, _WIDEST * most) or min(map(len, prompts), default=most) == most:
                found: IntArray = np.unique(np.concatenate([np.zeros(0, np.int64), *prompts]))
                return found
            reach *= _WIDEN

    def _first_prompts(self, windows: IntArray, most: int) -> IntArray:
        """Rows of the first prompts that windows, the nearest first, are of."""
        rows, first = np.unique(self._prompt_of_window[windows[windows >= 0]], return_index=True)
        found: IntArray = rows[np.argsort(first)[:most]]
        return found

    def _ranked(self, cosines: NDArray[np.float32], windows: IntArray) -> dict[int, tuple[float, int]]:
        """(cosine, row) by prompt id, nearest first; a prompt counts with its nearest window."""
        best: dict[int, tuple[float, int]] = {}
        for cosine, window in zip(cosines.tolist(), windows.tolist(), strict=True):
            if window < 0:
                continue
            row = int(self._prompt_of_window[window])
            best.setdefault(int(self._prompt_ids[row]), (cosine, row))
        return best

    def _filtered(
        self, ranked: dict[int, tuple[float, int]], query: SearchQuery, store: Store
    ) -> list[PromptEvents]:
        passing = store.events_of_prompts(list(ranked), query.since, query.until, query.account_id, query.model)
        return sorted(passing, key=lambda each: (-ranked[each.prompt_id][0], ranked[each.prompt_id][1]))

    def _page(
        self, found: list[PromptEvents], ranked: dict[int, tuple[float, int]], query: SearchQuery, store: Store
    ) -> SearchPage:
        end = query.offset + query.limit
        rows = {prompt: row for prompt, (_, row) in ranked.items()}
        cosines = {prompt: cosine for prompt, (cosine, _) in ranked.items()}
        return SearchPage(
            hits=tuple(self._hits(found[query.offset : end], cosines, rows, store)),
            offset=query.offset,
            exhausted=len(found) <= end,
            facets=self._facets(found, rows),
            generation=self._manifest.generation,
            encoder=self._encoder.space.key,
        )

    def _hits(
        self, found: list[PromptEvents], cosines: dict[int, float], rows: dict[int, int], store: Store
    ) -> list[SearchHit]:
        stored = store.prompts_by_id([each.prompt_id for each in found])
        return [
            SearchHit(
                fingerprint=prompt.fingerprint.hex(),
                similarity=cosines[each.prompt_id],
                text=prompt.user,
                system=prompt.system,
                campaign_id=self._campaign(rows[each.prompt_id]),
                events=each.events,
                accounts=each.accounts,
                first_seen=each.first_seen,
                last_seen=each.last_seen,
            )
            for each, prompt in zip(found, stored, strict=True)
        ]

    def _facets(self, found: list[PromptEvents], rows: dict[int, int]) -> dict[str, dict[str, int]]:
        campaigns, models, accounts = Counter[str](), Counter[str](), Counter[str]()
        for each in found:
            campaigns[self._campaign(rows[each.prompt_id]) or ""] += each.events
            models.update(each.models)
            accounts.update(each.account_ids)
        return {
            name: dict(counter.most_common(_FACET_VALUES))
            for name, counter in (("campaign", campaigns), ("model", models), ("account", accounts))
        }

    def _campaign(self, row: int) -> str | None:
        number = int(self._group[row])
        return self._names[number] if number >= 0 else None


def places_of(campaigns: Sequence[Campaign]) -> dict[str, int]:
    """Place of each campaign by its id, and by those of campaigns that merged into it."""
    former = {name: place for place, each in enumerate(campaigns) for name in each.formerly}
    return former | {each.campaign_id: place for place, each in enumerate(campaigns)}
