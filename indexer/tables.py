"""Tables written as files that other programs read: CSV and Parquet."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from io import TextIOWrapper
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.batches import batches

_BATCH_ROWS: Final = 10_000
_BATCH_CHARS: Final = 1 << 24
# What a spreadsheet would run as a formula, whoever wrote it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Kind(StrEnum):
    """What a column holds. TIME: aware, written in whole seconds."""

    TEXT = "text"
    COUNT = "count"
    SHARE = "share"
    TIME = "time"


_ARROW: "Final[Mapping[Kind, pa.DataType]]" = {  # quoted: pyarrow's classes cannot be subscripted at run time
    Kind.TEXT: pa.string(),
    Kind.COUNT: pa.int64(),
    Kind.SHARE: pa.float64(),
    Kind.TIME: pa.timestamp("s", tz="UTC"),
}


def write_csv(rows: Iterable[Sequence[Any]], columns: Mapping[str, Kind], out: IO[bytes]) -> int:
    """Writes rows, in the order of the columns, and gives their number. UTF-8 with a mark, which spreadsheets need
    to see it, times in ISO 8601; texts that would be taken for a formula have an apostrophe before them.
    """
    text = TextIOWrapper(out, "utf-8-sig", errors="replace", newline="")
    writer, count = csv.writer(text, quoting=csv.QUOTE_ALL), 0
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        count += 1
    text.flush()
    text.detach()
    return count


def write_parquet(rows: Iterable[Sequence[Any]], columns: Mapping[str, Kind], out: IO[bytes]) -> int:
    """Writes rows, in the order of the columns, and gives their number."""
    schema = pa.schema([pa.field(name, _ARROW[kind]) for name, kind in columns.items()])
    count = 0
    with pq.ParquetWriter(out, schema) as writer:
        for batch in batches(rows, _chars, _BATCH_CHARS, _BATCH_ROWS):
            arrays = [
                pa.array([_storable(row[at]) for row in batch], schema.field(at).type)
                for at in range(len(columns))
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


def _chars(row: Sequence[Any]) -> int:
    return sum(len(value) for value in row if isinstance(value, str))


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _storable(value: object) -> object:
    """A lone surrogate, which Parquet's UTF-8 cannot hold, becomes a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
