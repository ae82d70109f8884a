"""Tables come back from their files as they were written, and do nothing in a spreadsheet."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.tables import Kind, write_csv, write_parquet

COLUMNS = {"text": Kind.TEXT, "count": Kind.COUNT, "share": Kind.SHARE, "time": Kind.TIME}
WHEN = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
rows_given = st.lists(
    st.tuples(
        st.none() | st.text(alphabet=st.characters(exclude_characters="\r\n\x00")),
        st.integers(0, 10**12),
        st.floats(0, 1),
        st.just(WHEN),
    ),
    max_size=30,
)


def read_csv(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))


@given(rows_given)
def test_parquet_holds_what_was_written(rows: list[tuple[Any, ...]]) -> None:
    out = io.BytesIO()
    assert write_parquet(rows, COLUMNS, out) == len(rows)
    found = pq.read_table(io.BytesIO(out.getvalue())).to_pylist()
    expected = [
        {"text": text and text.encode("utf-8", "replace").decode(), "count": n, "share": share, "time": at}
        for text, n, share, at in rows
    ]
    assert found == expected


@given(rows_given)
def test_csv_holds_what_was_written(rows: list[tuple[Any, ...]]) -> None:
    out = io.BytesIO()
    assert write_csv(rows, COLUMNS, out) == len(rows)
    head, *found = read_csv(out.getvalue())
    assert head == list(COLUMNS)
    for (text, n, share, _), cells in zip(rows, found, strict=True):
        said = (text or "").encode("utf-8", "replace").decode()
        assert cells[0] in (said, f"'{said}")
        assert (int(cells[1]), float(cells[2]), cells[3]) == (n, share, "2026-03-01T12:30:05+00:00")


def test_long_texts_are_written_a_few_rows_at_a_time() -> None:
    out = io.BytesIO()
    rows = (("x" * 10_000_000, n, 0.5, WHEN) for n in range(5))
    assert write_parquet(rows, COLUMNS, out) == 5
    file = pq.ParquetFile(io.BytesIO(out.getvalue()))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2, 1]
    assert file.read(["count"]).to_pydict() == {"count": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "\tx"])
def test_what_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    out = io.BytesIO()
    write_csv([(text, 1, 0.5, WHEN)], COLUMNS, out)
    assert read_csv(out.getvalue())[1][0] == f"'{text}"


def test_lines_within_a_text_stay_in_its_cell() -> None:
    out = io.BytesIO()
    write_csv([('a "quoted", line\nand another', 1, 0.5, WHEN)], COLUMNS, out)
    assert read_csv(out.getvalue())[1][0] == 'a "quoted", line\nand another'
