"""Stored prompts held against a campaign: its own, those outside that come near, and some of other campaigns.

However long they are, only so many characters of them are looked at, of long ones both ends; and as a generation
does not change, what was seen is remembered.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.generation import Generation
from indexer.match import Matcher
from indexer.search import Searcher
from indexer.spacing import fair_share, spaced
from indexer.store import Store
from models.match import ViewSimilarity, nearest_view
from models.prompt import Prompt
from models.view import View

IntArray = NDArray[np.int64]

_COMPARED: Final = 200  # prompts of each kind
_CHARS: Final = 1 << 20  # of all that are seen together: a second, three if letters are made to take long
_RAW: Final = 2  # times as many of a prompt as it was sent, of which less may be seen
_TOGETHER: Final = 8  # prompts that are read at once
_OTHERS: Final = 20  # campaigns that are nearest to one
_OF_EACH: Final = 10  # prompts of each of these
_NEAR_EACH: Final = 10  # of each exemplar, prompts outside that are looked at
_REMEMBERED: Final = 128


class Seen(NamedTuple):
    """row: of a prompt. views: what each view that can tell shows of it and a campaign. whole: whether all of it
    was looked at, and not both its ends only.
    """

    row: int
    views: tuple[ViewSimilarity, ...]
    whole: bool

    @property
    def best(self) -> tuple[float, float]:
        """Similarity and margin in the view where the prompt is nearest; 1 and 0 if no view can tell, as of a
        campaign without exemplars, which is one prompt sent again and again.
        """
        nearest = nearest_view(self.views)
        return (nearest.similarity, nearest.margin) if nearest else (1.0, 0.0)


class Comparison:
    """Thread-safe; immutable but for what it remembers. A campaign is told by its number, a prompt by its row. All
    that is seen is in the order of how near it comes, the nearest first.
    """

    def __init__(self, generation: Generation, matcher: Matcher, searcher: Searcher, store: Store) -> None:
        self._matcher = matcher
        self._searcher = searcher
        self._store = store
        self._group = np.asarray(generation.array(layout.GROUP), np.int64)
        self._near_prompt, self._near_campaign = (
            np.asarray(generation.array(name), np.int64) if generation.holds(name) else np.zeros(0, np.int64)
            for name in (layout.NEAR_PROMPT, layout.NEAR_CAMPAIGN)
        )
        self._remembered: OrderedDict[tuple[str, int], tuple[Seen, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, campaign: int) -> IntArray:
        """All prompts of a campaign, in the order of their fingerprints."""
        rows: IntArray = np.flatnonzero(self._group == campaign)
        return rows

    def own(self, campaign: int) -> tuple[Seen, ...]:
        """Up to 200 of its prompts, evenly spaced among all."""
        rows = self.rows(campaign)
        return self._recalled("own", campaign, lambda: self.seen(rows[spaced(len(rows), _COMPARED)], campaign))

    def near(self, campaign: int) -> tuple[Seen, ...]:
        """Prompts outside of every campaign that come near to it, by recurring or by whole text."""
        return self._recalled("near", campaign, lambda: self._seen_by_any_view(self._near(campaign), campaign))

    def others(self, campaign: int) -> tuple[Seen, ...]:
        """Some prompts of each of the campaigns whose exemplars come nearest to its own."""
        return self._recalled("others", campaign, lambda: self._seen_by_any_view(self._others(campaign), campaign))

    def _recalled(self, kind: str, campaign: int, look: Callable[[], list[Seen]]) -> tuple[Seen, ...]:
        key = kind, campaign
        with self._lock:
            known = self._remembered.get(key)
            if known is not None:
                self._remembered.move_to_end(key)
                return known
        found = tuple(sorted(look(), key=lambda each: -each.best[1]))
        with self._lock:
            self._remembered[key] = found
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def seen(self, rows: IntArray, campaign: int) -> list[Seen]:
        """What there is to see of these prompts, in their order. All together they may have a million
        characters, of which each has a fair share: those that are longer are looked at from both ends.
        """
        share = _CHARS // max(1, len(rows))
        forms: list[Prompt] = []
        cut: list[bool] = []
        for start in range(0, len(rows), _TOGETHER):
            found = self._searcher.prompts(rows[start : start + _TOGETHER], self._store)
            prompts = [each.without_padding() for each in found]
            cut += [each.length > _RAW * share for each in prompts]
            forms += [each.shortened(_RAW * share).canonical() for each in prompts]
        most = fair_share(np.array([each.length for each in forms], np.int64), _CHARS)
        views = self._matcher.compared([each.shortened(most) for each in forms], campaign)
        whole = [not was_cut and form.length <= most for was_cut, form in zip(cut, forms, strict=True)]
        return [Seen(*each) for each in zip(rows.tolist(), views, whole, strict=True)]

    def _seen_by_any_view(self, rows: IntArray, campaign: int) -> list[Seen]:
        """`seen` of those of which any view can tell."""
        return [each for each in self.seen(rows, campaign) if each.views]

    def _near(self, campaign: int) -> IntArray:
        begin, end = np.searchsorted(self._near_campaign, [campaign, campaign + 1]).tolist()
        found = [self._near_prompt[begin:end][:_COMPARED]]
        exemplars, outside = self._matcher.exemplars_of(View.WHOLE, campaign), self._group < 0
        if len(exemplars) and outside.any():
            found.append(self._searcher.nearest(exemplars, outside, _NEAR_EACH))
        rows: IntArray = np.unique(np.concatenate(found))
        return rows

    def _others(self, campaign: int) -> IntArray:
        nearness = np.full(len(self._matcher.campaigns), -np.inf)
        for view in (View.WHOLE, View.RECURRING, View.SYSTEM):
            mine = self._matcher.exemplars_of(view, campaign)
            if len(mine):
                np.maximum(nearness, self._matcher.nearness(view, mine), out=nearness)
        nearness[campaign] = -np.inf
        nearest = np.argsort(-nearness, kind="stable")[:_OTHERS]
        rows = [self.rows(other) for other in nearest[np.isfinite(nearness[nearest])].tolist()]
        found: IntArray = np.concatenate(
            [np.zeros(0, np.int64), *(each[spaced(len(each), _OF_EACH)] for each in rows)]
        )
        return found
