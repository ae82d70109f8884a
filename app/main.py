"""The application: which routers, behind which edge, over which engine."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import anyio
from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.telemetry import TelemetryConfig

from app import (
    allowances,
    authz,
    blocks,
    campaigns,
    ingesting,
    kgateway,
    litellm,
    matching,
    moderations,
    operations,
    portkey,
    searching,
)
from app.access import Access, documented
from app.console.router import router as console
from app.edge import Edge
from app.errors import install
from app.heap import settle
from app.state import DEFAULT_MANNER, Engine, Manner, Services, own_thread
from app.tracing import NO_TRACING, Tracing
from indexer.jobs import Jobs

_LAST_WRITE_S: Final = 5.0

_log = logging.getLogger(__name__)

_DESCRIPTION = (
    "Finds distillation campaigns in an LLM provider's traffic, and says what campaign a prompt resembles. "
    "Similarity is cosine in [-1, 1], higher is closer. Times are UTC. "
    'Every error is {"error", "detail", "request_id"}; every answer carries the header x-request-id.'
)
# FastAPI can report requests, exceptions' messages included, to a collector: those may quote prompts.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def now_utc() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def create_app(
    engine: Engine,
    jobs: Jobs,
    clock: Callable[[], datetime] = now_utc,
    manner: Manner = DEFAULT_MANNER,
    tracing: Tracing = NO_TRACING,
) -> FastAPI:
    """The application over an open engine. It owns engine, jobs and tracing: all are closed when it shuts down."""
    services = Services(engine, jobs, clock, manner, tracing)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        settle()
        async with anyio.create_task_group() as background:
            for task in (
                partial(_follow_generations, services, manner.poll_s),
                partial(_follow_store, services, manner.poll_s),
                partial(_keep_warm, services, manner.poll_s),
                services.keep_writing,
                services.keep_matching,
            ):
                background.start_soon(_again_and_again, task, manner.poll_s)
            yield
            background.cancel_scope.cancel()
        with anyio.move_on_after(_LAST_WRITE_S):
            await services.write_the_rest()
        await services.run(services.close)

    app = _Application(
        title="Stillwatch",
        version="0.1.0",
        description=_DESCRIPTION,
        docs_url=None,  # the two pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to a gateway a redirect would be an answer
        lifespan=lifespan,
        middleware=[
            Middleware(Edge, metrics=services.metrics, limits=manner.limits, tracing=tracing),
            Middleware(
                Access, keys=engine.keys, required=manner.keys_required, clock=clock, sessions=services.sessions
            ),
        ],
        telemetry=_NO_TELEMETRY,
    )
    app.state.services = services
    install(app)
    gateways = (litellm, authz, moderations, portkey, kgateway)
    for part in (matching, ingesting, campaigns, allowances, blocks, searching, operations, *gateways):
        app.include_router(part.router)
    app.include_router(console)
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the keys that paths need."""
        return self.openapi_schema or documented(super().openapi())


async def _again_and_again(task: Callable[[], Awaitable[None]], pause_s: float) -> None:
    """Runs a task that never ends, until cancelled. It does not end the server, or stop for good, if it fails."""
    while True:
        try:
            await task()
        except Exception:  # noqa: BLE001 - an edge too: nobody waits for an answer to this
            _log.exception("background task failed")
            await anyio.sleep(pause_s)


async def _follow_generations(services: Services, poll_s: float) -> None:
    """Load each newly published generation; what is loaded keeps answering until the new one is complete."""
    while True:
        if await own_thread(services.engine.refresh):
            settle()
            _log.info("generation loaded")
        await anyio.sleep(poll_s)


async def _follow_store(services: Services, poll_s: float) -> None:
    """Heed keys and verdicts that others stored, also while a generation loads."""
    while True:
        await own_thread(services.engine.heed)
        await anyio.sleep(poll_s)


async def _keep_warm(services: Services, poll_s: float) -> None:
    """Spare the first visitor of each generation the wait."""
    while True:
        await own_thread(services.warm)
        await anyio.sleep(poll_s)
