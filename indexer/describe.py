"""A group's events put into words and numbers: who, how much, when, what, and how sure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from indexer.aims import Aim
from indexer.corpus import Corpus
from indexer.events import EventTable, Names
from indexer.evidence import Background, Observation, largest_share_within, same_value, take_part
from indexer.groups import members_of
from indexer.replication import Replication, replication
from indexer.rhythm import rhythm, sessions
from indexer.score import Verdict
from indexer.times import moment_of_seconds
from models.campaign import Template
from models.view import View

IntArray = NDArray[np.int64]

_HOUR_S = 3600
_BIRTH_WINDOW_S = 72 * _HOUR_S


@dataclass(frozen=True, slots=True)
class Portrait:
    """What the events of one group show; the fields are those of `models.campaign.Campaign`."""

    verdict: Verdict
    events: int
    prompts: int
    accounts: int
    units: int
    depth: float
    first_seen: datetime
    last_seen: datetime
    models: dict[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """Events of each unit in the whole traffic, by code; and the times at which it begins and
    ends, in seconds: found once, as there are thousands of groups to hold against it.
    """

    of_unit: IntArray
    begin: int
    end: int

    @property
    def seconds(self) -> int:
        """How long the traffic lasts."""
        return self.end - self.begin


def totals_of(events: EventTable) -> Totals:
    """Totals of an event table."""
    begin, end = (int(events.timestamp.min()), int(events.timestamp.max())) if len(events) else (0, 0)
    return Totals(np.bincount(events.unit), begin, end)


def background_of(events: EventTable, totals: Totals) -> Background:
    """The whole traffic's hours and account births, to compare groups with. totals: of these events."""
    hours = np.bincount(hour_of_day(events.timestamp), minlength=24) + 1.0
    created = _known_of(*np.unique(events.account, return_inverse=True), events.created_at)
    networks = _known_of(*np.unique(events.account, return_inverse=True), events.network)
    spanned = np.unique(events.timestamp // _HOUR_S) % 24
    coverage = np.bincount(spanned, minlength=24) / max(1, len(spanned))
    return Background(
        hours / hours.sum(),
        coverage,
        rhythm(events.account, events.timestamp),
        largest_share_within(created[created >= 0], _BIRTH_WINDOW_S),
        sessions(events.account, events.timestamp, totals.seconds),
        same_value(networks[networks >= 0]) if np.count_nonzero(networks >= 0) > 1 else 0.0,
    )


def hour_of_day(timestamps: IntArray) -> IntArray:
    """Hour of the day (UTC), 0 to 23, of times in seconds."""
    return timestamps // _HOUR_S % 24


def events_by_group(corpus: Corpus, group_of_prompt: IntArray, groups: int) -> list[IntArray]:
    """Rows of the event table in each group, ascending."""
    return members_of(group_of_prompt[corpus.event_prompt], groups)


def observe(
    corpus: Corpus,
    rows: IntArray,
    template: Template,
    aim: Aim,
    views: tuple[View, ...],
    totals: Totals,
    handovers: int,
    item: IntArray,
    repeated: Replication | None = None,
) -> Observation:
    """What the group shows whose events are `rows` of the event table (at least one), units left aside that do
    not share its work.

    handovers: pool swaps and pivots found in its traffic. item: (prompts,) what each prompt of the corpus is
    about, -1 for nothing. repeated: what the group's items show, if that is known.
    """
    events = corpus.events
    units, codes, counts = np.unique(events.unit[rows], return_inverse=True, return_counts=True)
    part = take_part(counts)
    aside = counts[~part]
    rows, units, counts = rows[part[codes]], units[part], counts[part]
    accounts, codes = np.unique(events.account[rows], return_inverse=True)
    created = _known_of(accounts, codes, events.created_at[rows])
    payments = _known_of(accounts, codes, events.payment[rows])
    networks = _known_of(accounts, codes, events.network[rows])
    return Observation(
        counts=counts.astype(np.int64),
        passers_by=int(np.count_nonzero(aside == 1)),
        dominant=int(np.count_nonzero(aside > 1)),
        hours=np.bincount(hour_of_day(events.timestamp[rows]), minlength=24),
        rhythm=rhythm(events.account[rows], events.timestamp[rows]),
        dedication=counts / totals.of_unit[units],
        created=created[created >= 0],
        payments=payments[payments >= 0],
        networks=networks[networks >= 0],
        sessions=sessions(events.account[rows], events.timestamp[rows], totals.seconds),
        replication=repeated or _replication(item[corpus.event_prompt[rows]], events.unit[rows]),
        template=template,
        aim=aim,
        disguised=_share_of_known(events.disguised[rows]),
        views=views,
        handovers=handovers,
    )


def _replication(item: IntArray, unit: IntArray) -> Replication:
    """Of events that are about something; item, unit: of each event."""
    return replication(item[item >= 0], unit[item >= 0])


def _share_of_known(flags: IntArray) -> float | None:
    """Share of ones among the flags that are not -1; None if there are none."""
    known = flags[flags >= 0]
    return float(known.mean()) if len(known) else None


def portray(corpus: Corpus, rows: IntArray, verdict: Verdict) -> Portrait:
    """Portrait of the group whose events are `rows` of the event table (at least one)."""
    events = corpus.events
    _, counts = np.unique(events.unit[rows], return_counts=True)
    return Portrait(
        verdict=verdict,
        events=len(rows),
        prompts=len(np.unique(corpus.event_prompt[rows])),
        accounts=len(np.unique(events.account[rows])),
        units=len(counts),
        depth=float(np.median(counts)),
        first_seen=moment_of_seconds(events.timestamp[rows].min()),
        last_seen=moment_of_seconds(events.timestamp[rows].max()),
        models=_counted(events.model[rows], events.model_names),
    )


def _known_of(accounts: IntArray, codes: IntArray, values: IntArray) -> IntArray:
    """A value for each account, the greatest of its events'; -1 if none of them has one."""
    known = np.full(len(accounts), -1, np.int64)
    np.maximum.at(known, codes, values)
    return known


def _counted(codes: IntArray, names: Names) -> dict[str, int]:
    """How often each name occurs, most frequent first; "" counts those not given."""
    return _named(*np.unique(codes, return_counts=True), names)


def _named(codes: IntArray, counts: IntArray, names: Names) -> dict[str, int]:
    """Counts by name, the greatest first."""
    if len(codes) == 1:
        return {names.name(int(codes[0])) or "": int(counts[0])}
    named: Mapping[str, int] = {names.name(int(c)) or "": int(n) for c, n in zip(codes, counts, strict=True)}
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))
