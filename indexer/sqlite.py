"""SQLite as the database: one file, one writer at a time, readers that never wait."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from models.errors import BadSettings, Busy, StillwatchError, StorageUnusable, UnreadableFile

MARK: Final = "?"  # stands for a parameter in a statement

_WRITES: Final = "stillwatch_writes"
_CACHE_KIB: Final = 65_536


def engines(url: sa.URL, write_wait_s: float) -> tuple[sa.Engine, sa.Engine]:
    """Of the file at a URL, for transactions that only read and for those that may write."""
    engine = sa.create_engine(url, connect_args={"timeout": write_wait_s}, hide_parameters=True)
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return engine, engine.execution_options(**{_WRITES: True})


def where_of(url: sa.URL) -> str:
    """The URL for messages."""
    return url.render_as_string()


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert rows that hold the driver's own types, with the columns in the table's order.

    Core would look at each value of each row again, which takes longer than the insert itself.
    """
    statement = sa.insert(table).compile(dialect=connection.dialect, column_keys=columns)
    connection.exec_driver_sql(str(statement), rows)


def one_of(column: str, values: list[Any]) -> tuple[str, Sequence[Any]]:
    """SQL that asks whether a column, named as in SQL, holds one of the values; and its parameters."""
    return f"{column} IN ({', '.join([MARK] * len(values))})", values


def holds(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """That a column holds a text, whatever the case of ASCII letters, which is how SQLite's LIKE compares.
    SQLAlchemy's `icontains` makes lower-case copies of all texts first, which takes twice as long.
    """
    return column.contains(text, autoescape=True)


def known_error(error: BaseException | None, engine: sa.Engine, opened: bool) -> StillwatchError | None:
    """The error of ours that one of the driver stands for, None if it stands for none."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    where = where_of(engine.url)
    match code & 0xFF:  # the low byte is the kind, the rest the detail
        case sqlite3.SQLITE_BUSY:
            return Busy(f"{where} is held by another process's write")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return UnreadableFile(f"{where} is not an SQLite database: {error}")
        case sqlite3.SQLITE_CANTOPEN:
            return BadSettings(f"{where} cannot be opened: its folder is missing, or may not be written")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY:
            return StorageUnusable(f"{where} takes nothing now: {error}")
        case _:
            return None


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: `_begin` does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    """A writer takes the lock before it reads, or two of them could each wait for the other."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
