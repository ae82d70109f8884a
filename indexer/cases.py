"""What each group is before it is compared with the others: its strands, its shifts and its case."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.aims import Encode, aims_of
from indexer.calibration import load_calibration
from indexer.corpus import Corpus
from indexer.describe import Totals, background_of, observe
from indexer.groups import Groups
from indexer.replication import Replication
from indexer.score import Case, case_of
from indexer.store import Store
from indexer.strands import Extract, fixed_text, handovers, same_strands, shifts_of, strands_of
from models.campaign import Campaign, Shift, Strand

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Before:
    """The campaign that a group was and still is, and what its items showed."""

    campaign: Campaign
    repeated: Replication


@dataclass(frozen=True, slots=True)
class Weighed:
    """A group with its strands, by number, its shifts, what its items show, and its case."""

    strands: tuple[Strand, ...]
    shifts: list[Shift]
    repeated: Replication
    case: Case

    @property
    def main(self) -> Strand:
        """The strand with the most events, the first of equals."""
        return _main(self.strands)


def weigh_groups(
    corpus: Corpus,
    store: Store,
    groups: Groups,
    events: Sequence[IntArray],
    before: Sequence[Before | None],
    totals: Totals,
    encode: Encode,
    extract: Extract,
    items: Callable[[BoolArray], IntArray],
) -> list[Weighed]:
    """Of each group.

    events: the rows of each group's events. before: what each still is; it keeps its templates and what its items
    showed, which take long to find; all else is looked at anew. encode: gives vectors of whole texts. extract:
    gives the templates of samples of prompts. items: given the prompts of interest, (prompts,), what each prompt
    is about, see `indexer.items`.
    """
    kept = {
        number: same
        for number, each in enumerate(before)
        if each and (same := same_strands(corpus, groups, number, events[number], each.campaign))
    }
    changed = [number for number in range(len(groups)) if number not in kept]
    fresh = strands_of(corpus, store, groups, {number: events[number] for number in changed}, extract)
    strands = [kept.get(number) or fresh[number] for number in range(len(groups))]
    wanted = np.zeros(len(groups) + 1, np.bool_)
    wanted[changed] = True
    item = items(wanted[groups.of_prompt])  # UNGROUPED, -1, reads the last
    mains = [_main(each) for each in strands]
    aims = aims_of([fixed_text(main.template, main.variants) for main in mains], encode)
    strand_of_event = groups.strand[corpus.event_prompt]
    background, calibration = background_of(corpus.events, totals), load_calibration()
    found = []
    for number, (mine, each) in enumerate(zip(events, before, strict=True)):
        shifts, template = shifts_of(corpus.events, mine, strand_of_event, totals.end), mains[number].template
        repeated = each.repeated if each and number in kept else None
        seen = observe(
            corpus, mine, template, aims[number], groups.views[number], totals, handovers(shifts), item, repeated
        )
        case = case_of(seen, background, calibration)
        found.append(Weighed(strands[number], shifts, seen.replication, case))
    return found


def _main(strands: Sequence[Strand]) -> Strand:
    return max(strands, key=lambda strand: (strand.events, -strand.number))
