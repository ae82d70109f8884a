"""Child processes that answer questions, for pure work in Python that would else hold up one core.

A child is a program of its own, not a fork, and loads only what it needs. It reads questions on standard input and
answers on standard output until standard input ends, so it outlives nobody who asks, however that one ends.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Final, Self

_LENGTH_BYTES: Final = 8
_ALLOCATIONS_A_COLLECTION: Final = 200_000  # by itself the collector looks at each row of a batch several times


class Children:
    """`count` processes, started when the first question is asked; a context manager that leaves none behind.

    module: what each of them runs; it hands `answer_all` what answers.
    """

    def __init__(self, module: str, count: int) -> None:
        self.count = count
        self._command = (sys.executable, "-P", "-m", module)
        self._children: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._askers = ThreadPoolExecutor(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits for what is still being answered: who wants it has asked for it."""
        for child in self._children:
            child.kill()
        self._askers.shutdown(cancel_futures=True)
        for child in self._children:
            child.communicate()  # closes its pipes and waits until it is gone

    @property
    def is_at_work(self) -> bool:
        """Whether the processes are there already, so that little work is worth sharing too."""
        return bool(self._children)

    def ask(self, question: bytes) -> Callable[[], bytes | None]:
        """Hand a question in, and get what waits for the answer: None if the child that had it has died, of the
        question or by somebody's hand.
        """
        if not self._children:
            self._start()
        return self._askers.submit(self._ask, question).result

    def _start(self) -> None:
        for _ in range(self.count):
            child = subprocess.Popen(
                self._command,
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


def answer_all(answer: Callable[[bytes], bytes]) -> None:
    """What a child does: answer until nobody asks any more."""
    gc.set_threshold(_ALLOCATIONS_A_COLLECTION)
    try:
        while question := _receive(sys.stdin.buffer):
            _send(sys.stdout.buffer, answer(question))
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
