"""What only PostgreSQL has: a server that may be away or refuse us, turns to write, orders of its own."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from gateway_house import free_port
from postgres_house import PASSWORD, Server, serving
from stored import START, beside, event, raw

from indexer.database import insert_rows
from indexer.insertion import AddResult
from indexer.schema import metadata
from indexer.store import Store
from models.errors import BadSettings, Busy, StillwatchError, StorageUnusable
from models.key import ApiKey, Role
from models.prompt import Prompt

pytestmark = pytest.mark.postgres

QUOTED = quote(PASSWORD, safe="")
WAITING = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
SECRET = "zanzibar quokka marmalade"


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.fresh()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


def refusal(url: str) -> StillwatchError:
    with pytest.raises(StillwatchError) as caught:
        Store.open(url)
    assert PASSWORD not in str(caught.value)
    assert QUOTED not in str(caught.value)
    return caught.value


# Who is let in


def test_a_wrong_password_an_unknown_role_or_database_and_no_permission_are_settings(postgres: Server) -> None:
    where = f"127.0.0.1:{postgres.port}"
    wrong = refusal(postgres.url("postgres", password="w/rong"))
    assert type(wrong) is BadSettings
    assert str(wrong).startswith(f"postgresql+psycopg://admin:***@{where}/postgres does not let us in: ")
    assert 'password authentication failed for user "admin"' in str(wrong)
    nobody = refusal(postgres.url("postgres", user="nobody"))
    assert (type(nobody), 'user "nobody"' in str(nobody)) == (BadSettings, True)
    nowhere = refusal(postgres.url("nowhere"))
    assert (type(nowhere), 'database "nowhere" does not exist' in str(nowhere)) == (BadSettings, True)
    postgres.tell(f"create role guest login password '{PASSWORD}'")
    guest = refusal(postgres.url("postgres", user="guest"))
    assert (type(guest), "permission denied for schema public" in str(guest)) == (BadSettings, True)


def test_a_server_that_does_not_answer_is_unusable_storage() -> None:
    port = free_port()
    error = refusal(f"postgresql+psycopg://u:{QUOTED}@127.0.0.1:{port}/db")
    assert type(error) is StorageUnusable
    assert str(error).startswith(f"postgresql+psycopg://u:***@127.0.0.1:{port}/db does not answer: ")
    assert "Connection refused" in str(error)


def test_parameters_of_a_url_count_and_are_not_shown(postgres: Server) -> None:
    hidden = f"postgresql://127.0.0.1:{postgres.port}/nowhere?user=admin&password={quote(PASSWORD, safe='')}"
    where = f"postgresql+psycopg://127.0.0.1:{postgres.port}/nowhere"
    assert str(refusal(hidden)).startswith(f"{where} does not let us in: ")
    named = f"{postgres.fresh()}?application_name=mine"
    with Store.open(named) as store, store._database.reading() as connection:
        found = connection.exec_driver_sql("select current_setting('application_name')").scalar()
        assert found == "mine"
        assert connection.exec_driver_sql("show client_encoding").scalar() == "UTF8"


def test_a_database_of_another_encoding_is_refused(postgres: Server) -> None:
    postgres.tell("create database latin encoding 'LATIN1' locale_provider libc locale 'C' template template0")
    error = refusal(postgres.url("latin"))
    assert type(error) is BadSettings
    assert str(error).endswith("/latin is encoded as LATIN1; prompts need UTF8")


# A server that goes away


def test_a_server_that_was_away_is_found_again() -> None:
    with serving() as server, Store.open(server.fresh()) as store:
        assert store.add_events([event(1)]) == AddResult(1, 0, ())
        for how in (signal.SIGINT, signal.SIGQUIT):
            before = store.counts()
            server.stop(how)
            for ask in (
                store.watermark,
                store.counts,
                store.verdicts.labels,
                lambda: store.add_events([event(9)]),
            ):
                with pytest.raises(StorageUnusable, match=r"admin:\*\*\*@.* does not answer: .*refused"):
                    ask()
            server.start()
            assert store.counts() == before
        assert store.add_events([event(1), event(2)]) == AddResult(1, 1, ())


def test_a_connection_that_is_cut_in_the_middle_leaves_nothing(postgres: Server, store: Store) -> None:
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stillwatch'"

    def half() -> None:
        with store._database.writing() as connection:
            connection.execute(sa.insert(metadata.tables["accounts"]), {"id": 1, "account_id": "a"})
            postgres.tell(cut)
            connection.exec_driver_sql("select 1")

    with pytest.raises(
        StorageUnusable, match="AdminShutdown: terminating connection due to administrator command"
    ):
        half()
    assert store.counts() == {"events": 0, "prompts": 0, "accounts": 0}
    assert store.add_events([event(1)]) == AddResult(1, 0, ())


def test_a_copy_that_is_cut_leaves_nothing(postgres: Server, store: Store, url: str) -> None:
    with beside(url) as connection:  # the server ends the connection while it takes the rows
        connection.exec_driver_sql(
            "create function cut() returns trigger language plpgsql as $$ begin"
            " perform pg_terminate_backend(pg_backend_pid()); return new; end $$"
        )
        connection.exec_driver_sql(
            "create trigger cut before insert on events for each row execute function cut()"
        )
    with pytest.raises(StorageUnusable):
        store.add_events([event(1)])
    with beside(url) as connection:
        connection.exec_driver_sql("drop function cut cascade")
    assert store.counts() == {"events": 0, "prompts": 0, "accounts": 0}
    assert store.add_events([event(1)]) == AddResult(1, 0, ())


@contextmanager
def failing_with(url: str, state: str) -> Iterator[None]:
    """Whoever inserts a prompt is told the error of this SQLSTATE, with the words of the prompt."""
    with beside(url) as connection:
        connection.exec_driver_sql(
            "create function fail() returns trigger language plpgsql as $$ begin raise exception 'no room'"
            f" using errcode = '{state}', detail = new.user; end $$"
        )
        connection.exec_driver_sql(
            "create trigger fail before insert on prompts for each row execute function fail()"
        )
    yield
    with beside(url) as connection:
        connection.exec_driver_sql("drop function fail cascade")


@pytest.mark.parametrize(
    ("state", "kind", "said"),
    [
        ("53100", StorageUnusable, "takes nothing now: DiskFull: no room"),
        ("53200", StorageUnusable, "takes nothing now: OutOfMemory: no room"),
        ("58030", StorageUnusable, "takes nothing now: IoError: no room"),
        ("XX001", StorageUnusable, "takes nothing now: DataCorrupted: no room"),
        ("57014", StorageUnusable, "takes nothing now: QueryCanceled: no room"),  # over the server's limit of time
        ("40P01", Busy, "is held by another process's write"),  # deadlock
        ("42501", BadSettings, "does not let us in: InsufficientPrivilege: no room"),
        ("22023", StillwatchError, "refused a statement: InvalidParameterValue: no room"),
    ],
)
def test_what_the_server_says_becomes_an_error_of_ours_without_a_word_of_a_prompt(
    store: Store, url: str, state: str, kind: type[StillwatchError], said: str
) -> None:
    with failing_with(url, state), pytest.raises(StillwatchError) as caught:
        store.add_events([event(1, prompt=Prompt("", SECRET))])
    assert type(caught.value) is kind
    assert str(caught.value).endswith(said)
    assert SECRET not in str(caught.value)
    assert store.add_events([event(1, prompt=Prompt("", SECRET))]) == AddResult(1, 0, ())


def test_a_database_that_may_only_be_read_is_read(postgres: Server, url: str) -> None:
    Store.open(url).close()
    postgres.tell(f"alter database {sa.make_url(url).database} set default_transaction_read_only = on")
    with Store.open(url) as store:
        assert store.watermark() == 0
        with pytest.raises(
            StorageUnusable,
            match=r"takes nothing now: ReadOnlySqlTransaction: cannot execute .* in a read-only transaction",
        ):
            store.add_events([event(1)])


def test_nothing_that_is_sent_is_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store.add_events([event(1, prompt=Prompt("", SECRET))])
    assert store.prompts_by_id([1])[0].user == SECRET
    assert SECRET not in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("broken", [object(), "nul \x00", KeyboardInterrupt()])
def test_rows_that_fail_on_our_side_leave_nothing_and_are_not_logged(
    store: Store, caplog: pytest.LogCaptureFixture, broken: object
) -> None:
    """Such a row is no reason to try again, unlike a server that does not answer."""

    def rows() -> Iterator[tuple[object, ...]]:
        yield 1, b"1" * 16, "", SECRET
        if isinstance(broken, BaseException):
            raise broken
        yield 2, b"2" * 16, SECRET, broken

    kind = KeyboardInterrupt if isinstance(broken, KeyboardInterrupt) else StillwatchError
    table = metadata.tables["prompts"]
    with pytest.raises(kind) as caught, store._database.writing() as connection:
        insert_rows(connection, table, table.c.keys(), rows())  # type: ignore[arg-type]
    assert not isinstance(caught.value, StorageUnusable)
    assert SECRET not in f"{caught.value} {caplog.text}"
    assert store.counts()["prompts"] == 0


def test_rows_that_fail_on_both_sides_are_not_logged(
    store: Store, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def rows() -> Iterator[tuple[object, ...]]:
        for number in range(2000):  # more than psycopg holds back
            yield number, number.to_bytes(16, "big"), "", f"{SECRET} {number}"
        raise KeyboardInterrupt

    def insert() -> None:
        with store._database.writing() as connection:
            table = metadata.tables["prompts"]
            insert_rows(connection, table, table.c.keys(), rows())  # type: ignore[arg-type]

    with failing_with(url, "53100"), pytest.raises(KeyboardInterrupt):
        insert()
    assert SECRET not in caplog.text


# Turns


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_a_sequence_number_given_but_not_committed_is_not_overtaken(store: Store, url: str) -> None:
    """Or a reader would see number 2, take it for the watermark, and find number 1 below it later."""
    results: list[AddResult] = []
    with Store.open(url) as other:
        second = threading.Thread(target=lambda: results.append(other.add_events([event(2)])))
        with store._database.writing() as connection:
            given = connection.exec_driver_sql("select nextval('events_sequence_seq')").scalar()
            second.start()
            assert within(20, lambda: raw(url, WAITING) == [(1,)])
            assert (given, store.watermark(), results) == (1, 0, [])
        second.join()
    assert results == [AddResult(1, 0, ())]
    assert store.watermark() == 2


@pytest.mark.parametrize("level", ["read committed", "serializable"])
def test_a_writer_finds_what_was_committed_while_it_waited(postgres: Server, level: str) -> None:
    """Whatever the database's own level: a snapshot from before the wait would lack it."""
    url = postgres.fresh()
    postgres.tell(f"alter database {sa.make_url(url).database} set default_transaction_isolation = '{level}'")
    results: list[AddResult] = []
    with Store.open(url) as store, Store.open(url) as other:
        threads = [
            threading.Thread(target=lambda each=each: results.append(each.add_events([event(1), event(2)])))
            for each in (store, other)
        ]
        with store._database.writing():
            for thread in threads:
                thread.start()
            assert within(20, lambda: raw(url, WAITING) == [(2,)])
        for thread in threads:
            thread.join()
        assert store.counts() == {"events": 2, "prompts": 2, "accounts": 2}
    assert sorted(results, key=lambda each: each.stored) == [AddResult(0, 2, ()), AddResult(2, 0, ())]


def test_writers_of_two_databases_do_not_wait_for_each_other(store: Store, postgres: Server) -> None:
    with Store.open(postgres.fresh(), write_wait_s=0.05) as other, store._database.writing():
        assert other.add_events([event(1)]) == AddResult(1, 0, ())


def test_several_open_a_new_database_at_once(url: str) -> None:
    versions: list[Any] = []

    def work() -> None:
        with Store.open(url) as store:
            versions.append(store.counts())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [{"events": 0, "prompts": 0, "accounts": 0}] * 4


def test_a_transaction_that_reads_sees_one_state(store: Store) -> None:
    accounts = metadata.tables["accounts"]
    with store._database.reading() as connection:
        assert connection.execute(sa.select(accounts)).all() == []
        store.add_events([event(1)])
        assert connection.execute(sa.select(accounts)).all() == []
    assert store.counts()["accounts"] == 1


def test_an_acknowledged_write_is_on_disk_even_if_the_server_does_not_wait(postgres: Server, url: str) -> None:
    name = sa.make_url(url).database
    for given, ours in [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]:
        postgres.tell(f"alter database {name} set synchronous_commit = '{given}'")
        with Store.open(url, write_wait_s=0.5) as store, store._database.writing() as connection:
            assert connection.exec_driver_sql("show synchronous_commit").scalar() == ours
            assert connection.exec_driver_sql("show lock_timeout").scalar() == "500ms"


# Order and size


def test_texts_are_in_the_order_of_their_bytes_whatever_the_language_of_the_database(store: Store) -> None:
    names = ["Zebra", "aardvark", "_x", "1", "é", "Äther", "z", "B"]
    with store._database.reading() as connection:
        values = ", ".join(f"('{name}')" for name in names)
        english = (
            connection.exec_driver_sql(f"select column1 from (values {values}) as t order by 1").scalars().all()
        )
    assert list(english) != sorted(names)  # else this would show nothing
    for name in names:
        store.keys.add(ApiKey(name, name, Role.GATEWAY, b"d" * 32, None, START, None, None))
    assert [key.key_id for key in store.keys.all()] == sorted(names)
    accounts = metadata.tables["accounts"]
    store.add_events([event(n, account_id=name) for n, name in enumerate(names)])
    ordered = store._database.all(sa.select(accounts.c.account_id).order_by(accounts.c.account_id))
    assert [name for (name,) in ordered] == sorted(names)


def test_the_longest_ids_fit_into_the_indexes(store: Store) -> None:
    number = iter(range(0x10000, 0x20000))

    def longest() -> str:  # characters of four bytes that do not repeat, since PostgreSQL packs what does
        return "".join(chr(next(number)) for _ in range(512))

    odd = event(1, event_id=longest(), account_id=longest(), model=longest(), org_id=longest())
    assert store.add_events([odd]) == AddResult(1, 0, ())
    assert store.add_events([odd]) == AddResult(0, 1, ())


@pytest.mark.parametrize("analysed", [False, True])
def test_pages_do_not_read_the_whole_of_the_events_again(store: Store, url: str, analysed: bool) -> None:
    """Which prompts there are is read in one go, everything else page by page, with statistics and before there
    are any.
    """
    with beside(url) as connection:
        connection.exec_driver_sql(
            "insert into accounts values (1, 'a');"
            "insert into prompts select n, decode(md5(n::text), 'hex'), '', '' from generate_series(1, 50000) n;"
            "insert into events (event_id, account, prompt, timestamp_us, digest)"
            " select n::text, 1, 1 + mod(n, 50000), n, '' from generate_series(1, 100000) n;"
        )
        if analysed:
            connection.exec_driver_sql("analyze")
    read = "select coalesce(sum(seq_tup_read), 0)::int from pg_stat_user_tables"
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    before = raw(url, read)
    for page in (store.prompts(100_000, batch=10), store.event_ids(100_000, batch=10)):
        for _ in range(20):
            assert len(next(page)) == 10
    store.close()  # then the server counts what it did
    assert within(20, lambda: raw(url, others) == [(0,)])
    assert raw(url, read)[0][0] - before[0][0] <= 300_000  # read again for each page it would be millions
