"""Stored prompts held against a campaign: its own, those outside that come near, and some of other campaigns.

However long they are, only so many characters of them are looked at; and as a generation does not change, what was
seen is remembered.
"""

import sys
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
from indexer.spacing import spaced
from indexer.store import Store
from models.match import ViewSimilarity
from models.view import View

IntArray = NDArray[np.int64]

_COMPARED: Final = 400  # prompts of each kind
_CHARS: Final = 1 << 19  # of these together: half a second
_LONGEST: Final = 1 << 20  # of a longer prompt both ends are looked at, as of one that a gateway asks about
_TOGETHER: Final = 40  # prompts that are read at once
_OTHERS: Final = 20  # campaigns that are nearest to one
_OF_EACH: Final = 10  # prompts of each of these
_NEAR_EACH: Final = 10  # of each exemplar, prompts outside that are looked at
_REMEMBERED: Final = 128


class Seen(NamedTuple):
    """row: of a prompt. views: what each view that can tell shows of it and a campaign."""

    row: int
    views: tuple[ViewSimilarity, ...]

    @property
    def best(self) -> tuple[float, float]:
        """Similarity and margin in the view where the prompt is nearest; of a campaign without exemplars, which is
        one prompt sent again and again, those of that prompt.
        """
        nearest = max(self.views, key=lambda each: each.margin, default=None)
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
        """Some of its prompts: of up to 400 that are evenly spaced among all, as many as can be looked at."""
        rows = self.rows(campaign)
        return self._recalled("own", campaign, lambda: rows[spaced(len(rows), _COMPARED)])

    def near(self, campaign: int) -> tuple[Seen, ...]:
        """Prompts outside of every campaign that come near to it, by recurring or by whole text."""
        return self._recalled("near", campaign, lambda: self._near(campaign))

    def others(self, campaign: int) -> tuple[Seen, ...]:
        """Some prompts of each of the campaigns whose exemplars come nearest to its own."""
        return self._recalled("others", campaign, lambda: self._others(campaign))

    def _recalled(self, kind: str, campaign: int, rows: Callable[[], IntArray]) -> tuple[Seen, ...]:
        with self._lock:
            known = self._remembered.get((kind, campaign))
        if known is not None:
            return known
        found = tuple(sorted(self.seen(rows(), campaign, _CHARS), key=lambda each: -each.best[1]))
        with self._lock:
            self._remembered[kind, campaign] = found
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def seen(self, rows: IntArray, campaign: int, chars: int = sys.maxsize, longest: int = _LONGEST) -> list[Seen]:
        """What there is to see of these prompts, in their order: of the first, and of as many more as have no more
        than so many characters all together; of prompts of more than `longest`, of both their ends.
        """
        found: list[Seen] = []
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            prompts = [each.shortened(longest) for each in self._searcher.prompts(some, self._store)]
            sizes = np.cumsum([len(each.system) + len(each.user) for each in prompts])
            fitting = max(int(np.count_nonzero(sizes <= chars)), 0 if found else 1)
            views = self._matcher.compared(prompts[:fitting], campaign)
            found.extend(map(Seen, some[:fitting].tolist(), views))
            if fitting < len(prompts):
                break
            chars -= int(sizes[-1])
        return found

    def _near(self, campaign: int) -> IntArray:
        begin, end = np.searchsorted(self._near_campaign, [campaign, campaign + 1]).tolist()
        found = [self._near_prompt[begin:end][:_COMPARED]]
        exemplars, outside = self._matcher.exemplars_of(View.WHOLE, campaign), self._group < 0
        if len(exemplars) and outside.any():
            found.append(self._searcher.nearest(exemplars, outside, _NEAR_EACH))
        rows, first = np.unique(np.concatenate(found), return_index=True)
        nearest_first: IntArray = rows[np.argsort(first)]
        return nearest_first

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
