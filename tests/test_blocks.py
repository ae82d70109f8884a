"""Blocks in the store: what went in comes out, the newest first, by every filter."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from test_cli import run

from indexer.store import Store
from models.block import Block, BlockQuery
from models.match import Ground
from models.mode import Mode
from models.view import View

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def block(**changes: Any) -> Block:
    made = Block(
        at=NOW,
        request_id="r-1",
        asked_by="/v1/match",
        campaign_id="c-1",
        mode=Mode.ENFORCE,
        blocked=True,
        grounds=(Ground.RECURRING, Ground.TEMPLATE),
        view=View.RECURRING,
        similarity=0.93,
        threshold=0.8,
        generation="g-1",
        account_id="a1",
        model=None,
    )
    return replace(made, **changes)


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("STILLWATCH_DATABASE", database)
    with Store.open(database) as opened:
        yield opened


def test_blocks_come_back_as_they_went_in_the_newest_first(store: Store) -> None:
    first = block()
    second = block(
        mode=Mode.AUDIT, blocked=False, grounds=(Ground.EXACT, Ground.WHOLE), account_id=None, model="m"
    )
    store.blocks.add([])
    store.blocks.add([first, second])
    assert store.blocks.find(BlockQuery(10)) == [(2, second), (1, first)]
    assert store.blocks.find(BlockQuery(1)) == [(2, second)]
    assert store.blocks.find(BlockQuery(10, before=2)) == [(1, first)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"campaign_id": "c-2"}, [3]),
        ({"account_id": "a1"}, [1]),
        ({"blocked": False}, [3]),
        ({"blocked": True}, [2, 1]),
        ({"since": NOW + timedelta(seconds=1)}, [3, 2]),
        ({"until": NOW + timedelta(seconds=1)}, [1]),
        ({"since": NOW + timedelta(seconds=1), "account_id": "a2"}, [2]),
        ({"campaign_id": "' or 1=1"}, []),
    ],
)
def test_filters_hold_alone_and_together(store: Store, asked: dict[str, Any], found: list[int]) -> None:
    store.blocks.add(
        [
            block(),
            block(at=NOW + timedelta(seconds=1), account_id="a2"),
            block(at=NOW + timedelta(seconds=2), campaign_id="c-2", blocked=False, account_id="cut \ud800"),
        ]
    )
    assert [number for number, _ in store.blocks.find(BlockQuery(10, **asked))] == found


def test_the_command_lists_them(store: Store, tmp_path: Path) -> None:
    store.blocks.add([block(), block(campaign_id="c-2", blocked=False, account_id="[bold]a2")])
    listed = json.loads(run(tmp_path, "blocks", "--json")[1])
    assert [(each["number"], each["campaign_id"], each["blocked"]) for each in listed] == [
        (2, "c-2", False),
        (1, block().campaign_id, True),
    ]
    assert [each["number"] for each in json.loads(run(tmp_path, "blocks", "--refused", "--json")[1])] == [1]
    assert [each["number"] for each in json.loads(run(tmp_path, "blocks", "--would-be", "--json")[1])] == [2]
    table = run(tmp_path, "blocks", "--campaign", "c-2")[1]
    assert "would be" in table
    assert "[bold]a2" in table
