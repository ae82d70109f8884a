"""Events put into the store's tables: what is new of a batch, once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from indexer.database import insert_rows, rows_with
from indexer.records import NAME_KINDS, Record, Records, Wording
from indexer.schema import accounts, events, names, prompts

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class AddResult:
    """What became of a batch: stored + duplicate + len(conflicting) = its length.

    duplicate: events that were there already, whole and equal.
    conflicting: positions in the batch whose event_id is taken by an event with other content.
    """

    stored: int
    duplicate: int
    conflicting: tuple[int, ...]


def insert_events(connection: sa.Connection, records: Records) -> AddResult:
    """Stores what is new of a batch, within the transaction of whoever writes; the first of equal ids wins."""
    given = records.events
    known = _digests(connection, {record.event_id for record in given})
    fresh, conflicting = _sort_out(given, known)
    if fresh:
        _insert(connection, fresh, records.wordings)
    return AddResult(len(fresh), len(given) - len(fresh) - len(conflicting), tuple(conflicting))


def _digests(connection: sa.Connection, event_ids: Iterable[str]) -> dict[str, bytes]:
    """Content digest of each of these events that is stored."""
    return _looked_up(connection, events, "event_id", "digest", event_ids)


def _sort_out(records: Sequence[Record], known: dict[str, bytes]) -> tuple[list[Record], list[int]]:
    """The records to store, and the positions of those that contradict `known` or an earlier record."""
    fresh: list[Record] = []
    conflicting: list[int] = []
    for position, record in enumerate(records):
        if record.event_id not in known:
            known[record.event_id] = record.digest
            fresh.append(record)
        elif known[record.event_id] != record.digest:
            conflicting.append(position)
    return fresh, conflicting


def _insert(connection: sa.Connection, records: Sequence[Record], wordings: Sequence[Wording]) -> None:
    """Puts records into the tables, with the accounts, prompts and names that are new."""
    senders = {record.account_id: (record.account_id,) for record in records}
    account_ids = _numbers(connection, accounts, "account_id", senders)
    texts: dict[bytes, tuple[bytes, str, str]] = {}
    for each in (wordings[record.wording] for record in records):
        texts.setdefault(each.fingerprint, (each.fingerprint, each.system, each.user))
    prompt_ids = _numbers(connection, prompts, "fingerprint", texts)
    orgs, models, payments, networks = (
        _name_numbers(connection, kind, {record.names[position] for record in records})
        for position, kind in enumerate(NAME_KINDS)
    )
    rows = [
        (
            record.event_id,
            account_ids[record.account_id],
            orgs[record.names[0]],
            models[record.names[1]],
            payments[record.names[2]],
            networks[record.names[3]],
            prompt_ids[wordings[record.wording].fingerprint],
            record.timestamp_us,
            record.account_created_us,
            record.attributes,
            record.digest,
            wordings[record.wording].disguised,
        )
        for record in records
    ]
    insert_rows(connection, events, [column.name for column in events.c if column.name != "sequence"], rows)


def _name_numbers(connection: sa.Connection, kind: str, given: set[str | None]) -> dict[str | None, int | None]:
    rows: dict[str | None, tuple[str, str]] = {name: (kind, name) for name in sorted(filter(None, given))}
    return {None: None, **_numbers(connection, names, "name", rows, kind=kind)}


def _numbers(
    connection: sa.Connection,
    table: sa.Table,
    key: str,
    rows: Mapping[K, tuple[Any, ...]],
    **among: str,
) -> dict[K, int]:
    """The id of each row, by its value in the key column; rows not in the table yet are added in their order.

    rows: all columns but the id, which comes first in the table. among: what other columns hold in all of them.
    New ids are chosen here, which is safe since only one transaction writes at a time.
    """
    found: dict[K, int] = _looked_up(connection, table, key, "id", rows, **among)
    new = [value for value in rows if value not in found]
    if new:
        highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
        found.update(zip(new, range(highest + 1, highest + 1 + len(new)), strict=True))
        insert_rows(connection, table, table.c.keys(), [(found[value], *rows[value]) for value in new])
    return found


def _looked_up(
    connection: sa.Connection, table: sa.Table, key: str, wanted: str, keys: Iterable[K], **among: str
) -> dict[K, Any]:
    """What stands in a column in the rows with these keys, as far as there are any."""
    return {row[0]: row[1] for row in rows_with(connection, table, (key, wanted), key, keys, **among)}
