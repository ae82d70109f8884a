"""PostgreSQL as the database, through psycopg: made to behave as SQLite does where the stores rely on it.

Writing transactions take turns: each holds an advisory lock of the database from before its first statement until
after its end, so that what it reads is all that was ever committed, and sequence numbers appear in their order.
A transaction that reads sees one state of the database and waits for nobody.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from models.errors import BadSettings, Busy, StillwatchError, StorageUnusable

DRIVER: Final = "postgresql+psycopg"
MARK: Final = "%s"

_WRITES: Final = "stillwatch_writes"
_READING: Final[Mapping[str, Any]] = {"isolation_level": "REPEATABLE READ"}
# Each statement sees what is committed when it starts. In the other levels that would be what was committed when
# the transaction started to wait for its turn.
_WRITING: Final[Mapping[str, Any]] = {"isolation_level": "READ COMMITTED", _WRITES: True}

_TURN: Final = 0x5354494C4C  # number of the advisory lock; it holds within one database
# The first: a server told not to wait for its disk must do so for us. A standby's acknowledgement it may ask for.
_SET_UP: Final = """
select set_config('synchronous_commit', case setting when 'off' then 'on' else setting end, true),
       set_config('lock_timeout', %s, true)
from current_setting('synchronous_commit') as setting"""
_TAKE_TURN: Final = f"select pg_advisory_xact_lock({_TURN})"

# What a URL may override. Without these a server that vanished without a word would be waited for, for minutes.
_CONNECTION: Final[Mapping[str, Any]] = {
    "application_name": "stillwatch",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

_BUSY: Final = ("55P03", "40")  # of SQLSTATE: waited too long for a lock; deadlock, conflict with a standby
_SETTINGS: Final = ("28", "3D", "3F", "42501")  # no such role or password, database, schema; no permission
# Connection lost, read-only, out of disk, memory or connections, over a limit of time, shutting down, I/O, damage.
_UNUSABLE: Final = ("08", "25006", "53", "57", "58", "XX001", "XX002")


def engines(url: sa.URL, write_wait_s: float) -> tuple[sa.Engine, sa.Engine]:
    """Of the database at a URL, for transactions that only read and for those that may write. Raises BadSettings
    for another driver than psycopg.
    """
    if url.drivername not in ("postgresql", DRIVER):
        raise BadSettings(f"store URL begins with {url.drivername}, not with {DRIVER}")
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings of a COPY that failed show the row
    given = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    engine = sa.create_engine(
        url.set(drivername=DRIVER),
        connect_args={**given, "client_encoding": "utf8"},
        pool_pre_ping=True,  # a server that was away is found again without an error
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", partial(_check, where_of(url)))
    sa.event.listen(engine, "begin", partial(_begin, max(1, round(1000 * write_wait_s))))  # 0 would wait for ever
    return engine.execution_options(**_READING), engine.execution_options(**_WRITING)


def where_of(url: sa.URL) -> str:
    """The URL for messages: without its password, and without parameters, which may hold one."""
    return url.set(query={}).render_as_string()


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert rows by COPY, with the columns in the order given. Errors are the driver's own."""
    name = connection.dialect.identifier_preparer
    target = f"{name.format_table(table)} ({', '.join(map(name.quote, columns))})"
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def one_of(column: str, values: list[Any]) -> tuple[str, Sequence[Any]]:
    """SQL that asks whether a column holds one of the values, which travel as one: psycopg would look for each of
    a thousand parameters in the statement anew each time.
    """
    return f"{column} = ANY({MARK})", [values]


def holds(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """That a column holds a text, whatever the case of letters."""
    return column.icontains(text, autoescape=True)


def known_error(error: BaseException | None, engine: sa.Engine, opened: bool) -> StillwatchError:
    """The error of ours that one of the driver stands for. One that stands for none is told by the server's first
    line alone: the others show values, which may be words of a prompt.

    opened: whether the database was in use before, so that the settings are known to work.
    """
    where = where_of(engine.url)
    driver: Any = engine.dialect.loaded_dbapi
    state: str = getattr(error, "sqlstate", None) or ""
    if not state and isinstance(error, driver.OperationalError):  # no connection; libpq gives only text for it
        reason = " ".join(str(error).split())
        if not opened and _is_up(engine):
            return BadSettings(f"{where} does not let us in: {reason}")
        return StorageUnusable(f"{where} does not answer: {reason}")
    said = error.diag.message_primary if isinstance(error, driver.Error) else None
    reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if state.startswith(_BUSY):
        return Busy(f"{where} is held by another process's write")
    if state.startswith(_SETTINGS):
        return BadSettings(f"{where} does not let us in: {reason}")
    if state.startswith(_UNUSABLE):
        return StorageUnusable(f"{where} takes nothing now: {reason}")
    return StillwatchError(f"{where} refused a statement: {reason}")


def _is_up(engine: sa.Engine) -> bool:
    """Whether a server answers there, no matter whom it lets in."""
    driver: Any = engine.dialect.loaded_dbapi
    _, arguments = engine.dialect.create_connect_args(engine.url)
    ours = {name: value for name, value in arguments.items() if name != "context"}  # that is psycopg's
    conninfo = driver.conninfo.make_conninfo(**{**_CONNECTION, **ours})
    return bool(driver.pq.PGconn.ping(conninfo.encode()) == driver.pq.Ping.OK)


def _check(where: str, connection: Any, _record: object) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise BadSettings(f"{where} is encoded as {encoding}; prompts need UTF8")


def _begin(lock_timeout_ms: int, connection: sa.Connection) -> None:
    """A writer waits for its turn before it reads: what it finds then is what there is."""
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql(_SET_UP, (str(lock_timeout_ms),))
        connection.exec_driver_sql(_TAKE_TURN)
