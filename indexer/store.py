"""The store: every event and prompt, with what analysts said, in one database.

What `add_events` returns from is on disk and survives a power cut. Events are never changed or deleted, so a
reader that stays at or below a watermark sees the same events for ever, without holding a transaction open.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import chain, islice
from operator import itemgetter
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from indexer.acts import ActStore
from indexer.bank import BankStore
from indexer.blocks import BlockStore
from indexer.database import WRITE_WAIT_S, Database, key_chunks, raw_rows, rows_with
from indexer.events import EventTable, IntArray, Names
from indexer.insertion import AddResult, insert_events
from indexer.keys import KeyStore
from indexer.records import NAME_KINDS, Records, records_of
from indexer.schema import accounts, events, names, prompts
from indexer.times import microseconds, moment
from indexer.verdicts import VerdictStore
from models.errors import NotFound
from models.event import Event, unit_of
from models.storable import storable

PROMPT_BATCH: Final = 2_000
EVENT_ID_BATCH: Final = 10_000
TOP_ACCOUNTS: Final = 10

_TABLE_ROWS_A_QUERY: Final = 50_000
_IDS_A_QUERY: Final = 500_000
_PROMPTS_A_LOOK: Final = 50_000


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A canonical prompt, with the texts of the first event that sent it, as sent."""

    prompt_id: int
    fingerprint: bytes
    system: str
    user: str


@dataclass(frozen=True, slots=True)
class PromptEvents:
    """The events of one prompt that passed the filters; there is at least one.

    models: events by model ("" where none was given), most first.
    account_ids: events of the ten accounts with most, most first. Ties are in order of name.
    """

    prompt_id: int
    events: int
    accounts: int
    first_seen: datetime
    last_seen: datetime
    models: dict[str, int]
    account_ids: dict[str, int]


class Store:
    """Events, prompts, verdicts, blocks, keys, acts, bank. Safe to share between threads; a context manager, or
    `close` it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.verdicts = VerdictStore(database)
        self.blocks = BlockStore(database)
        self.keys = KeyStore(database)
        self.acts = ActStore(database)
        self.bank = BankStore(database)

    @classmethod
    def open(cls, url: str, write_wait_s: float = WRITE_WAIT_S) -> Self:
        """The store in the database at an SQLAlchemy URL, see `Database.open`."""
        return cls(Database.open(url, write_wait_s))

    def close(self) -> None:
        """Give back every connection. A closed store must not be used."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add_events(self, events: Sequence[Event]) -> AddResult:
        """Store what is new of a batch, all or nothing; it is on disk on return. The first of equal ids wins.

        An event that is there already changes nothing. Raises Busy if other writers hold the store too long.
        """
        return self.add_records(records_of(events))

    def add_records(self, records: Records) -> AddResult:
        """`add_events`, of events that were made ready elsewhere."""
        with self._database.writing() as connection:
            return insert_events(connection, records)

    def watermark(self) -> int:
        """Highest sequence number given to an event, 0 if there is none."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.max(events.c.sequence))).scalar() or 0

    def digest_at(self, sequence: int) -> bytes | None:
        """What tells the event of this sequence number from any other, None if there is none."""
        columns = sa.select(events.c.event_id, events.c.digest).where(events.c.sequence == sequence)
        with self._database.reading() as connection:
            row = connection.execute(columns).one_or_none()
        return None if row is None else blake2b(row.event_id.encode() + bytes(row.digest), digest_size=16).digest()

    def counts(self) -> dict[str, int]:
        """Rows of "events", "prompts" and "accounts". Reads an index of each."""
        with self._database.reading() as connection:
            return {table.name: _count(connection, table) for table in (events, prompts, accounts)}

    def events_up_to(self, watermark: int) -> int:
        """How many events have a sequence number up to the watermark."""
        query = sa.select(sa.func.count()).select_from(events).where(events.c.sequence <= watermark)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one()

    def event_table(self, watermark: int, after: int = 0) -> EventTable:
        """Every event with a sequence number above `after`, up to the watermark. Needs about 200 bytes of memory
        an event.
        """
        columns = self._event_columns(watermark, after)
        with self._database.reading() as connection:
            account_of = _pairs(connection, sa.select(accounts.c.id, accounts.c.account_id))
            name_of = _pairs(connection, sa.select(names.c.id, names.c.name))
        return _event_table(columns, account_of, name_of)

    def _event_columns(self, watermark: int, after: int) -> dict[str, IntArray]:
        """The integer columns of the events table by name, each of shape (n,), -1 for NULL."""
        selected = [
            sa.func.coalesce(events.c[name], -1).label(name)
            for name in ("prompt", "account", *NAME_KINDS, "timestamp_us", "account_created_us", "disguised")
        ]
        keys = ("sequence", *(column.name for column in selected))
        most = self.events_up_to(watermark) - self.events_up_to(after)
        table = np.empty((len(keys), most), np.int64)
        read = 0
        for rows in self._pages([events.c.sequence, *selected], watermark, _TABLE_ROWS_A_QUERY, after):
            flat = np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * len(keys))
            table[:, read : read + len(rows)] = flat.reshape(len(rows), len(keys)).T
            read += len(rows)
        return {key: table[at, :read] for at, key in enumerate(keys)}

    def prompts(self, watermark: int, batch: int = PROMPT_BATCH) -> Iterator[list[StoredPrompt]]:
        """The distinct prompts of the events up to the watermark, in order of fingerprint, `batch` at a time.

        Their ids are in memory as bits, and the texts of _PROMPTS_A_LOOK prompts, which are read in the order
        they have on disk.
        """
        yield from self._in_batches(self._by_fingerprint(self._used_prompts(watermark)), batch)

    def prompts_among(self, ids: IntArray, batch: int = PROMPT_BATCH) -> Iterator[list[StoredPrompt]]:
        """The prompts of these ids, each once, in order of fingerprint, `batch` at a time."""
        query = ("id", "fingerprint")
        with self._database.reading() as connection:
            known = list(rows_with(connection, prompts, query, "id", np.unique(ids).tolist()))
        ordered = [prompt_id for prompt_id, _ in sorted(known, key=itemgetter(1))]
        parts = range(0, len(ordered), _PROMPTS_A_LOOK)
        yield from self._in_batches((ordered[start : start + _PROMPTS_A_LOOK] for start in parts), batch)

    def _in_batches(self, looks: Iterable[list[int]], batch: int) -> Iterator[list[StoredPrompt]]:
        """The prompts of these ids, `batch` at a time."""
        waiting: list[StoredPrompt] = []
        for ids in looks:
            waiting.extend(self.prompts_by_id(ids))
            whole = len(waiting) - len(waiting) % batch
            yield from (waiting[start : start + batch] for start in range(0, whole, batch))
            del waiting[:whole]
        if waiting:
            yield waiting

    def _used_prompts(self, watermark: int) -> NDArray[np.bool_]:
        """Which ids are of prompts of events up to the watermark, (highest id + 1,)."""
        page = (
            sa.select(events.c.prompt)
            .where(events.c.sequence <= watermark)
            .distinct()
            .order_by(events.c.prompt)
            .limit(_IDS_A_QUERY)
        )
        used: list[IntArray] = [np.zeros(0, np.int64)]
        last = 0
        while rows := self._raw(page.where(events.c.prompt > last)):
            used.append(np.fromiter(chain.from_iterable(rows), np.int64, len(rows)))
            last = rows[-1][0]
        bits = np.zeros(last + 1, np.bool_)
        bits[np.concatenate(used)] = True
        return bits

    def _by_fingerprint(self, used: NDArray[np.bool_]) -> Iterator[list[int]]:
        """The ids of the prompts that are used, in order of fingerprint, at most _PROMPTS_A_LOOK at a time."""
        columns = prompts.c.fingerprint, prompts.c.id
        page = sa.select(*columns).order_by(prompts.c.fingerprint).limit(_PROMPTS_A_LOOK)
        last = b""
        while rows := self._raw(page.where(prompts.c.fingerprint > last)):
            yield [prompt_id for _, prompt_id in rows if prompt_id < len(used) and used[prompt_id]]
            last = rows[-1][0]

    def prompts_with(self, words: Sequence[str], most: int) -> IntArray:
        """Ids of prompts in whose user or system text all these words stand, whatever their case (that of ASCII
        letters on SQLite), ascending; the first `most`. It reads all texts until it has found so many.
        """
        held = (
            self._database.holds(prompts.c.user, storable(each))
            | self._database.holds(prompts.c.system, storable(each))
            for each in words
        )
        rows = self._raw(sa.select(prompts.c.id).where(*held).order_by(prompts.c.id).limit(most))
        return np.fromiter(chain.from_iterable(rows), np.int64, len(rows))

    def prompts_by_id(self, ids: Sequence[int]) -> list[StoredPrompt]:
        """The prompts of these ids, in the order asked. Raises NotFound, naming the first id that has none."""
        found: dict[int, StoredPrompt] = {}
        columns = ("id", "fingerprint", "system", "user")
        with self._database.reading() as connection:
            for row in rows_with(connection, prompts, columns, "id", sorted(set(ids))):
                found[row[0]] = StoredPrompt(*row)
        for prompt_id in ids:
            if prompt_id not in found:
                raise NotFound(f"the store has no prompt {prompt_id}")
        return [found[prompt_id] for prompt_id in ids]

    def event_ids(self, watermark: int, batch: int = EVENT_ID_BATCH) -> Iterator[list[tuple[int, str]]]:
        """(sequence, event_id) of the events up to the watermark, in order, `batch` at a time."""
        for rows in self._pages([events.c.sequence, events.c.event_id], watermark, batch):
            yield list(rows)

    def events_of_prompts(
        self,
        prompt_ids: Sequence[int],
        since: datetime | None = None,
        until: datetime | None = None,
        account_id: str | None = None,
        model: str | None = None,
    ) -> list[PromptEvents]:
        """What is known of each prompt's events among those that pass every filter given.

        since is included, until excluded. In the order asked, each prompt once, those without events left out.
        """
        query = _groups_query(since, until, account_id, model)
        groups: dict[int, list[sa.Row[Any]]] = {}
        for chunk in key_chunks(set(prompt_ids)):
            for row in self._database.all(query.where(events.c.prompt.in_(chunk))):
                groups.setdefault(row.prompt, []).append(row)
        asked = dict.fromkeys(prompt_ids)
        return [_prompt_events(prompt_id, groups[prompt_id]) for prompt_id in asked if prompt_id in groups]

    def _pages(
        self, columns: Sequence[sa.ColumnElement[Any]], watermark: int, size: int, after: int = 0
    ) -> Iterator[Sequence[Any]]:
        """Rows of the events above `after`, up to the watermark, in order of sequence, which must be the first
        column.
        """
        page = sa.select(*columns).where(events.c.sequence <= watermark).order_by(events.c.sequence).limit(size)
        last = after
        while rows := self._raw(page.where(events.c.sequence > last)):
            yield rows
            last = rows[-1][0]

    def _raw(self, query: sa.Select[Any]) -> Sequence[Any]:
        """Every row of a query, as the driver gives it."""
        with self._database.reading() as connection:
            return raw_rows(connection.execute(query))


def _pairs(connection: sa.Connection, query: sa.Select[Any]) -> dict[Any, Any]:
    """The first column's values with the second's."""
    return {row[0]: row[1] for row in connection.execute(query).all()}


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _event_table(
    columns: Mapping[str, IntArray], account_of: Mapping[int, str], name_of: Mapping[int, str]
) -> EventTable:
    """Columns as stored, with row numbers replaced by codes that leave no gaps."""
    account, account_names = _coded(columns["account"], account_of)
    model, model_names = _coded(columns["model"], name_of)
    payment, payment_names = _coded(columns["payment"], name_of)
    network, network_names = _coded(columns["network"], name_of)
    unit, unit_names = _units(columns["account"], columns["org"], account_of, name_of)
    second = 1_000_000
    return EventTable(
        sequence=columns["sequence"],
        prompt=columns["prompt"],
        account=account,
        unit=unit,
        timestamp=columns["timestamp_us"] // second,
        created_at=columns["account_created_us"] // second,  # -1 stays -1
        model=model,
        payment=payment,
        network=network,
        disguised=columns["disguised"],
        account_names=account_names,
        unit_names=unit_names,
        model_names=model_names,
        payment_names=payment_names,
        network_names=network_names,
    )


def _units(
    account: IntArray, org: IntArray, account_of: Mapping[int, str], name_of: Mapping[int, str]
) -> tuple[IntArray, Names]:
    """Codes and names of the units of spread: organisations by their number, other accounts from `shift` on."""
    shift = int(org.max(initial=0)) + 1
    number = np.where(org >= 0, org, account + shift)
    codes, used = _compact(number)
    names = (
        unit_of("", name_of[unit]) if unit < shift else unit_of(account_of[unit - shift], None)
        for unit in used.tolist()
    )
    return codes, Names(tuple(names))


def _coded(numbers: IntArray, name_of: Mapping[int, str]) -> tuple[IntArray, Names]:
    codes, used = _compact(numbers)
    return codes, Names(tuple(name_of[number] for number in used.tolist()))


def _compact(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """Codes 0, 1, ... in order of the numbers (n,) that occur, -1 staying -1, and the number of each code."""
    code_of = np.full(int(numbers.max(initial=-1)) + 2, -1, np.int64)
    code_of[numbers] = 0  # -1 marks the last place, which is there for it alone
    code_of[-1] = -1
    used = np.flatnonzero(code_of == 0)
    code_of[used] = np.arange(len(used))
    return code_of[numbers], used


def _groups_query(
    since: datetime | None, until: datetime | None, account_id: str | None, model: str | None
) -> sa.Select[Any]:
    """Events that pass the filters, counted by prompt, account and model."""
    time = events.c.timestamp_us
    query = (
        sa.select(
            events.c.prompt,
            accounts.c.account_id,
            sa.func.coalesce(names.c.name, "").label("model"),
            sa.func.count().label("events"),
            sa.func.min(time).label("first"),
            sa.func.max(time).label("last"),
        )
        .join_from(events, accounts, events.c.account == accounts.c.id)
        .join(names, events.c.model == names.c.id, isouter=True)
        .group_by(events.c.prompt, accounts.c.account_id, names.c.name)
    )
    if since is not None:
        query = query.where(time >= microseconds(since))
    if until is not None:
        query = query.where(time < microseconds(until))
    if account_id is not None:
        query = query.where(accounts.c.account_id == storable(account_id))
    if model is not None:
        query = query.where(names.c.name == storable(model))
    return query


def _prompt_events(prompt_id: int, groups: Sequence[sa.Row[Any]]) -> PromptEvents:
    models: Counter[str] = Counter()
    senders: Counter[str] = Counter()
    for group in groups:
        models[group.model] += group.events
        senders[group.account_id] += group.events
    return PromptEvents(
        prompt_id=prompt_id,
        events=senders.total(),
        accounts=len(senders),
        first_seen=moment(min(group.first for group in groups)),
        last_seen=moment(max(group.last for group in groups)),
        models=_most_first(models),
        account_ids=dict(islice(_most_first(senders).items(), TOP_ACCOUNTS)),
    )


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
