"""From event files into the store: what is good is kept, what is bad is written to a rejects file."""

import base64
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec

from indexer.progress import Progress, SilentProgress
from indexer.readers import STDIN, Row, is_event_file, read_rows
from indexer.store import Store
from models.errors import BadEvent, UnreadableFile
from models.event import Event, parse_event
from models.report import IngestReport

BATCH_ROWS: Final = 5_000
_ROWS_SOURCE: Final = "rows"  # in the rejects file, for events that came in no file
BATCH_BYTES: Final = 32 * 1024 * 1024

_FIRST_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A refused row. group: the reason without the values of this very row, to be counted by."""

    source: str
    row: Row
    reason: str
    group: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    source: str
    row: Row
    event: Event


def ingest(
    paths: Sequence[Path | str],
    store: Store,
    rejects_dir: Path,
    now: Callable[[], datetime],
    progress: Progress,
    batch: int = BATCH_ROWS,
) -> IngestReport:
    """Store the events of files, of the event files of folders, and of standard input for "-", in that order.

    A refused row goes to a new file in `rejects_dir` with its source, line and reason. So does the damage of a
    file that cannot be read to its end, as one more row; the files behind it are still read. Each batch is on
    disk before the next begins, so a run that was stopped is made good by running it again.
    Raises UnreadableFile, before anything is read, for a path that is missing or a folder without event files.
    """
    sources = _sources(paths)
    outcomes = (outcome for source in sources for outcome in _outcomes(source, now))
    return _store_all(outcomes, store, rejects_dir, now, progress, batch)


def ingest_rows(
    rows: Sequence[Mapping[str, Any]], store: Store, rejects_dir: Path | None, now: Callable[[], datetime]
) -> IngestReport:
    """Store events given as decoded rows of the event format; what `ingest` says of refused rows holds here,
    with the position in `rows`, from 1, as the line. They are counted only if there is no folder for them.
    """
    read = (Row(line, row, None, msgspec.json.encode(row)) for line, row in enumerate(rows, start=1))
    outcomes = (_outcome(_ROWS_SOURCE, row, now()) for row in read)
    return _store_all(outcomes, store, rejects_dir, now, SilentProgress(), BATCH_ROWS)


def _store_all(
    outcomes: Iterator[_Parsed | _Rejected],
    store: Store,
    rejects_dir: Path | None,
    now: Callable[[], datetime],
    progress: Progress,
    batch: int,
) -> IngestReport:
    started = now()
    tally = _Tally()
    progress.stage("ingest", None)
    with _RejectsFile(rejects_dir, started) as rejects:
        for batch_of_outcomes in _batches(outcomes, batch):
            _store_batch(batch_of_outcomes, store, rejects, tally)
            progress.advance(len(batch_of_outcomes))
        progress.done()
        return tally.report(rejects.path, (now() - started).total_seconds())


class _Tally:
    """Counts of what became of the rows."""

    def __init__(self) -> None:
        self.stored = 0
        self.duplicate = 0
        self.reasons: Counter[str] = Counter()

    def report(self, rejects: Path | None, seconds: float) -> IngestReport:
        rejected = self.reasons.total()
        return IngestReport(
            read=self.stored + self.duplicate + rejected,
            stored=self.stored,
            duplicate=self.duplicate,
            rejected=rejected,
            rejects=None if rejects is None else str(rejects),
            reasons=dict(self.reasons.most_common()),
            seconds=seconds,
        )


class _RejectsFile:
    """Refused rows as JSON Lines in a new file, which is made when the first of them comes. Without a folder they
    are dropped.
    """

    def __init__(self, folder: Path | None, started: datetime) -> None:
        self.path: Path | None = None
        self._folder = folder
        self._stamp = started.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def write(self, rejected: Sequence[_Rejected]) -> None:
        """Add rows; they are on disk on return."""
        if not rejected or self._folder is None:
            return
        stream = self._stream or self._create(self._folder)
        for each in rejected:
            stream.write(msgspec.json.encode(_reject_line(each)) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())

    def _create(self, folder: Path) -> BinaryIO:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while self._stream is None:
            self.path = folder / f"{self._stamp}-{number}.jsonl"
            try:
                self._stream = open(self.path, "xb")  # noqa: SIM115  closed by __exit__
            except FileExistsError:
                number += 1
        _sync_folder(folder)
        return self._stream


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reject_line(rejected: _Rejected) -> dict[str, str | int]:
    row = rejected.row
    line: dict[str, str | int] = {"source": rejected.source, "line": row.line, "reason": rejected.reason}
    try:
        line["row"] = row.raw.decode()
    except UnicodeDecodeError:
        line["row_base64"] = base64.b64encode(row.raw).decode("ascii")
    return line


def _sources(paths: Sequence[Path | str]) -> list[Path | str]:
    """The files to read, folders replaced by what they hold; all of them exist."""
    sources: list[Path | str] = []
    for path in paths:
        sources.extend([STDIN] if str(path) == STDIN else _files(Path(path)))
    return sources


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise UnreadableFile(f"{path} does not exist")
        return [path]
    files = sorted(inner for inner in path.iterdir() if is_event_file(inner) and inner.is_file())
    if not files:
        raise UnreadableFile(f"{path} holds no event file (.jsonl, .csv or .parquet, or one of them packed)")
    return files


def _outcomes(source: Path | str, now: Callable[[], datetime]) -> Iterator[_Parsed | _Rejected]:
    """Each row of a file as an event or a refusal, and a last refusal if the file is damaged."""
    name = str(source)
    line = 0
    try:
        with closing(read_rows(source)) as rows:
            for row in rows:
                line = row.line
                yield _outcome(name, row, now())
    except UnreadableFile as error:
        yield _Rejected(name, Row(line + 1, None, str(error), b""), str(error), "damaged file")


def _outcome(source: str, row: Row, now: datetime) -> _Parsed | _Rejected:
    if row.values is None:
        problem = row.problem or ""
        return _Rejected(source, row, problem, problem.partition(":")[0])
    try:
        return _Parsed(source, row, parse_event(row.values, now))
    except BadEvent as error:
        return _Rejected(source, row, str(error), f"bad {_key_at_fault(error)}")


def _key_at_fault(error: BadEvent) -> str:
    """The key that the message of `parse_event` begins with."""
    key = _FIRST_WORD.match(str(error))
    return key.group() if key else "event"


def _batches(outcomes: Iterator[_Parsed | _Rejected], most_rows: int) -> Iterator[list[_Parsed | _Rejected]]:
    """Bounded by rows and by bytes, though a single row may be over the bound."""
    batch: list[_Parsed | _Rejected] = []
    size_bytes = 0
    for outcome in outcomes:
        batch.append(outcome)
        size_bytes += len(outcome.row.raw)
        if len(batch) >= most_rows or size_bytes >= BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _store_batch(
    outcomes: Sequence[_Parsed | _Rejected], store: Store, rejects: _RejectsFile, tally: _Tally
) -> None:
    """Refused rows are written first: once the store has a batch, nobody reads its rows again."""
    parsed = [outcome for outcome in outcomes if isinstance(outcome, _Parsed)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, _Rejected)]
    rejects.write(refused)
    result = store.add_events([outcome.event for outcome in parsed])
    conflicting = [_conflict(parsed[position]) for position in result.conflicting]
    rejects.write(conflicting)
    tally.stored += result.stored
    tally.duplicate += result.duplicate
    tally.reasons.update(each.group for each in (*refused, *conflicting))


def _conflict(parsed: _Parsed) -> _Rejected:
    reason = f"event_id {parsed.event.event_id!r} is already stored with other content"
    return _Rejected(parsed.source, parsed.row, reason, "event_id already stored with other content")
