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
from indexer.score import Case, case_of
from indexer.store import Store
from indexer.strands import Extract, fixed_text, handovers, same_strands, shifts_of, strands_of
from models.campaign import Campaign, Shift, Strand

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Before:
    """The campaign that a group was and still is. tested: whether it was wide and deep enough to be tested. units:
    how many shared its work.
    """

    campaign: Campaign
    tested: bool
    units: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """A group with its strands, by number, its shifts and its case."""

    strands: tuple[Strand, ...]
    shifts: list[Shift]
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

    events: the rows of each group's events. before: what each still is; it keeps its templates and its evidence.
    encode: gives vectors of whole texts. extract: gives the templates of samples of prompts. items: given the
    prompts of interest, (prompts,), what each prompt is about, see `indexer.items`.
    """
    strands = {
        number: same
        for number, each in enumerate(before)
        if each and (same := same_strands(corpus, groups, number, events[number], each.campaign))
    }
    changed = [number for number in range(len(groups)) if number not in strands]
    cases = {number: _same_case(each) for number, each in enumerate(before) if each and number in strands}
    strands |= strands_of(corpus, store, groups, {number: events[number] for number in changed}, extract)
    wanted = np.zeros(len(groups) + 1, np.bool_)
    wanted[changed] = True
    item = items(wanted[groups.of_prompt])  # UNGROUPED, -1, reads the last
    strand_of_event = groups.strand[corpus.event_prompt]
    shifts = [shifts_of(corpus.events, mine, strand_of_event) for mine in events]
    mains = {number: _main(strands[number]) for number in changed}
    aims = aims_of([fixed_text(each.template, each.variants) for each in mains.values()], encode)
    background, calibration = background_of(corpus.events), load_calibration()
    for (number, main), aim in zip(mains.items(), aims, strict=True):
        seen, handed = groups.views[number], handovers(shifts[number])
        shown = observe(corpus, events[number], main.template, aim, seen, totals, handed, item)
        cases[number] = case_of(shown, background, calibration)
    return [Weighed(strands[number], shifts[number], cases[number]) for number in range(len(groups))]


def _same_case(before: Before) -> Case:
    campaign = before.campaign
    return Case(
        campaign.evidence, campaign.p_value, before.tested, before.units, campaign.views, campaign.capability
    )


def _main(strands: Sequence[Strand]) -> Strand:
    return max(strands, key=lambda strand: (strand.events, -strand.number))
