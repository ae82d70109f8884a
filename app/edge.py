"""The outermost layer of the server: request ids, bounded bodies, security headers, the log, the last resort."""

import logging
import time
from collections.abc import Callable
from typing import Final

import anyio
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import unexpected
from app.exchange import Exchange, begin, route_of
from app.metrics import Metrics
from app.state import Limits
from app.tracing import Describe, Tracing

_HEADERS: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}

_HUNG_UP: Final = 499  # as nginx counts callers that went away; no answer has it

_log = logging.getLogger(__name__)


class Edge:
    """ASGI middleware round the whole application; nothing gets past it without a request id and a log line."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        limits: Limits,
        tracing: Tracing,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._limits = limits
        self._tracing = tracing
        self._timer = timer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = begin(scope, headers.get("x-request-id"))
        with self._tracing.request(headers) as describe:
            await self._answer(scope, receive, send, exchange, describe)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, exchange: Exchange, describe: Describe | None
    ) -> None:
        started = self._timer()
        respond = _responding(exchange, send)
        try:
            await self._app(scope, self._bounded(scope, receive, exchange), respond)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception:  # the edge: whatever it is, the caller gets an answer, the log gets the place
            _log.exception("unexpected error", extra={"fields": {"request_id": exchange.request_id}})
            if exchange.status is not None:
                raise  # the answer has begun: all that is left is to cut the connection
            await unexpected(Request(scope))(scope, receive, respond)
        finally:
            self._record(scope, exchange, self._timer() - started, describe)

    def _bounded(self, scope: Scope, receive: Receive, exchange: Exchange) -> Receive:
        """`receive` that refuses a body too large, before reading it if its length is declared, or too slow."""
        limit = self._limits.body_bytes
        declared = Headers(scope=scope).get("content-length", "0")
        too_large = HTTPException(413, f"the body is larger than {limit} bytes", {"connection": "close"})
        too_slow = HTTPException(408, "the body did not arrive in time", {"connection": "close"})
        received, complete, deadline = 0, False, anyio.current_time() + self._limits.body_timeout_s

        async def receive_bounded() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()  # waits for the caller to hang up, as long as that takes
            if declared.isdecimal() and int(declared) > limit:
                raise too_large
            with anyio.CancelScope(deadline=deadline) as waiting:
                message = await receive()
            if waiting.cancelled_caught:
                raise too_slow
            if message["type"] == "http.disconnect":
                exchange.hung_up = True
            received += len(message.get("body", b""))
            if received > limit:
                raise too_large
            complete = not message.get("more_body", False)
            return message

        return receive_bounded

    def _record(self, scope: Scope, exchange: Exchange, seconds: float, describe: Describe | None) -> None:
        route, status = route_of(scope), _HUNG_UP if exchange.hung_up else exchange.status or 500
        self._metrics.requests.labels(route, str(status)).inc()
        fields = {
            "request_id": exchange.request_id,
            "method": scope["method"],
            "path": route,
            "status": status,
            "duration_ms": round(1000 * seconds, 3),
            **exchange.notes,
        }
        _log.info("request", extra={"fields": fields})
        if describe is not None:
            describe(scope["method"], route, status, {"request_id": exchange.request_id, **exchange.notes})


def _responding(exchange: Exchange, send: Send) -> Send:
    """`send` that adds the headers of every answer and remembers its status."""

    async def respond(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = exchange.request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return respond
