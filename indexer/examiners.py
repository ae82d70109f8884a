"""Processes that examine lines of event files, so that the one that writes to the store need not.

Run as a program this is such a process: it reads questions on standard input and answers on standard output until
standard input ends, so it outlives nobody who asks, however that one ends. It is started as a program of its own,
not forked, and loads only what it needs.
"""

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from indexer.examine import Examined, examine
from indexer.rows import Line

_COMMAND: Final = (sys.executable, "-P", "-m", "indexer.examiners")
_LENGTH_BYTES: Final = 8
_ALLOCATIONS_A_COLLECTION: Final = 200_000  # by itself the collector looks at each row of a batch several times

_log = logging.getLogger(__name__)


class _Question(msgspec.Struct, frozen=True, array_like=True):
    now: datetime
    lines: list[bytes]


_QUESTIONS: Final = msgspec.msgpack.Decoder(_Question)
_ANSWERS: Final = msgspec.msgpack.Decoder(Examined)


class Examiners:
    """`count` processes, started when the first lines are handed in; a context manager that leaves none behind."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._children: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._askers = ThreadPoolExecutor(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits for what is still being examined: who wants it has asked for the answer."""
        for child in self._children:
            child.kill()
        self._askers.shutdown(cancel_futures=True)
        for child in self._children:
            child.communicate()  # closes its pipes and waits until it is gone

    def examine(self, lines: Sequence[Line], now: datetime) -> Callable[[], Examined]:
        """Hand lines in, and get what waits for the answer, which is that of `indexer.examine.examine`.

        A process that has died, of a line or by somebody's hand, costs time only: its lines are examined here.
        """
        if not self._children:
            self._start()
        question = msgspec.msgpack.encode(_Question(now, [line.raw for line in lines]))
        asked = self._askers.submit(self._ask, question)

        def answer() -> Examined:
            told = asked.result()
            if told is None:
                _log.warning("an examiner has died lines=%d", len(lines))
                return examine(lines, now)
            return _ANSWERS.decode(told)

        return answer

    def _start(self) -> None:
        for _ in range(self.count):
            child = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the process that asks
            )
            self._children.append(child)
            self._idle.put(child)

    def _ask(self, question: bytes) -> bytes | None:
        """The answer, None if there is nobody to give it. Threads do no more than wait here, without the GIL."""
        child = self._idle.get()
        try:
            _send(_pipe(child.stdin), question)
            return _receive(_pipe(child.stdout))
        except OSError:  # a broken pipe
            return None
        finally:
            self._idle.put(child)


def main() -> None:
    """Answer until nobody asks any more."""
    gc.set_threshold(_ALLOCATIONS_A_COLLECTION)
    try:
        while question := _receive(sys.stdin.buffer):
            asked = _QUESTIONS.decode(question)
            lines = [Line(number, raw) for number, raw in enumerate(asked.lines, start=1)]
            _send(sys.stdout.buffer, msgspec.msgpack.encode(examine(lines, asked.now)))
    except BrokenPipeError:  # whoever asked is gone
        os._exit(1)  # without the attempt to write what is left


def _send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(_LENGTH_BYTES, "little"))
    stream.write(message)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes | None:
    """The next message, None if there is none any more."""
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    message = stream.read(length)
    return message if length and len(message) == length else None


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise BrokenPipeError
    return stream


if __name__ == "__main__":
    main()
