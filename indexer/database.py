"""The database under the stores, SQLite or PostgreSQL: connections, transactions, migrations.

One process writes at a time and the others wait; readers never wait. What a writing transaction left is on disk
and survives a power cut.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import ArgumentError, DBAPIError

from indexer import postgres, sqlite
from models.errors import BadSettings, StillwatchError, UnreadableFile

WRITE_WAIT_S: Final = 30.0
_KEYS_A_QUERY: Final = 1_000  # far below every database's limit of variables in a statement

_FORMS: Final = f"sqlite:////path/to/file or {postgres.DRIVER}://user@host/database"

K = TypeVar("K")


class _Backend(Protocol):
    """What differs from one kind of database to another; `indexer.sqlite` says what each part is."""

    MARK: str

    def engines(self, url: sa.URL, write_wait_s: float) -> tuple[sa.Engine, sa.Engine]: ...
    def where_of(self, url: sa.URL) -> str: ...
    def insert_rows(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
    ) -> None: ...
    def one_of(self, column: str, values: list[Any]) -> tuple[str, Sequence[Any]]: ...
    def holds(self, column: sa.Column[str], text: str) -> sa.ColumnElement[bool]: ...
    def known_error(
        self, error: BaseException | None, engine: sa.Engine, opened: bool
    ) -> StillwatchError | None: ...


_BACKENDS: Final[Mapping[str, _Backend]] = {"sqlite": sqlite, "postgresql": postgres}


class Database:
    """Safe to share between threads."""

    def __init__(self, reader: sa.Engine, writer: sa.Engine) -> None:
        """Of engines that share their connections; `Database.open` is the way to get one that is up to date."""
        self._reader = reader
        self._writer = writer
        self._backend = _BACKENDS[reader.dialect.name]
        self._driver_error: type[Exception] = reader.dialect.loaded_dbapi.Error
        self._opened = False

    @classmethod
    def open(cls, url: str, write_wait_s: float = WRITE_WAIT_S) -> Self:
        """The database at an SQLAlchemy URL such as `sqlite:////data/stillwatch.db`, its tables brought up to
        date.

        SQLite's file is made if need be; its folder, or a database of PostgreSQL, is not. A write waits
        `write_wait_s` for another process's. Raises BadSettings for a URL that cannot be used or whose server
        lets us not in, StorageUnusable if no server answers, UnreadableFile for a file that is no such database.
        """
        parsed = _parsed(url)
        database = cls(*_BACKENDS[parsed.get_backend_name()].engines(parsed, write_wait_s))
        try:
            database._migrate()
        except BaseException:
            database.close()
            raise
        database._opened = True
        return database

    def close(self) -> None:
        """Give back every connection. A closed database must not be used."""
        self._reader.dispose()

    def all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Every row of a query."""
        with self.reading() as connection:
            return connection.execute(query).all()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that only reads, and sees one state of the database. Raises StorageUnusable while none is
        to be had, as `writing` does.
        """
        return self._transaction(self._reader)

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write; committed at the end, undone by an exception. Raises Busy if others write
        for too long.
        """
        return self._transaction(self._writer)

    def holds(self, column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
        """That a column of a query holds a text, whatever its case (that of ASCII letters on SQLite)."""
        return self._backend.holds(column, text)

    def _migrate(self) -> None:
        """Apply the steps of `indexer.migrations` that this database lacks, all or none of them."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        newest = ScriptDirectory.from_config(config).get_current_head()
        with self.reading() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current == newest:
            return  # without the write lock: opening must not wait for another process's ingest
        with self.writing() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                where = self._backend.where_of(self._reader.url)
                raise UnreadableFile(f"{where} was written by another version: {error}") from error

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except (DBAPIError, self._driver_error) as error:  # the latter from what goes round SQLAlchemy
            cause = error.orig if isinstance(error, DBAPIError) else error
            known = self._backend.known_error(cause, self._reader, self._opened)
            if known is None:
                raise
            raise known from error


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert many rows that hold the driver's own types, in the fastest way of the database.

    columns: those the rows hold, in the table's order.
    """
    _BACKENDS[connection.dialect.name].insert_rows(connection, table, columns, rows)


def key_chunks(keys: Iterable[K]) -> Iterator[list[K]]:
    """The keys in order, as many at a time as one statement may ask for."""
    remaining = iter(keys)
    while chunk := list(islice(remaining, _KEYS_A_QUERY)):
        yield chunk


def rows_with(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], key: str, keys: Iterable[Any], **among: Any
) -> Iterator[Sequence[Any]]:
    """Some columns of the rows with one of these keys, and with what is given of other columns in each of them, as
    the driver gives them. keys, among: of the driver's own types.

    Core would make a parameter of its own of each key, which takes longer than to look it up.
    """
    backend, quote = _BACKENDS[connection.dialect.name], connection.dialect.identifier_preparer.quote
    query = f"SELECT {', '.join(map(quote, columns))} FROM {quote(table.name)} WHERE "
    query += "".join(f"{quote(column)} = {backend.MARK} AND " for column in among)
    for chunk in key_chunks(keys):
        one_of, values = backend.one_of(quote(key), chunk)
        yield from raw_rows(connection.exec_driver_sql(query + one_of, (*among.values(), *values)))


def raw_rows(result: sa.CursorResult[Any]) -> Sequence[Any]:
    """All rows as the driver gives them: a million of SQLAlchemy's own take seconds to make."""
    cursor: Any = result.cursor
    found: Sequence[Any] = cursor.fetchall()
    return found


def _parsed(url: str) -> sa.URL:
    """Raises BadSettings, which shows nothing of the URL: somewhere in it may stand a password."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise BadSettings(f"store URL is neither {_FORMS}") from error
    if parsed.get_backend_name() not in _BACKENDS:
        raise BadSettings(f"store URL names {parsed.get_backend_name()!r}; it must be {_FORMS}")
    if "@" in (parsed.host or ""):
        raise BadSettings("store URL has two @: one in a password is written %40")
    return parsed
