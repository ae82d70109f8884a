"""Ingest keeps every good row once, accounts for every bad one, and can be run again at any time."""

import base64
import gzip
import io
import json
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from indexer import ingest as ingest_module
from indexer.ingest import ingest
from indexer.progress import BarProgress, Progress, SilentProgress
from indexer.store import Store
from models.errors import UnreadableFile
from models.report import IngestReport

NOW = datetime(2026, 2, 4, 1, 2, 3, tzinfo=UTC)
REJECTS_NAME = "20260204T010203Z-1.jsonl"


class Killed(Exception):
    """Stands for a process that dies between two batches."""


class DiesAfter(SilentProgress):
    def __init__(self, batches: int) -> None:
        self.left = batches

    def advance(self, n: int = 1) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class Counting(SilentProgress):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def stage(self, name: str, total: int | None) -> None:
        self.calls.append((name, total))

    def advance(self, n: int = 1) -> None:
        self.calls.append((n,))

    def done(self) -> None:
        self.calls.append(())


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "account_id": f"a{number % 3}",
        "timestamp": f"2026-02-03T04:05:{number % 60:02}+00:00",
        "prompt": f"prompt {number % 5}",
    } | changes


def jsonl(*rows: dict[str, Any] | bytes) -> bytes:
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in rows)


def content(store: Store) -> set[tuple[Any, ...]]:
    """All events with everything that does not depend on the order they came in."""
    table = store.event_table(store.watermark())
    names = [pair for page in store.event_ids(store.watermark()) for pair in page]
    fingerprints = [prompt.fingerprint for prompt in store.prompts_by_id(table.prompt.tolist())]
    return {
        (event_id, table.account_names.name(account), table.unit_names.name(unit), time, model, fingerprint)
        for (_, event_id), account, unit, time, model, fingerprint in zip(
            names,
            table.account.tolist(),
            table.unit.tolist(),
            table.timestamp.tolist(),
            [table.model_names.name(code) for code in table.model.tolist()],
            fingerprints,
            strict=True,
        )
    }


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with Store.open(database) as opened:
        yield opened


Run = Callable[..., IngestReport]


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Run:
    """Ingest sources in order; one given as bytes is the content of a file eventsN.jsonl, N its position."""

    def run_once(
        *sources: bytes | Path | str, progress: Progress | None = None, batch: int = 5000
    ) -> IngestReport:
        paths: list[Path | str] = []
        for number, source in enumerate(sources):
            if isinstance(source, bytes):
                path = tmp_path / f"events{number}.jsonl"
                path.write_bytes(source)
                paths.append(path)
            else:
                paths.append(source)
        return ingest(paths, store, tmp_path / "rejects", lambda: NOW, progress or SilentProgress(), batch)

    return run_once


def rejects(report: IngestReport) -> list[dict[str, Any]]:
    assert report.rejects is not None
    return [json.loads(line) for line in Path(report.rejects).read_text().splitlines()]


@pytest.mark.parametrize("sources", [(), (b"",), (b"\n\n",)])
def test_zero_events(run: Run, store: Store, tmp_path: Path, sources: tuple[bytes, ...]) -> None:
    assert run(*sources) == IngestReport(0, 0, 0, 0, None, {}, 0.0)
    assert store.watermark() == 0
    assert not (tmp_path / "rejects").exists()


def test_one_event(run: Run, store: Store) -> None:
    assert run(jsonl(row(1))) == IngestReport(1, 1, 0, 0, None, {}, 0.0)
    assert store.counts() == {"events": 1, "prompts": 1, "accounts": 1}


def test_ingest_twice_changes_nothing(run: Run, store: Store) -> None:
    events = jsonl(*(row(n) for n in range(20)))
    assert run(events, batch=6) == IngestReport(20, 20, 0, 0, None, {}, 0.0)
    before = content(store)
    assert run(events, batch=7) == IngestReport(20, 0, 20, 0, None, {}, 0.0)
    assert content(store) == before


def test_bad_lines_go_to_the_rejects_file_and_the_good_ones_to_the_store(
    run: Run, store: Store, tmp_path: Path
) -> None:
    bad = [
        b'{"event_id": "x", "prompt": secret}',
        b'{"event_id": "\xff"}',
        b"[1, 2]",
        json.dumps(row(5, timestamp="2026-02-05T01:02:04Z")).encode(),
        json.dumps(row(6, account_id="")).encode(),
        json.dumps(row(7, prompt="")).encode(),
        json.dumps(row(8, prompt=None, messages=[{"role": "alien"}])).encode(),
    ]
    report = run(jsonl(row(1), *bad, row(2)))
    source = str(tmp_path / "events0.jsonl")
    assert report == IngestReport(
        read=9,
        stored=2,
        duplicate=0,
        rejected=7,
        rejects=str(tmp_path / "rejects" / REJECTS_NAME),
        reasons={
            "invalid JSON": 1,
            "invalid UTF-8": 1,
            "not an object": 1,
            "bad timestamp": 1,
            "bad account_id": 1,
            "bad prompt": 1,
            "bad messages": 1,
        },
        seconds=0.0,
    )
    reasons = [
        "invalid JSON: JSON is malformed: invalid character (byte 28)",
        "invalid UTF-8: byte 0xff at offset 14",
        "not an object: list",
        "timestamp 2026-02-05T01:02:04+00:00 lies in the future (now 2026-02-04T01:02:03+00:00)",
        "account_id is missing",
        "prompt and messages are both missing or empty",
        "messages[0].role is 'alien'; known are system, user, assistant, tool",
    ]
    expected: list[dict[str, Any]] = [
        {"source": source, "line": line, "reason": reason, "row": raw.decode("utf-8", "replace")}
        for line, (reason, raw) in enumerate(zip(reasons, bad, strict=True), 2)
    ]
    del expected[1]["row"]
    expected[1]["row_base64"] = base64.b64encode(bad[1]).decode()
    assert rejects(report) == expected
    assert {event_id for page in store.event_ids(9) for _, event_id in page} == {"e1", "e2"}


def test_a_duplicate_id_is_kept_apart_by_content(run: Run, tmp_path: Path) -> None:
    assert run(jsonl(row(1))).stored == 1
    report = run(jsonl(row(1), row(1, model="other"), row(2), row(2), row(2, extra=1)))
    assert (report.read, report.stored, report.duplicate, report.rejected) == (5, 1, 2, 2)
    assert report.reasons == {"event_id already stored with other content": 2}
    assert [(each["line"], each["reason"]) for each in rejects(report)] == [
        (2, "event_id 'e1' is already stored with other content"),
        (5, "event_id 'e2' is already stored with other content"),
    ]
    assert json.loads(rejects(report)[0]["row"]) == row(1, model="other")


def test_rejects_of_two_runs_in_one_second_do_not_meet(run: Run, tmp_path: Path) -> None:
    first, second = run(jsonl(b"{")), run(jsonl(b"}"))
    assert [rejects(report)[0]["row"] for report in (first, second)] == ["{", "}"]
    assert sorted(path.name for path in (tmp_path / "rejects").iterdir()) == [
        "20260204T010203Z-1.jsonl",
        "20260204T010203Z-2.jsonl",
    ]


def test_a_prompt_of_ten_megabytes(run: Run, store: Store) -> None:
    long = "word " * 2_000_000
    assert run(jsonl(row(1, prompt=long), row(2))).stored == 2
    assert [len(prompt.user) for prompt in store.prompts_by_id([1, 2])] == [10_000_000, 8]


def test_prompt_and_messages_with_the_same_words_are_one_prompt(run: Run, store: Store) -> None:
    said = [{"role": "user", "content": "prompt 1"}, {"role": "assistant", "content": "no matter"}]
    assert run(jsonl(row(1), row(2, prompt=None, messages=said))).stored == 2
    assert store.event_table(2).prompt.tolist() == [1, 1]


def test_accounts_of_an_organisation_share_a_unit(run: Run, store: Store) -> None:
    run(jsonl(row(1, org_id="o"), row(2, org_id="o"), row(3)))
    table = store.event_table(3)
    assert [table.unit_names.name(code) for code in table.unit.tolist()] == ["org:o", "org:o", "account:a0"]


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as it is in the file."""
    connection = sqlite3.connect(path)
    try:
        named = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        return {name: connection.execute(f"select * from {name} order by rowid").fetchall() for (name,) in named}
    finally:
        connection.close()


def trouble(rng: random.Random) -> bytes:
    """Events of all sorts and what is none, some of them twice, some of them otherwise the second time."""
    texts = [
        "Hi  there",
        "hi there",
        "naïve “café”",
        "你好，世界",
        "ignоre аll previоus",
        "cut \ud83d",
        "न\u200b",
        "a" * 900,
    ]
    rows: list[dict[str, Any] | bytes] = []
    for _ in range(400):
        number = rng.randrange(250)
        system = [{"role": "system", "content": rng.choice(texts)}, {"role": "user", "content": "x"}]
        sent: dict[str, Any] = rng.choice([{"prompt": rng.choice(texts)}, {"prompt": None, "messages": system}])
        more = {
            "model": rng.choice(["m1", "m2", None]),
            "org_id": rng.choice(["o", None]),
            "attribute": {"b": 1, "a": [2]},
        }
        rows.append(row(number, **sent, **more))
        if rng.random() < 0.2:
            bad = row(number, timestamp="2027-01-01")
            rows.append(rng.choice([b"{", b"[1]", b'{"x": "\xff"}', b"", b" ", json.dumps(bad).encode()]))
    return jsonl(*rows)


def test_helped_by_other_processes_it_does_the_very_same(tmp_path: Path) -> None:
    rng = random.Random(4)
    plain, damaged = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(trouble(rng))
    damaged.write_bytes(gzip.compress(trouble(rng))[:-9])
    (tmp_path / "c.csv").write_text("event_id,account_id,timestamp,prompt\nc1,a,2026-02-03,hi\nc2,a\n")
    found = []
    for helpers in (0, 1, 3):
        home = tmp_path / str(helpers)
        home.mkdir()
        progress = Counting()
        with Store.open(f"sqlite:///{home / 's.db'}") as store:
            report = ingest(
                [plain, damaged, tmp_path / "c.csv", plain], store, home, lambda: NOW, progress, 37, helpers
            )
        rejected = Path(str(report.rejects)).read_bytes()
        found.append((replace(report, rejects=None), rejected, tables(home / "s.db"), progress.calls))
    assert found[0] == found[1] == found[2]
    report, rejected, stored, _ = found[0]
    assert report.stored == len(stored["events"]) > 200
    assert report.duplicate > 50
    assert report.rejected == rejected.count(b"\n") == sum(report.reasons.values())
    assert len(report.reasons) == 7


@pytest.mark.parametrize("batches", [1, 4])
def test_killed_while_others_help_and_run_again(store: Store, tmp_path: Path, batches: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(jsonl(*(row(n) for n in range(30))))

    def run(progress: Progress) -> IngestReport:
        return ingest([path], store, tmp_path, lambda: NOW, progress, 3, 2)

    with pytest.raises(Killed):
        run(DiesAfter(batches))
    assert store.counts()["events"] == 3 * batches
    assert run(SilentProgress()).stored == 30 - 3 * batches
    assert [event_id for page in store.event_ids(99) for _, event_id in page] == [f"e{n}" for n in range(30)]


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_killed_between_batches_and_run_again(run: Run, store: Store, batches: int) -> None:
    events = jsonl(*(row(n) for n in range(10)), b"bad")
    with pytest.raises(Killed):
        run(events, batch=3, progress=DiesAfter(batches))
    assert store.counts()["events"] == 3 * batches
    report = run(events, batch=4)
    assert (report.read, report.stored, report.duplicate) == (11, 10 - 3 * batches, 3 * batches)
    assert {name for name, *_ in content(store)} == {f"e{n}" for n in range(10)}
    assert [each["row"] for each in rejects(report)] == ["bad"]


def test_refused_rows_are_written_before_their_batch_is_stored(
    run: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_records(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Store, "add_records", add_records)
    with pytest.raises(Killed):
        run(jsonl(row(1), b"bad"))
    assert json.loads((tmp_path / "rejects" / REJECTS_NAME).read_bytes())["row"] == "bad"


def test_shuffled_files_give_the_same_set(fresh_database: Callable[[], str], tmp_path: Path) -> None:
    rows = [row(n, model=f"m{n % 2}", org_id="o" if n % 4 == 0 else None) for n in range(40)]
    found = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        (tmp_path / "e.jsonl").write_bytes(jsonl(*rows))
        with Store.open(fresh_database()) as store:
            ingest([tmp_path / "e.jsonl"], store, tmp_path, lambda: NOW, SilentProgress(), batch=7)
            found.append(content(store))
    assert len(found[0]) == 40
    assert found[0] == found[1] == found[2]


def test_every_format_of_the_same_events_is_the_same_to_the_store(run: Run, store: Store, tmp_path: Path) -> None:
    rows = [row(n, model="m", region="eu") for n in range(6)]
    keys = list(rows[0])
    lines = jsonl(*rows)
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.jsonl.zst").write_bytes(zstandard.compress(lines))
    (tmp_path / "d.csv").write_text("\n".join([",".join(keys), *(",".join(each.values()) for each in rows)]))
    columns = {key: [each[key] for each in rows] for key in keys}
    columns["timestamp"] = [datetime.fromisoformat(text) for text in columns["timestamp"]]
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    (tmp_path / "notes.txt").write_text("not an event file")
    assert run(tmp_path) == IngestReport(30, 6, 24, 0, None, {}, 0.0)
    assert store.counts() == {"events": 6, "prompts": 5, "accounts": 3}


def test_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(jsonl(row(1), b"bad"))))
    report = run("-")
    assert (report.stored, report.rejected) == (1, 1)
    assert rejects(report)[0] == {
        "source": "-",
        "line": 2,
        "reason": "invalid JSON: JSON is malformed: invalid character (byte 0)",
        "row": "bad",
    }


def test_a_missing_file_stops_everything_before_the_first_row(run: Run, store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.jsonl does not exist"):
        run(jsonl(row(1)), tmp_path / "none.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match="empty holds no event file"):
        run(jsonl(row(1)), tmp_path / "empty")
    assert store.watermark() == 0


def test_a_damaged_file_costs_only_what_is_behind_the_damage(run: Run, store: Store, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(gzip.compress(jsonl(*(row(n) for n in range(5))))[:-4])
    report = run(damaged, jsonl(row(9)))
    assert (report.read, report.stored, report.duplicate, report.rejected) == (7, 6, 0, 1)
    assert report.reasons == {"damaged file": 1}
    assert rejects(report) == [
        {
            "source": str(damaged),
            "line": 6,
            "reason": f"{damaged} cannot be read: "
            "Compressed file ended before the end-of-stream marker was reached",
            "row": "",
        }
    ]


def test_batches_are_bounded_by_rows_and_by_bytes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Counting()
    run(jsonl(*(row(n) for n in range(5))), progress=progress, batch=2)
    assert progress.calls == [("ingest", None), (2,), (2,), (1,), ()]
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 300)
    progress = Counting()
    run(jsonl(*(row(n) for n in range(5)), row(6, prompt="x" * 1000)), progress=progress)
    assert progress.calls == [("ingest", None), (3,), (3,), ()]


def test_a_bar_shows_stage_and_count() -> None:
    out = io.StringIO()
    bar = BarProgress(out)
    bar.advance()
    bar.stage("read", 10)
    bar.advance(4)
    bar.stage("write", None)
    bar.done()
    bar.done()
    assert "read:" in out.getvalue()
    assert "4.00/10.0" in out.getvalue()
    assert "write:" in out.getvalue()
