"""Long work in a child process, one at a time, so that the server's own process stays quick and small."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, TextIO
from uuid import uuid4

from indexer.job_records import JOBS_KEPT, RUNNING, JobRecords
from models.errors import Busy, StorageUnusable, UnknownJob
from models.job import Job, JobState

MAP_JOB: Final = "map"
REPORT_BYTES: Final = 1 << 20  # of a child's standard output
DETAIL_CHARACTERS: Final = 300
CANCELLED: Final = "somebody cancelled it; a reindex goes on where this one stopped"
GRACE_S: Final = 10.0  # between asking a child to stop and killing it
_LOOK_S: Final = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: `done` of `total` (None: unknown) in `stage`."""

    stage: str
    done: int
    total: int | None


def reindex_command(data: Path, full: bool) -> list[str]:
    """Command line of a child that reindexes `data` and prints its report as one JSON document."""
    command = [sys.executable, "-P", "-m", "indexer", "reindex", "--data", str(data), "--json"]
    return [*command, "--full"] if full else command


def map_command(data: Path) -> list[str]:
    """Command line of a child that draws the map of `data`."""
    return [sys.executable, "-P", "-m", "indexer", "map", "--data", str(data), "--json"]


def parse_progress(line: str) -> Progress | None:
    """Progress in a line of a child's standard error, None if the line is something else."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("stage"), str):
        return None
    done, total = row.get("done"), row.get("total")
    return Progress(row["stage"], done if isinstance(done, int) else 0, total if isinstance(total, int) else None)


class Jobs:
    """Starts reindexing in a child process and tells how the last 100 jobs went, those of other workers and of the
    servers before included. Thread-safe.

    records: where that is kept.
    command: gives the child's command line for `full`. others: command lines of further kinds of jobs. The child
    reports progress as JSON lines
        {"stage", "done", "total"} on standard error and its result as one JSON object on standard output.
    clock: aware time now.
    """

    def __init__(
        self,
        records: JobRecords,
        command: Callable[[bool], list[str]],
        clock: Callable[[], datetime],
        others: Mapping[str, list[str]] | None = None,
    ) -> None:
        self._records = records
        self._command = command
        self._clock = clock
        self._others = dict(others or {})
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}  # of this process
        self._child: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._closed = False

    def start(self, full: bool) -> Job:
        """Start a reindex and return at once. Raises Busy while another job runs, and after `close`, and
        StorageUnusable if nothing can be kept of it.
        """
        return self._start("reindex", self._command(full))

    def start_other(self, kind: str) -> Job:
        """The same with another kind of job. Raises UnknownJob if there is no such kind."""
        if kind not in self._others:
            raise UnknownJob(f"no kind of job is called {kind!r}")
        return self._start(kind, self._others[kind])

    def _start(self, kind: str, command: list[str]) -> Job:
        with self._lock:
            if self._closed:
                raise Busy("the server is stopping")
            if self._child is not None:
                raise Busy(RUNNING)
            job = Job(f"job-{uuid4().hex[:12]}", kind, JobState.QUEUED, self._clock())
            try:
                with self._records.starting():
                    self._records.keep(job)
                    return self._spawn(job, command)
            except OSError as error:
                raise StorageUnusable(f"the records of jobs take nothing now: {error.strerror}") from error

    def get(self, job_id: str) -> Job:
        """The job as last heard of. Raises UnknownJob."""
        with self._lock:
            job = self._jobs.get(job_id) or self._records.find(job_id)
        if job is None:
            raise UnknownJob(f"no job {job_id!r}; the last {JOBS_KEPT} are kept")
        return job

    def recent(self) -> list[Job]:
        """Jobs of any process as last heard of, the last one first."""
        with self._lock:
            mine = dict(self._jobs)
        return [mine.get(each.job_id, each) for each in self._records.all()]

    def cancel(self, job_id: str) -> Job:
        """Have a job stopped, whichever worker follows it, see `JobRecords.cancel`. What it has done so far is
        kept: the next reindex goes on there.
        """
        return self._records.cancel(job_id)

    def close(self) -> None:
        """Stop the running child, if any, and wait until it is gone. No job starts afterwards."""
        with self._lock:
            self._closed = True
            child, watcher = self._child, self._watcher
        if child is None or watcher is None:
            return
        _signal(child, signal.SIGTERM)
        watcher.join(GRACE_S)
        if watcher.is_alive():
            _signal(child, signal.SIGKILL)
            watcher.join()

    def _spawn(self, job: Job, command: list[str]) -> Job:
        """Under the lock: start the child and the thread that follows it.

        The child writes to files, not to a pipe, which would break if this process were killed; and as it holds
        the lock of its owner too, everybody sees that the job goes on then.
        """
        report = TemporaryFile()  # noqa: SIM115 - the thread that follows the child closes it
        try:
            with self._records.progress_file(job.job_id).open("ab") as said:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=report,
                    stderr=said,
                    start_new_session=True,  # so that its own children stop with it
                    pass_fds=(self._records.descriptor(),),
                )
        except OSError as error:
            report.close()
            return self._remember(self._ended(job, JobState.FAILED, f"cannot start: {error.strerror}"))
        running = self._remember(replace(job, state=JobState.RUNNING))
        self._child = child
        self._watcher = threading.Thread(target=self._follow, args=(running, child, report), name=job.job_id)
        self._watcher.start()
        _log.info("job started", extra={"fields": {"job_id": job.job_id, "kind": job.kind}})
        return running

    def _follow(self, job: Job, child: subprocess.Popen[bytes], report: IO[bytes]) -> None:
        last_words = ""
        path = self._records.progress_file(job.job_id)
        with report, path.open(errors="replace") as said:
            for line in _lines(said, child, _Stopper(child, self._records.cancel_file(job.job_id))):
                progress = parse_progress(line)
                if progress is None:
                    last_words = line.strip() or last_words
                else:
                    job = replace(job, stage=progress.stage, done=progress.done, total=progress.total)
                    with self._lock:
                        self._remember(job)
            result = _read_report(report)
        path.unlink(missing_ok=True)
        self._finish(job, child.wait(), result, last_words)

    def _finish(self, job: Job, exit_status: int, result: dict[str, Any] | None, last_words: str) -> None:
        asked = self._records.cancel_file(job.job_id)
        was_cancelled = asked.exists()
        asked.unlink(missing_ok=True)
        with self._lock:
            if exit_status == 0 and result is not None:
                job = replace(self._ended(job, JobState.SUCCEEDED, ""), result=result)
            elif self._closed:
                job = self._ended(job, JobState.CANCELLED, "the server was stopped")
            elif was_cancelled:
                job = self._ended(job, JobState.CANCELLED, CANCELLED)
            else:
                reason = f"exit status {exit_status}: {last_words or 'no report'}"
                job = self._ended(job, JobState.FAILED, reason[:DETAIL_CHARACTERS])
            self._remember(job)
            self._child = self._watcher = None
        fields = {"job_id": job.job_id, "state": job.state, "exit_status": exit_status}
        _log.info("job ended", extra={"fields": fields})

    def _ended(self, job: Job, state: JobState, detail: str) -> Job:
        return replace(job, state=state, detail=detail, finished_at=self._clock())

    def _remember(self, job: Job) -> Job:
        self._jobs[job.job_id] = job
        while len(self._jobs) > JOBS_KEPT:
            del self._jobs[next(iter(self._jobs))]  # the oldest, never the one that runs
        try:
            self._records.keep(job)
        except OSError as error:  # a full disk is told of; it is no reason to lose sight of the child
            _log.error("job not recorded", extra={"fields": {"job_id": job.job_id, "reason": error.strerror}})
        return job


class _Stopper:
    """Stops a child once a file is there: asks it to stop, and kills it if it has not after GRACE_S."""

    def __init__(self, child: subprocess.Popen[bytes], asked: Path) -> None:
        self._child = child
        self._asked = asked
        self._deadline_s: float | None = None

    def look(self) -> None:
        """Do what is to be done now."""
        if self._deadline_s is None and self._asked.exists():
            self._deadline_s = time.monotonic() + GRACE_S
            _signal(self._child, signal.SIGTERM)
        elif self._deadline_s is not None and time.monotonic() > self._deadline_s:
            _signal(self._child, signal.SIGKILL)


def _lines(said: TextIO, child: subprocess.Popen[bytes], stopper: _Stopper) -> Iterator[str]:
    """What the child says, line by line, until it has ended."""
    begun = ""
    while True:
        stopper.look()
        has_ended = child.poll() is not None  # asked first: what it said last is then there to be read
        begun += said.readline()
        if begun.endswith("\n") or (begun and has_ended):
            yield begun
            begun = ""
        elif has_ended:
            return
        else:
            time.sleep(_LOOK_S)


def _read_report(report: IO[bytes]) -> dict[str, Any] | None:
    report.seek(0)
    try:
        document = json.loads(report.read(REPORT_BYTES))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the child and all it started; it may be gone already."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
