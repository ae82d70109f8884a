"""The store: every event, prompt and label, in one SQLite database. The only door to sqlalchemy and alembic.

One process writes at a time and the others wait; readers never wait. What `add_events` and `put_label` return
from is on disk and survives a power cut. Events are never changed or deleted, so a reader that stays at or
below a watermark sees the same events for ever, without holding a transaction open.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
import numpy as np
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import ArgumentError, DBAPIError

from indexer.events import EventTable, IntArray, Names
from indexer.schema import accounts, allowances, events, label_history, labels, names, prompts
from models.allowance import Allowance, AllowanceKind
from models.campaign import CampaignLabel, Label
from models.errors import BadSettings, Busy, NotFound, StillwatchError, UnknownAllowance, UnreadableFile
from models.event import Event, unit_of
from models.prompt import Prompt

WRITE_WAIT_S: Final = 30.0
PROMPT_BATCH: Final = 2_000
EVENT_ID_BATCH: Final = 10_000
TOP_ACCOUNTS: Final = 10

_NAME_KINDS: Final = ("org", "model", "payment", "network")
_KEYS_A_QUERY: Final = 1_000  # far below every database's limit of variables in a statement
_TABLE_ROWS_A_QUERY: Final = 50_000
_CACHE_KIB: Final = 65_536
_WRITES: Final = "stillwatch_writes"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Like a lone surrogate it draws nothing and the canonical form drops it; unlike one it can be written as UTF-8.
_ZERO_WIDTH_SPACE: Final = "\u200b"

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


@dataclass(frozen=True, slots=True)
class _Record:
    """An event made ready to be stored. columns: timestamp_us, account_created_us and attributes (JSON)."""

    event_id: str
    account_id: str
    names: tuple[str | None, ...]  # in the order of _NAME_KINDS
    fingerprint: bytes
    prompt: Prompt
    columns: tuple[int, int | None, str | None]
    digest: bytes


class Store:
    """Events, prompts and labels. Safe to share between threads; use it as a context manager or `close` it."""

    def __init__(self, engine: sa.Engine) -> None:
        """Of an engine whose tables are up to date; `Store.open` is the way to get one."""
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})

    @classmethod
    def open(cls, url: str, write_wait_s: float = WRITE_WAIT_S) -> Self:
        """The store at an SQLAlchemy URL such as `sqlite:////data/stillwatch.db`, its tables brought up to date.

        The file is made if need be, its folder is not. A write waits `write_wait_s` for another process's.
        Raises BadSettings for a URL that cannot be used, UnreadableFile for a file that is no such store.
        """
        engine = _engine(url, write_wait_s)
        store = cls(engine)
        try:
            store._migrate()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Give back every connection. A closed store must not be used."""
        self._engine.dispose()

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
        records = [_record(event) for event in events]
        with self._transaction(self._writer) as connection:
            known = _digests(connection, {record.event_id for record in records})
            fresh, conflicting = _sort_out(records, known)
            if fresh:
                _insert(connection, fresh)
        return AddResult(len(fresh), len(records) - len(fresh) - len(conflicting), tuple(conflicting))

    def watermark(self) -> int:
        """Highest sequence number given to an event, 0 if there is none."""
        with self._transaction() as connection:
            return connection.execute(sa.select(sa.func.max(events.c.sequence))).scalar() or 0

    def counts(self) -> dict[str, int]:
        """Rows of "events", "prompts" and "accounts". Reads an index of each."""
        with self._transaction() as connection:
            return {table.name: _count(connection, table) for table in (events, prompts, accounts)}

    def event_table(self, watermark: int) -> EventTable:
        """Every event with a sequence number up to the watermark. Needs about 200 bytes of memory an event."""
        columns = self._event_columns(watermark)
        with self._transaction() as connection:
            account_of = _pairs(connection, sa.select(accounts.c.id, accounts.c.account_id))
            name_of = _pairs(connection, sa.select(names.c.id, names.c.name))
        return _event_table(columns, account_of, name_of)

    def _event_columns(self, watermark: int) -> dict[str, IntArray]:
        """The integer columns of the events table by name, each of shape (n,), -1 for NULL."""
        selected = [
            sa.func.coalesce(events.c[name], -1).label(name)
            for name in ("prompt", "account", *_NAME_KINDS, "timestamp_us", "account_created_us")
        ]
        keys = ("sequence", *(column.name for column in selected))
        blocks: list[IntArray] = [np.empty((0, len(keys)), np.int64)]
        for rows in self._pages([events.c.sequence, *selected], watermark, _TABLE_ROWS_A_QUERY):
            flat = np.fromiter(chain.from_iterable(rows), np.int64, len(rows) * len(keys))
            blocks.append(flat.reshape(len(rows), len(keys)))
        return {key: np.concatenate([block[:, at] for block in blocks]) for at, key in enumerate(keys)}

    def prompts(self, watermark: int, batch: int = PROMPT_BATCH) -> Iterator[list[StoredPrompt]]:
        """The distinct prompts of the events up to the watermark, in order of fingerprint, `batch` at a time."""
        used = (
            sa.select(events.c.sequence)
            .where(events.c.prompt == prompts.c.id, events.c.sequence <= watermark)
            .exists()
        )
        page = sa.select(prompts).where(used).order_by(prompts.c.fingerprint).limit(batch)
        last = b""
        while rows := self._all(page.where(prompts.c.fingerprint > last)):
            yield [_stored_prompt(row) for row in rows]
            last = rows[-1].fingerprint

    def prompts_by_id(self, ids: Sequence[int]) -> list[StoredPrompt]:
        """The prompts of these ids, in the order asked. Raises NotFound, naming the first id that has none."""
        found: dict[int, StoredPrompt] = {}
        for chunk in _chunks(set(ids)):
            for row in self._all(sa.select(prompts).where(prompts.c.id.in_(chunk))):
                found[row.id] = _stored_prompt(row)
        for prompt_id in ids:
            if prompt_id not in found:
                raise NotFound(f"the store has no prompt {prompt_id}")
        return [found[prompt_id] for prompt_id in ids]

    def event_ids(self, watermark: int, batch: int = EVENT_ID_BATCH) -> Iterator[list[tuple[int, str]]]:
        """(sequence, event_id) of the events up to the watermark, in order, `batch` at a time."""
        for rows in self._pages([events.c.sequence, events.c.event_id], watermark, batch):
            yield [(row.sequence, row.event_id) for row in rows]

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
        for chunk in _chunks(set(prompt_ids)):
            for row in self._all(query.where(events.c.prompt.in_(chunk))):
                groups.setdefault(row.prompt, []).append(row)
        asked = dict.fromkeys(prompt_ids)
        return [_prompt_events(prompt_id, groups[prompt_id]) for prompt_id in asked if prompt_id in groups]

    def put_label(self, label: CampaignLabel) -> None:
        """Make this the campaign's label and add it to the history; it is on disk on return."""
        row = {
            "campaign_id": label.campaign_id,
            "label": label.label.value,
            "note": _storable(label.note),
            "author": _storable(label.author),
            "at_us": _microseconds(label.at),
            "until_us": None if label.until is None else _microseconds(label.until),
        }
        with self._transaction(self._writer) as connection:
            connection.execute(sa.delete(labels).where(labels.c.campaign_id == label.campaign_id))
            connection.execute(sa.insert(labels), row)
            connection.execute(sa.insert(label_history), row)

    def labels(self) -> dict[str, CampaignLabel]:
        """The label in force of each campaign that has one, by campaign id."""
        return {row.campaign_id: _label(row) for row in self._all(sa.select(labels))}

    def allow(self, rule: Allowance) -> Allowance:
        """Adds an allow-list rule and gives it with its id. The same kind and value again, while it is in force,
        changes nothing and gives the rule that is there.
        """
        value = _storable(rule.value)
        row = {
            "kind": rule.kind.value,
            "value": value,
            "note": _storable(rule.note),
            "author": _storable(rule.author),
            "at_us": _microseconds(rule.at),
            "until_us": None if rule.until is None else _microseconds(rule.until),
        }
        with self._transaction(self._writer) as connection:
            for each in self.allowances():
                ended = each.until is not None and each.until <= rule.at
                if (each.kind, each.value) == (rule.kind, value) and not ended:
                    return each
            number = connection.execute(sa.insert(allowances), row).inserted_primary_key
        return replace(rule, rule_id=int(number[0]) if number else 0, value=value)

    def disallow(self, rule_id: int, author: str, at: datetime) -> None:
        """Takes a rule back; its row stays. Raises UnknownAllowance."""
        change = {"removed_by": _storable(author), "removed_us": _microseconds(at)}
        here = (allowances.c.id == rule_id) & allowances.c.removed_us.is_(None)
        with self._transaction(self._writer) as connection:
            if not connection.execute(sa.update(allowances).where(here), change).rowcount:
                raise UnknownAllowance(f"there is no allow-list rule {rule_id}")

    def allowances(self) -> list[Allowance]:
        """The rules that were not taken back, those that have run out included, oldest first."""
        rows = self._all(sa.select(allowances).where(allowances.c.removed_us.is_(None)).order_by(allowances.c.id))
        return [
            Allowance(
                row.id,
                AllowanceKind(row.kind),
                row.value,
                row.note,
                row.author,
                _moment(row.at_us),
                None if row.until_us is None else _moment(row.until_us),
            )
            for row in rows
        ]

    def _migrate(self) -> None:
        """Apply the steps of `indexer.migrations` that this database lacks, all or none of them."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        newest = ScriptDirectory.from_config(config).get_current_head()
        with self._transaction() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current == newest:
            return  # without the write lock: opening must not wait for another process's ingest
        with self._transaction(self._writer) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                where = self._engine.url.render_as_string()
                raise UnreadableFile(f"{where} was written by another version: {error}") from error

    def _pages(
        self, columns: Sequence[sa.ColumnElement[Any]], watermark: int, size: int
    ) -> Iterator[Sequence[sa.Row[Any]]]:
        """Rows of the events up to the watermark in order of sequence, which must be the first column."""
        page = sa.select(*columns).where(events.c.sequence <= watermark).order_by(events.c.sequence).limit(size)
        last = 0
        while rows := self._all(page.where(events.c.sequence > last)):
            yield rows
            last = rows[-1].sequence

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._transaction() as connection:
            return connection.execute(query).all()

    @contextmanager
    def _transaction(self, engine: sa.Engine | None = None) -> Iterator[sa.Connection]:
        """A transaction, for reading unless `_writer` is given; committed at the end, undone by an exception."""
        try:
            with (engine or self._engine).begin() as connection:
                yield connection
        except DBAPIError as error:
            known = _known_error(error, self._engine.url)
            if known is None:
                raise
            raise known from error


def _engine(url: str, write_wait_s: float) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise BadSettings(f"store URL {url!r} is not of the form sqlite:////path/to/file") from error
    if parsed.get_backend_name() != "sqlite":
        raise BadSettings(f"store URL names {parsed.get_backend_name()!r}; only sqlite is known")
    engine = sa.create_engine(parsed, connect_args={"timeout": write_wait_s})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: `_begin_sqlite` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer takes the lock before it reads, or two of them could each wait for the other."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _known_error(error: DBAPIError, url: sa.URL) -> StillwatchError | None:
    """The error of ours that a database error stands for, None if it stands for none."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return None
    where = url.render_as_string()
    match code & 0xFF:  # the low byte is the kind, the rest the detail
        case sqlite3.SQLITE_BUSY:
            return Busy(f"{where} is held by another process's write")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return UnreadableFile(f"{where} is not an SQLite database: {error.orig}")
        case sqlite3.SQLITE_CANTOPEN:
            return BadSettings(f"{where} cannot be opened: does its folder exist?")
        case _:
            return None


def _record(event: Event) -> _Record:
    prompt = Prompt(_storable(event.prompt.system), _storable(event.prompt.user))
    given = (event.org_id, event.model, event.payment_id, event.network)
    event_names = tuple(_storable(name) if name else None for name in given)
    account_id = _storable(event.account_id)
    created = event.account_created_at
    columns = (
        _microseconds(event.timestamp),
        None if created is None else _microseconds(created),
        _json(_storable_json(event.attributes)) if event.attributes else None,
    )
    content = _json((account_id, event_names, prompt.system, prompt.user, columns))
    digest = blake2b(content.encode(), digest_size=16).digest()
    event_id = _storable(event.event_id)
    return _Record(event_id, account_id, event_names, prompt.fingerprint(), prompt, columns, digest)


def _json(value: object) -> str:
    """JSON with keys in order, so that equal values give equal text."""
    return msgspec.json.encode(value, order="deterministic").decode()


def _storable(text: str) -> str:
    """The text with anything that UTF-8 cannot hold made invisible."""
    return text if text.isascii() else _LONE_SURROGATE.sub(_ZERO_WIDTH_SPACE, text)


def _storable_json(value: object) -> object:
    """`_storable` of every text and key in a JSON value."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, Mapping):
        return {_storable(key): _storable_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable_json(inner) for inner in value]
    return value


def _digests(connection: sa.Connection, event_ids: Iterable[str]) -> dict[str, bytes]:
    """Content digest of each of these events that is stored."""
    query = sa.select(events.c.event_id, events.c.digest)
    known: dict[str, bytes] = {}
    for chunk in _chunks(event_ids):
        known.update(_pairs(connection, query.where(events.c.event_id.in_(chunk))))
    return known


def _sort_out(records: Sequence[_Record], known: dict[str, bytes]) -> tuple[list[_Record], list[int]]:
    """The records to store, and the positions of those that contradict `known` or an earlier record."""
    fresh: list[_Record] = []
    conflicting: list[int] = []
    for position, record in enumerate(records):
        if record.event_id not in known:
            known[record.event_id] = record.digest
            fresh.append(record)
        elif known[record.event_id] != record.digest:
            conflicting.append(position)
    return fresh, conflicting


def _insert(connection: sa.Connection, records: Sequence[_Record]) -> None:
    senders = {record.account_id: (record.account_id,) for record in records}
    account_ids = _numbers(connection, accounts, accounts.c.account_id, senders)
    texts: dict[bytes, tuple[bytes, str, str]] = {}
    for record in records:
        texts.setdefault(record.fingerprint, (record.fingerprint, record.prompt.system, record.prompt.user))
    prompt_ids = _numbers(connection, prompts, prompts.c.fingerprint, texts)
    orgs, models, payments, networks = (
        _name_numbers(connection, kind, {record.names[position] for record in records})
        for position, kind in enumerate(_NAME_KINDS)
    )
    rows = [
        (
            record.event_id,
            account_ids[record.account_id],
            orgs[record.names[0]],
            models[record.names[1]],
            payments[record.names[2]],
            networks[record.names[3]],
            prompt_ids[record.fingerprint],
            *record.columns,
            record.digest,
        )
        for record in records
    ]
    _insert_rows(connection, events, [column.name for column in events.c if column.name != "sequence"], rows)


def _insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert rows that hold the driver's own types, with the columns in the table's order.

    Core would look at each value of each row again, which takes longer than the insert itself.
    """
    statement = sa.insert(table).compile(dialect=connection.dialect, column_keys=columns)
    connection.exec_driver_sql(str(statement), rows)


def _name_numbers(connection: sa.Connection, kind: str, given: set[str | None]) -> dict[str | None, int | None]:
    rows: dict[str | None, tuple[str, str]] = {name: (kind, name) for name in sorted(filter(None, given))}
    return {None: None, **_numbers(connection, names, names.c.name, rows, names.c.kind == kind)}


def _numbers(
    connection: sa.Connection,
    table: sa.Table,
    key: sa.Column[Any],
    rows: Mapping[K, tuple[Any, ...]],
    *among: sa.ColumnElement[bool],
) -> dict[K, int]:
    """The id of each row, by its value in the key column; rows not in the table yet are added in their order.

    rows: all columns but the id, which comes first in the table. among: where the key is unique.
    New ids are chosen here, which is safe since only one transaction writes at a time.
    """
    query = sa.select(key, table.c.id).where(*among)
    found: dict[K, int] = {}
    for chunk in _chunks(rows):
        found.update(_pairs(connection, query.where(key.in_(chunk))))
    new = [value for value in rows if value not in found]
    if new:
        highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0
        found.update(zip(new, range(highest + 1, highest + 1 + len(new)), strict=True))
        _insert_rows(connection, table, table.c.keys(), [(found[value], *rows[value]) for value in new])
    return found


def _pairs(connection: sa.Connection, query: sa.Select[Any]) -> dict[Any, Any]:
    """The first column's values with the second's."""
    return {row[0]: row[1] for row in connection.execute(query).all()}


def _chunks(values: Iterable[K]) -> Iterator[list[K]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, _KEYS_A_QUERY)):
        yield chunk


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


def _stored_prompt(row: sa.Row[Any]) -> StoredPrompt:
    return StoredPrompt(row.id, row.fingerprint, row.system, row.user)


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
        query = query.where(time >= _microseconds(since))
    if until is not None:
        query = query.where(time < _microseconds(until))
    if account_id is not None:
        query = query.where(accounts.c.account_id == _storable(account_id))
    if model is not None:
        query = query.where(names.c.name == _storable(model))
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
        first_seen=_moment(min(group.first for group in groups)),
        last_seen=_moment(max(group.last for group in groups)),
        models=_most_first(models),
        account_ids=dict(islice(_most_first(senders).items(), TOP_ACCOUNTS)),
    )


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _label(row: sa.Row[Any]) -> CampaignLabel:
    until = None if row.until_us is None else _moment(row.until_us)
    return CampaignLabel(row.campaign_id, Label(row.label), row.note, row.author, _moment(row.at_us), until)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND
