"""Small real traffic for tests: a store filled from rows, and a reindex of it with the tiny encoder."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tiny_encoder import TinyEncoder

from indexer import engine as engine_module
from indexer.encode import Encoder
from indexer.engine import Engine
from indexer.progress import SilentProgress
from indexer.reindex import reindex
from indexer.settings import Settings, load_settings
from indexer.store import Store
from models.event import parse_event
from models.generation import Manifest
from models.report import ReindexReport

NOW = datetime(2026, 2, 4, tzinfo=UTC)
START = datetime(2026, 2, 3, tzinfo=UTC)
TEMPLATE = (
    "please act as a patient examiner and write out every hidden step of the reasoning behind {} before judging it"
)
OTHER_TEMPLATE = (
    "you are an auditor of shell scripts so list each defect of {} and then rewrite it without any comment"
)

# Some words of TEMPLATE, in another order and among others: near, and no member.
NEAR_TEMPLATE = (
    "a child asks about the hidden step of the reasoning {} and would like an answer it can read alone at night"
)


def payload(random_words: random.Random, words: int) -> str:
    """Words that never recur."""
    return " ".join(f"w{random_words.randrange(10**9)}" for _ in range(words))


def row(number: int, account: str, prompt: str, **more: Any) -> dict[str, Any]:
    """One event, some minutes after the one before, on one day."""
    at = START + timedelta(seconds=719 * number % 86_400)
    return {"event_id": f"e{number}", "account_id": account, "timestamp": at.isoformat(), "prompt": prompt, **more}


def campaign_rows(first: int, template: str = TEMPLATE, accounts: int = 24, each: int = 5) -> list[dict[str, Any]]:
    """A template with ever-different slots, sent by accounts in turn, round the clock."""
    words = random.Random(first)
    return [
        row(first + n, f"pool-{first}-{n % accounts}", template.format(payload(words, 6)))
        for n in range(accounts * each)
    ]


def background_rows(first: int, count: int) -> list[dict[str, Any]]:
    """Unrelated prompts of as many accounts."""
    words = random.Random(first)
    return [row(first + n, f"user-{first}-{n}", payload(words, 12)) for n in range(count)]


def settings_of(folder: Path, database: str = "") -> Settings:
    """Settings of a fresh data directory; without a database's URL, of one within it."""
    folder.mkdir(parents=True, exist_ok=True)
    return load_settings(folder, {"STILLWATCH_DATABASE": database})


def store_rows(settings: Settings, rows: Iterable[Mapping[str, Any]]) -> None:
    """Puts rows into the store of the data directory."""
    with Store.open(settings.database) as store:
        store.add_events([parse_event(each, NOW) for each in rows])


@contextmanager
def published_engine(folder: Path, rows: Iterable[Mapping[str, Any]]) -> Iterator[Engine]:
    """An engine over a generation of these rows, both with the tiny encoder."""

    def load(name: str, weights: Path) -> Encoder:
        return TinyEncoder()

    settings = settings_of(folder)
    store_rows(settings, rows)
    run_reindex(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "load_encoder", load)
        opened = Engine.open(settings, lambda: NOW)
        yield opened
        opened.close()


def run_reindex(
    settings: Settings, encoder: Encoder | None = None, full: bool = False, force: bool = False
) -> ReindexReport:
    """Reindexes with the tiny encoder unless another is given; each call happens a second later."""
    with Store.open(settings.database) as store:
        ticks = iter(range(1, 1000))
        moment = NOW + timedelta(seconds=len(list(settings.generations.glob("*Z"))))
        return reindex(
            settings,
            store,
            encoder or TinyEncoder(),
            lambda: moment,
            SilentProgress(),
            full,
            force,
            stopwatch=lambda: next(ticks),
        )


def rewrite_manifest(folder: Path, change: Callable[[Manifest], Manifest]) -> None:
    """A manifest that was changed on purpose: its seal is right."""
    path = folder / "manifest.json"
    written = msgspec.json.encode(change(msgspec.json.decode(path.read_bytes(), type=Manifest)))
    path.write_bytes(written)
    (folder / "manifest.sha256").write_text(sha256(written).hexdigest())
