"""What tests share: the application over an engine in memory with clients of it, and databases of each kind."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import hypothesis
import postgres_house
import pytest
import s3_house
from api_double import MemoryEngine, client_of, make_app

from indexer.casebook import Casebook
from indexer.engine import Engine
from indexer.store import Store

# How long an example takes says more about the machine than about the code, and the first call may compile.
hypothesis.settings.register_profile("stillwatch", deadline=None)
hypothesis.settings.load_profile("stillwatch")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def casebook(engine: Engine) -> Casebook:
    """Of a module's own engine, over a generation."""
    return engine.casebook()


@pytest.fixture
async def api(engine: MemoryEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(engine)) as client:
        yield client


@pytest.fixture
async def unready() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(MemoryEngine(published=False))) as client:
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_house.Server]:
    with postgres_house.serving() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def fresh_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of a new database each time, of the kind that the test runs with."""
    if request.param == "postgres":
        server: postgres_house.Server = request.getfixturevalue("postgres")
        return server.fresh
    numbers = count()
    return lambda: f"sqlite:///{tmp_path / f'store{next(numbers)}.db'}"


@pytest.fixture
def database(fresh_database: Callable[[], str]) -> str:
    """URL of a new database."""
    return fresh_database()


@pytest.fixture(scope="session")
def object_store() -> Iterator[s3_house.Server]:
    with s3_house.serving() as server:
        yield server


@pytest.fixture
def bucket(object_store: s3_house.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket, with all that s3fs reads from the environment."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return object_store.fresh()


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An empty store."""
    with Store.open(database) as opened:
        yield opened
