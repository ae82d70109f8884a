"""Prompts that wait to be matched: all that arrived while the last ones were examined are examined together."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
from anyio import CapacityLimiter, to_thread

from models.errors import Overloaded
from models.match import Match, Question

MatchAll = Callable[[Sequence[Question]], list[Match]]
Observe = Callable[[Sequence[float], float], None]
Tell = Callable[[int], None]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A question on its way. since, deadline: by the event loop's clock (s). done: set with the answer or the
    error.
    """

    question: Question
    since: float
    deadline: float
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: Match | None = None
    error: Exception | None = None


class MatchQueue:
    """Belongs to one event loop. No timer holds a lone prompt back, and none is examined that nobody waits for any
    more.

    most: questions that may wait; batch: examined together at most. Both bound what a burst can cost.
    """

    def __init__(
        self,
        match_all: MatchAll,
        most: int,
        batch: int,
        observe: Observe | None = None,
        tell: Tell | None = None,
    ) -> None:
        """observe: told of each batch how long (s) its questions waited, and how long they all took.
        tell: told how many wait, whenever that changes.
        """
        self._match_all = match_all
        self._observe = observe
        self._tell = tell
        self._most = most
        self._batch = batch
        self._waiting: deque[_Waiting] = deque()
        self._arrived = anyio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(self, question: Question, patience_s: float) -> Match:
        """The answer. Raises Overloaded if too many wait or if it takes longer than `patience_s` seconds, and
        whatever the engine raises.
        """
        if len(self._waiting) >= self._most:
            raise Overloaded(f"{len(self._waiting)} prompts wait already")
        now = anyio.current_time()
        mine = _Waiting(question, now, now + patience_s)
        self._waiting.append(mine)
        self._changed()
        self._arrived.set()
        try:
            with anyio.move_on_at(mine.deadline):
                await mine.done.wait()
        finally:
            if not mine.done.is_set() and mine in self._waiting:  # given up, or the caller hung up
                self._waiting.remove(mine)
                self._changed()
        if mine.error is not None:
            raise mine.error
        if mine.answer is None:
            raise Overloaded(f"the prompt was not examined within {patience_s:g} s")
        return mine.answer

    async def keep_answering(self, threads: CapacityLimiter) -> None:
        """Answers what arrives, until cancelled. Several may run, each with a thread of its own."""
        while True:
            while not self._waiting:
                if self._arrived.is_set():  # else another of these waits for it already
                    self._arrived = anyio.Event()
                await self._arrived.wait()
            await self._answer(self._next(), threads)

    def _next(self) -> list[_Waiting]:
        """The questions to examine now, the oldest first, without those whose time is up."""
        now = anyio.current_time()
        chosen: list[_Waiting] = []
        while self._waiting and len(chosen) < self._batch:
            first = self._waiting.popleft()
            if first.deadline > now:
                chosen.append(first)
        self._changed()
        return chosen

    def _changed(self) -> None:
        if self._tell is not None:
            self._tell(len(self._waiting))

    async def _answer(self, chosen: Sequence[_Waiting], threads: CapacityLimiter) -> None:
        """Answers the chosen; if that fails, each by itself, so that nobody gets the error of another."""
        if not chosen:
            return
        began = anyio.current_time()
        try:
            answers = await to_thread.run_sync(
                self._match_all, [each.question for each in chosen], limiter=threads
            )
        except Exception as error:  # noqa: BLE001 - handed to whoever asked; the HTTP edge deals with it
            if len(chosen) > 1:
                for each in chosen:
                    if each.deadline > anyio.current_time():
                        await self._answer([each], threads)
                return
            chosen[0].error = error
            chosen[0].done.set()
            return
        if self._observe is not None:
            self._observe([began - each.since for each in chosen], anyio.current_time() - began)
        for each, answer in zip(chosen, answers, strict=True):
            each.answer = answer
            each.done.set()
