"""What tests of the HTTP API share: the application over an engine in memory, and clients of it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from api_double import MemoryEngine, client_of, make_app


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
async def api(engine: MemoryEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(engine)) as client:
        yield client


@pytest.fixture
async def unready() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(MemoryEngine(published=False))) as client:
        yield client
