"""From clusters in each view to groups of prompts: each prompt in one group at most."""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.cluster import NOISE
from indexer.corpus import Corpus
from indexer.views import ViewTexts
from models.view import View

IntArray = NDArray[np.int64]

UNGROUPED: Final = -1
DEEP: Final = 2.0  # median events a unit, from which a group is more than a phrase that each says once
_ABSORBED: Final = 0.5  # share of a whole-text group's events in one group from which it belongs to it


@dataclass(frozen=True, slots=True)
class Clustered:
    """A view with the cluster number of each of its texts: labels (p,) int64, NOISE for none."""

    texts: ViewTexts
    labels: IntArray


@dataclass(frozen=True, slots=True)
class Groups:
    """of_prompt: (prompts,) int64, the group of each prompt or UNGROUPED. views: for each group the views
    that found it. Groups are numbered by their first prompt.
    strand: (prompts,) int64, which of its group's templates a prompt has, from 0; UNGROUPED outside of groups.
    """

    of_prompt: IntArray
    views: tuple[tuple[View, ...], ...]
    strand: IntArray

    def __len__(self) -> int:
        return len(self.views)


NO_GROUPS: Final = Groups(np.zeros(0, np.int64), (), np.zeros(0, np.int64))


@dataclass(slots=True)
class _Draft:
    """A group in the making: its prompts, and the views that saw it."""

    prompts: set[int]
    views: set[View]


def combine(corpus: Corpus, clustered: Sequence[Clustered], min_units: int, min_events: int) -> Groups:
    """Groups of all views. Recurring-text clusters come first; system-text ones contest them; then
    whole-text clusters and repeated prompts either join the group that holds most of their events or stand
    alone. Groups of fewer units or events are dropped.
    """
    events = np.bincount(corpus.event_prompt, minlength=len(corpus))
    by_view = {each.texts.view: each for each in clustered}
    drafts: list[_Draft] = []
    for view in (View.RECURRING, View.SYSTEM):
        if view in by_view:
            _contest(corpus, drafts, _large(corpus, _drafts(by_view[view]), min_units, min_events), events)
    if View.WHOLE in by_view:
        _absorb(drafts, _drafts(by_view[View.WHOLE]), events)
    _absorb(drafts, _repeated(corpus, min_units), events)
    return _numbered(corpus, drafts, min_units, min_events)


def with_more(
    corpus: Corpus, groups: Groups, more: Sequence[Set[int]], view: View, min_units: int, min_events: int
) -> Groups:
    """Groups with further ones that `view` found, of prompts that are in no other; small ones are dropped."""
    drafts = [_Draft(set(), set(views)) for views in groups.views]
    for prompt in np.flatnonzero(groups.of_prompt != UNGROUPED).tolist():
        drafts[groups.of_prompt[prompt]].prompts.add(prompt)
    drafts += [_Draft(set(prompts), {view}) for prompts in more]
    return _numbered(corpus, drafts, min_units, min_events)


def _drafts(clustered: Clustered) -> list[_Draft]:
    """One draft a cluster. A prompt whose windows lie in several clusters goes where most of them do."""
    texts, labels = clustered.texts, clustered.labels
    labelled = labels[texts.points]
    member = labelled != NOISE
    clusters = int(labels.max(initial=NOISE)) + 1
    votes, counts = np.unique(texts.prompts[member] * clusters + labelled[member], return_counts=True)
    prompts, chosen = np.divmod(votes, max(1, clusters))
    order = np.lexsort((chosen, -counts, prompts))
    _, first = np.unique(prompts[order], return_index=True)
    prompts, chosen = prompts[order][first], chosen[order][first]
    members = members_of(chosen, clusters)
    return [_Draft(set(prompts[mine].tolist()), {texts.view}) for mine in members if len(mine)]


def _contest(corpus: Corpus, drafts: list[_Draft], fresh: Iterable[_Draft], events: IntArray) -> None:
    """Adds each draft with its free prompts, and with those of others that it would miss more than they do.

    Contested prompts go to the side whose units sent it again and again, if that of the other did not: what a
    campaign's accounts ask under its system prompt are everyday phrases to others. Else they go to the side that
    would lose the larger share of its events: a system prompt under which everybody writes takes nothing from a
    template. A draft that lies mostly in one other is the same thing seen twice, and takes nothing from it.
    """
    owner = {prompt: place for place, draft in enumerate(drafts) for prompt in draft.prompts}
    sizes = [_events_of(draft.prompts, events) for draft in drafts]
    deep = _deep(corpus, drafts)
    fresh = list(fresh)
    for draft, is_deep in zip(fresh, _deep(corpus, fresh), strict=True):
        contested: dict[int, set[int]] = defaultdict(set)
        for prompt in draft.prompts & owner.keys():
            contested[owner[prompt]].add(prompt)
        lost = {place: _events_of(prompts, events) for place, prompts in contested.items()}
        size, place = _events_of(draft.prompts, events), len(drafts)
        same = max(lost.values(), default=0) >= _ABSORBED * size
        for other, prompts in contested.items():
            loses_more = sum(lost.values()) * sizes[other] <= lost[other] * size
            if same or (deep[other] > is_deep) or (deep[other] == is_deep and loses_more):
                draft.prompts -= prompts
            else:
                drafts[other].prompts -= prompts
                sizes[other] -= lost[other]
        if draft.prompts:
            drafts.append(draft)
            sizes.append(_events_of(draft.prompts, events))
            deep.append(is_deep)
            owner.update(dict.fromkeys(draft.prompts, place))


def _deep(corpus: Corpus, drafts: Sequence[_Draft]) -> list[bool]:
    """Whether at least half of the units that sent each draft did so DEEP times or more. No prompt is in two."""
    units = int(corpus.events.unit.max(initial=-1)) + 1
    draft = _draft_of_prompt(corpus, drafts)[corpus.event_prompt]
    inside = draft != UNGROUPED
    pairs, sent = np.unique(draft[inside] * units + corpus.events.unit[inside], return_counts=True)
    borders = np.searchsorted(pairs, np.arange(len(drafts) + 1) * units)
    return [bool(np.median(sent[begin:end]) >= DEEP) for begin, end in pairwise(borders)]


def _draft_of_prompt(corpus: Corpus, drafts: Sequence[_Draft]) -> IntArray:
    """The draft that each prompt is in, (prompts,), UNGROUPED for none."""
    found = np.full(len(corpus), UNGROUPED, np.int64)
    for place, draft in enumerate(drafts):
        found[list(draft.prompts)] = place
    return found


def _events_of(prompts: Iterable[int], events: IntArray) -> int:
    return int(events[list(prompts)].sum())


def _absorb(drafts: list[_Draft], fresh: Iterable[_Draft], events: IntArray) -> None:
    """Adds each draft to the one that holds most of its events if that is at least _ABSORBED of them; else
    its free prompts stand alone. Two groups are never joined by a third that touches both.
    """
    owner = {prompt: place for place, draft in enumerate(drafts) for prompt in draft.prompts}
    for draft in fresh:
        shares: dict[int, int] = defaultdict(int)
        for prompt in draft.prompts:
            shares[owner.get(prompt, UNGROUPED)] += int(events[prompt])
        total = sum(shares.values())
        free = {prompt for prompt in draft.prompts if prompt not in owner}
        best = max(shares, key=lambda place: (shares[place], place != UNGROUPED, -place))
        if best != UNGROUPED and shares[best] >= _ABSORBED * total:
            drafts[best].prompts |= free
            drafts[best].views |= draft.views
        elif free:
            best = len(drafts)
            drafts.append(_Draft(free, draft.views))
        owner.update(dict.fromkeys(free, best))


def _repeated(corpus: Corpus, min_units: int) -> list[_Draft]:
    """One prompt sent by many units: a single point, which no density shows."""
    sent_by = corpus.senders_of(np.arange(len(corpus)), len(corpus))
    often = np.flatnonzero(np.diff(sent_by.offsets) >= min_units)
    return [_Draft({int(prompt)}, {View.EXACT}) for prompt in often]


def _large(corpus: Corpus, drafts: Sequence[_Draft], min_units: int, min_events: int) -> list[_Draft]:
    """The drafts that would stay; one that will be dropped must not take prompts from others before."""
    units, events = group_size(corpus, _draft_of_prompt(corpus, drafts), len(drafts))
    return [d for place, d in enumerate(drafts) if units[place] >= min_units and events[place] >= min_events]


def _numbered(corpus: Corpus, drafts: Sequence[_Draft], min_units: int, min_events: int) -> Groups:
    kept = _large(corpus, drafts, min_units, min_events)
    kept.sort(key=lambda draft: min(draft.prompts))
    of_prompt = _draft_of_prompt(corpus, kept)
    views = tuple(tuple(view for view in View if view in draft.views) for draft in kept)
    return Groups(of_prompt, views, np.where(of_prompt == UNGROUPED, UNGROUPED, 0))


def merged(groups: Groups, target: IntArray) -> Groups:
    """Groups made fewer: target (groups,) gives for each the number of the group it goes into, any numbers.

    The parts become strands of the whole, in the order of their first prompts.
    """
    _, first = np.unique(target, return_index=True)  # groups are in the order of their first prompts
    number = np.argsort(np.argsort(first))[np.unique(target, return_inverse=True)[1]]
    parts: dict[int, list[int]] = defaultdict(list)
    for group, into in enumerate(number.tolist()):
        parts[into].append(group)
    strand = np.empty(len(groups), np.int64)
    for members in parts.values():
        strand[members] = np.arange(len(members))
    views = (frozenset(view for group in parts[into] for view in groups.views[group]) for into in sorted(parts))
    inside = groups.of_prompt != UNGROUPED
    return Groups(
        np.where(inside, number[groups.of_prompt], UNGROUPED) if len(groups) else groups.of_prompt,
        tuple(tuple(view for view in View if view in seen) for seen in views),
        np.where(inside, strand[groups.of_prompt], UNGROUPED) if len(groups) else groups.strand,
    )


def members_of(group: IntArray, groups: int) -> list[IntArray]:
    """The places at which each group stands in `group`, ascending; UNGROUPED is left out."""
    order = np.argsort(group, kind="stable")
    borders = np.searchsorted(group[order], np.arange(groups + 1))
    return [order[begin:end] for begin, end in pairwise(borders)]


def events_of_groups(corpus: Corpus, groups: Groups) -> IntArray:
    """Events of each group, (groups,)."""
    group = groups.of_prompt[corpus.event_prompt]
    return np.bincount(group[group != UNGROUPED], minlength=len(groups))


def group_size(corpus: Corpus, group_of_prompt: IntArray, groups: int) -> tuple[IntArray, IntArray]:
    """Distinct units and events of each group, each (groups,) int64."""
    group = group_of_prompt[corpus.event_prompt]
    inside = group != UNGROUPED
    units = int(corpus.events.unit.max(initial=-1)) + 1
    pairs = np.unique(group[inside] * units + corpus.events.unit[inside])
    return np.bincount(pairs // max(1, units), minlength=groups), np.bincount(group[inside], minlength=groups)
