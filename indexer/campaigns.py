"""Campaigns made of groups: portrait, template, exemplars, thresholds, and the id and history they carry on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.aims import Encode
from indexer.cases import Before, weigh_groups
from indexer.collapse import NOT_THERE
from indexer.corpus import PrintArray
from indexer.describe import Portrait, events_by_group, portray, totals_of
from indexer.exemplars import ViewExemplars
from indexer.finding import Found
from indexer.groups import UNGROUPED, members_of
from indexer.items import prompt_items
from indexer.key_table import UNKNOWN, KeyTable
from indexer.lineage import Descent, descents, former_ids
from indexer.replication import Replication
from indexer.score import judge
from indexer.spacing import spaced
from indexer.store import Store, StoredPrompt
from indexer.strands import Extract, with_shifts
from indexer.thresholds import ViewVectors
from models.campaign import Campaign, Exemplar, HistoryEntry, Strand, ViewThreshold
from models.text import FINGERPRINT_BYTES, clean
from models.view import View

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_SHOWN_EXEMPLARS: Final = 8
_HISTORY: Final = 200
_GREW: Final = 1.1
_NONE: Final = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Earlier:
    """The generation before, and its campaigns, in order. fingerprints: (p, 16) uint8 of all its prompts. group:
    (p,) int64, the campaign of each, negative for none. repeated: what the items of each campaign showed, if that
    is known.
    """

    generation: str | None
    campaigns: Mapping[str, Campaign]
    fingerprints: PrintArray
    group: IntArray
    repeated: Mapping[str, Replication] = field(default_factory=dict)

    @cached_property
    def ids(self) -> Sequence[str]:
        """Id of each campaign, in order."""
        return tuple(self.campaigns)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """How many prompts each campaign had, in order."""
        counts = np.bincount(self.group[self.group >= 0], minlength=len(self.ids))
        return dict(zip(self.ids, counts.tolist(), strict=True))

    @cached_property
    def _table(self) -> KeyTable:
        """The fingerprints by their places."""
        table = KeyTable()
        table.add(self.fingerprints.view(np.uint64))
        return table

    def group_of(self, fingerprints: PrintArray) -> IntArray:
        """The campaign that each prompt had, (n,), given their fingerprints (n, 16); NOT_THERE if it is new."""
        place = self._table.find(np.ascontiguousarray(fingerprints).view(np.uint64))
        return np.where(place == UNKNOWN, NOT_THERE, np.append(self.group, NOT_THERE)[place])


NO_EARLIER: Final = Earlier(None, {}, np.zeros((0, FINGERPRINT_BYTES), np.uint8), np.zeros(0, np.int64))


def campaigns_of(
    found: Found,
    store: Store,
    earlier: Earlier,
    generation: str,
    at: datetime,
    encode: Encode,
    extract: Extract,
) -> tuple[list[Campaign], dict[str, Replication]]:
    """A campaign for each group that was found, in their order, and what the items of each show, by id.

    A group that still is an earlier campaign keeps what takes long to find. generation, at: the name and time
    that each history notes. encode, extract: see `indexer.cases.weigh_groups`.
    """
    corpus, groups = found.corpus, found.groups

    def items(wanted: BoolArray) -> IntArray:
        return prompt_items(found.words, np.where(wanted, groups.of_prompt, UNGROUPED))

    events = events_by_group(corpus, groups.of_prompt, len(groups))
    rows = members_of(groups.of_prompt, len(groups))
    had = earlier.group_of(corpus.fingerprints)
    names = descents(groups.of_prompt, had, corpus.fingerprints, len(groups), earlier.sizes)
    formerly = former_ids(names, {name: each.formerly for name, each in earlier.campaigns.items()})
    before = [_before(name, place, earlier) for name, place in zip(names, found.was.tolist(), strict=True)]
    totals = totals_of(corpus.events)
    weighed = weigh_groups(corpus, store, groups, events, before, totals, encode, extract, items)
    verdicts = judge([each.case for each in weighed])
    stand_for = [_shown(number, mine, found.views, found.exemplars) for number, mine in enumerate(rows)]
    texts = iter(store.prompts_by_id(corpus.prompt_ids[np.concatenate([_NONE, *stand_for])].tolist()))
    campaigns: list[Campaign] = []
    for number, each in enumerate(weighed):
        portrait = portray(corpus, events[number], verdicts[number])
        last = earlier.campaigns.get(names[number].campaign_id)
        entry = _history(names[number], portrait, last, generation, at)
        history = with_shifts((*(last.history if last else ()), entry), each.shifts, entry)[-_HISTORY:]
        campaigns.append(
            _campaign(
                names[number],
                formerly[number],
                portrait,
                each.main,
                each.strands,
                groups.views[number],
                list(islice(texts, len(stand_for[number]))),
                tuple(view.thresholds[number] for view in found.exemplars if number in view.thresholds),
                history,
            )
        )
    return campaigns, {name.campaign_id: each.repeated for name, each in zip(names, weighed, strict=True)}


def _before(name: Descent, was: int, earlier: Earlier) -> Before | None:
    """The earlier campaign that a group still is, if it has its id too."""
    repeated = earlier.repeated.get(name.campaign_id)
    if was < 0 or repeated is None or name.event != "continued" or earlier.ids[was] != name.campaign_id:
        return None
    return Before(earlier.campaigns[name.campaign_id], repeated)


def _campaign(
    descent: Descent,
    formerly: tuple[str, ...],
    portrait: Portrait,
    main: Strand,
    strands: tuple[Strand, ...],
    views: tuple[View, ...],
    shown: Sequence[StoredPrompt],
    thresholds: tuple[ViewThreshold, ...],
    history: tuple[HistoryEntry, ...],
) -> Campaign:
    return Campaign(
        campaign_id=descent.campaign_id,
        level=portrait.verdict.level,
        score=portrait.verdict.score,
        p_value=portrait.verdict.p_value,
        false_discovery=portrait.verdict.false_discovery,
        capability=portrait.verdict.capability,
        events=portrait.events,
        prompts=portrait.prompts,
        accounts=portrait.accounts,
        units=portrait.units,
        depth=portrait.depth,
        first_seen=portrait.first_seen,
        last_seen=portrait.last_seen,
        models=portrait.models,
        views=views,
        template=main.template,
        evidence=portrait.verdict.evidence,
        exemplars=tuple(Exemplar(each.fingerprint.hex(), clean(each.user or each.system)) for each in shown),
        thresholds=thresholds,
        history=history,
        strands=strands if len(strands) > 1 else (),
        variants=main.variants,
        formerly=formerly,
    )


def _shown(
    number: int, mine: IntArray, views: Sequence[ViewVectors], exemplars: Sequence[ViewExemplars]
) -> IntArray:
    """Prompts that stand for a group before an analyst: those of its first view's exemplars."""
    for view, each in zip(views, exemplars, strict=True):
        points = each.sources[each.owners == number]
        if len(points):
            begin, end = (np.searchsorted(view.texts.prompts, mine, side=side) for side in ("left", "right"))
            rows = np.repeat(end - np.cumsum(end - begin), end - begin) + np.arange(int((end - begin).sum()))
            behind = rows[np.isin(view.texts.points[rows], points)]
            _, first = np.unique(view.texts.points[behind], return_index=True)
            mine = view.texts.prompts[behind[first]]
            break
    return mine[spaced(len(mine), _SHOWN_EXEMPLARS)]


def _history(
    descent: Descent, portrait: Portrait, before: Campaign | None, generation: str, at: datetime
) -> HistoryEntry:
    event = descent.event
    if before is not None and event == "continued":
        grown, shrunk = portrait.events > _GREW * before.events, before.events > _GREW * portrait.events
        event = "grew" if grown else "shrank" if shrunk else "unchanged"
    detail = f"with {', '.join(descent.others)}" if descent.others else ""
    return HistoryEntry(generation, at, event, portrait.events, portrait.accounts, detail, descent.others)
