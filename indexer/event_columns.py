"""The events of a generation as columns that a search filters by, mapped into memory: which prompts they sent.

They answer for seconds and for prompts; what is shown of a hit, and whether it passes to the microsecond, the
store says.
"""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from indexer import layout
from indexer.events import EventTable, IntArray, Names
from indexer.generation import Generation, GenerationWriter
from indexer.texts import Texts
from models.search import SearchQuery

BoolArray = NDArray[np.bool_]
CodeArray = NDArray[np.int32]


class EventColumns:
    """Of n events, each (n,): the row of the prompt, the codes of account and model, -1 for none, and the
    second.
    """

    def __init__(self, generation: Generation) -> None:
        self._prompt = np.asarray(generation.array(layout.EVENT_PROMPT), np.int32)
        self._second = np.asarray(generation.array(layout.EVENT_SECOND), np.int64)
        self._account = _Coded(generation, "account")
        self._model = _Coded(generation, "model")

    def passing(self, query: SearchQuery, prompts: int) -> BoolArray | None:
        """Which of so many prompts have an event that passes the query's filters for account, model and time,
        (prompts,); None if it has none of these. Times are rounded so that nothing is missed.
        """
        kept: list[BoolArray] = []
        if query.account_id is not None:
            kept.append(self._account.equal(query.account_id))
        if query.model is not None:
            kept.append(self._model.equal(query.model))
        if query.since is not None:
            kept.append(self._second >= _second(query.since))
        if query.until is not None:
            kept.append(self._second <= _second(query.until))
        if not kept:
            return None
        passing = np.zeros(prompts, np.bool_)
        passing[self._prompt[np.logical_and.reduce(kept)]] = True
        return passing


class _Coded:
    """A column of names: codes in the order of the names, which are found by bisection."""

    def __init__(self, generation: Generation, column: str) -> None:
        files = layout.event_names_files(column)
        data, offsets = (generation.array(name) for name in files)
        self._names = Texts(np.asarray(data, np.uint8), np.asarray(offsets, np.int64))
        self._codes = np.asarray(generation.array(layout.event_codes_file(column)), np.int32)

    def equal(self, name: str) -> BoolArray:
        """Which events have this name, (n,)."""
        low, high = 0, len(self._names)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._names[middle] < name else (low, middle)
        known = low < len(self._names) and self._names[low] == name
        return self._codes == low if known else np.zeros(len(self._codes), np.bool_)


def write_event_columns(writer: GenerationWriter, events: EventTable, prompt: IntArray) -> None:
    """Adds the columns of events to a generation. prompt: (events,) the row of each event's prompt."""
    writer.array(layout.EVENT_PROMPT, prompt.astype(np.int32))
    writer.array(layout.EVENT_SECOND, events.timestamp)
    for column, codes, names in (
        ("account", events.account, events.account_names),
        ("model", events.model, events.model_names),
    ):
        order, in_order = _in_order(names)
        writer.array(layout.event_codes_file(column), np.append(order, -1).astype(np.int32)[codes])
        data, offsets = layout.event_names_files(column)
        writer.array(data, in_order.data)
        writer.array(offsets, in_order.offsets)


def _in_order(names: Names) -> tuple[CodeArray, Texts]:
    """The place of each name among all of them in order, (names,), and the names in that order."""
    order = sorted(range(len(names.values)), key=names.values.__getitem__)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place, Texts.of(names.values[code] for code in order)


def _second(time: datetime) -> int:
    """The second that a time lies in, since 1970."""
    return int(time.timestamp() // 1)
