"""Counters and histograms, in the text format that Prometheus scrapes."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import multiprocess as shared
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from indexer.process import is_alive
from models.match import Match
from models.status import Status

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FOLDER: Final = "stillwatch-metrics"
_LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.003, 0.004, 0.006, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """What one application counts. Each has its own registry, so several can live in one process."""

    def __init__(self, together: Path | None = None) -> None:
        """together: folder in which the workers of a server count together, None if there is one process;
        PROMETHEUS_MULTIPROC_DIR has to name it before this module is imported.
        """
        self._together = together
        if together is not None:
            _forget_the_dead(together)
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "stillwatch_requests", "Requests answered.", ("route", "status"), registry=registry
        )
        self.match_seconds = Histogram(
            "stillwatch_match_seconds",
            "Time to match one prompt, waiting for a thread included.",
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.decisions = Counter(
            "stillwatch_decisions",
            "Prompts matched.",
            ("mode", "decision", "level", "would_block", "block"),
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "stillwatch_stage_seconds",
            "Time of one stage: a prompt's wait in a queue, or the examination of a batch.",
            ("queue", "stage"),
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.batch_prompts = Histogram(
            "stillwatch_batch_prompts",
            "Prompts examined together.",
            ("queue",),
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.waiting = Gauge(
            "stillwatch_waiting_prompts",
            "Prompts in a queue.",
            ("queue",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._recalls = Counter(
            "stillwatch_answers", "Questions by where the answer came from.", ("source",), registry=registry
        )
        self.unexamined = Counter(
            "stillwatch_unexamined", "Gateways' questions without a text to examine.", registry=registry
        )
        self.lost_blocks = Counter("stillwatch_lost_blocks", "Blocks that could not be kept.", registry=registry)
        self.lost_events = Counter(
            "stillwatch_lost_events",
            "Prompts that were asked about and could not be remembered.",
            registry=registry,
        )
        self.age = Gauge(
            "stillwatch_generation_age_seconds",
            "Age of the loaded generation; NaN if none is.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.campaigns = Gauge(
            "stillwatch_campaigns",
            "Campaigns, those watched included.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.disk = Gauge(
            "stillwatch_disk_bytes",
            "Bytes that each part of the data directory takes, and those that are free.",
            ("part",),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.alarms = Gauge(
            "stillwatch_alarms",
            "Campaigns of level likely and up.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.events_waiting = Gauge(
            "stillwatch_events_waiting",
            "Events stored that no generation covers yet.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def count_match(self, match: Match) -> None:
        """Count one answer about one prompt."""
        level = match.level.value if match.level else "none"
        blocks = (str(match.would_block).lower(), str(match.block).lower())
        self.decisions.labels(match.mode.value, match.decision.value, level, *blocks).inc()

    def count_recall(self, known: bool) -> None:
        """Count one question, answered from memory or by examining the prompt."""
        self._recalls.labels("memory" if known else "examined").inc()

    def count_batch(self, queue: str, waits_s: Sequence[float], examined_s: float) -> None:
        """Count one batch: how long each of its prompts waited, and how long all of them took."""
        for wait_s in waits_s:
            self.stage_seconds.labels(queue, "wait").observe(wait_s)
        self.stage_seconds.labels(queue, "examine").observe(examined_s)
        self.batch_prompts.labels(queue).observe(len(waits_s))

    def render(self, status: Status) -> bytes:
        """The exposition, with the gauges set from `status`."""
        self.age.set(float("nan") if status.age_s is None else status.age_s)
        self.campaigns.set(status.campaigns)
        self.alarms.set(status.alarms)
        self.events_waiting.set(status.events_stored - status.events_indexed)
        for part, size in status.disk.items():
            self.disk.labels(part).set(size)
        if self._together is None:
            return generate_latest(self._registry)
        everybodys = CollectorRegistry()
        shared.MultiProcessCollector(everybodys, str(self._together))  # type: ignore[no-untyped-call]
        return generate_latest(everybodys)


@contextmanager
def metrics_folder(root: Path) -> Iterator[Path]:
    """A folder under `root` where the workers of this process count together, until it ends; those of processes
    that were killed are removed.
    """
    for path in root.glob(f"{_FOLDER}-*-*"):
        number = path.name.removeprefix(f"{_FOLDER}-").partition("-")[0]
        if number.isdecimal() and not is_alive(int(number)):
            shutil.rmtree(path, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{_FOLDER}-{os.getpid()}-", dir=root) as folder:
        yield Path(folder)


def _forget_the_dead(folder: Path) -> None:
    """Takes back what workers that are gone said of the present, such as how many prompts wait; counts stay."""
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rsplit("_", 1)[1]
        if number.isdecimal() and not is_alive(int(number)):
            shared.mark_process_dead(int(number), str(folder))  # type: ignore[no-untyped-call]
