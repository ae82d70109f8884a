"""The HTTP API as a whole: request ids, the log, slow work beside quick, new generations, its documentation."""

import io
import json
import logging
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from api_double import (
    GENERATION,
    NOW,
    THRESHOLD,
    MemoryEngine,
    SwappingEngine,
    child,
    client_of,
    cosine,
    make_app,
    records_aside,
)
from casebook_double import MemoryCasebook
from console_house import Links, every_page

from app import logs
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from app.state import Limits
from indexer.jobs import Jobs
from models.report import IngestReport
from models.shared import BankEntry

pytestmark = pytest.mark.anyio

UNRELATED = "Which bread goes with leek soup?"
EVENT = {"event_id": "e1", "account_id": "a9", "timestamp": "2026-02-03T04:05:06Z", "prompt": UNRELATED}


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the service logs, as it would go to standard error."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # pytest's own stay as they are
    logs.configure(stream)
    yield stream
    root.handlers, root.level = handlers, level


# The edge


async def test_every_answer_carries_a_request_id_and_headers_for_browsers(api: httpx.AsyncClient) -> None:
    for path in ("/livez", "/v1/campaigns/c-none", "/no/such/place", "/metrics"):
        answer = await api.get(path, headers={"x-request-id": "gw:42"})
        assert answer.headers["x-request-id"] == "gw:42"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("offered", ["two words", "x" * 129, "", '"}\n{'])
async def test_a_request_id_that_is_not_sane_is_replaced(api: httpx.AsyncClient, offered: str) -> None:
    answer = await api.get("/v1/jobs/job-none", headers={"x-request-id": offered.replace("\n", "")})
    made = answer.headers["x-request-id"]
    assert len(made) == 32
    assert answer.json()["request_id"] == made


async def test_the_log_names_what_happened_and_no_word_of_a_prompt(
    api: httpx.AsyncClient, log_lines: io.StringIO
) -> None:
    secret = "zanzibar quokka marmalade"
    confirmed = f"{EXAMPLE_PROMPT} zanzibar"
    json_type = {"content-type": "application/json"}
    await api.post("/v1/match", json={"prompt": confirmed}, headers={"x-request-id": "r-1"})
    await api.post("/v1/match", json={"prompt": secret, "top_k": 99})
    await api.post("/v1/match", json={"prompt": [secret]})
    await api.post("/v1/match", json={secret: secret})
    await api.post("/v1/match", json={"messages": [{"role": secret, "content": secret}]})
    await api.post("/v1/match", content=f'{{"prompt": "{secret}'.encode(), headers=json_type)
    await api.post("/v1/match/batch", json={"items": [{"prompt": secret}, {"prompt": ""}]})
    await api.post("/v1/search", json={"text": secret})
    await api.post("/v1/search", json={"text": secret, "limit": "quokka"})
    await api.post("/v1/events", json=[{**EVENT, "prompt": secret}, {"prompt": secret}])
    await api.get(f"/v1/campaigns/{secret}")
    await api.get("/v1/campaigns", params={"level": secret})
    await api.get(f"/{secret}")
    logged = log_lines.getvalue()
    for word in secret.split():
        assert word not in logged
    rows = [json.loads(line) for line in logged.splitlines()]
    assert [row["status"] for row in rows] == [200, 422, 422, 422, 422, 422, 422, 200, 422, 200, 422, 422, 404]
    first = rows[0]
    assert first.pop("duration_ms") >= 0
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "campaign_level": "likely",
        "logger": "app.edge",
        "event": "request",
        "request_id": "r-1",
        "method": "POST",
        "path": "/v1/match",
        "status": 200,
        "decision": "match",
        "block": False,
        "would_block": False,
        "campaign_id": EXAMPLE_CAMPAIGN,
        "similarity": pytest.approx(cosine(confirmed, EXAMPLE_PROMPT)),
        "threshold": THRESHOLD,
        "generation": GENERATION,
    }


# Threads, generations, shutdown


async def test_a_match_a_health_check_and_the_console_do_not_wait_for_slow_ingest() -> None:
    class Slow(MemoryEngine):
        def add_events(self, rows: Sequence[Mapping[str, Any]]) -> IngestReport:
            started.release()
            assert go_on.wait(20)
            return super().add_events(rows)

    started, go_on = threading.Semaphore(0), threading.Event()
    app = make_app(Slow(), limits=Limits(other_threads=2))
    reports: list[int] = []

    async def ingest(number: int) -> None:
        report = await api.post("/v1/events", json=[{**EVENT, "event_id": f"e{number}"}])
        reports.append(report.json()["stored"])

    async with client_of(app) as api, anyio.create_task_group() as senders:
        for number in range(5):
            senders.start_soon(ingest, number)
        with anyio.fail_after(20):
            for _ in range(2):
                while not started.acquire(blocking=False):
                    await anyio.sleep(0.01)
            assert (await api.post("/v1/match", json={"prompt": "a"})).status_code == 200
            assert (await api.get("/livez")).status_code == 200
            for page in await every_page(api):
                assert (await api.get(page)).status_code == 200, page
            token = Links((await api.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}")).text).fields["token"]
            for said in ({"label": "benign"}, {"mode": "audit"}):
                where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}/{next(iter(said))}"
                sent = {"token": token, "note": "x", "author": "jo", **said}
                assert (await api.post(where, data=sent)).status_code == 303, where
        assert not started.acquire(blocking=False), "no more than two at once"
        go_on.set()
    assert reports == [1, 1, 1, 1, 1]


async def test_ingest_does_not_wait_for_slow_pages() -> None:
    class Slow(MemoryEngine):
        def bank(self) -> list[BankEntry]:
            started.release()
            assert go_on.wait(20)
            return super().bank()

    started, go_on = threading.Semaphore(0), threading.Event()
    pages: list[int] = []

    async def look() -> None:
        pages.append((await api.get("/console/shared")).status_code)

    app = make_app(Slow(), limits=Limits(page_threads=2, other_threads=2))
    async with client_of(app) as api, anyio.create_task_group() as readers:
        for _ in range(5):
            readers.start_soon(look)
        with anyio.fail_after(20):
            for _ in range(2):
                while not started.acquire(blocking=False):
                    await anyio.sleep(0.01)
            assert (await api.post("/v1/events", json=[EVENT])).status_code == 200
        assert not started.acquire(blocking=False), "no more than two at once"
        go_on.set()
    assert pages == [200] * 5


async def test_a_new_generation_is_answered_from_without_dropping_a_request() -> None:
    engine = SwappingEngine()
    app = make_app(engine)
    async with app.router.lifespan_context(app), client_of(app) as api:
        seen = []
        with anyio.fail_after(20):
            while len(set(seen)) < 3:
                answer = await api.post("/v1/match", json={"prompt": UNRELATED})
                assert answer.status_code == 200
                seen.append(answer.json()["generation"])
    assert seen == sorted(seen)


async def test_a_failed_look_for_a_generation_is_logged_and_not_the_last(log_lines: io.StringIO) -> None:
    class Failing(MemoryEngine):
        def refresh(self) -> bool:
            super().refresh()
            raise OSError("disk on fire")

    engine = Failing()
    app = make_app(engine)
    async with app.router.lifespan_context(app):
        with anyio.fail_after(20):
            while engine.refreshes < 3:
                await anyio.sleep(0.01)
    first = json.loads(log_lines.getvalue().splitlines()[0])
    assert (first["event"], first["exception"]) == ("background task failed", "OSError")
    assert "disk on fire" not in log_lines.getvalue()


async def test_each_generation_is_warmed_once_and_what_fails_then_stops_nothing() -> None:
    class Watched(SwappingEngine):
        def casebook(self) -> MemoryCasebook:
            generation = self.generation

            class Warming(MemoryCasebook):
                name = generation

                def read_ahead(self) -> None:
                    warmed.append(generation)
                    raise MemoryError

            return Warming(self.campaigns(), False)

    warmed: list[str] = []
    engine = Watched()
    app = make_app(engine)
    async with app.router.lifespan_context(app):
        with anyio.fail_after(20):
            while len(warmed) < 3 or engine.refreshes < 3:
                await anyio.sleep(0.01)
    assert warmed == sorted(set(warmed))


async def test_shutdown_closes_the_engine_and_stops_the_job() -> None:
    engine = MemoryEngine()
    jobs = Jobs(records_aside(), lambda full: child("import time; time.sleep(60)"), lambda: NOW)
    app = make_app(engine, jobs)
    async with app.router.lifespan_context(app), client_of(app) as api:
        job = (await api.post("/v1/reindex")).json()
    assert engine.closed
    assert jobs.get(job["job_id"]).state == "cancelled"


# OpenAPI


async def test_every_documented_example_works(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    job = (await api.post("/v1/reindex")).json()["job_id"]
    tried = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            address = _filled(path.replace("{job_id}", job), operation)
            for content_type, example in _bodies(document, operation):
                content = example if isinstance(example, str) else json.dumps(example)
                headers = {"content-type": content_type} if content_type else {}
                answer = await _patiently(api, method, address, content, headers)
                assert answer.is_success, (method, address, answer.text)
                tried.append(f"{method} {path}")
    assert {"post /v1/match", "post /v1/events", "get /v1/campaigns/{campaign_id}/history"} < set(tried)
    for needs_body in (
        "post /v1/match",
        "post /v1/match/batch",
        "post /v1/search",
        "put /v1/campaigns/{campaign_id}/label",
    ):
        assert needs_body in tried


async def _patiently(
    api: httpx.AsyncClient, method: str, address: str, content: str, headers: dict[str, str]
) -> httpx.Response:
    """The answer; a reindex waits for the one before."""
    with anyio.fail_after(20):
        while True:
            answer = await api.request(method, address, content=content, headers=headers)
            if answer.status_code != 409:
                return answer
            await anyio.sleep(0.01)


def _filled(path: str, operation: dict[str, Any]) -> str:
    """The path with the first example of each of its parameters, and of the query's that must be given."""
    asked = {}
    for one in operation.get("parameters", ()):
        if one["in"] == "query" and one["required"]:
            asked[one["name"]] = one["schema"]["examples"][0]
        elif f"{{{one['name']}}}" in path:
            path = path.replace(f"{{{one['name']}}}", str(one["schema"]["examples"][0]))
    return f"{path}?{httpx.QueryParams(asked)}" if asked else path


def _bodies(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each documented example body with its type; one empty body for an operation that takes none."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield "", ""
    for content_type, media in content.items():
        (schema,) = [one for one in media["schema"].get("anyOf", [media["schema"]]) if one.get("type") != "null"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert schema["examples"], (operation["operationId"], content_type)
        for example in schema["examples"]:
            yield content_type, example


async def test_openapi_documents_every_answer(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
    assert (document["info"]["title"], document["info"]["version"]) == ("Stillwatch", project["version"])
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            for status, answer in operation["responses"].items():
                schema = answer.get("content", {}).get("application/json", {}).get("schema")
                if (path, status) in {
                    ("/metrics", "200"),
                    ("/v1/authz/{rest}", "200"),
                    ("/v1/authz/{rest}", "403"),
                }:
                    continue  # not for readers of JSON, or in the dialect of the API that was called
                assert "$ref" in schema, (method, path, status)
                assert (int(status) < 400) != schema["$ref"].endswith("/ErrorAnswer")
    assert "HTTPValidationError" not in document["components"]["schemas"]
