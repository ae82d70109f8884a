"""Spans for OpenTelemetry, if that is configured. The only door to it.

A span holds what a line of the log holds: ids and numbers, no prompt text, and of an error no message.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from models.errors import BadSettings

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NAME: Final = "stillwatch"
_TIMEOUT: Final = "OTEL_EXPORTER_OTLP_TIMEOUT"
_TIMEOUT_S: Final = 2.0  # of a collector that is down: the server waits as long for it when it stops

Describe = Callable[[str, str, int, Mapping[str, Any]], None]
"""Told what became of a request: method, route, status, and what the log notes of it."""


class Tracing:
    """Makes spans, or does nothing at all where there is no provider."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = provider.get_tracer(_NAME) if provider else None

    @contextmanager
    def request(self, headers: Mapping[str, str]) -> Iterator[Describe | None]:
        """A span round one request, below the caller's if its headers name one (W3C trace context); gives how to
        describe it, None if nobody traces.
        """
        if self._tracer is None:
            yield None
            return
        span = self._tracer.start_span("request", context=propagate.extract(headers), kind=SpanKind.SERVER)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield partial(_describe, span)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A span round a part of a request."""
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
            yield

    def close(self) -> None:
        """Hands over what was not sent yet."""
        shutdown = getattr(self._provider, "shutdown", None)
        if shutdown is not None:
            shutdown()


NO_TRACING: Final = Tracing()


def _describe(span: Span, method: str, route: str, status: int, notes: Mapping[str, Any]) -> None:
    """Names are those of OpenTelemetry's conventions for HTTP, or ours."""
    span.update_name(f"{method} {route}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    for name, value in notes.items():
        span.set_attribute(f"{_NAME}.{name}", value if isinstance(value, bool | int | float) else str(value))
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def tracing_of(environ: Mapping[str, str]) -> Tracing:
    """Tracing to the collector that the environment names by OpenTelemetry's variables (OTLP over HTTP), if any.

    Raises BadSettings if one is named and the packages for it are missing.
    """
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    named = [name for name in _ENDPOINTS if environ.get(name)]
    if disabled or not named:
        return NO_TRACING
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk import trace as sdk
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        reason = f"{named[0]} is set, but {error.name} is not installed: install stillwatch[otel]"
        raise BadSettings(reason) from error
    resource = Resource.create({SERVICE_NAME: environ.get("OTEL_SERVICE_NAME") or _NAME})
    provider = sdk.TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(timeout=None if environ.get(_TIMEOUT) else _TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)
