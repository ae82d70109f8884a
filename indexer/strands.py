"""What a campaign's pool of accounts sends, template by template, and when that changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.corpus import Corpus
from indexer.events import EventTable
from indexer.groups import Groups
from indexer.shifts import FoundShift, Traffic, shifts
from indexer.spacing import spaced
from indexer.store import Store
from indexer.templates import PromptSample
from indexer.times import moment_of_seconds
from models.campaign import Campaign, HistoryEntry, Shift, ShiftKind, Side, Strand, Template
from models.view import View, only_system

IntArray = NDArray[np.int64]

_TEMPLATE_SAMPLE: Final = 300
_MOST_STRANDS: Final = 8
_AT_ONCE: Final = timedelta(hours=6)
_SAME_SHIFT_S: Final = 12 * 3600  # the same kind of shift so near to one reported before is the same one


Extract = Callable[[Sequence[Callable[[], PromptSample]]], Iterable[tuple[Template, ...]]]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A strand of a group: the rows of its events."""

    group: int
    number: int
    rows: IntArray


def strands_of(
    corpus: Corpus, store: Store, groups: Groups, events: Mapping[int, IntArray], extract: Extract
) -> dict[int, tuple[Strand, ...]]:
    """The strands of some groups, the _MOST_STRANDS with the most events, by number.

    events: the event rows of each of these groups. extract: gives the templates of samples of prompts. The
    template is of the users' text; of the system text for a group that only the system view found, or whose users
    share no word.
    """
    drafts = [draft for group, rows in events.items() for draft in _drafts(corpus, groups, group, rows)]
    samples = [partial(_sample, corpus, store, draft, _roles(groups.views[draft.group])) for draft in drafts]
    found: dict[int, list[Strand]] = {group: [] for group in events}
    for draft, (template, *variants) in zip(drafts, extract(samples), strict=True):
        found[draft.group].append(_strand(corpus, draft, template, tuple(variants)))
    return {group: tuple(strands) for group, strands in found.items()}


def same_strands(
    corpus: Corpus, groups: Groups, group: int, rows: IntArray, before: Campaign
) -> tuple[Strand, ...] | None:
    """The strands of the group whose events are `rows`, with the templates that they had before; None if one had
    none.
    """
    had = {each.number: (each.template, each.variants) for each in before.strands}
    had = had or {0: (before.template, before.variants)}
    drafts = list(_drafts(corpus, groups, group, rows))
    if any(draft.number not in had for draft in drafts):
        return None
    return tuple(_strand(corpus, draft, *had[draft.number]) for draft in drafts)


def _strand(corpus: Corpus, draft: _Draft, template: Template, variants: tuple[Template, ...]) -> Strand:
    times = corpus.events.timestamp[draft.rows]
    return Strand(
        number=draft.number,
        template=template,
        events=len(draft.rows),
        accounts=len(np.unique(corpus.events.account[draft.rows])),
        first_seen=moment_of_seconds(times.min()),
        last_seen=moment_of_seconds(times.max()),
        variants=variants,
    )


def _drafts(corpus: Corpus, groups: Groups, group: int, rows: IntArray) -> Iterator[_Draft]:
    strand = groups.strand[corpus.event_prompt[rows]]
    numbers, counts = np.unique(strand, return_counts=True)
    kept = numbers[np.argsort(-counts, kind="stable")[:_MOST_STRANDS]]
    for number in np.sort(kept).tolist():
        yield _Draft(group, number, rows[strand == number])


def _roles(views: tuple[View, ...]) -> tuple[str, ...]:
    return ("system",) if only_system(views) else ("user", "system") if View.SYSTEM in views else ("user",)


def _sample(corpus: Corpus, store: Store, draft: _Draft, roles: tuple[str, ...]) -> PromptSample:
    """Some of a strand's prompts, with their senders."""
    sent, accounts = corpus.event_prompt[draft.rows], corpus.events.account[draft.rows]
    prompts = np.unique(sent)
    chosen = prompts[spaced(len(prompts), _TEMPLATE_SAMPLE)]
    senders: dict[int, set[int]] = {prompt: set() for prompt in chosen.tolist()}
    mine = np.isin(sent, chosen)
    for prompt, account in zip(sent[mine].tolist(), accounts[mine].tolist(), strict=True):
        senders[prompt].add(account)
    stored = store.prompts_by_id(corpus.prompt_ids[chosen].tolist())
    return PromptSample(
        [each.system for each in stored] if "system" in roles else [],
        [each.user for each in stored] if "user" in roles else [],
        [sorted(accounts) for accounts in senders.values()],
        roles,
    )


def fixed_text(template: Template, variants: Sequence[Template]) -> str:
    """What a campaign says in all its wordings, one to a line."""
    return "\n".join(each.skeleton for each in (template, *variants))


def shifts_of(events: EventTable, rows: IntArray, strand: IntArray, until: int) -> list[Shift]:
    """Shifts of the group whose events are `rows`. strand: (events,) strand of each event of the whole table.
    until: when the whole traffic ends, in seconds.
    """

    def traffic(chosen: IntArray) -> Traffic:
        return Traffic(events.timestamp[chosen], events.account[chosen], strand[chosen], events.model[chosen])

    def others() -> Traffic:
        return traffic(np.setdiff1d(np.arange(len(events)), rows, assume_unique=True))

    found = shifts(traffic(rows), until, others)
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
    return Shift(
        found.kind,
        moment_of_seconds(found.begin),
        moment_of_seconds(found.end),
        found.share,
        found.p_value,
        before,
        after,
    )


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
