"""What becomes of the rows of an event file before the store has its say: a record, or a reason why not. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from indexer.records import Records, records_of
from indexer.rows import Line, Row, row_of
from models.errors import BadEvent
from models.event import Event, parse_event

_FIRST_WORD: Final = re.compile(r"\w+")


class Refusal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Why a row is no event. position: among the rows examined, from 0. group: the reason without the values of
    this very row, to be counted by.
    """

    position: int
    reason: str
    group: str


class Examined(msgspec.Struct, frozen=True, array_like=True):
    """Rows examined, each of which is in one of two: records, whose rows are at `positions`, and refusals, both in
    the order of the rows.
    """

    records: Records
    positions: list[int]
    refused: list[Refusal]


def examine(rows: Sequence[Row | Line], now: datetime) -> Examined:
    """A record or a refusal of each row; `now` (aware) bounds how far in the future a timestamp may lie."""
    events: list[Event] = []
    positions: list[int] = []
    refused: list[Refusal] = []
    for position, row in enumerate(rows):
        outcome = _outcome(row_of(row) if isinstance(row, Line) else row, position, now)
        if isinstance(outcome, Refusal):
            refused.append(outcome)
        else:
            events.append(outcome)
            positions.append(position)
    return Examined(records_of(events), positions, refused)


def _outcome(row: Row, position: int, now: datetime) -> Event | Refusal:
    if row.values is None:
        problem = row.problem or ""
        return Refusal(position, problem, problem.partition(":")[0])
    try:
        return parse_event(row.values, now)
    except BadEvent as error:
        return Refusal(position, str(error), f"bad {_key_at_fault(error)}")


def _key_at_fault(error: BadEvent) -> str:
    """The key that the message of `parse_event` begins with."""
    key = _FIRST_WORD.match(str(error))
    return key.group() if key else "event"
