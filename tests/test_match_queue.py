"""Questions that wait: batches without a timer, a bound on how many and how long, and no error of another."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import pytest
from anyio import CapacityLimiter
from anyio.abc import TaskGroup
from api_double import MemoryEngine

from app.match_queue import MatchQueue
from models.errors import BadPrompt, Overloaded
from models.match import Match, Question
from models.prompt import Prompt

pytestmark = pytest.mark.anyio


@dataclass
class Desk:
    """Answers like the engine in memory, but only while the gate is open; remembers what it was asked together."""

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)
    engine: MemoryEngine = field(default_factory=MemoryEngine)

    def __call__(self, questions: Sequence[Question]) -> list[Match]:
        self.batches.append([each.prompt.user for each in questions])
        assert self.gate.wait(10)
        if any(each.prompt.user == "bad" for each in questions):
            raise BadPrompt("one is bad")
        return self.engine.match_all(questions)


@asynccontextmanager
async def serving(queue: MatchQueue, threads: int = 1) -> AsyncIterator[None]:
    limiter = CapacityLimiter(threads)
    async with anyio.create_task_group() as group:
        for _ in range(threads):
            group.start_soon(queue.keep_answering, limiter)
        yield
        group.cancel_scope.cancel()


def asked(text: str) -> Question:
    return Question(Prompt("", text))


async def ask_into(found: dict[str, object], queue: MatchQueue, text: str, patience_s: float = 10) -> None:
    try:
        found[text] = await queue.ask(asked(text), patience_s)
    except (BadPrompt, Overloaded) as error:
        found[text] = error


@asynccontextmanager
async def behind_a_busy_one(queue: MatchQueue, found: dict[str, object]) -> AsyncIterator[TaskGroup]:
    """Callers of a queue whose only thread is at work on "busy"."""
    async with serving(queue), anyio.create_task_group() as callers:
        callers.start_soon(ask_into, found, queue, "busy")
        await anyio.wait_all_tasks_blocked()
        yield callers


async def test_what_arrives_meanwhile_is_examined_together() -> None:
    desk = Desk()
    queue = MatchQueue(desk, most=100, batch=3)
    found: dict[str, object] = {}
    async with behind_a_busy_one(queue, found) as callers:
        for text in ("a", "b", "c", "d"):
            callers.start_soon(ask_into, found, queue, text)
        await anyio.wait_all_tasks_blocked()
        assert (desk.batches, len(queue)) == ([["busy"]], 4)
        desk.gate.set()
    assert desk.batches == [["busy"], ["a", "b", "c"], ["d"]]
    assert found == {text: desk.engine.match_all([asked(text)])[0] for text in ("busy", "a", "b", "c", "d")}


async def test_a_lone_question_is_answered_at_once() -> None:
    desk = Desk()
    desk.gate.set()
    queue = MatchQueue(desk, most=1, batch=8)
    async with serving(queue, threads=2):
        for _ in range(5):
            with anyio.fail_after(1):
                await queue.ask(asked("alone"), 1)
    assert desk.batches == [["alone"]] * 5


async def test_two_threads_miss_no_question() -> None:
    desk = Desk()
    desk.gate.set()
    queue = MatchQueue(desk, most=1000, batch=2)
    found: dict[str, object] = {}
    async with serving(queue, threads=2):
        for lap in range(20):
            async with anyio.create_task_group() as callers:
                for number in range(7):
                    callers.start_soon(partial(ask_into, found, queue, f"{lap} {number}", patience_s=5))
    assert len(found) == 140
    assert all(isinstance(answer, Match) for answer in found.values())


async def test_more_than_may_wait_are_turned_away_at_once() -> None:
    desk = Desk()
    queue = MatchQueue(desk, most=2, batch=8)
    found: dict[str, object] = {}
    async with behind_a_busy_one(queue, found) as callers:
        for text in ("a", "b"):
            callers.start_soon(ask_into, found, queue, text)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Overloaded, match="2 prompts wait already"):
            await queue.ask(asked("c"), 10)
        desk.gate.set()
    assert all(isinstance(answer, Match) for answer in found.values())


async def test_who_waits_too_long_is_told_so_and_not_examined() -> None:
    desk = Desk()
    queue = MatchQueue(desk, most=10, batch=8)
    found: dict[str, object] = {}
    async with behind_a_busy_one(queue, found) as callers:
        with pytest.raises(Overloaded, match=r"not examined within 0\.02 s"):
            await queue.ask(asked("late"), 0.02)
        callers.start_soon(ask_into, found, queue, "patient")
        await anyio.wait_all_tasks_blocked()
        desk.gate.set()
    assert desk.batches == [["busy"], ["patient"]]


async def test_whoever_hangs_up_leaves_his_place() -> None:
    desk = Desk()
    queue = MatchQueue(desk, most=2, batch=8)
    found: dict[str, object] = {}
    async with behind_a_busy_one(queue, found) as callers:
        async with anyio.create_task_group() as gone:
            for text in ("a", "b"):
                gone.start_soon(ask_into, found, queue, text)
            await anyio.wait_all_tasks_blocked()
            assert len(queue) == 2
            gone.cancel_scope.cancel()
        assert len(queue) == 0
        callers.start_soon(ask_into, found, queue, "c")
        await anyio.wait_all_tasks_blocked()
        desk.gate.set()
    assert desk.batches == [["busy"], ["c"]]
    assert set(found) == {"busy", "c"}


async def test_an_error_goes_to_whoever_caused_it() -> None:
    desk = Desk()
    queue = MatchQueue(desk, most=10, batch=8)
    found: dict[str, object] = {}
    async with behind_a_busy_one(queue, found) as callers:
        for text in ("good", "bad", "better"):
            callers.start_soon(ask_into, found, queue, text)
        await anyio.wait_all_tasks_blocked()
        desk.gate.set()
    assert str(found["bad"]) == "one is bad"
    assert all(isinstance(found[text], Match) for text in ("busy", "good", "better"))
