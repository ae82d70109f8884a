"""Events that tests store, and a look at what the database then holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from models.event import Event
from models.prompt import Prompt

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, **changes: Any) -> Event:
    plain = Event(f"e{number}", f"a{number}", START + timedelta(seconds=number), Prompt("", f"prompt {number}"))
    return replace(plain, **changes)


@contextmanager
def beside(url: str) -> Iterator[sa.Connection]:
    """A connection of somebody else to a store's database; what it does is committed at the end."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def raw(url: str, query: str) -> list[tuple[Any, ...]]:
    with beside(url) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def seconds(number: int) -> datetime:
    return START + timedelta(seconds=number)
