"""The database under the stores: connections, transactions, migrations, and what its columns can hold.

One process writes at a time and the others wait; readers never wait. What a writing transaction left is on disk
and survives a power cut.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import ArgumentError, DBAPIError

from models.errors import BadSettings, Busy, StillwatchError, StorageUnusable, UnreadableFile

WRITE_WAIT_S: Final = 30.0

_CACHE_KIB: Final = 65_536
_WRITES: Final = "stillwatch_writes"


class Database:
    """Safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        """Of an engine whose tables are up to date; `Database.open` is the way to get one."""
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})

    @classmethod
    def open(cls, url: str, write_wait_s: float = WRITE_WAIT_S) -> Self:
        """The database at an SQLAlchemy URL such as `sqlite:////data/stillwatch.db`, its tables brought up to
        date.

        The file is made if need be, its folder is not. A write waits `write_wait_s` for another process's.
        Raises BadSettings for a URL that cannot be used, UnreadableFile for a file that is no such database.
        """
        database = cls(_engine(url, write_wait_s))
        try:
            database._migrate()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Give back every connection. A closed database must not be used."""
        self._engine.dispose()

    def all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Every row of a query."""
        with self.reading() as connection:
            return connection.execute(query).all()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that only reads."""
        return self._transaction(self._engine)

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that may write; committed at the end, undone by an exception. Raises Busy if others write
        for too long.
        """
        return self._transaction(self._writer)

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
                where = self._engine.url.render_as_string()
                raise UnreadableFile(f"{where} was written by another version: {error}") from error

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        try:
            with engine.begin() as connection:
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
            return BadSettings(f"{where} cannot be opened: its folder is missing, or may not be written")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY:
            return StorageUnusable(f"{where} takes nothing now: {error.orig}")
        case _:
            return None
