"""What a job is: one long piece of work that the server started, followed by its id."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """QUEUED and RUNNING are passing; the others are final. CANCELLED: somebody stopped it, or the server."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in {JobState.QUEUED, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class Job:
    """One job as last heard of.

    kind: what it does, e.g. "reindex".
    stage, done, total: how far it is; "" before the first stage, total None where it is not known.
    detail: why it failed; "" otherwise.
    result: the report it ended with; set exactly if it succeeded.
    """

    job_id: str
    kind: str
    state: JobState
    started_at: datetime
    finished_at: datetime | None = None
    stage: str = ""
    done: int = 0
    total: int | None = None
    detail: str = ""
    result: dict[str, Any] | None = None
