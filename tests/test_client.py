"""The client over a socket and the application: answers as they are, retries within a deadline, clear errors."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from api_double import EXAMPLE_PROMPT, NOW, MemoryEngine, make_app
from gateway_house import Seen, free_port, serving
from test_cli import run

from indexer.client import AsyncClient, Client, Patience
from models.errors import Refused, Unreachable
from models.key import KEY_HEADER, Keyring, Role, new_key
from models.match import Decision, Question
from models.mode import Mode
from models.prompt import Prompt

MATCH = MemoryEngine().match_all([Question(Prompt("", EXAMPLE_PROMPT), Mode.ENFORCE)])[0]
SCRIPT: list[tuple[int, Mapping[str, str], Any]] = []
BUSY = (503, {}, {"error": "overloaded", "detail": "", "request_id": "r"})


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[str, Seen]]:
    """A server that answers what `script` says, one after the other, then with a match."""

    def answer(_: str) -> tuple[int, Mapping[str, str], Any]:
        return SCRIPT.pop(0) if SCRIPT else (200, {}, {**msgspec.to_builtins(MATCH), "request_id": "r"})

    with serving(answer) as (url, seen):
        yield url, seen


@pytest.fixture(autouse=True)
def forget(small: tuple[str, Seen]) -> None:
    SCRIPT.clear()
    small[1].requests.clear()


def test_an_answer_comes_back_as_the_engine_gave_it(small: tuple[str, Seen]) -> None:
    url, seen = small
    with Client(url, key="sw_1_2") as client:
        assert client.match(EXAMPLE_PROMPT, mode="enforce", account_id="a9", top_k=3) == MATCH
    ((path, headers, body),) = seen.requests
    assert path == "/v1/match"
    assert json.loads(body) == {"prompt": EXAMPLE_PROMPT, "mode": "enforce", "account_id": "a9", "top_k": 3}
    assert {name.lower(): value for name, value in headers.items()}[KEY_HEADER] == "sw_1_2"


def test_what_may_pass_is_tried_again_and_what_does_not_is_not(small: tuple[str, Seen]) -> None:
    url, seen = small
    with Client(url) as client:
        SCRIPT[:] = [BUSY, (429, {"retry-after": "0"}, {})]
        assert client.match(EXAMPLE_PROMPT) == MATCH
        assert len(seen.requests) == 3
        SCRIPT[:] = [(422, {}, {"error": "bad_prompt"})]
        with pytest.raises(Refused, match=r"422: .*bad_prompt"):
            client.match("")
        assert len(seen.requests) == 4
        SCRIPT[:] = [BUSY] * 3
        with pytest.raises(Refused, match=r"503: .*overloaded"):
            client.match(EXAMPLE_PROMPT)
        assert len(seen.requests) == 7


def test_no_wait_goes_beyond_the_deadline(small: tuple[str, Seen]) -> None:
    url, seen = small
    SCRIPT[:] = [(503, {"retry-after": "5"}, {})]
    began = time.monotonic()
    with Client(url, patience=Patience(deadline_s=2)) as client, pytest.raises(Refused, match="503"):
        client.match(EXAMPLE_PROMPT)
    assert time.monotonic() - began < 2
    assert len(seen.requests) == 1


def test_nobody_there() -> None:
    patience = Patience(deadline_s=0.3, attempts=2)
    said = pytest.raises(Unreachable, match=r"no answer in 2 attempts and 0\.\d+ s")
    with Client(f"http://127.0.0.1:{free_port()}", patience=patience) as client, said:
        client.match("x")


def test_another_server_is_told_from_ours(small: tuple[str, Seen]) -> None:
    SCRIPT[:] = [(200, {}, {"choice": "of another"})]
    with Client(small[0]) as client, pytest.raises(Refused, match="the answer is no Match"):
        client.match("x")


@pytest.mark.anyio
async def test_the_async_client_over_the_real_application() -> None:
    key, token = new_key("gw", Role.GATEWAY, None, NOW, None, lambda size: b"k" * size)
    engine = MemoryEngine()
    engine.keyring = Keyring([key])
    app = make_app(engine)
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://here", token, transport=httpx.ASGITransport(app)) as client,
        AsyncClient("http://here", transport=httpx.ASGITransport(app)) as keyless,
    ):
        assert await client.match(EXAMPLE_PROMPT, mode="enforce") == MATCH
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
        assert (await client.match_messages(turns)).decision is Decision.NONE
        good = {"event_id": "e1", "account_id": "a", "timestamp": NOW.isoformat(), "prompt": "x"}
        report = await client.add_events([good, {"event_id": "e2"}])
        assert (report.read, report.stored, report.rejected) == (2, 1, 1)
        with pytest.raises(Refused, match=r"401: .*unauthorised"):
            await keyless.match("x")


@pytest.mark.anyio
async def test_the_async_client_gives_up_at_its_deadline() -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep(60)
            raise AssertionError

    began = time.monotonic()
    async with AsyncClient("http://here", patience=Patience(0.1), transport=Silent()) as client:
        with pytest.raises(Unreachable, match="TimeoutError"):
            await client.match("x")
    assert time.monotonic() - began < 5


def test_the_command_asks_a_server(small: tuple[str, Seen], tmp_path: Path) -> None:
    status, out, _ = run(tmp_path, "match", EXAMPLE_PROMPT, "--system", "Be brief.", "--url", small[0], "--json")
    assert (status, json.loads(out)["campaign_id"]) == (0, MATCH.campaign_id)
    asked = json.loads(small[1].requests[0][2])
    assert [turn["role"] for turn in asked["messages"]] == ["system", "user"]


def test_half_a_surrogate_pair_is_sent_as_what_can_be_sent(small: tuple[str, Seen]) -> None:
    url, seen = small
    with Client(url) as client:
        assert client.match("half \ud800 a pair").decision is MATCH.decision
    ((_, _, body),) = seen.requests
    assert json.loads(body)["prompt"] == "half \u200b a pair"
