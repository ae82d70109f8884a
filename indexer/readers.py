"""Rows of event files: JSON Lines (plain, gzip, zstd), CSV and Parquet. The only door to pyarrow and zstandard.

Everything is streamed. A row that cannot be decoded is a row with a problem; only a file that is damaged as a
whole is an error, and the rows before the damage come first.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, Protocol, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from indexer.jsonline import json_value, utf8_problem
from indexer.rows import Line, Row, row_of
from models.errors import UnreadableFile

STDIN: Final = "-"
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
OVERLONG_KEPT_BYTES: Final = 64 * 1024

_EVENT_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json-lines", ".csv", ".parquet"})
_COMPRESSED: Final = frozenset({".gz", ".zst"})
_PARQUET_ROWS: Final = 1_000
_ZSTD_STEP_BYTES: Final = 4_096  # zstd packs at most 32,768-fold, so one step gives 128 MiB at the very worst
_BOM: Final = b"\xef\xbb\xbf"
_DAMAGE: Final = (OSError, EOFError, zlib.error, zstandard.ZstdError, pa.ArrowException)


class _LineSource(Protocol):
    def readline(self, size: int = -1, /) -> bytes:
        """The next line with its end, or its first `size` bytes if it is longer; empty at the end."""


def is_event_file(path: Path) -> bool:
    """Whether the name promises a format that `read_rows` knows; never true of hidden files."""
    inner = Path(path.stem) if path.suffix.lower() in _COMPRESSED else path
    return not path.name.startswith(".") and inner.suffix.lower() in _EVENT_SUFFIXES


def read_rows(source: Path | str, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Row]:
    """`read_lines`, looked into."""
    with closing(read_lines(source, max_line_bytes)) as rows:
        for row in rows:
            yield row_of(row) if isinstance(row, Line) else row


def read_lines(source: Path | str, max_line_bytes: int = MAX_LINE_BYTES) -> Generator[Row | Line, None, None]:
    """The rows of a file, or of standard input for "-", in order; those of JSON Lines as they stand in the file,
    and blank ones passed over. Of a line over the limit, or a CSV row of several, the first OVERLONG_KEPT_BYTES
    are kept.

    The name decides the format, and where it says nothing the first bytes do; what is left is JSON Lines.
    Raises UnreadableFile, after the rows that could be read, if the file is missing, cut off or damaged.
    """
    name = "standard input" if str(source) == STDIN else str(source)
    try:
        with _opened(source) as stream:
            yield from _rows(stream, Path(name), max_line_bytes)
    except _DAMAGE as error:
        raise UnreadableFile(f"{name} cannot be read: {error}") from error


@contextmanager
def _opened(source: Path | str) -> Iterator[io.BufferedReader]:
    if str(source) != STDIN:
        with open(source, "rb") as stream:
            yield stream
        return
    stream = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    try:
        yield stream
    finally:
        stream.detach()  # standard input is not ours to close


def _rows(stream: io.BufferedReader, name: Path, limit: int) -> Iterator[Row | Line]:
    start = stream.peek(4)[:4]
    if not start:
        return
    suffix = name.suffix.lower()
    magic = b"" if is_event_file(name) else start
    if suffix == ".parquet" or magic == b"PAR1":
        yield from _parquet_rows(stream, name)
    elif suffix == ".gz" or magic[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=stream) as plain:
            yield from _text_rows(plain, Path(name.stem), limit)
    elif suffix == ".zst" or magic == b"\x28\xb5\x2f\xfd":
        with io.BufferedReader(_ZstdStream(stream), 1 << 17) as plain:
            yield from _text_rows(plain, Path(name.stem), limit)
    else:
        yield from _text_rows(stream, name, limit)


def _text_rows(stream: _LineSource, name: Path, limit: int) -> Iterator[Row | Line]:
    lines = _Lines(stream, limit)
    return _csv_rows(lines, name, limit) if name.suffix.lower() == ".csv" else _json_rows(lines)


class _LineTooLong(Exception):
    """A line over the limit, which has been passed over; `kept` is how it begins. ends_quoted: whether a cell of
    a CSV file that is within quotes goes on in the next line, if one did not, and if one did, when it began.
    """

    def __init__(self, size_bytes: int, limit: int, kept: bytes, ends_quoted: tuple[bool, bool]) -> None:
        super().__init__(f"line too long: {size_bytes} bytes, more than {limit}")
        self.kept = kept
        self.ends_quoted = ends_quoted


class _Quotes:
    """Follows the quotes of a CSV file, piece by piece. One opens a cell only where a cell begins; within a cell
    two of them stand for one, the first of which is taken to close it and the second to open it again.
    """

    def __init__(self, is_open: bool) -> None:
        """is_open: whether a line begins within a quoted cell."""
        self.is_open = is_open
        self._before = b"\n"
        self._has_just_closed = False

    def read(self, piece: bytes) -> None:
        """Takes in the next bytes."""
        closed = -1 if self._has_just_closed else -2  # where, in this piece
        at = piece.find(b'"')
        while at >= 0:
            before = piece[at - 1 : at] if at else self._before
            if self.is_open:
                self.is_open, closed = False, at
            elif closed == at - 1 or before in (b",", b"\n"):
                self.is_open = True
            at = piece.find(b'"', at + 1)
        if piece:
            self._before, self._has_just_closed = piece[-1:], closed == len(piece) - 1


class _RowTooLong(Exception):
    """A CSV row of several lines that goes over the limit."""


class _Lines:
    """Iterator over the lines of a stream with their ends. One that raised _LineTooLong goes on behind it.

    number: of the line given last, from 1.
    """

    def __init__(self, stream: _LineSource, limit: int) -> None:
        self.number = 0
        self._stream = stream
        self._limit = limit

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> bytes:
        line = self._stream.readline(self._limit + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if self.number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > self._limit and not line.endswith(b"\n"):
            self._skip_rest(line)
        return line

    def _skip_rest(self, start: bytes) -> NoReturn:
        size_bytes, piece = len(start), start
        either = _Quotes(False), _Quotes(True)
        for each in either:
            each.read(start)
        while piece and not piece.endswith(b"\n"):
            piece = self._stream.readline(1 << 20)
            size_bytes += len(piece.removesuffix(b"\n"))
            for each in either:
                each.read(piece)
        ends_quoted = either[0].is_open, either[1].is_open
        raise _LineTooLong(size_bytes, self._limit, start[:OVERLONG_KEPT_BYTES], ends_quoted)


def _json_rows(lines: _Lines) -> Iterator[Row | Line]:
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except _LineTooLong as error:
            yield Row(lines.number, None, str(error), error.kept)
            continue
        if raw := line.strip(b" \t\r\n"):
            yield Line(lines.number, raw)


class _CsvLines:
    """What the csv module reads from: lines as text, with the bytes they came from. A row of more bytes than one
    line may have is passed over and told by _RowTooLong.

    Bytes that are no UTF-8 come as lone surrogates, so that the row they are in can be told from the others.
    """

    def __init__(self, lines: _Lines, limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self._raw: list[bytes] = []
        self._size_bytes = 0
        self.start = 1

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        if not self._raw:
            self.start = self._lines.number + 1
        try:
            line = next(self._lines)
        except _LineTooLong as error:
            self._skip_rest(error.ends_quoted[self._is_quoted()])
            raise
        self._raw.append(line)
        self._size_bytes += len(line)
        if len(self._raw) > 1 and self._size_bytes > self._limit:
            self._skip_rest(self._is_quoted())
            raise _RowTooLong(f"row too long: {self._size_bytes} bytes, more than {self._limit}")
        return line.decode("utf-8", "surrogateescape")

    def _is_quoted(self) -> bool:
        """Whether the row so far ends within quotes."""
        quotes = _Quotes(False)
        for line in self._raw:
            quotes.read(line)
        return quotes.is_open

    def _skip_rest(self, is_quoted: bool) -> None:
        """Passes over what is left of a row: what stands within quotes is nobody's event."""
        while is_quoted:
            try:
                line = next(self._lines)
            except StopIteration:
                return
            except _LineTooLong as error:
                is_quoted = error.ends_quoted[is_quoted]
            else:
                quotes = _Quotes(is_quoted)
                quotes.read(line)
                is_quoted = quotes.is_open
                self._size_bytes += len(line)

    def take(self) -> bytes:
        """The lines of the row just read, which begins on line `start`; the next line begins a new row."""
        raw = b"".join(self._raw).rstrip(b"\r\n")
        self._raw.clear()
        self._size_bytes = 0
        return raw


def _csv_rows(lines: _Lines, name: Path, limit: int) -> Iterator[Row]:
    # The module's own limit is one for the whole process: it is only ever lifted, ours is that of _CsvLines.
    csv.field_size_limit(max(limit, csv.field_size_limit()))
    source = _CsvLines(lines, limit)
    reader = csv.reader(source, strict=True)
    header = _csv_header(reader, source, name)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(source.start, None, f"invalid CSV: {error}", source.take())
            continue
        except _RowTooLong as error:
            yield Row(source.start, None, str(error), source.take()[:OVERLONG_KEPT_BYTES])
            continue
        except _LineTooLong as error:
            raw = source.take()
            kept = b"\n".join([raw, error.kept]) if raw else error.kept
            yield Row(source.start, None, str(error), kept[:OVERLONG_KEPT_BYTES])
            continue
        raw = source.take()
        if raw.strip():
            values, problem = _csv_values(header, cells, raw)
            yield Row(source.start, values, problem, raw)


def _csv_header(reader: Iterator[list[str]], source: _CsvLines, name: Path) -> list[str]:
    try:
        header = next((cells for cells in reader if cells), [])
    except (csv.Error, _RowTooLong, _LineTooLong) as error:
        raise UnreadableFile(f"{name} has no usable header: {error}") from error
    problem = utf8_problem(source.take())
    if problem is not None:
        raise UnreadableFile(f"{name} has no usable header: {problem}")
    twice = sorted({key for key in header if header.count(key) > 1})
    if twice:
        raise UnreadableFile(f"{name} has a header that names {twice[0]!r} twice")
    return header


def _csv_values(
    header: Sequence[str], cells: Sequence[str], raw: bytes
) -> tuple[dict[str, Any] | None, str | None]:
    problem = utf8_problem(raw)
    if problem is not None:
        return None, problem
    if len(cells) != len(header):
        return None, f"wrong number of cells: {len(cells)}, the header has {len(header)}"
    values: dict[str, Any] = {key: cell for key, cell in zip(header, cells, strict=True) if cell}
    if "messages" in values:
        values["messages"], problem = json_value(values["messages"].encode())
    return (values, None) if problem is None else (None, f"messages: {problem}")


def _parquet_rows(stream: BinaryIO, name: Path) -> Iterator[Row]:
    if not stream.seekable():
        raise UnreadableFile(f"{name} holds Parquet, which can only be read from a file")
    line = 0
    with pq.ParquetFile(stream) as file:
        for batch in file.iter_batches(_PARQUET_ROWS):
            for values, problem, raw in _batch_rows(_in_microseconds(batch)):
                line += 1
                yield Row(line, values, problem, raw)


def _in_microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Python's times have no nanoseconds, and pyarrow refuses to round them by itself."""
    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
        else field
        for field in batch.schema
    ]
    return batch.cast(pa.schema(fields), safe=False)


def _batch_rows(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, Any] | None, str | None, bytes]]:
    """Values, problem and raw text of each row; one bad value must not cost its neighbours."""
    try:
        values = batch.to_pylist()
    except ValueError:
        yield from (_careful_row(batch.slice(position, 1)) for position in range(len(batch)))
    else:
        yield from ((row, None, msgspec.json.encode(row)) for row in values)


def _careful_row(batch: pa.RecordBatch) -> tuple[dict[str, Any] | None, str | None, bytes]:
    """`_batch_rows` of a single row, with values that cannot be read as base64 or null in its raw text."""
    values: dict[str, Any] = {}
    problem: str | None = None
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values[name] = column[0].as_py()
        except UnicodeDecodeError as error:
            problem = f"invalid UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start} of {name}"
            values[name] = column.cast(pa.binary())[0].as_py() if pa.types.is_string(column.type) else None
        except ValueError as error:
            problem = f"value cannot be read: {name}: {error}"
            values[name] = None
    return (values if problem is None else None), problem, msgspec.json.encode(values)


class _ZstdStream(io.RawIOBase):
    """The bytes of concatenated zstd frames. Unlike the library's own reader it notices that a file is cut off."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain and self._unpack():
            pass
        size = min(len(buffer), len(self._plain))
        buffer[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def _unpack(self) -> bool:
        """Unpack one step; False at the end of the last frame."""
        packed = self._packed or self._source.read(_ZSTD_STEP_BYTES)
        if not packed:
            if self._frame is not None:
                raise EOFError("the compressed data ends before its end marker")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._plain = memoryview(self._frame.decompress(packed))
        self._packed = b""
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = None
        return True
