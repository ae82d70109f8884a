"""What state the engine is in: the answer to "is it up to date, and can it be trusted?"."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """OK: answering from a fresh generation. STALE: answering, but the generation is too old or too many events
    wait. DEGRADED: answering, but something is broken (a new generation could not be loaded). NOT_READY: no
    generation is loaded, so nothing can be answered.
    """

    OK = "ok"
    STALE = "stale"
    DEGRADED = "degraded"
    NOT_READY = "not_ready"


@dataclass(frozen=True, slots=True)
class Status:
    """The engine at one moment.

    generation, created_at, age_s, watermark, encoder: of the loaded generation; None if there is none.
    watermark: the highest event sequence number the generation covers.
    events_stored: events in the store; events_indexed: those of them that the generation covers.
    detail: one sentence on the health, "" if there is nothing to say.
    disk: bytes that each part of the data directory takes, and those that are free.
    """

    generation: str | None
    created_at: datetime | None
    age_s: float | None
    watermark: int | None
    events_stored: int
    events_indexed: int
    prompts: int
    campaigns: int
    alarms: int
    encoder: str | None
    health: Health
    detail: str
    disk: Mapping[str, int]
