"""From event files into the store: what is good is kept, what is bad is written to a rejects file."""

import base64
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec

from indexer.batches import batches
from indexer.examine import Examined, Refusal, examine
from indexer.examiners import Examiners
from indexer.process import usable_cores
from indexer.progress import Progress, SilentProgress
from indexer.readers import STDIN, is_event_file, read_lines
from indexer.rows import Line, Row
from indexer.store import Store
from models.errors import UnreadableFile
from models.report import IngestReport

BATCH_ROWS: Final = 5_000
_ROWS_SOURCE: Final = "rows"  # in the rejects file, for events that came in no file
BATCH_BYTES: Final = 32 * 1024 * 1024

_ALONE_BATCHES: Final = 2  # so many are done before another process would have started
_MOST_EXAMINERS: Final = 3  # they do twice the work of the process that writes


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows that are stored together. sources: where each comes from. damage: positions of the rows that stand for
    the damage of a whole file. now: when they had been read.
    """

    sources: list[str]
    rows: list[Row | Line]
    damage: frozenset[int]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A refused row. group: the reason without the values of this very row, to be counted by."""

    source: str
    row: Row | Line
    reason: str
    group: str


def ingest(
    paths: Sequence[Path | str],
    store: Store,
    rejects_dir: Path,
    now: Callable[[], datetime],
    progress: Progress,
    batch: int = BATCH_ROWS,
    examiners: int | None = None,
) -> IngestReport:
    """Store the events of files, of the event files of folders, and of standard input for "-", in that order.

    A refused row goes to a new file in `rejects_dir` with its source, line and reason. So does the damage of a
    file that cannot be read to its end, as one more row; the files behind it are still read. Each batch is on
    disk before the next begins, so a run that was stopped is made good by running it again.
    examiners: how many processes examine the lines of large JSON Lines files beside this one, which does it alone
    if there are none; by default one a core that may be used. Each batch of rows, the largest of which
    are BATCH_BYTES, is in memory for each of them and twice more.
    Raises UnreadableFile, before anything is read, for a path that is missing or a folder without event files.
    """
    sources = _sources(paths)
    count = _examiners_by_default() if examiners is None else examiners
    batches = _batches((row for source in sources for row in _rows(source)), now, batch)
    with _helped_by(count) as helpers:
        return _store_all(_examined(batches, helpers), store, rejects_dir, now, progress)


def ingest_rows(
    rows: Sequence[Mapping[str, Any]], store: Store, rejects_dir: Path | None, now: Callable[[], datetime]
) -> IngestReport:
    """Store events given as decoded rows of the event format; what `ingest` says of refused rows holds here,
    with the position in `rows`, from 1, as the line. They are counted only if there is no folder for them.
    """
    read = (
        (_ROWS_SOURCE, Row(line, row, None, msgspec.json.encode(row)), False)
        for line, row in enumerate(rows, start=1)
    )
    batches = _batches(read, now, BATCH_ROWS)
    return _store_all(_examined(batches, None), store, rejects_dir, now, SilentProgress())


def _examiners_by_default() -> int:
    """As many as there are cores to run them beside this process, which is seldom idle; more than a few would wait
    for it.
    """
    cores = usable_cores()
    return min(cores, _MOST_EXAMINERS) if cores > 1 else 0


def _helped_by(count: int) -> AbstractContextManager[Examiners | None]:
    return Examiners(count) if count else nullcontext()


def _examined(batches: Iterable[_Batch], helpers: Examiners | None) -> Iterator[tuple[_Batch, Examined]]:
    """Each batch with what became of its rows, in order; helpers are called once there is enough for them."""
    waiting: deque[tuple[_Batch, Callable[[], Examined]]] = deque()
    for number, batch in enumerate(batches):
        lines = [row for row in batch.rows if isinstance(row, Line)]
        if helpers is None or number < _ALONE_BATCHES or len(lines) < len(batch.rows):
            waiting.append((batch, partial(examine, batch.rows, batch.now)))
        else:
            waiting.append((batch, helpers.examine(lines, batch.now)))
        while len(waiting) > (0 if helpers is None or number < _ALONE_BATCHES else helpers.count + 1):
            first, answer = waiting.popleft()
            yield first, answer()
    for batch, answer in waiting:
        yield batch, answer()


def _store_all(
    examined: Iterable[tuple[_Batch, Examined]],
    store: Store,
    rejects_dir: Path | None,
    now: Callable[[], datetime],
    progress: Progress,
) -> IngestReport:
    started = now()
    tally = _Tally()
    progress.stage("ingest", None)
    with _RejectsFile(rejects_dir, started) as rejects:
        for batch, found in examined:
            _store_batch(batch, found, store, rejects, tally)
            progress.advance(len(batch.rows))
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


def _rows(source: Path | str) -> Iterator[tuple[str, Row | Line, bool]]:
    """Each row of a file with its source, and a last one, marked, if the file is damaged."""
    name = str(source)
    line = 0
    try:
        with closing(read_lines(source)) as rows:
            for row in rows:
                line = row.line
                yield name, row, False
    except UnreadableFile as error:
        yield name, Row(line + 1, None, str(error), b""), True


def _batches(
    rows: Iterable[tuple[str, Row | Line, bool]], now: Callable[[], datetime], most_rows: int
) -> Iterator[_Batch]:
    """Bounded by rows and by bytes, though a single row may be over the bound."""
    for taken in batches(rows, lambda row: len(row[1].raw), BATCH_BYTES, most_rows):
        damage = frozenset(position for position, (_, _, damaged) in enumerate(taken) if damaged)
        yield _Batch([source for source, _, _ in taken], [row for _, row, _ in taken], damage, now())


def _store_batch(batch: _Batch, found: Examined, store: Store, rejects: _RejectsFile, tally: _Tally) -> None:
    """Refused rows are written first: once the store has a batch, nobody reads its rows again."""
    refused = [_refused(batch, refusal) for refusal in found.refused]
    rejects.write(refused)
    result = store.add_records(found.records)
    conflicting = [
        _conflict(batch, found.positions[position], found.records.events[position].event_id)
        for position in result.conflicting
    ]
    rejects.write(conflicting)
    tally.stored += result.stored
    tally.duplicate += result.duplicate
    tally.reasons.update(each.group for each in (*refused, *conflicting))


def _refused(batch: _Batch, refusal: Refusal) -> _Rejected:
    at = refusal.position
    group = "damaged file" if at in batch.damage else refusal.group
    return _Rejected(batch.sources[at], batch.rows[at], refusal.reason, group)


def _conflict(batch: _Batch, position: int, event_id: str) -> _Rejected:
    reason = f"event_id {event_id!r} is already stored with other content"
    group = "event_id already stored with other content"
    return _Rejected(batch.sources[position], batch.rows[position], reason, group)
