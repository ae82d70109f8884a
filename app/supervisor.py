"""Several workers: started, watched, replaced when they die or hang, and stopped together."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, Protocol

SILENCE_S: Final = 60.0  # in which its event loop did not turn once: the worker hangs
GRACE_S: Final = 20.0  # between asking workers to stop and killing them
_PAUSES_S: Final = (0, 1, 2, 4, 8, 16, 30)  # after so many failures to start, the last for ever after
CANNOT_START: Final = 2
_LOOK_S: Final = 0.25
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logging.getLogger(__name__)
_processes = multiprocessing.get_context(
    "spawn"
)  # a fork would share locks and threads in whatever state they are


class Beat(Protocol):
    """A number that a worker and its supervisor share: when the worker was last seen to work, 0 before that."""

    value: float


Work = Callable[[Beat], None]
"""What a worker does until it is sent SIGTERM. It sets the beat to `time.monotonic()` again and again."""


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    beat: Beat


class Supervisor:
    """Keeps `count` workers at `work`, which must be picklable. `run` belongs to the main thread.

    started: called once, when the first of them works.
    """

    def __init__(self, work: Work, count: int, started: Callable[[], None], silence_s: float = SILENCE_S) -> None:
        self._work = work
        self._count = count
        self._started = started
        self._silence_s = silence_s
        self._workers: list[_Worker] = []
        self._any_worked = False
        self._failures = 0  # to start, one after the other
        self._due = 0.0  # when workers that are missing may be started

    def run(self) -> int:
        """Works until SIGTERM, SIGINT or SIGHUP. Exit status CANNOT_START if no worker ever came to work."""
        with _signals() as stopped:
            try:
                while not wait([stopped], 0):
                    if self._failures and not self._any_worked:
                        return CANNOT_START
                    self._fill_up()
                    wait([stopped, *(each.process.sentinel for each in self._workers)], _LOOK_S)
                    self._look()
            finally:
                self._stop()
        return 0

    def _fill_up(self) -> None:
        while len(self._workers) < self._count and time.monotonic() >= self._due:
            beat = _processes.Value("d", 0.0, lock=False)
            process = _processes.Process(target=_run, args=(self._work, beat), name="worker")
            process.start()
            self._workers.append(_Worker(process, beat))

    def _look(self) -> None:
        """Takes leave of workers that died, and kills those that hang."""
        now = time.monotonic()
        for worker in list(self._workers):
            beat = worker.beat.value
            if beat and not self._any_worked:
                self._any_worked = True
                self._started()
            if not worker.process.is_alive():
                worker.process.join()
                self._workers.remove(worker)
                self._failures = 0 if beat else self._failures + 1
                pause_s = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
                self._due = now + pause_s
                _tell("worker died", worker, exit_status=worker.process.exitcode, pause_s=pause_s)
            elif beat and now - beat > self._silence_s:
                _tell("worker hangs", worker, silence_s=round(now - beat, 1))
                worker.process.kill()

    def _stop(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + GRACE_S
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                _tell("worker does not stop", worker)
                worker.process.kill()
                worker.process.join()


def _run(work: Work, beat: Beat) -> None:
    """In the worker: works, but not longer than the supervisor is there."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None

    def follow() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="follow the supervisor", daemon=True).start()
    work(beat)


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that can be read once the process was told to stop."""
    reading, writing = os.pipe()

    def stop(number: int, frame: FrameType | None) -> None:
        os.write(writing, b".")

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _tell(event: str, worker: _Worker, **fields: Any) -> None:
    _log.warning(event, extra={"fields": {"pid": worker.process.pid, **fields}})
