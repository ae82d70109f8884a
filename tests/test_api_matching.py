"""Matching over HTTP beyond single answers: load, prompts that become events, and what goes over the wire."""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import httpx
import pytest
from api_double import MAX_PROMPT_CHARS, NOW, MemoryEngine, client_of, make_app

from app.schemas import EXAMPLE_PROMPT, BatchAnswer, MatchAnswer
from app.state import Limits
from models.match import Match, Question
from models.search import SearchPage, SearchQuery

pytestmark = pytest.mark.anyio
UNRELATED = "Which bread goes with leek soup?"


class HeldUpEngine(MemoryEngine):
    """An engine that a long prompt holds up until somebody lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.going_on = threading.Event()

    def match_all(self, questions: Sequence[Question]) -> list[Match]:
        if any(len(each.prompt.user) > 100 for each in questions):
            assert self.going_on.wait(10)
        return super().match_all(questions)


async def test_a_long_prompt_does_not_hold_up_short_ones() -> None:
    engine = HeldUpEngine()
    found: dict[str, int] = {}
    async with client_of(make_app(engine, limits=Limits(long_chars=100))) as api:

        async def ask(text: str) -> None:
            found[text[:5]] = (await api.post("/v1/match", json={"prompt": text})).status_code

        async with anyio.create_task_group() as callers:
            callers.start_soon(ask, "long " * 50)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                for _ in range(3):
                    await ask("short")
            assert found == {"short": 200}
            engine.going_on.set()
    assert found == {"short": 200, "long ": 200}


async def test_load_that_cannot_be_borne_is_shed_with_a_time_to_come_back() -> None:
    engine = HeldUpEngine()
    limits = Limits(long_chars=100, long_waiting=1, long_patience_s=0.05)
    async with client_of(make_app(engine, limits=limits)) as api:
        for path, body in (("/v1/match", {"prompt": "x" * 101}), ("/v1/moderations", {"input": "x" * 101})):
            answer = await api.post(path, json=body)
            assert (answer.status_code, answer.json()["error"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "5"
        engine.going_on.set()


async def test_what_was_asked_about_becomes_an_event_if_the_server_is_set_to_remember() -> None:
    question = {"prompt": UNRELATED, "account_id": "a9", "model": "m-4"}
    chat = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": UNRELATED}]}
    for remember in (True, False):
        engine = MemoryEngine()
        async with client_of(make_app(engine, remember=remember)) as api:
            for _ in range(2):  # a gateway that asks again
                await api.post("/v1/match", json=question, headers={"x-request-id": "r-1"})
            await api.post("/v1/match", json={"prompt": UNRELATED})  # of nobody knows whom
            await api.post("/v1/authz/v1/chat/completions", json=chat, headers={"x-account-id": "a7"})
            batch = [question, {**question, "account_id": "a8"}, {"prompt": "x"}]
            await api.post("/v1/match/batch", json={"items": batch}, headers={"x-request-id": "r-2"})
        found = engine.events()
        assert [each.account_id for each in found] == (["a9", "a7", "a9", "a8"] if remember else [])
        if remember:
            assert (found[0].prompt.user, found[0].prompt.system, found[0].model) == (UNRELATED, "", "m-4")
            assert (found[1].prompt.system, found[1].timestamp) == ("Be brief.", NOW)
            assert found[0].event_id.startswith("r-1-")


async def test_half_a_pair_of_surrogates_is_remembered_like_any_other_text() -> None:
    engine = MemoryEngine()
    body = b'{"messages":[{"role":"user","content":"abc \\ud800 def"}]}'
    async with client_of(make_app(engine, remember=True)) as api:
        asked = await api.post("/v1/authz/v1/chat/completions", content=body, headers={"x-account-id": "a7"})
        assert asked.status_code == 200
        assert (await api.post("/v1/match", json={"prompt": UNRELATED, "account_id": "a9"})).status_code == 200
    assert [each.account_id for each in engine.events()] == ["a7", "a9"]


async def test_a_write_that_fails_stops_neither_matching_nor_what_comes_after() -> None:
    class Failing(MemoryEngine):
        def remember(self, rows: Sequence[Mapping[str, Any]]) -> None:
            if any(row["account_id"] == "a-bad" for row in rows):
                raise RuntimeError("no such letter")
            super().remember(rows)

    engine = Failing()
    async with client_of(make_app(engine, remember=True)) as api:
        for account in ("a-bad", "a1", "a-bad", "a2"):
            for number in range(3):
                asked = {"prompt": f"{UNRELATED} {account} {number}", "account_id": account}
                assert (await api.post("/v1/match", json=asked)).status_code == 200
        with anyio.fail_after(10):
            while len(engine.events()) < 6:
                await anyio.sleep(0.01)
        lost = "stillwatch_lost_events_total 6.0"
        assert lost in (await api.get("/metrics")).text
    assert {each.account_id for each in engine.events()} == {"a1", "a2"}


async def test_readiness_and_refresh_wait_for_no_long_work() -> None:
    going_on = threading.Event()

    class Slow(MemoryEngine):
        def search(self, query: SearchQuery) -> SearchPage:
            assert going_on.wait(30)
            return super().search(query)

    engine = Slow()
    async with client_of(make_app(engine)) as api, anyio.create_task_group() as searches:
        for _ in range(12):
            searches.start_soon(lambda: api.post("/v1/search", json={"text": UNRELATED}))
        await anyio.sleep(0.2)
        before = (engine.refreshes, engine.heeds)
        with anyio.fail_after(5):
            assert (await api.get("/readyz")).status_code == 200
            assert (await api.get("/metrics")).status_code == 200
            assert (await api.get("/v1/jobs/job-none")).status_code == 404
            while min(engine.refreshes - before[0], engine.heeds - before[1]) < 3:
                await anyio.sleep(0.01)
        going_on.set()


async def test_what_was_asked_before_there_is_an_answer_becomes_an_event_too() -> None:
    """Or mirrored traffic could never be the beginning."""
    engine = MemoryEngine(published=False)
    async with client_of(make_app(engine, remember=True)) as api:
        question = {"prompt": UNRELATED, "account_id": "a9"}
        assert (await api.post("/v1/match", json=question)).status_code == 503
        too_long = {"prompt": "x" * (MAX_PROMPT_CHARS + 1), "account_id": "a9"}
        assert (await api.post("/v1/match", json=too_long)).status_code == 413
    assert [each.prompt.user for each in engine.events()] == [UNRELATED]


async def test_answers_are_what_the_document_says_they_are(api: httpx.AsyncClient) -> None:
    """They are written without pydantic, which must read them back as the very same."""
    one = await api.post("/v1/match", json={"prompt": EXAMPLE_PROMPT, "mode": "enforce"})
    both = await api.post("/v1/match/batch", json={"items": [{"prompt": EXAMPLE_PROMPT}, {"prompt": UNRELATED}]})
    for answer, model in ((one, MatchAnswer), (both, BatchAnswer)):
        assert answer.headers["content-type"] == "application/json"
        read = model.model_validate_json(answer.content, strict=True)
        assert json.loads(read.model_dump_json()) == answer.json()
        assert set(answer.json()) == set(model.model_fields)
