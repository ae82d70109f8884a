"""Starts methods in fresh processes that take turns, and gathers what each run took."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Any

import peers as peerhouse

from clustering.methods import METHODS

HERE = Path(__file__).resolve().parent
HOUSE = peerhouse.ROOT / ".venv-bench-cluster"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
TIME_LIMIT, FEWER_TOO_MANY = "time limit", "time limit with fewer rows"  # why a run did not end
WARM_LIMIT_S = 1800.0  # to import and to compile; evoc and fast_hdbscan take minutes the first time


@dataclass(frozen=True, slots=True)
class Run:
    """One run. seconds: None if it did not end; then `ended` says why, else it is "". peak_mib holds the input."""

    import_s: float | None
    warm_s: float | None
    seconds: float | None
    peak_mib: float | None
    input_mib: float | None
    ended: str


@dataclass(slots=True)
class Runs:
    """All runs of a job. output: folder of what the last one found."""

    output: Path
    limit_s: float
    each: list[Run] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return bool(self.each) and all(run.seconds is not None for run in self.each)

    @property
    def times(self) -> list[float]:
        return [run.seconds for run in self.each if run.seconds is not None]

    @property
    def seconds(self) -> float | None:
        """Median, or None if it did not finish."""
        return median(self.times) if self.finished else None

    @property
    def timed_out(self) -> bool:
        """Or was not tried, as fewer rows were too many already."""
        return any(run.ended in (TIME_LIMIT, FEWER_TOO_MANY) for run in self.each)

    @property
    def at_least(self) -> float | None:
        """Median, or the limit that it ran into; None if it failed."""
        return self.limit_s if self.timed_out else self.seconds


@dataclass(frozen=True, slots=True)
class Job:
    """A method and what it gets. data, warm: folders of arrays, of each of which the first that has it counts."""

    method: str
    parameters: Mapping[str, Any]
    data: tuple[Path, ...]
    warm: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Setup:
    """What all processes of a benchmark share."""

    threads: int
    runs: int
    limit_s: float

    def environment(self, ours: bool) -> dict[str, str]:
        """The caller's, with bounded threads, and a place for compiled code that nothing else fills."""
        threads = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        return {**os.environ, **threads, "NUMBA_CACHE_DIR": str(cache(ours)), "TQDM_DISABLE": "1"}


def cache(ours: bool) -> Path:
    """Where compiled code is kept from one benchmark to the next."""
    return HOUSE / ("compiled-ours" if ours else "compiled-peers")


def cache_state() -> dict[str, int]:
    """How many files of compiled code there are at the start; 0 is a cold cache."""
    return {cache(ours).name: sum(1 for _ in cache(ours).rglob("*.nbc")) for ours in (True, False)}


def python(ours: bool) -> Path:
    """Interpreter of a method."""
    if ours:
        return Path(sys.executable)
    return peerhouse.python(HOUSE.name, "requirements-cluster.txt")


def folder_of(output: Path, name: str) -> Path:
    """Where a job leaves what it found."""
    return output / name.replace(" ", "-").replace(",", "")


def alternate(
    setup: Setup, jobs: Mapping[str, Job], output: Path, hopeless: Container[str] = ()
) -> dict[str, Runs]:
    """Runs of each job, in turns: a slow hour of the machine then falls on all alike. One that was not through in
    time, or failed, is not tried again. hopeless: those that were not through in time with fewer rows.
    """
    found = {name: Runs(folder_of(output, name), setup.limit_s) for name in jobs}
    for name, mine in found.items():
        shutil.rmtree(mine.output, ignore_errors=True)  # where data is kept, an earlier benchmark's answers
        if name in hopeless:
            mine.each.append(Run(None, None, None, None, None, FEWER_TOO_MANY))
    for turn in range(setup.runs):
        for name, mine in found.items():
            if mine.each and not mine.finished:
                continue
            mine.each.append(run(setup, jobs[name], mine.output))
            print(
                f"    {name}, run {turn + 1}: {_said(mine.each[-1], setup.limit_s)}", file=sys.stderr, flush=True
            )
    return found


def _said(run: Run, limit_s: float) -> str:
    if run.seconds is not None:
        return f"{run.seconds:.2f} s"
    return f"> {limit_s:g} s" if run.ended == TIME_LIMIT else run.ended


def run(setup: Setup, job: Job, output: Path) -> Run:
    """One process, ended when its time is up."""
    ours = METHODS[job.method].ours
    folders = [",".join(map(str, some)) for some in (job.data, job.warm)]
    output.mkdir(parents=True, exist_ok=True)
    command = [python(ours), HERE / "worker.py", job.method, json.dumps(job.parameters), *folders, output]
    told: dict[str, dict[str, Any]] = {}
    ended = ""
    with TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=setup.environment(ours),
            cwd=output,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(child, lines), daemon=True)
        reader.start()
        until = time.monotonic() + WARM_LIMIT_S
        try:
            while (line := lines.get(timeout=max(0.0, until - time.monotonic()))) is not None:
                event = _event(line)
                told[event.get("event", "")] = event
                if event.get("event") == "begins":
                    until = time.monotonic() + setup.limit_s
                elif event.get("event") == "fitted":
                    until = time.monotonic() + WARM_LIMIT_S  # only its arrays are to be written
            child.wait()
        except queue.Empty:
            ended = TIME_LIMIT if "begins" in told else f"not compiled in {WARM_LIMIT_S:g} s"
            told.setdefault("fitted", {"peak_mib": _peak_mib(child.pid)})
        finally:
            child.kill()
            child.wait()
        reader.join()
        if not ended and child.returncode:
            errors.seek(0)
            last = errors.read().strip().splitlines()[-1:] or ["no word"]
            ended = f"failed ({child.returncode}): {last[0]}"
            told.pop("fitted", None)
    begins, fitted = told.get("begins", {}), told.get("fitted", {})
    return Run(
        told.get("imported", {}).get("seconds"),
        told.get("warmed", {}).get("seconds"),
        None if ended else fitted.get("seconds"),
        fitted.get("peak_mib"),
        begins.get("input_mib"),
        ended,
    )


def _read(child: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert child.stdout
    for line in child.stdout:
        lines.put(line)
    lines.put(None)


def _event(line: str) -> dict[str, Any]:
    """What a worker tells; a library may print lines of its own, which say nothing."""
    if not line.startswith('{"event"'):
        return {}
    event: dict[str, Any] = json.loads(line)
    return event


def _peak_mib(process: int) -> float | None:
    status = Path(f"/proc/{process}/status")
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
