"""Processes that examine lines of event files, so that the one that writes to the store need not.

Run as a program this is such a process, see `indexer.children`.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from indexer.children import Children, answer_all
from indexer.examine import Examined, examine
from indexer.rows import Line

_log = logging.getLogger(__name__)


class _Question(msgspec.Struct, frozen=True, array_like=True):
    now: datetime
    lines: list[bytes]


_QUESTIONS: Final = msgspec.msgpack.Decoder(_Question)
_ANSWERS: Final = msgspec.msgpack.Decoder(Examined)


class Examiners(Children):
    """`count` processes, started when the first lines are handed in; a context manager that leaves none behind."""

    def __init__(self, count: int) -> None:
        super().__init__("indexer.examiners", count)

    def examine(self, lines: Sequence[Line], now: datetime) -> Callable[[], Examined]:
        """Hand lines in, and get what waits for the answer, which is that of `indexer.examine.examine`.

        A process that has died costs time only: its lines are examined here.
        """
        asked = self.ask(msgspec.msgpack.encode(_Question(now, [line.raw for line in lines])))

        def answer() -> Examined:
            told = asked()
            if told is None:
                _log.warning("an examiner has died lines=%d", len(lines))
                return examine(lines, now)
            return _ANSWERS.decode(told)

        return answer


def _answer(question: bytes) -> bytes:
    asked = _QUESTIONS.decode(question)
    lines = [Line(number, raw) for number, raw in enumerate(asked.lines, start=1)]
    return msgspec.msgpack.encode(examine(lines, asked.now))


if __name__ == "__main__":
    answer_all(_answer)
