"""Which groups are what they were: so little changed that what was worked out for them still holds.

Exemplars, thresholds, templates and verdicts take far longer than it takes to see that a group has its prompts of
yesterday and a few more. They are worked out again once a group has grown by a fifth since they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus
from indexer.exemplars import ViewExemplars
from indexer.groups import NO_GROUPS, UNGROUPED, Groups, events_of_groups
from indexer.views import NEW
from indexer.workspace import Folder
from models.campaign import ViewThreshold
from models.view import View

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

CHANGED: Final = -1  # in place of the earlier group
SAME: Final = 0.9  # of the prompts that a group and the one it was had then, that must be in both
LOST: Final = 1 / 3  # of the exemplars of a group in a view: more may not be gone
GROWN: Final = 1.2  # times the events that it had when it was looked at, from which it is looked at again


@dataclass(frozen=True, slots=True)
class KnownExemplars:
    """Exemplars of an earlier run in one view. owners: (m,) int64, the group of each then, ascending. sources:
    (m,) int64, the point that each is now, NEW for one that is no more. thresholds: by group.
    """

    owners: IntArray
    sources: IntArray
    thresholds: Mapping[int, ViewThreshold]


@dataclass(frozen=True, slots=True)
class Looked:
    """The groups of an earlier run, of the prompts that there were, and what was worked out for them. clustered,
    groups: before and after `indexer.thresholds.extended`. events: (groups,) int64, of each when it was looked at,
    which may have been in a run before. exemplars: by view.
    """

    clustered: Groups
    groups: Groups
    events: IntArray
    exemplars: Mapping[View, KnownExemplars]


NOTHING_LOOKED: Final = Looked(NO_GROUPS, NO_GROUPS, np.zeros(0, np.int64), {})


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds of an earlier run. was: (groups,) int64, which earlier group each group still is; CHANGED for one
    that is to be looked at again. exemplars: those of the earlier groups. before: (prompts then,) int64, the
    earlier group of each prompt, after `extended`. origins: by view, which point each was then.
    """

    was: IntArray
    exemplars: Mapping[View, KnownExemplars]
    before: IntArray
    origins: Mapping[View, IntArray]


def write_looked(folder: Folder, looked: Looked) -> None:
    """Puts them into a folder."""
    for name, groups in (("clustered", looked.clustered), ("groups", looked.groups)):
        folder.write(f"{name}.of_prompt", groups.of_prompt)
        folder.write(f"{name}.strand", groups.strand)
        folder.write_value(f"{name}.views", groups.views)
    folder.write("events", looked.events)
    for view, each in looked.exemplars.items():
        folder.write(f"{view}.owners", each.owners)
        folder.write(f"{view}.sources", each.sources)
        folder.write_value(f"{view}.thresholds", each.thresholds)


def read_looked(folder: Folder, origins: Mapping[View, IntArray]) -> Looked:
    """What `write_looked` put there. origins: which point each of a view was then, see
    `indexer.views.read_origin`.
    """
    return Looked(
        _read_groups(folder, "clustered"),
        _read_groups(folder, "groups"),
        folder.array("events", np.int64),
        {view: _read_exemplars(folder, view, origin) for view, origin in origins.items()},
    )


def looked_at(
    corpus: Corpus,
    clustered: Groups,
    groups: Groups,
    exemplars: Sequence[ViewExemplars],
    stands: Standing,
    before: Looked,
) -> Looked:
    """The groups of this run, which those of the next may still be. before: those of the last one."""
    events = events_of_groups(corpus, clustered)
    still = stands.was != CHANGED
    events[still] = before.events[stands.was[still]]
    known = {each.view: KnownExemplars(each.owners, each.sources, each.thresholds) for each in exemplars}
    return Looked(clustered, groups, events, known)


def standing(corpus: Corpus, now: Groups, looked: Looked, origins: Mapping[View, IntArray]) -> Standing:
    """What holds of an earlier run.

    A group is what it was if each has SAME of the other's prompts, of those that there were, the same views have
    found it, it has one template, most of its exemplars are still there, and it has not grown to GROWN times its
    events.
    """
    then, old = looked.clustered, len(looked.clustered.of_prompt)
    here, there = now.of_prompt[:old], then.of_prompt
    inside = (here != UNGROUPED) & (there != UNGROUPED)
    span = max(1, len(then))
    pairs, common = np.unique(here[inside] * span + there[inside], return_counts=True)
    group, earlier = np.divmod(pairs, span)
    mine = np.bincount(here[here != UNGROUPED], minlength=len(now))[group]
    theirs = np.bincount(there[there != UNGROUPED], minlength=len(then))[earlier]
    same = common >= SAME * np.maximum(mine, theirs)
    same &= events_of_groups(corpus, now)[group] < GROWN * looked.events[earlier]
    same &= ~_has_strands(now)[group] & ~_has_strands(then)[earlier] & ~_has_lost(looked)[earlier]
    seen_alike = (now.views[one] == then.views[other] for one, other in zip(group, earlier, strict=True))
    same &= np.fromiter(seen_alike, np.bool_, len(group))
    found = np.full(len(now), CHANGED, np.int64)
    found[group[same]] = earlier[same]
    return Standing(found, looked.exemplars, looked.groups.of_prompt, origins)


def _has_strands(groups: Groups) -> BoolArray:
    """Which groups have several templates, (groups,)."""
    found = np.zeros(len(groups), np.bool_)
    found[groups.of_prompt[groups.strand > 0]] = True
    return found


def _has_lost(looked: Looked) -> BoolArray:
    """Which earlier groups lack more than LOST of the exemplars that they had in a view, (groups,)."""
    found = np.zeros(len(looked.clustered), np.bool_)
    for each in looked.exemplars.values():
        had = np.bincount(each.owners, minlength=len(found))
        found |= np.bincount(each.owners[each.sources == NEW], minlength=len(found)) > LOST * had
    return found


def _read_groups(folder: Folder, name: str) -> Groups:
    return Groups(
        folder.array(f"{name}.of_prompt", np.int64),
        folder.value(f"{name}.views", tuple[tuple[View, ...], ...]),
        folder.array(f"{name}.strand", np.int64),
    )


def _read_exemplars(folder: Folder, view: View, origin: IntArray) -> KnownExemplars:
    owners, sources = (folder.array(f"{view}.{name}", np.int64) for name in ("owners", "sources"))
    place = np.full(int(max(sources.max(initial=0), origin.max(initial=0))) + 1, NEW, np.int64)
    known = np.flatnonzero(origin != NEW)
    place[origin[known]] = known
    return KnownExemplars(owners, place[sources], folder.value(f"{view}.thresholds", dict[int, ViewThreshold]))
