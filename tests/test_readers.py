"""Every format gives the same rows, and damage costs no more than it must."""

import csv
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from indexer import readers
from indexer.readers import OVERLONG_KEPT_BYTES, is_event_file, read_rows
from indexer.rows import Row
from models.errors import UnreadableFile

ROWS: list[dict[str, Any]] = [
    {"event_id": f"e{i}", "account_id": "a1", "prompt": text, "region": "eu"}
    for i, text in enumerate(["hello", 'quote " and , comma', "two\nlines", "日本語 😀", "nul\x00byte"])
] + [{"event_id": "e9", "account_id": "a1", "messages": [{"role": "user", "content": "hi"}], "region": "us"}]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def csv_bytes(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["event_id", "account_id", "prompt", "messages", "region"])
    writer.writeheader()
    for row in rows:
        writer.writerow(row | ({"messages": json.dumps(row["messages"])} if "messages" in row else {}))
    return out.getvalue().encode()


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    pq.write_table(pa.table({key: [row.get(key) for row in rows] for key in keys}), path)


def values(path: Path | str) -> list[dict[str, Any]]:
    rows = list(read_rows(path))
    assert [row.problem for row in rows] == [None] * len(rows)
    return [{k: v for k, v in (row.values or {}).items() if v is not None} for row in rows]


def problems(path: Path, **options: int) -> list[tuple[int, str | None]]:
    return [(row.line, row.problem) for row in read_rows(path, **options)]


def until_damage(path: Path) -> tuple[list[Row], str]:
    rows: list[Row] = []
    with pytest.raises(UnreadableFile) as caught:
        rows.extend(iter_into(rows, read_rows(path)))
    return rows, str(caught.value)


def iter_into(rows: list[Row], source: Iterator[Row]) -> Iterator[Row]:
    for row in source:
        rows.append(row)
    return iter(())


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("e.jsonl", jsonl),
        ("e.ndjson", jsonl),
        ("e.json-lines", jsonl),
        ("E.JSONL", jsonl),
        ("e.txt", jsonl),
        ("e.jsonl.gz", lambda rows: gzip.compress(jsonl(rows))),
        ("two-members.jsonl.gz", lambda rows: gzip.compress(jsonl(rows[:2])) + gzip.compress(jsonl(rows[2:]))),
        ("e.jsonl.zst", lambda rows: zstandard.compress(jsonl(rows))),
        (
            "two-frames.jsonl.zst",
            lambda rows: zstandard.compress(jsonl(rows[:2])) + zstandard.compress(jsonl(rows[2:])),
        ),
        ("sniffed-gz", lambda rows: gzip.compress(jsonl(rows))),
        ("sniffed-zst", lambda rows: zstandard.compress(jsonl(rows))),
        ("e.csv", csv_bytes),
        ("e.csv.gz", lambda rows: gzip.compress(csv_bytes(rows))),
        ("e.csv.zst", lambda rows: zstandard.compress(csv_bytes(rows))),
        ("bom.jsonl", lambda rows: b"\xef\xbb\xbf" + jsonl(rows)),
        ("bom.csv", lambda rows: b"\xef\xbb\xbf" + csv_bytes(rows)),
        ("crlf.jsonl", lambda rows: jsonl(rows).replace(b"\n", b"\r\n")),
        ("no-last-newline.jsonl", lambda rows: jsonl(rows).rstrip()),
    ],
)
def test_every_format_gives_the_same_rows(
    tmp_path: Path, name: str, encode: Callable[[list[dict[str, Any]]], bytes]
) -> None:
    (tmp_path / name).write_bytes(encode(ROWS))
    assert values(tmp_path / name) == ROWS


@pytest.mark.parametrize("name", ["e.parquet", "sniffed"])
def test_parquet_gives_the_same_rows_numbered_by_position(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / name, ROWS)
    assert values(tmp_path / name) == ROWS
    rows = list(read_rows(tmp_path / name))
    assert [row.line for row in rows] == [1, 2, 3, 4, 5, 6]
    assert json.loads(rows[1].raw)["prompt"] == 'quote " and , comma'


def test_standard_input_is_read_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(jsonl(ROWS))))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert values("-") == ROWS
    assert not stdin.buffer.closed


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz", "e.jsonl.zst", "e.csv", "e.parquet", "e"])
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert list(read_rows(tmp_path / name)) == []


def test_bad_lines_are_told_apart_and_blank_ones_only_counted(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(
        b'{"a":1}\n'
        b"\n"
        b'{"a": secret}\n'
        b'{"a": "\xff"}\n'
        b"[1]\n"
        b"  \r\n"
        b'{"a":1\n' + b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n" + b'{"a": NaN}\n' + b'{"a":2}'
    )
    assert problems(path) == [
        (1, None),
        (3, "invalid JSON: JSON is malformed: invalid character (byte 6)"),
        (4, "invalid UTF-8: byte 0xff at offset 7"),
        (5, "not an object: list"),
        (7, "invalid JSON: Input data was truncated"),
        (8, "invalid JSON: nested too deeply"),
        (9, "invalid JSON: JSON is malformed: invalid character (byte 6)"),
        (10, None),
    ]
    assert [row.raw for row in read_rows(path)][2] == b'{"a": "\xff"}'


def test_half_an_emoji_is_text_and_not_an_error(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"a":"cut \\ud83d"}\n{"a":"\\ud83d", "b": NaN}\n{"a":"\\ud83d"\n{"a":"\\ud83d\xff"}\n')
    assert next(read_rows(path)).values == {"a": "cut \ud83d"}
    assert problems(path) == [
        (1, None),
        (2, "invalid JSON: NaN is not JSON"),
        (3, "invalid JSON: Expecting ',' delimiter (character 13)"),
        (4, "invalid UTF-8: byte 0xff at offset 12"),
    ]


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_over_the_limit_is_one_bad_row_and_the_next_is_read(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "e.jsonl"
    longest = b'{"a":"' + b"x" * 92 + b'"}'
    over = b'{"a":"' + b"y" * 3_000_000 + b'"}'
    path.write_bytes(longest + b"\n" + over + b"\n" + b'{"a":1}\n' + over + end)
    assert len(longest) == 100
    assert problems(path, max_line_bytes=100) == [
        (1, None),
        (2, "line too long: 3000008 bytes, more than 100"),
        (3, None),
        (4, "line too long: 3000008 bytes, more than 100"),
    ]
    kept = [row.raw for row in read_rows(path, max_line_bytes=100)]
    assert kept[1] == over[:101]


def test_no_more_of_an_overlong_line_is_kept_than_promised(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"z" * 500_000)
    assert [row.raw for row in read_rows(path, max_line_bytes=200_000)] == [b"z" * OVERLONG_KEPT_BYTES]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_packed_endless_line_does_not_fill_the_memory(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    name = "e.jsonl.gz" if pack is gzip.compress else "e.jsonl.zst"
    (tmp_path / name).write_bytes(pack(b"a" * 50_000_000))
    tracemalloc.start()
    try:
        assert problems(tmp_path / name, max_line_bytes=1_000_000) == [
            (1, "line too long: 50000000 bytes, more than 1000000")
        ]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000 if name.endswith(".gz") else peak < 140_000_000


@pytest.mark.parametrize(
    ("name", "pack"), [("e.jsonl.gz", gzip.compress), ("e.jsonl.zst", zstandard.ZstdCompressor().compress)]
)
def test_a_cut_off_file_gives_its_rows_and_then_an_error(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    rows = [{"n": i} for i in range(1000)]
    packed = pack(jsonl(rows))
    (tmp_path / name).write_bytes(packed[:-4])
    good, reason = until_damage(tmp_path / name)
    assert [row.values for row in good] == rows[: len(good)]
    assert reason.startswith(f"{tmp_path / name} cannot be read: ")
    assert name.endswith(".zst") or len(good) == 1000


def test_a_damaged_gzip_check_sum_comes_after_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl.gz"
    packed = bytearray(gzip.compress(jsonl(ROWS)))
    packed[-6] ^= 0xFF
    path.write_bytes(packed)
    good, reason = until_damage(path)
    assert [row.values for row in good] == ROWS
    assert "CRC check failed" in reason


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("e.jsonl.gz", b"plain text", "Not a gzipped file"),
        ("e.jsonl.zst", b"plain text", "Unknown frame descriptor"),
        ("e.parquet", b"plain text that is long enough", "Parquet magic bytes not found"),
        ("e.csv", b"a,a\n1,2\n", "has a header that names 'a' twice"),
        ("e.csv", b'"a"b\n', "has no usable header: "),
        ("e.csv", b"a,\xff\n", "has no usable header: invalid UTF-8: byte 0xff at offset 2"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    good, said = until_damage(tmp_path / name)
    assert good == []
    assert said.startswith(str(tmp_path / name))
    assert reason in said


def test_a_missing_file(tmp_path: Path) -> None:
    assert "No such file" in until_damage(tmp_path / "none.jsonl")[1]


def test_csv_rows_carry_the_line_they_start_on(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes(
        b"event_id,prompt,messages\n"
        b'e1,"one\ntwo\nthree",\n'
        b"\n"
        b"e2,short\n"
        b"e3,\xff,\n"
        b'e4,,"[{""role"""\n'
        b'e5,"x"y,\n'
        b"e6,fine,\n"
        b'e7,"never closed,\n'
    )
    assert problems(path) == [
        (2, None),
        (6, "wrong number of cells: 2, the header has 3"),
        (7, "invalid UTF-8: byte 0xff at offset 3"),
        (8, "messages: invalid JSON: Input data was truncated"),
        (9, "invalid CSV: ',' expected after '\"'"),
        (10, None),
        (11, "invalid CSV: unexpected end of data"),
    ]
    rows = list(read_rows(path))
    assert rows[0].values == {"event_id": "e1", "prompt": "one\ntwo\nthree"}
    assert rows[0].raw == b'e1,"one\ntwo\nthree",'
    assert rows[6].raw == b'e7,"never closed,'


def test_an_overlong_csv_line_costs_only_its_own_row(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes(b"event_id,prompt\ne1,a\ne2," + b"x" * 200 + b"\ne3,b\n")
    rows = list(read_rows(path, max_line_bytes=100))
    assert [(row.line, row.values) for row in rows] == [
        (2, {"event_id": "e1", "prompt": "a"}),
        (3, None),
        (4, {"event_id": "e3", "prompt": "b"}),
    ]
    assert rows[1].problem == "line too long: 203 bytes, more than 100"


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        (b"x" * 50 + b"\n" + b"y" * 60 + b"\nforged,mine\nz", "row too long: 131 bytes, more than 100"),
        (b"x" * 200 + b"\nforged,mine\nz", "line too long: 204 bytes, more than 100"),
        (b"x\n" + b"y" * 200 + b"\nforged,mine\nz", "line too long: 200 bytes, more than 100"),
        (b'x""' * 40 + b'\n""forged"",mine\nz', "line too long: 124 bytes, more than 100"),
    ],
)
def test_what_an_overlong_csv_row_quotes_is_no_row(tmp_path: Path, prompt: bytes, problem: str) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes(b'event_id,prompt\ne1,"' + prompt + b'"\ne3,b\n')
    rows = list(read_rows(path, max_line_bytes=100))
    lines = 3 + prompt.count(b"\n")
    assert [(row.line, row.problem, row.values) for row in rows] == [
        (2, problem, None),
        (lines, None, {"event_id": "e3", "prompt": "b"}),
    ]
    assert rows[0].raw.startswith(b'e1,"x')


@given(st.lists(st.text('a,"\n', max_size=12), max_size=4), st.integers(1, 9))
def test_quotes_are_followed_as_the_csv_module_does(cells: list[str], size: int) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerow(cells)
    row = written.getvalue().encode()
    quotes, ends = readers._Quotes(False), []
    for line in row.splitlines(keepends=True):
        for start in range(0, len(line), size):
            quotes.read(line[start : start + size])
        ends.append(quotes.is_open)
    assert ends == [True] * (len(ends) - 1) + [False]  # one row, however many lines it has


def test_a_stray_quote_in_an_overlong_line_costs_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes(b'event_id,prompt\n1,5" ' + b"x" * 200 + b"\ne2,a\n")
    rows = list(read_rows(path, max_line_bytes=100))
    assert [(row.line, row.problem, row.values) for row in rows] == [
        (2, "line too long: 205 bytes, more than 100", None),
        (3, None, {"event_id": "e2", "prompt": "a"}),
    ]


def test_a_limit_for_one_file_is_none_for_others(tmp_path: Path) -> None:
    rows = b"event_id,prompt\ne1,a\n"
    (tmp_path / "small.csv").write_bytes(rows)
    (tmp_path / "large.csv").write_bytes(rows + b"e2," + b"x" * 200_000 + b"\n")
    large = read_rows(tmp_path / "large.csv")
    assert next(large).values == {"event_id": "e1", "prompt": "a"}
    assert [row.problem for row in read_rows(tmp_path / "small.csv", max_line_bytes=100)] == [None]
    assert next(large).values == {"event_id": "e2", "prompt": "x" * 200_000}


def test_parquet_times_in_nanoseconds_are_cut_to_microseconds(tmp_path: Path) -> None:
    column = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"timestamp": column}), tmp_path / "e.parquet")
    (row,) = read_rows(tmp_path / "e.parquet")
    assert row.values is not None
    assert row.values["timestamp"] == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


def test_bad_text_in_parquet_costs_only_its_own_row(tmp_path: Path) -> None:
    text = pa.array([b"good", b"b\xffd", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"prompt": text, "event_id": ["e1", "e2", "e3"]}), tmp_path / "e.parquet")
    rows = list(read_rows(tmp_path / "e.parquet"))
    assert [row.values for row in rows] == [
        {"prompt": "good", "event_id": "e1"},
        None,
        {"prompt": "fine", "event_id": "e3"},
    ]
    assert rows[1].problem == "invalid UTF-8: byte 0xff at offset 1 of prompt"
    assert rows[1].raw == b'{"prompt":"Yv9k","event_id":"e2"}'


def test_parquet_from_a_stream_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    write_parquet(tmp_path / "e.parquet", ROWS)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe((tmp_path / "e.parquet").read_bytes())))
    with pytest.raises(UnreadableFile, match="standard input holds Parquet, which can only be read from a file"):
        list(read_rows("-"))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.jsonl", True),
        ("a.JSONL.GZ", True),
        ("a.csv.zst", True),
        ("a.parquet", True),
        (".a.jsonl", False),
        ("a.gz", False),
        ("a.txt", False),
        ("notes", False),
    ],
)
def test_names_of_event_files(name: str, known: bool) -> None:
    assert is_event_file(Path(name)) is known
