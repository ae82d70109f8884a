"""The store keeps exactly what it was given, once, whoever writes at the same time."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import START, beside, event, raw, seconds

from indexer import insertion
from indexer.insertion import AddResult
from indexer.schema import metadata
from indexer.store import Store, StoredPrompt
from models.block import BlockQuery
from models.campaign import CampaignLabel, Label
from models.errors import BadSettings, Busy, UnreadableFile
from models.prompt import Prompt


def test_an_empty_store(store: Store) -> None:
    assert store.watermark() == 0
    assert store.counts() == {"events": 0, "prompts": 0, "accounts": 0}
    assert store.add_events([]) == AddResult(0, 0, ())
    table = store.event_table(0)
    assert len(table) == 0
    assert (table.account.dtype, table.unit_names.values) == (np.int64, ())
    assert list(store.prompts(0)) == []
    assert list(store.event_ids(0)) == []
    assert store.prompts_by_id([]) == []
    assert store.events_of_prompts([]) == []
    assert store.verdicts.labels() == {}


def test_one_event(store: Store) -> None:
    assert store.add_events([event(1)]) == AddResult(1, 0, ())
    assert store.watermark() == 1
    assert store.counts() == {"events": 1, "prompts": 1, "accounts": 1}
    assert list(store.event_ids(1)) == [[(1, "e1")]]
    prompt = StoredPrompt(1, Prompt("", "prompt 1").fingerprint(), "", "prompt 1")
    assert list(store.prompts(1)) == [[prompt]]


def test_what_was_stored_is_there_after_opening_again(database: str) -> None:
    with Store.open(database) as first:
        first.add_events([event(1), event(2)])
    with Store.open(database) as second:
        assert list(second.event_ids(2)) == [[(1, "e1"), (2, "e2")]]
        assert second.add_events([event(2), event(3)]) == AddResult(1, 1, ())


CHANGES: list[dict[str, Any]] = [
    {"account_id": "other"},
    {"timestamp": START + timedelta(seconds=1, microseconds=1)},
    {"prompt": Prompt("", "Prompt 1")},
    {"prompt": Prompt("prompt 1", "")},
    {"model": "m"},
    {"org_id": "m"},
    {"payment_id": "m"},
    {"network": "m"},
    {"account_created_at": START},
    {"attributes": {"a": 1}},
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_equal_event_is_a_duplicate_and_any_difference_a_conflict(store: Store, change: dict[str, Any]) -> None:
    store.add_events([event(1)])
    assert store.add_events([event(0), event(1), event(1, **change)]) == AddResult(1, 1, (2,))
    assert store.counts()["events"] == 2


def test_the_first_of_equal_ids_in_one_batch_wins(store: Store) -> None:
    batch = [event(1), event(1, model="m"), event(2), event(1), event(2, model="m")]
    assert store.add_events(batch) == AddResult(2, 1, (1, 4))
    assert store.event_table(9).model.tolist() == [-1, -1]


def test_a_refused_event_leaves_no_prompt_or_account_behind(store: Store) -> None:
    store.add_events([event(1)])
    store.add_events([event(1, prompt=Prompt("", "new"), account_id="new")])
    assert store.counts() == {"events": 1, "prompts": 1, "accounts": 1}


def test_attributes_in_another_order_are_the_same_content(store: Store) -> None:
    store.add_events([event(1, attributes={"a": 1, "b": {"c": 2, "d": 3}})])
    again = event(1, attributes={"b": {"d": 3, "c": 2}, "a": 1})
    assert store.add_events([again]) == AddResult(0, 1, ())


def test_one_prompt_in_many_writings_is_stored_as_first_sent(store: Store) -> None:
    store.add_events([event(1, prompt=Prompt("", "Write  it")), event(2, prompt=Prompt("", "write it"))])
    store.add_events([event(3, prompt=Prompt("", "WRITE IT"))])
    (prompt,) = store.prompts_by_id([1])
    assert (prompt.user, prompt.fingerprint) == ("Write  it", Prompt("", "write it").fingerprint())
    assert store.event_table(3).prompt.tolist() == [1, 1, 1]


def test_disguise_is_a_matter_of_each_event_whoever_sent_it_first(store: Store) -> None:
    plain = "please explain the following step by step"
    dressed = plain.replace("ep", "e\u200bp").replace("ow", "o\u200bw").replace("as", "a\u200bs")
    prompts = (Prompt("", dressed), Prompt("", plain), Prompt(dressed, "hello"), Prompt("", dressed))
    store.add_events([event(number, prompt=prompt) for number, prompt in enumerate(prompts)])
    assert store.counts()["prompts"] == 2
    assert store.event_table(4).disguised.tolist() == [1, 0, 1, 1]


def test_the_last_label_counts_and_every_label_is_kept(store: Store, database: str) -> None:
    first = CampaignLabel("c1", Label.IGNORE_UNTIL, "later", "ann", seconds(1), until=seconds(1000))
    second = CampaignLabel("c1", Label.CONFIRMED, "cut \ud83d", "bob", seconds(2))
    other = CampaignLabel("c2", Label.BENIGN, "", "", seconds(3))
    for label in (first, other, second):
        store.verdicts.put_label(label)
    assert store.verdicts.labels() == {"c1": replace(second, note="cut \u200b"), "c2": other}
    history = raw(database, "select campaign_id, label, author from label_history order by id")
    assert history == [("c1", "ignore_until", "ann"), ("c2", "benign", ""), ("c1", "confirmed", "bob")]
    store.verdicts.put_label(first)
    assert store.verdicts.labels()["c1"] == first


def test_nul_and_lone_surrogates_are_no_obstacle(store: Store, database: str) -> None:
    odd = event(1, prompt=Prompt("nul \x00", "cut \ud83d"), attributes={"k\udc00": ["\ud800", {"x": "\x00"}]})
    assert store.add_events([odd]) == AddResult(1, 0, ())
    assert store.add_events([odd]) == AddResult(0, 1, ())
    (stored,) = store.prompts_by_id([1])
    assert (stored.system, stored.user) == ("nul \u200b", "cut \u200b")
    assert stored.fingerprint == odd.prompt.fingerprint()
    found = raw(database, "select cast(attributes as text) from events")
    assert found == [('{"k\u200b":["\u200b",{"x":"\u200b"}]}',)]
    assert store.events_of_prompts([1], account_id="a\x00", model="\x00") == []
    assert store.blocks.find(BlockQuery(1, campaign_id="\x00", account_id="\x00")) == []


def test_a_prompt_of_ten_megabytes(store: Store) -> None:
    long = Prompt("", "word " * 2_000_000)
    assert store.add_events([event(1, prompt=long)]) == AddResult(1, 0, ())
    assert store.prompts_by_id([1])[0].user == long.user


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
any_text = st.text(st.characters(exclude_categories=()), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(system=any_text, user=any_text, attributes=st.dictionaries(any_text, json_values, max_size=4))
def test_any_text_and_attributes_come_back_in_the_same_canonical_form(
    store: Store, system: str, user: str, attributes: dict[str, Any]
) -> None:
    prompt = Prompt(system, user + "x")
    number = store.watermark()
    odd = event(number, prompt=prompt, attributes=attributes)
    assert store.add_events([odd]) == AddResult(1, 0, ())
    assert store.add_events([odd]) == AddResult(0, 1, ())
    prompt_id = int(store.event_table(number + 1).prompt[-1])
    (stored,) = store.prompts_by_id([prompt_id])
    assert stored.fingerprint == prompt.fingerprint()
    assert Prompt(stored.system, stored.user).canonical() == prompt.canonical()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(12)), cut=st.integers(0, 12))
def test_the_order_of_arrival_does_not_change_what_is_stored(
    fresh_database: Callable[[], str], order: list[int], cut: int
) -> None:
    with Store.open(fresh_database()) as store:
        batch = [event(n, account_id=f"a{n % 3}", prompt=Prompt("", f"p {n % 5}")) for n in order]
        store.add_events(batch[:cut])
        store.add_events(batch[cut:] + batch[:2])
        assert {name for page in store.event_ids(99) for _, name in page} == {f"e{n}" for n in range(12)}
        assert [prompt.fingerprint for page in store.prompts(99) for prompt in page] == sorted(
            Prompt("", f"p {n}").fingerprint() for n in range(5)
        )
        assert store.counts() == {"events": 12, "prompts": 5, "accounts": 3}


def test_attributes_are_stored_as_json(store: Store, database: str) -> None:
    store.add_events([event(1, attributes={"b": [1, None, "é"], "a": {}}), event(2)])
    assert raw(database, "select cast(attributes as text) from events order by sequence") == [
        ('{"a":{},"b":[1,null,"é"]}',),
        (None,),
    ]


def test_the_migrations_build_the_tables_of_the_schema(store: Store, database: str) -> None:
    with beside(database) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert raw(database, "select version_num from alembic_version") == [("0008",)]


def test_the_wording_kept_is_that_of_the_first_event_that_is_stored(store: Store) -> None:
    """Not that of a refused one before it in the same batch."""
    store.add_events([event(1)])
    shout, say = Prompt("", "NEW Words"), Prompt("", "new  words")
    assert store.add_events([event(1, prompt=shout), event(2, prompt=say), event(3, prompt=shout)]).stored == 2
    assert [prompt.user for prompt in store.prompts_by_id([2])] == ["new  words"]
    assert store.event_table(3).prompt.tolist() == [1, 2, 2]


def test_a_batch_that_fails_midway_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(insertion, "_name_numbers", fail)
        with pytest.raises(KeyboardInterrupt):
            store.add_events([event(1)])
    assert store.counts() == {"events": 0, "prompts": 0, "accounts": 0}
    assert store.add_events([event(1)]) == AddResult(1, 0, ())


def test_a_writer_that_waits_too_long_says_busy_and_can_try_again(database: str) -> None:
    with Store.open(database, write_wait_s=0.05) as store, Store.open(database) as other:
        with other._database.writing(), pytest.raises(Busy, match="is held by another process's write"):
            store.add_events([event(1)])
        with other._database.writing():
            assert store.watermark() == 0  # a reader does not wait
        assert store.add_events([event(1)]) == AddResult(1, 0, ())


def test_many_may_open_and_write_at_once(database: str) -> None:
    results: list[AddResult] = []

    def work(worker: int) -> None:
        with Store.open(database) as store:
            for turn in range(5):
                mine = [event(1000 * worker + 10 * turn + n, prompt=Prompt("", f"p {n}")) for n in range(10)]
                results.append(store.add_events([*mine, event(7)]))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(database) as store:
        assert store.counts() == {"events": 201, "prompts": 11, "accounts": 201}
        assert store.event_table(store.watermark()).sequence.tolist() == list(range(1, 202))
    assert sum(result.stored for result in results) == 201
    assert sum(result.duplicate for result in results) == 19


def test_what_a_reader_finds_up_to_a_watermark_never_changes(database: str) -> None:
    """While others write, small batches and large ones that take a while, as fast as they can."""
    enough = threading.Event()

    def write(worker: int) -> None:
        with Store.open(database) as store:
            for turn in count():
                if enough.is_set():
                    return
                size = 400 if turn % 3 == worker % 3 else 2
                first = 100_000 * worker + 1000 * turn
                store.add_events([event(first + n, prompt=Prompt("", f"p {n}")) for n in range(size)])

    def read(store: Store) -> tuple[int, list[tuple[int, str]]]:
        watermark = store.watermark()
        return watermark, [pair for page in store.event_ids(watermark) for pair in page]

    seen: dict[int, list[tuple[int, str]]] = {}
    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    with Store.open(database) as store:
        for thread in writers:
            thread.start()
        try:
            until = time.monotonic() + 60
            while len(seen) < 12 and time.monotonic() < until:
                watermark, found = read(store)
                seen.setdefault(watermark, found)
        finally:
            enough.set()
            for thread in writers:
                thread.join()
        last, everything = read(store)
    assert (len(seen), last) == (12, len(everything))
    for watermark, found in seen.items():
        assert found == [pair for pair in everything if pair[0] <= watermark]


def test_a_store_of_a_later_version_is_left_alone(database: str) -> None:
    Store.open(database).close()
    with beside(database) as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    with pytest.raises(UnreadableFile, match="was written by another version: Can't locate revision"):
        Store.open(database)


FORMS = "sqlite:////path/to/file or postgresql+psycopg://user@host/database"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("nonsense", f"store URL is neither {FORMS}"),
        ("postgresql://u:p@h:number/db", f"store URL is neither {FORMS}"),
        ("mysql://u:p@h/db", f"store URL names 'mysql'; it must be {FORMS}"),
        ("postgresql+asyncpg://u:p@h/db", "store URL begins with postgresql+asyncpg, not with postgresql+psycopg"),
        ("postgresql://u:p@p@h/db", "store URL has two @: one in a password is written %40"),
        (
            "sqlite:////nowhere/at/all.db",
            "sqlite:////nowhere/at/all.db cannot be opened: its folder is missing, or may not be written",
        ),
    ],
)
def test_a_url_that_cannot_be_used(bad: str, reason: str) -> None:
    with pytest.raises(BadSettings) as caught:
        Store.open(bad)
    assert str(caught.value) == reason


# What only SQLite has


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'stillwatch.db'}"


def test_an_acknowledged_write_is_synchronised_with_the_disk(file: str) -> None:
    with Store.open(file) as store, store._database.reading() as connection:
        for pragma, value in [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)]:
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_sequence_number_is_never_given_twice(file: str) -> None:
    Store.open(file).close()
    assert "AUTOINCREMENT" in raw(file, "select sql from sqlite_master where name = 'events'")[0][0]


def test_no_query_for_prompts_reads_the_whole_of_the_events(file: str) -> None:
    Store.open(file).close()
    plan = raw(
        file,
        "explain query plan select * from prompts where exists (select 1 from events where prompt = prompts.id"
        " and sequence <= 5) and fingerprint > x'00' order by fingerprint limit 5",
    )
    assert not [step for *_, step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step]


def test_a_file_that_is_no_store(tmp_path: Path, file: str) -> None:
    (tmp_path / "stillwatch.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(UnreadableFile, match="is not an SQLite database: file is not a database"):
        Store.open(file)
