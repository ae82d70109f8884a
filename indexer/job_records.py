"""How jobs went, on disk, so that every worker of a server can tell, and the next server too."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from indexer.process import is_alive
from models.job import Job, JobState

JOBS_KEPT: Final = 100
_GONE: Final = "the server that ran it is gone"


@dataclass(frozen=True, slots=True)
class _Record:
    """owner: process that follows the job."""

    owner: int
    job: Job


class JobRecords:
    """One file a job, in a folder that the workers of a server share. The last JOBS_KEPT are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._me = os.getpid()

    def keep(self, job: Job) -> None:
        """Stores a job of this process as last heard of. Readers see the one before or this one, never half."""
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{job.job_id}-{self._me}"
        aside.write_bytes(msgspec.json.encode(_Record(self._me, job)))
        os.replace(aside, self._folder / f"{job.job_id}.json")
        if job.state.is_final:
            self._prune()

    def find(self, job_id: str) -> Job | None:
        """The job of this id, None if there is none."""
        record = self._read(self._folder / f"{job_id}.json")
        return None if record is None else record.job

    def running(self) -> list[Job]:
        """Jobs of any process that have not ended."""
        records = [self._read(path) for path in self._folder.glob("job-*.json")]
        return [each.job for each in records if each is not None and not each.job.state.is_final]

    def give_up(self, now: datetime) -> None:
        """Ends the jobs of processes that are gone, and those of this one's number, which others had before it.
        For a process that has not started any.
        """
        for path in self._folder.glob("job-*.json"):
            record = self._read(path)
            if record is None or record.job.state.is_final:
                continue
            if record.owner == self._me or not is_alive(record.owner):
                self.keep(replace(record.job, state=JobState.FAILED, detail=_GONE, finished_at=now))

    def _read(self, path: Path) -> _Record | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _prune(self) -> None:
        ages: dict[Path, float] = {}
        for path in self._folder.glob("job-*.json"):
            with suppress(FileNotFoundError):
                ages[path] = path.stat().st_mtime
        for path in sorted(ages, key=lambda each: ages[each])[: max(0, len(ages) - JOBS_KEPT)]:
            path.unlink(missing_ok=True)
