"""What a campaign's pool of accounts sends, template by template, and when that changed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus
from indexer.describe import moment
from indexer.events import EventTable
from indexer.groups import Groups
from indexer.shifts import FoundShift, Traffic, shifts
from indexer.skeleton import extract_variants
from indexer.spacing import spaced
from indexer.store import Store, StoredPrompt
from models.campaign import HistoryEntry, Shift, ShiftKind, Side, Strand, Template
from models.text import clean
from models.view import View, only_system

IntArray = NDArray[np.int64]

_TEMPLATE_SAMPLE: Final = 300
_MOST_STRANDS: Final = 8
_AT_ONCE: Final = timedelta(hours=6)
_SAME_SHIFT_S: Final = 12 * 3600  # the same kind of shift so near to one reported before is the same one


def strands_of(
    corpus: Corpus, store: Store, groups: Groups, rows: IntArray, views: tuple[View, ...]
) -> tuple[Strand, ...]:
    """The strands of the group whose events are `rows`, the _MOST_STRANDS with the most events, by number.

    The template is of the users' text; of the system text for a group that only the system view found, or whose
    users share no word.
    """
    roles = ("system",) if only_system(views) else ("user", "system") if View.SYSTEM in views else ("user",)
    prompts = corpus.event_prompt[rows]
    numbers, counts = np.unique(groups.strand[prompts], return_counts=True)
    kept = numbers[np.argsort(-counts, kind="stable")[:_MOST_STRANDS]]
    found = []
    for number in np.sort(kept):
        mine = rows[groups.strand[prompts] == number]
        sent = np.unique(corpus.event_prompt[mine])
        sample = sent[spaced(len(sent), _TEMPLATE_SAMPLE)]
        senders: dict[int, set[int]] = {prompt: set() for prompt in sample.tolist()}
        of_sample = mine[np.isin(corpus.event_prompt[mine], sample)]
        for prompt, account in zip(corpus.event_prompt[of_sample], corpus.events.account[of_sample], strict=True):
            senders[int(prompt)].add(int(account))
        stored = store.prompts_by_id(corpus.prompt_ids[sample].tolist())
        template, *variants = templates_of(stored, list(senders.values()), roles)
        times = corpus.events.timestamp[mine]
        found.append(
            Strand(
                number=int(number),
                template=template,
                events=len(mine),
                accounts=len(np.unique(corpus.events.account[mine])),
                first_seen=moment(times.min()),
                last_seen=moment(times.max()),
                variants=tuple(variants),
            )
        )
    return tuple(found)


def fixed_text(template: Template, variants: Sequence[Template]) -> str:
    """What a campaign says in all its wordings, one to a line."""
    return "\n".join(each.skeleton for each in (template, *variants))


def templates_of(
    prompts: Sequence[StoredPrompt], senders: Sequence[set[int]], roles: Sequence[str]
) -> tuple[Template, ...]:
    """The template and its variants in the first role that has fixed text; in the first if none has."""
    found = [
        extract_variants(
            [clean(each.system if role == "system" else each.user) for each in prompts], senders, role
        )
        for role in roles
    ]
    return tuple(next((each for each in found if each[0].literal_share > 0), found[0]))


def shifts_of(events: EventTable, rows: IntArray, strand: IntArray) -> list[Shift]:
    """Shifts of the group whose events are `rows`. strand: (events,) strand of each event of the whole table."""

    def traffic(chosen: IntArray) -> Traffic:
        return Traffic(events.timestamp[chosen], events.account[chosen], strand[chosen], events.model[chosen])

    def others() -> Traffic:
        return traffic(np.setdiff1d(np.arange(len(events)), rows, assume_unique=True))

    found = shifts(traffic(rows), int(events.timestamp.max()), others)
    return [_named(each, events) for each in found]


def handovers(found: Sequence[Shift]) -> int:
    """How many of the shifts are swaps or pivots, which people who happen to use one thing do not make.

    A swap over a long pause does not count: a course given on Tuesday and on Wednesday looks like one.
    """
    return sum(
        shift.end - shift.begin <= _AT_ONCE
        if shift.kind is ShiftKind.POOL_SWAP
        else shift.kind in (ShiftKind.TEMPLATE_PIVOT, ShiftKind.MODEL_PIVOT)
        for shift in found
    )


def with_shifts(
    history: Sequence[HistoryEntry], found: Sequence[Shift], now: HistoryEntry
) -> tuple[HistoryEntry, ...]:
    """History with the shifts that it does not tell of yet, as of the entry `now`.

    A shift that was reported is neither reported again nor moved, though every reindex sees it again.
    """
    told = [entry.shift for entry in history if entry.shift]
    fresh = []
    for shift in found:
        if not any(_same(shift, each) for each in told):
            told.append(shift)
            fresh.append(replace(now, event=shift.kind.value, detail=_in_words(shift), others=(), shift=shift))
    return (*history, *fresh)


def _named(found: FoundShift, events: EventTable) -> Shift:
    strands = found.kind is ShiftKind.TEMPLATE_PIVOT
    models = found.kind is ShiftKind.MODEL_PIVOT
    before, after = (
        Side(
            accounts=accounts,
            strand=code if strands else None,
            model=events.model_names.name(code) if models and code >= 0 else None,
        )
        for accounts, code in zip(found.accounts, (found.before, found.after), strict=True)
    )
    return Shift(found.kind, moment(found.begin), moment(found.end), found.share, found.p_value, before, after)


def _same(one: Shift, other: Shift) -> bool:
    if (
        one.kind is not other.kind
        or one.after.strand != other.after.strand
        or one.after.model != other.after.model
    ):
        return False
    begins = one.kind is ShiftKind.DORMANT  # its end moves on for as long as it lasts
    apart = (one.begin - other.begin) if begins else (one.end - other.end)
    return abs(apart.total_seconds()) <= _SAME_SHIFT_S


def _in_words(shift: Shift) -> str:
    when = f"{shift.begin:%Y-%m-%d %H:%M} to {shift.end:%Y-%m-%d %H:%M} UTC"
    if shift.kind in (ShiftKind.DORMANT, ShiftKind.REVIVED):
        return f"silent from {when}"
    if shift.kind is ShiftKind.POOL_SWAP:
        return f"{shift.before.accounts} accounts gave way to {shift.after.accounts} others, {when}"
    if shift.kind is ShiftKind.TEMPLATE_PIVOT:
        sides = f"from template {shift.before.strand} to template {shift.after.strand}"
    else:
        sides = f"from {shift.before.model or 'other models'} to {shift.after.model}"
    return f"{shift.after.accounts} accounts ({shift.share:.0%}) moved {sides}, {when}"
