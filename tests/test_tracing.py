"""Spans: what a collector is told of a request, and that nobody is told what a prompt says."""

import logging
import sys
from pathlib import Path

import httpx
import pytest
from api_double import MemoryEngine, client_of, make_app
from gateway_house import ROOT, answers, free_port, running, serving
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from traffic import settings_of

from app.__main__ import main
from app.schemas import EXAMPLE_PROMPT
from app.tracing import NO_TRACING, Tracing, tracing_of
from models.errors import BadSettings

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "a word that must not leave"


@pytest.fixture
def seen() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(seen: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    return Tracing(provider)


def named(seen: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [each for each in seen.get_finished_spans() if each.name == name]
    return span


@pytest.mark.anyio
async def test_a_match_is_a_span_below_the_callers_with_ids_and_numbers(
    tracing: Tracing, seen: InMemorySpanExporter
) -> None:
    async with client_of(make_app(MemoryEngine(), tracing=tracing)) as api:
        headers = {"traceparent": CALLER, "x-request-id": "r-1"}
        answer = await api.post("/v1/match", json={"prompt": f"{EXAMPLE_PROMPT} {SECRET}"}, headers=headers)
    request, stage = named(seen, "POST /v1/match"), named(seen, "examine")
    assert request.kind is SpanKind.SERVER
    assert request.parent
    assert f"{request.parent.trace_id:032x}-{request.parent.span_id:016x}" == CALLER[3:-3]
    assert stage.parent == request.context
    assert request.attributes
    assert request.attributes["http.request.method"] == "POST"
    assert request.attributes["http.route"] == "/v1/match"
    assert request.attributes["http.response.status_code"] == answer.status_code == 200
    assert request.attributes["stillwatch.request_id"] == "r-1"
    assert request.attributes["stillwatch.decision"] == answer.json()["decision"]
    assert request.attributes["stillwatch.block"] is False
    assert SECRET not in "".join(each.to_json() for each in seen.get_finished_spans())


@pytest.mark.anyio
async def test_an_error_of_ours_is_one_in_the_span_without_its_message(
    tracing: Tracing, seen: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    engine = MemoryEngine()
    monkeypatch.setattr(engine, "match_all", broken)
    logging.getLogger("app.edge").setLevel(logging.CRITICAL)
    async with client_of(make_app(engine, tracing=tracing)) as api:
        assert (await api.post("/v1/match", json={"prompt": "anything"})).status_code == 500
        assert (await api.get("/v1/campaigns/c-none")).status_code == 404
    logging.getLogger("app.edge").setLevel(logging.NOTSET)
    assert named(seen, "POST /v1/match").status.status_code is StatusCode.ERROR
    assert named(seen, "GET /v1/campaigns/{campaign_id}").status.status_code is StatusCode.UNSET
    assert SECRET not in "".join(each.to_json() for each in seen.get_finished_spans())


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nobody_traces_unless_asked(environ: dict[str, str]) -> None:
    assert tracing_of(environ) is NO_TRACING


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(
        BadSettings, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is set, but .* install stillwatch\[otel\]"
    ):
        tracing_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"})


def test_a_server_that_cannot_trace_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c")
    assert main(["--data", str(tmp_path)]) == 2
    assert "install stillwatch[otel]" in capsys.readouterr().err


def test_a_server_sends_its_spans_to_the_collector_at_the_latest_when_it_stops(tmp_path: Path) -> None:
    settings, port = settings_of(tmp_path / "data"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "app", "--data", settings.data, "--port", str(port)]
    with serving(lambda _: (200, {}, {})) as (collector, told):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "PYTHONPATH": str(ROOT)}
        with running(command, tmp_path / "log", answers(f"{url}/livez"), **environment):
            assert httpx.get(f"{url}/v1/status").status_code == 200
        sent = [(path, body) for path, _, body in told.requests]
    assert {path for path, _ in sent} == {"/v1/traces"}
    assert any(b"GET /v1/status" in body and b"stillwatch" in body for _, body in sent)
