"""The events of a generation as columns, mapped into memory: a search filters by them, and traffic is counted.

They answer for seconds and for prompts; what is shown of a hit, and whether it passes to the microsecond, the
store says.
"""

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.events import EventTable, IntArray, Names
from indexer.generation import Generation, GenerationWriter
from indexer.texts import Texts
from models.event import organisation_of
from models.search import SearchQuery

BoolArray = NDArray[np.bool_]
CodeArray = NDArray[np.int32]

NO_NAME: Final = -2


class Coded:
    """A column of names: `codes` (n,) int32 in the order of the names, -1 for none."""

    def __init__(self, codes: CodeArray, names: Texts) -> None:
        self.codes = codes
        self.names = names

    def name(self, code: int) -> str | None:
        """The name of a code, None for -1."""
        return None if code < 0 else self.names[code]

    def code(self, name: str) -> int:
        """The code of a name; -2, which no event has, if no event has the name."""
        at = bisect_left(self.names, name)
        return at if at < len(self.names) and self.names[at] == name else NO_NAME

    def named(self, names: Collection[str]) -> BoolArray:
        """Which of the column have one of these names, (n,)."""
        wanted = np.zeros(len(self.names) + 2, np.bool_)  # the last two are read by -1 and NO_NAME
        wanted[[self.code(name) for name in names]] = True
        wanted[-2:] = False
        return wanted[self.codes]


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Of n events: the row of the prompt (n,) int32, the number of the campaign (n,) int32 or -1, the second since
    1970 (n,) int64, account, model, and the organisation that the account is of.
    """

    prompt: CodeArray
    campaign: CodeArray
    second: IntArray
    account: Coded
    model: Coded
    organisation: Coded

    @classmethod
    def of(cls, generation: Generation) -> "EventColumns | None":
        """Those of a generation; None for one of an earlier version, which has none. One that was made before
        organisations were kept has events of none.
        """
        if not generation.holds(layout.EVENT_PROMPT):
            return None
        prompt = np.asarray(generation.array(layout.EVENT_PROMPT), np.int32)
        second = np.asarray(generation.array(layout.EVENT_SECOND), np.int64)
        return cls(
            prompt=prompt,
            campaign=_campaign(generation, prompt),
            second=second,
            account=_read(generation, "account", len(prompt)),
            model=_read(generation, "model", len(prompt)),
            organisation=_read(generation, "organisation", len(prompt)),
        )

    def passing(self, query: SearchQuery, prompts: int) -> BoolArray | None:
        """Which of so many prompts have an event that passes the query's filters for account, model and time,
        (prompts,); None if it has none of these. Times are rounded so that nothing is missed.
        """
        kept: list[BoolArray] = []
        if query.account_id is not None:
            kept.append(self.account.codes == self.account.code(query.account_id))
        if query.model is not None:
            kept.append(self.model.codes == self.model.code(query.model))
        if query.since is not None:
            kept.append(self.second >= _second(query.since))
        if query.until is not None:
            kept.append(self.second <= _second(query.until))
        if not kept:
            return None
        passing = np.zeros(prompts, np.bool_)
        passing[self.prompt[np.logical_and.reduce(kept)]] = True
        return passing


def _campaign(generation: Generation, prompt: CodeArray) -> CodeArray:
    if generation.holds(layout.EVENT_CAMPAIGN):
        return np.asarray(generation.array(layout.EVENT_CAMPAIGN), np.int32)
    return np.asarray(generation.array(layout.GROUP), np.int64)[prompt].astype(np.int32)


def _read(generation: Generation, column: str, events: int) -> Coded:
    if not generation.holds(layout.event_codes_file(column)):
        return Coded(np.broadcast_to(np.int32(-1), events), Texts.of(()))
    data, offsets = (generation.array(name) for name in layout.event_names_files(column))
    names = Texts(np.asarray(data, np.uint8), np.asarray(offsets, np.int64))
    return Coded(np.asarray(generation.array(layout.event_codes_file(column)), np.int32), names)


def write_event_columns(
    writer: GenerationWriter, events: EventTable, prompt: IntArray, campaign: IntArray
) -> None:
    """Adds the columns of events to a generation. prompt, campaign: (events,) the row of each event's prompt, and
    the number of its campaign, -1 for none.
    """
    writer.array(layout.EVENT_PROMPT, prompt.astype(np.int32))
    writer.array(layout.EVENT_CAMPAIGN, campaign.astype(np.int32))
    writer.array(layout.EVENT_SECOND, events.timestamp)
    for column, codes, names in (
        ("account", events.account, events.account_names),
        ("model", events.model, events.model_names),
        ("organisation", *_organisations(events)),
    ):
        order, in_order = _in_order(names)
        writer.array(layout.event_codes_file(column), np.append(order, -1).astype(np.int32)[codes])
        data, offsets = layout.event_names_files(column)
        writer.array(data, in_order.data)
        writer.array(offsets, in_order.offsets)


def _organisations(events: EventTable) -> tuple[IntArray, Names]:
    """The code of each event's organisation, -1 for none, and their names."""
    of_unit = [organisation_of(unit) for unit in events.unit_names.values]
    there = np.array([each is not None for each in of_unit], np.bool_)
    codes = np.where(there, np.cumsum(there) - 1, -1)[events.unit]
    return codes, Names(tuple(each for each in of_unit if each is not None))


def _in_order(names: Names) -> tuple[CodeArray, Texts]:
    """The place of each name among all of them in order, (names,), and the names in that order."""
    order = sorted(range(len(names.values)), key=names.values.__getitem__)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place, Texts.of(names.values[code] for code in order)


def _second(time: datetime) -> int:
    """The second that a time lies in, since 1970."""
    return int(time.timestamp() // 1)
