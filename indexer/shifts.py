"""When a campaign changed hands, template or model, fell silent or came back: shifts within its traffic.

Template and pool are followed apart. A pool swap keeps the template and exchanges the accounts; a template or a
model pivot keeps the accounts and exchanges what they send, or to whom. Each test compares what every account did
before and after a moment with what its own events in a random order would show, so that busy accounts, growth and
mere churn are no shift. Times are seconds since 1970 (UTC).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.spacing import spaced
from indexer.tails import binomial_tail, hypergeometric_tail, lower_tail, upper_tail
from models.campaign import ShiftKind

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
DoubleArray = NDArray[np.float64]

SIGNIFICANT: Final = 1e-6  # p-value, after Bonferroni over the moments tried, from which a shift is reported
LEAST_SHARE: Final = 0.3  # of the accounts active before and after, that must have moved
MIN_SIDE: Final = 8  # accounts on each side of a swap; accounts that must have moved
_BOTH_SIDES: Final = 2  # sessions of an account, for it to be seen on both sides of a swap
_ONE_WAY: Final = 1e-3  # p-value of a sign test: people who do one thing after another do it in either order
_MOSTLY: Final = 2 / 3  # share of an account's events after the move that are the new thing; before, the rest
_MOMENTS: Final = 200
_CELLS_AT_A_TIME: Final = 1 << 18  # of moments and accounts
_SESSION_GAP_S: Final = 3600  # a swap counts visits of an account, a pivot what it did in each
_STRADDLE: Final = 0.2  # of the accounts expected to be active before and after: no more may be, for a swap
_LATE: Final = (
    0.25  # share of a side's sessions next to the swap, in whatever time, as batches pause for hours ...
)
_STILL_THERE: Final = 0.45  # ... in which so many of its accounts are last, or first, seen; rotation leaves 0.25
_LEAST_SWAPPED: Final = 0.25
_LEAST_NEW: Final = 0.05  # share of the events that a template or model must have, to be moved to
_EXCESS: Final = 2.0  # times as large a share as among everybody else, for a move to another model
_SILENCE_S: Final = 48 * 3600
_UNUSUAL: Final = 5.0  # times the longest other pause
_MIN_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events of one group, or of everybody else. times: (n,) s. accounts, strands, models: (n,) codes; -1 for
    a model that is not given.
    """

    times: IntArray
    accounts: IntArray
    strands: IntArray
    models: IntArray


@dataclass(frozen=True, slots=True)
class FoundShift:
    """One shift. begin: last event of the old side; end: first of the new one. share: of the accounts that moved
    or were exchanged, in [0, 1]. before, after: code of the strand or model on each side, -1 if it is another
    thing. accounts: how many on each side; for a pivot they are the same ones. p_value: after Bonferroni.
    """

    kind: ShiftKind
    begin: int
    end: int
    share: float
    p_value: float
    before: int = -1
    after: int = -1
    accounts: tuple[int, int] = (0, 0)


def shifts(group: Traffic, until: int, others: Callable[[], Traffic]) -> list[FoundShift]:
    """All shifts of a group, by time. until: time of the last event of all traffic. others: everybody else's
    traffic, asked for only if accounts moved to a model, as users do when one is released.
    """
    if len(group.times) < _MIN_EVENTS:
        return []
    found = [*pauses(group.times, until), *pool_swap(group.times, group.accounts)]
    for strand in _frequent(group.strands):
        found += _pivot(group, group.strands, strand, ShiftKind.TEMPLATE_PIVOT)
    for model in _frequent(group.models):
        for moved in _pivot(group, group.models, model, ShiftKind.MODEL_PIVOT):
            if moved.share >= _EXCESS * moved_share(others(), model, moved.end):
                found.append(moved)
    return sorted(found, key=lambda shift: (shift.end, shift.kind, shift.after))


def pauses(times: IntArray, until: int) -> list[FoundShift]:
    """Silences of more than two days that are _UNUSUAL times as long as every other pause; the last one, up to
    `until`, is not over.
    """
    moments = np.unique(times)
    gaps = np.diff(moments)
    if not len(gaps):
        return []
    found = []
    longest, second = (int(gap) for gap in (*np.sort(gaps)[::-1][:2], 0)[:2])
    if longest >= max(_SILENCE_S, _UNUSUAL * second):
        place = int(gaps.argmax())
        last, first = int(moments[place]), int(moments[place + 1])
        found += [
            FoundShift(ShiftKind.DORMANT, last, first, 1.0, 0.0),
            FoundShift(ShiftKind.REVIVED, last, first, 1.0, 0.0),
        ]
    if until - moments[-1] >= max(_SILENCE_S, _UNUSUAL * longest):
        found.append(FoundShift(ShiftKind.DORMANT, int(moments[-1]), int(until), 1.0, 0.0))
    return found


def pool_swap(times: IntArray, accounts: IntArray) -> list[FoundShift]:
    """The moment, if there is one, that hardly any account is active on both sides of.

    An account's events within an hour of one another count once. Under the null each of its n sessions falls
    before the moment with probability F, the share of all sessions that do, so it is active on both sides with
    probability 1 - F^n - (1 - F)^n; the tail is Chernoff's bound for a sum of such trials. A night, a weekend,
    growth and constant rotation are no swap: the old accounts must have been there nearly to the end, and the
    new ones nearly from the start.
    """
    order = np.lexsort((times, accounts))
    moments, owners = times[order], accounts[order]
    fresh = np.r_[True, (np.diff(owners) != 0) | (np.diff(moments) > _SESSION_GAP_S)]
    _, codes = np.unique(owners, return_inverse=True)
    sessions = np.bincount(codes[fresh])
    first = moments[np.r_[True, np.diff(owners) != 0]]
    last = moments[np.r_[np.diff(owners) != 0, True]]
    several = sessions >= _BOTH_SIDES
    if several.sum() < 2 * MIN_SIDE:
        return []
    sessions, first, last = sessions[several], first[several], last[several]
    starts = np.sort(moments[fresh])
    tried = np.unique(first)
    old = np.searchsorted(np.sort(last), tried, side="left")
    new = len(first) - np.searchsorted(np.sort(first), tried, side="left")
    least = max(MIN_SIDE, _LEAST_SWAPPED * len(first))
    tried, old, new = (each[(old >= least) & (new >= least)] for each in (tried, old, new))
    if not len(tried):
        return []
    both = len(first) - old - new
    best = int(np.lexsort((tried, -np.minimum(old, new), both))[0])
    moment, straddling = int(tried[best]), int(both[best])
    before = int(np.searchsorted(starts, moment))
    share = before / len(starts)
    expected = float((1 - share**sessions - (1 - share) ** sessions).sum())
    p_value = min(1.0, len(tried) * lower_tail(straddling, expected))
    went, came = last[last < moment], first[first >= moment]
    stayed = (np.searchsorted(starts, went, side="right") > (1 - _LATE) * before).mean()
    ready = (np.searchsorted(starts, came) < before + _LATE * (len(starts) - before)).mean()
    if straddling > _STRADDLE * expected or p_value > SIGNIFICANT or min(stayed, ready) < _STILL_THERE:
        return []
    exchanged = 1.0 - straddling / len(first)
    begin = int(went.max())
    return [
        FoundShift(
            ShiftKind.POOL_SWAP, begin, moment, exchanged, p_value, accounts=(int(old[best]), int(new[best]))
        )
    ]


def moved_share(traffic: Traffic, model: int, moment: int) -> float:
    """Share of the accounts active before and after the moment that moved to the model then; 0 if none is."""
    given = traffic.models >= 0
    _, accounts = np.unique(traffic.accounts[given], return_inverse=True)
    found = _moves(accounts, traffic.times[given] < moment, traffic.models[given] == model)
    return float(found.moved.sum() / max(1, found.judged.sum()))


def _pivot(group: Traffic, kinds: IntArray, new: int, kind: ShiftKind) -> list[FoundShift]:
    """The moment at which a good part of the accounts exchanged other kinds of events for `new`, if there is one.

    An account has moved if at most a third of what it did before is `new` and at least two thirds of that after;
    events of one kind in one session count once. In random order that has a hypergeometric probability; how many
    moved is compared with these, at the moment where it is least likely, and with how many moved the other way.
    The moment itself is then the one that puts the fewest events of those that moved on the wrong side.
    """
    given = kinds >= 0
    owners = group.accounts[given]
    if len(np.intersect1d(owners[kinds[given] == new], owners[kinds[given] != new])) < MIN_SIDE:
        return []  # whoever moved has done both
    _, accounts = np.unique(owners, return_inverse=True)
    times, accounts, chosen, others = _visits(group.times[given], accounts, kinds[given] == new, kinds[given])
    arrivals = np.unique(times[chosen])
    tried = arrivals[spaced(len(arrivals), _MOMENTS)]
    best, moment = 1.0, -1
    for each in tried[_may_have_moved(times, accounts, chosen, tried)].tolist():
        there = _moves(accounts, times < each, chosen)
        went = int(there.moved.sum())
        back = int(_moves(accounts, times < each, ~chosen).moved.sum())
        if binomial_tail(went, went + back, 0.5) > _ONE_WAY:
            continue
        p_value = len(tried) * upper_tail(went, there.chances())
        if p_value < best:
            best, moment = p_value, each
    if best > SIGNIFICANT:
        return []
    mine = _moves(accounts, times < moment, chosen).moved[accounts]
    begin, end = _border(times[mine], chosen[mine])
    left = np.bincount(others[mine & ~chosen & (times < end)])
    there = _moves(accounts, times < end, chosen)
    went = int(there.moved.sum())
    return [
        FoundShift(
            kind,
            begin,
            end,
            float(went / there.judged.sum()),
            best,
            before=int(left.argmax()) if len(left) else -1,
            after=int(new),
            accounts=(went, went),
        )
    ]


def _may_have_moved(times: IntArray, accounts: IntArray, chosen: BoolArray, tried: IntArray) -> BoolArray:
    """At which of the moments, ascending, enough accounts have moved to be looked at, (tried,): what `_moves` says
    of each, for some of them at once.
    """
    size = int(accounts.max(initial=-1)) + 1
    before = np.searchsorted(tried, times, side="right")  # the first moment that an event is before
    enough = np.zeros(len(tried), np.bool_)
    all_events, all_new = np.bincount(accounts, minlength=size), np.bincount(accounts[chosen], minlength=size)
    early, new_early = np.zeros(size, np.int64), np.zeros(size, np.int64)
    step = max(1, _CELLS_AT_A_TIME // size)
    for start in range(0, len(tried), step):
        moments = min(step, len(tried) - start)
        here = (before >= start) & (before < start + moments)
        cells = (before[here] - start) * size + accounts[here]
        more = np.bincount(cells, minlength=moments * size).reshape(moments, size).cumsum(axis=0) + early
        more_new = np.bincount(cells[chosen[here]], minlength=moments * size).reshape(moments, size)
        more_new = more_new.cumsum(axis=0) + new_early
        judged, moved = _moved(more, all_events - more, more_new, all_new - more_new)
        went = moved.sum(axis=1)
        enough[start : start + moments] = went >= np.maximum(MIN_SIDE, LEAST_SHARE * judged.sum(axis=1))
        early, new_early = more[-1], more_new[-1]
    return enough


@dataclass(frozen=True, slots=True)
class _Moves:
    """Of each account code, (accounts,): judged, whether it has events on both sides of a moment; moved, whether
    it moved. The rest is what chance is worked out from: its early and late events, all those of the new kind, and
    the fewest late ones of that kind with which it would count as moved.
    """

    judged: BoolArray
    moved: BoolArray
    early: IntArray
    late: IntArray
    new: IntArray
    least_late: DoubleArray

    def chances(self) -> DoubleArray:
        """Chance of each account that is judged to seem to have moved if the order of its events meant nothing."""
        early, late, new = (each[self.judged] for each in (self.early, self.late, self.new))
        return hypergeometric_tail(self.least_late[self.judged], late, new, early + late)


def _moves(accounts: IntArray, before: BoolArray, chosen: BoolArray) -> _Moves:
    """Which accounts moved at a moment, given the account code of each event and whether it was before, and of the
    new kind.
    """
    size = int(accounts.max(initial=-1)) + 1
    early, late = np.bincount(accounts[before], minlength=size), np.bincount(accounts[~before], minlength=size)
    new_early = np.bincount(accounts[before & chosen], minlength=size)
    new_late = np.bincount(accounts[~before & chosen], minlength=size)
    judged, moved = _moved(early, late, new_early, new_late)
    return _Moves(judged, moved, early, late, new_early + new_late, _least_late(early, late, new_early + new_late))


def _moved(
    early: IntArray, late: IntArray, new_early: IntArray, new_late: IntArray
) -> tuple[BoolArray, BoolArray]:
    """Which accounts are judged, and which moved, see `_Moves`; of arrays of any shape."""
    judged: BoolArray = (early > 0) & (late > 0)
    return judged, judged & (new_late >= _least_late(early, late, new_early + new_late))


def _least_late(early: IntArray, late: IntArray, new: IntArray) -> DoubleArray:
    """The fewest late events of the new kind with which an account counts as moved."""
    most_early = np.floor((1 - _MOSTLY) * early + 1e-9)
    least: DoubleArray = np.maximum(np.ceil(_MOSTLY * late - 1e-9), new - most_early)
    return least


def _visits(
    times: IntArray, accounts: IntArray, chosen: BoolArray, kinds: IntArray
) -> tuple[IntArray, IntArray, BoolArray, IntArray]:
    """The events less those that an account sent within an hour of one before that was as much `chosen`."""
    order = np.lexsort((times, accounts))
    times, accounts, chosen, kinds = times[order], accounts[order], chosen[order], kinds[order]
    other = (np.diff(accounts) != 0) | (np.diff(times) > _SESSION_GAP_S) | (np.diff(chosen.astype(np.int8)) != 0)
    kept = np.r_[True, other]
    return times[kept], accounts[kept], chosen[kept], kinds[kept]


def _border(times: IntArray, chosen: BoolArray) -> tuple[int, int]:
    """(last old event, first new one) round the moment that puts the fewest events on the wrong side."""
    order = np.argsort(times, kind="stable")
    times, chosen = times[order], chosen[order]
    wrong = np.r_[0, np.cumsum(chosen)] + np.r_[np.cumsum((~chosen)[::-1])[::-1], 0]
    cut = min(max(int(wrong.argmin()), 1), len(times) - 1)
    return int(times[cut - 1]), int(times[cut])


def _frequent(kinds: IntArray) -> list[int]:
    """Codes that a good part of the events have, if there are two of them at least."""
    known = kinds[kinds >= 0]
    values, counts = np.unique(known, return_counts=True)
    return values[counts >= _LEAST_NEW * len(known)].tolist() if len(values) > 1 else []
