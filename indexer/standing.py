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
    """The groups of a run. events: (groups,) int64, of each when it was looked at, which may have been in a run
    before.
    """

    groups: Groups
    events: IntArray


NOTHING_LOOKED: Final = Looked(NO_GROUPS, np.zeros(0, np.int64))


def standing(corpus: Corpus, now: Groups, then: Looked) -> IntArray:
    """Which group of an earlier run, over the first of the prompts, each group still is, (groups,); CHANGED for
    one that is to be looked at again.

    It is the same if each has SAME of the other's prompts, of those that there were, as the same strands, the same
    views have found it, and it has not grown to GROWN times its events.
    """
    earlier, span = then.groups, max(1, len(then.groups))
    here, there = now.of_prompt[: len(earlier.of_prompt)], earlier.of_prompt
    inside = (here != UNGROUPED) & (now.strand[: len(here)] == earlier.strand)
    pairs, common = np.unique(here[inside] * span + there[inside], return_counts=True)
    group, was = np.divmod(pairs, span)
    mine = np.bincount(here[here != UNGROUPED], minlength=len(now))[group]
    theirs = np.bincount(there[there != UNGROUPED], minlength=len(earlier))[was]
    same = common >= SAME * np.maximum(mine, theirs)
    same &= events_of_groups(corpus, now)[group] < GROWN * then.events[was]
    same &= _strands(now)[group] == _strands(earlier)[was]
    seen_alike = (now.views[one] == earlier.views[other] for one, other in zip(group, was, strict=True))
    same &= np.fromiter(seen_alike, np.bool_, len(group))
    found = np.full(len(now), CHANGED, np.int64)
    found[group[same]] = was[same]
    return found


def looked_at(corpus: Corpus, now: Groups, was: IntArray, then: Looked) -> Looked:
    """The groups of this run, which those of the next may still be. was: what `standing` gave of them."""
    events = events_of_groups(corpus, now)
    events[was != CHANGED] = then.events[was[was != CHANGED]]
    return Looked(now, events)


def write_looked(folder: Folder, looked: Looked) -> None:
    """Puts them into a folder."""
    folder.write("of_prompt", looked.groups.of_prompt)
    folder.write("strand", looked.groups.strand)
    folder.write_value("views", looked.groups.views)
    folder.write("events", looked.events)


def read_looked(folder: Folder) -> Looked:
    """What `write_looked` put there."""
    views = folder.value("views", tuple[tuple[View, ...], ...])
    of_prompt, strand, events = (folder.array(name, np.int64) for name in ("of_prompt", "strand", "events"))
    return Looked(Groups(of_prompt, views, strand), events)


def _strands(groups: Groups) -> IntArray:
    """How many strands each group has, (groups,)."""
    found = np.zeros(len(groups), np.int64)
    inside = groups.of_prompt != UNGROUPED
    np.maximum.at(found, groups.of_prompt[inside], groups.strand[inside] + 1)
    return found
