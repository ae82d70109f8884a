"""How jobs went, on disk, so that every worker of a server can tell, and the next server too."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from indexer.lock import exclusive, hold, is_held
from models.errors import Busy, UnknownJob
from models.job import Job, JobState

RUNNING: Final = "a job is already running; ask again when it is done"
JOBS_KEPT: Final = 100
_GONE: Final = "the server that followed it is gone; what it published, if anything, the status tells"
_OWNER: Final = re.compile("[0-9a-f]{32}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Record:
    """owner: name of the process that follows the job. It holds a lock of that name for as long as it lives, and
    so does the child that does the work; their numbers would say little, as others may have them by now.
    """

    owner: str
    job: Job


class JobRecords:
    """One file a job, in a folder that the workers of a server share. The last JOBS_KEPT are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._me = uuid4().hex
        self._alive: int | None = None  # descriptor of the lock; it is freed when the process ends

    def keep(self, job: Job) -> None:
        """Stores a job of this process as last heard of. Readers see the one before or this one, never half."""
        self.descriptor()
        aside, path = self._folder / f".{job.job_id}-{self._me}", self._folder / f"{job.job_id}.json"
        try:
            aside.write_bytes(msgspec.json.encode(_Record(self._me, job)))
            os.replace(aside, path)
        except OSError:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
                if job.state.is_final:
                    path.unlink(missing_ok=True)  # better no word of it than that it runs for ever
            raise
        if job.state.is_final:
            self._prune()

    def descriptor(self) -> int:
        """Of this process's lock; a child that inherits it holds it too."""
        if self._alive is None:
            self._alive = hold(self._lock(self._me))
        return self._alive

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Where a job may start: one at a time, whoever starts it. Raises Busy while another starts or runs."""
        with exclusive(self._folder / "start.lock"):
            if self.running():
                raise Busy(RUNNING)
            yield

    def progress_file(self, job_id: str) -> Path:
        """Where the child of a job writes what it has to say."""
        return self._folder / f"{job_id}.progress"

    def cancel(self, job_id: str) -> Job:
        """Leaves word for whoever follows a job that it is to be stopped, and gives it as last heard of; one that
        has ended stays as it is. Raises UnknownJob.
        """
        job = self.find(job_id)
        if job is None:
            raise UnknownJob(f"no job {job_id!r}; the last {JOBS_KEPT} are kept")
        if not job.state.is_final:
            self.cancel_file(job_id).touch()
        return job

    def cancel_file(self, job_id: str) -> Path:
        """What is there once a job is to be stopped."""
        return self._folder / f"{job_id}.cancel"

    def find(self, job_id: str) -> Job | None:
        """The job of this id, None if there is none. It has failed if nobody follows it any more."""
        return self._read(self._folder / f"{job_id}.json")

    def running(self) -> list[Job]:
        """Jobs of any process that have not ended."""
        return [each for each in self.all() if not each.state.is_final]

    def all(self) -> list[Job]:
        """Jobs of any process, the last one first."""
        jobs = [self._read(path) for path in self._folder.glob("job-*.json")]
        known = [each for each in jobs if each is not None]
        return sorted(known, key=lambda each: (each.started_at, each.job_id), reverse=True)

    def _read(self, path: Path) -> Job | None:
        try:
            record = msgspec.json.decode(path.read_bytes(), type=_Record)
            if not _OWNER.fullmatch(record.owner):
                raise ValueError("the owner's name is none of ours")
            if record.job.state.is_final or is_held(self._lock(record.owner)):
                return record.job
            heard = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, msgspec.DecodeError) as error:
            _log.warning("job_record_refused file=%s reason=%s", path.name, type(error).__name__)
            return None
        return replace(record.job, state=JobState.FAILED, detail=_GONE, finished_at=heard)

    def _lock(self, owner: str) -> Path:
        return self._folder / f"{owner}.owner"

    def _prune(self) -> None:
        ages: dict[Path, float] = {}
        for path in self._folder.glob("job-*.json"):
            with suppress(FileNotFoundError):
                ages[path] = path.stat().st_mtime
        for path in sorted(ages, key=lambda each: ages[each])[: max(0, len(ages) - JOBS_KEPT)]:
            path.unlink(missing_ok=True)
            for beside in (self.progress_file(path.stem), self.cancel_file(path.stem)):
                beside.unlink(missing_ok=True)
        for path in self._folder.glob("*.owner"):
            if not is_held(path):
                path.unlink(missing_ok=True)
