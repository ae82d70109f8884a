"""Errors: the map from class to status is complete, and every answer that is no success has one shape."""

import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest
from api_double import BrokenEngine, MemoryEngine, client_of, make_app

from app import logs
from app.errors import STATUS, code_of
from app.state import Limits
from models import errors
from models.match import Match
from models.mode import Mode
from models.prompt import Prompt

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def small() -> AsyncIterator[httpx.AsyncClient]:
    """An API that takes bodies up to 100 bytes, within a quarter of a second."""
    app = make_app(MemoryEngine(), limits=Limits(body_bytes=100, body_timeout_s=0.25))
    async with client_of(app) as client:
        yield client


def family(root: type[errors.StillwatchError]) -> Iterator[type[errors.StillwatchError]]:
    yield root
    for child in root.__subclasses__():
        yield from family(child)


def assert_error(answer: httpx.Response, status: int, error: str) -> dict[str, str]:
    """The body, after checking that it has the one shape."""
    body: dict[str, str] = answer.json()
    assert (answer.status_code, body["error"]) == (status, error), body
    assert body.keys() == {"error", "detail", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return body


def test_every_error_has_a_status() -> None:
    ours = {each for each in family(errors.StillwatchError) if each.__module__ == "models.errors"}
    assert set(STATUS) == ours


@pytest.mark.parametrize("kind", sorted(STATUS, key=lambda kind: kind.__name__))
async def test_each_error_of_the_engine_becomes_its_answer(kind: type[errors.StillwatchError]) -> None:
    class Raising(MemoryEngine):
        def match(self, prompt: Prompt, mode: Mode, top_k: int) -> Match:
            raise kind("what went wrong")

    async with client_of(make_app(Raising())) as api:
        answer = await api.post("/v1/match", json={"prompt": "a"})
    assert assert_error(answer, STATUS[kind], code_of(kind()))["detail"] == "what went wrong"
    assert answer.headers.get("retry-after") == ("5" if STATUS[kind] == 503 else None)


async def test_an_error_derived_elsewhere_is_answered_as_its_parent() -> None:
    class Fuller(errors.NotReady):
        pass

    class Raising(MemoryEngine):
        def match(self, prompt: Prompt, mode: Mode, top_k: int) -> Match:
            raise Fuller("soon")

    async with client_of(make_app(Raising())) as api:
        assert_error(await api.post("/v1/match", json={"prompt": "a"}), 503, "fuller")


async def test_unknown_routes_and_methods(small: httpx.AsyncClient) -> None:
    assert_error(await small.get("/v1/nothing"), 404, "not_found")
    answer = await small.delete("/v1/match")
    assert_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the application logs while a test runs."""
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    logging.getLogger().handlers.clear()


@pytest.mark.parametrize(
    ("method", "path"), [("PROPFIND", "/v1/authz/x"), ("POST", "/v1/authz/x%0Ay"), ("POST", "/v1/moderations/")]
)
async def test_to_gateways_there_is_no_wrong_path_or_method(
    small: httpx.AsyncClient, method: str, path: str
) -> None:
    """Envoy would take each of these for a verdict on the sender."""
    answer = await small.request(method, path, json={"input": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("path", ["/v1/match", "/v1/events", "/v1/authz/v1/chat/completions"])
async def test_a_caller_that_hangs_up_is_counted_and_is_no_error(path: str, log_lines: io.StringIO) -> None:
    sent: list[str] = []
    messages = iter(
        [{"type": "http.request", "body": b'[{"event', "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    app = make_app(MemoryEngine())
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    async with client_of(app) as api:
        await app(scope, receive, send)
        counted = re.findall(r'requests_total\{.*status="(\d+)"\} (\S+)', (await api.get("/metrics")).text)
    assert counted == [("499", "1.0")]
    assert "unexpected error" not in log_lines.getvalue()


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 422, "invalid_request"),
        (b'{"prompt": ', 422, "invalid_request"),
        (b"", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b'{"prompt": "\xff"}', 400, "bad_request"),
        (b'{"top_k": ' + b"9" * 80 + b"}", 422, "invalid_request"),
    ],
)
async def test_a_body_that_is_not_json(small: httpx.AsyncClient, body: bytes, status: int, error: str) -> None:
    assert_error(await small.post("/v1/match", content=body, headers=JSON), status, error)


async def test_a_body_nested_too_deep_is_the_callers_error() -> None:
    async with client_of(make_app(MemoryEngine())) as api:
        answer = await api.post("/v1/match", content=b'{"messages": ' + b"[" * 200_000, headers=JSON)
    assert_error(answer, 400, "bad_request")


async def test_a_body_of_another_type_is_refused(small: httpx.AsyncClient) -> None:
    answer = await small.post("/v1/match", content=b'{"prompt": "a"}', headers={"content-type": "text/plain"})
    assert_error(answer, 422, "invalid_request")


async def test_many_problems_are_cut_short(small: httpx.AsyncClient) -> None:
    answer = await small.post("/v1/match", json=dict.fromkeys("abcdefg", 1))
    assert assert_error(answer, 422, "invalid_request")["detail"].endswith(
        "body.e: Extra inputs are not permitted; and 2 more"
    )


async def test_the_answer_to_a_bad_request_does_not_repeat_the_prompt() -> None:
    secret = "zanzibar quokka marmalade"
    async with client_of(make_app(MemoryEngine())) as api:
        for question in (
            {"prompt": secret, "top_k": 99},
            {"prompt": [secret]},
            {"prompt": {"text": secret}},
            {"prompt": secret, "mode": secret},
            {"prompt": secret, "account_id": secret + "\n"},
            {secret: secret},
            {"messages": [{"role": secret, "content": secret}]},
            {"messages": [{"role": "user", "content": {"text": secret}}]},
            {"messages": secret},
            secret,
        ):
            answer = await api.post("/v1/match", json=question)
            assert answer.status_code == 422
            assert not any(word in answer.text for word in secret.split()), answer.text


# Bodies too large or too slow


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_the_largest_body_allowed_is_taken(small: httpx.AsyncClient) -> None:
    body = b'{"prompt": "a"}'.ljust(100)
    assert (await small.post("/v1/match", content=body, headers=JSON)).status_code == 200
    assert (await small.post("/v1/match", content=chunks(body[:60], body[60:]), headers=JSON)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/match", "/v1/match/batch", "/v1/events", "/v1/search"])
async def test_a_declared_length_over_the_limit_is_refused_unread(small: httpx.AsyncClient, path: str) -> None:
    async def never_read() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = await small.post(path, content=never_read(), headers={**JSON, "content-length": "101"})
    assert_error(answer, 413, "body_too_large")
    assert answer.headers["connection"] == "close"


async def test_an_undeclared_body_is_read_only_up_to_the_limit(small: httpx.AsyncClient) -> None:
    read = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(60)
            yield b" " * 60

    answer = await small.post("/v1/events", content=endless(), headers=JSON)
    assert_error(answer, 413, "body_too_large")
    assert read == [60, 60]


async def test_a_length_that_understates_the_body_does_not_help(small: httpx.AsyncClient) -> None:
    answer = await small.post("/v1/match", content=chunks(b" " * 101), headers={**JSON, "content-length": "5"})
    assert_error(answer, 413, "body_too_large")


async def test_a_body_that_does_not_arrive_is_408(small: httpx.AsyncClient) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(30)

    assert_error(await small.post("/v1/match", content=stuck(), headers=JSON), 408, "body_timeout")


# The unforeseen


async def test_an_unforeseen_error_is_500_and_says_nothing() -> None:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    logs.configure(stream)
    try:
        async with client_of(make_app(BrokenEngine())) as api:
            question: dict[str, Any] = {"prompt": "zanzibar quokka"}
            answer = await api.post("/v1/match", json=question, headers={"x-request-id": "r-9"})
    finally:
        root.handlers, root.level = handlers, level
    detail = assert_error(answer, 500, "internal_error")["detail"]
    assert detail == "unexpected error; the server's log has this request id"
    assert "zanzibar" not in stream.getvalue()
    trouble, request = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (trouble["event"], trouble["exception"], trouble["request_id"]) == (
        "unexpected error",
        "ValueError",
        "r-9",
    )
    assert trouble["at"][-1].endswith(" match")
    assert (request["status"], request["request_id"]) == (500, "r-9")


async def test_a_server_fault_in_the_middle_of_an_answer_cuts_the_connection() -> None:
    app = make_app(MemoryEngine())

    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("gone")

    app.mount("/half", half)
    async with client_of(app) as api:
        with pytest.raises(OSError, match="gone"):
            await api.get("/half/")
