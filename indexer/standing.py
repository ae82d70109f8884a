"""Which groups are what they were: so little changed that the template and the evidence found for them still hold.

To find these takes far longer than to see that a group has its prompts of yesterday and a few more. They are
looked for again once a group has grown by a fifth since they were.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus
from indexer.groups import NO_GROUPS, UNGROUPED, Groups, events_of_groups
from indexer.workspace import Folder
from models.view import View

IntArray = NDArray[np.int64]

CHANGED: Final = -1  # in place of the earlier group
SAME: Final = 0.9  # of the prompts that a group and the one it was had then, that must be in both
GROWN: Final = 1.2  # times the events that it had when it was looked at, from which it is looked at again


@dataclass(frozen=True, slots=True)
class Looked:
    """Groups as they were when each was looked at, which may have been in a run before the last. groups: with the
    prompts of then. events, prompts: (groups,) int64, of each how many events it had, and how many prompts there
    were in all.
    """

    groups: Groups
    events: IntArray
    prompts: IntArray


NOTHING_LOOKED: Final = Looked(NO_GROUPS, np.zeros(0, np.int64), np.zeros(0, np.int64))


def standing(corpus: Corpus, now: Groups, then: Looked) -> IntArray:
    """Which group of an earlier run, over the first of the prompts, each group still is, (groups,); CHANGED for
    one that is to be looked at again.

    It is the same if each has SAME of the other's prompts, of those that there were, as the same strands, the same
    views have found it, and it has not grown to GROWN times its events.
    """
    earlier, span = then.groups, max(1, len(then.groups))
    here, there = now.of_prompt[: len(earlier.of_prompt)], earlier.of_prompt
    inside = (here != UNGROUPED) & (there != UNGROUPED) & (now.strand[: len(here)] == earlier.strand)
    pairs, common = np.unique(here[inside] * span + there[inside], return_counts=True)
    group, was = np.divmod(pairs, span)
    theirs = np.bincount(there[there != UNGROUPED], minlength=len(earlier))[was]
    same = common >= SAME * theirs  # of which there is one for a group at most, if ...
    group, was, common = group[same], was[same], common[same]
    there_were = np.zeros(len(now) + 1, np.int64)
    order = np.argsort(common)  # the one with most in common counts
    there_were[group[order]] = then.prompts[was[order]]
    mine = np.bincount(here[np.arange(len(here)) < there_were[here]], minlength=len(now))
    same = common >= SAME * mine[group]  # ... each has most of the other
    same &= events_of_groups(corpus, now)[group] < GROWN * then.events[was]
    same &= _strands(now)[group] == _strands(earlier)[was]
    seen_alike = (now.views[one] == earlier.views[other] for one, other in zip(group, was, strict=True))
    same &= np.fromiter(seen_alike, np.bool_, len(group))
    found = np.full(len(now), CHANGED, np.int64)
    found[group[same]] = was[same]
    return found


def looked_at(corpus: Corpus, now: Groups, was: IntArray, then: Looked) -> Looked:
    """The groups of this run, which those of the next may still be; one that stands stays as it was looked at.
    was: what `standing` gave of them.
    """
    stands = np.flatnonzero(was != CHANGED)
    events, prompts = events_of_groups(corpus, now), np.full(len(now), len(now.of_prompt))
    events[stands], prompts[stands] = then.events[was[stands]], then.prompts[was[stands]]
    anew = np.append(was == CHANGED, False)[now.of_prompt]  # UNGROUPED, -1, reads the last
    of_prompt, strand = (np.where(anew, each, UNGROUPED) for each in (now.of_prompt, now.strand))
    number = np.full(len(then.groups) + 1, UNGROUPED)
    number[was[stands]] = stands
    kept = np.flatnonzero(number[then.groups.of_prompt] != UNGROUPED)
    of_prompt[kept], strand[kept] = number[then.groups.of_prompt[kept]], then.groups.strand[kept]
    return Looked(Groups(of_prompt, now.views, strand), events, prompts)


def write_looked(folder: Folder, looked: Looked) -> None:
    """Puts them into a folder."""
    folder.write("of_prompt", looked.groups.of_prompt)
    folder.write("strand", looked.groups.strand)
    folder.write_value("views", looked.groups.views)
    folder.write("events", looked.events)
    folder.write("prompts", looked.prompts)


def read_looked(folder: Folder) -> Looked:
    """What `write_looked` put there."""
    views = folder.value("views", tuple[tuple[View, ...], ...])
    names = ("of_prompt", "strand", "events", "prompts")
    of_prompt, strand, events, prompts = (folder.array(name, np.int64) for name in names)
    return Looked(Groups(of_prompt, views, strand), events, prompts)


def _strands(groups: Groups) -> IntArray:
    """How many strands each group has, (groups,)."""
    found = np.zeros(len(groups), np.int64)
    inside = groups.of_prompt != UNGROUPED
    np.maximum.at(found, groups.of_prompt[inside], groups.strand[inside] + 1)
    return found
