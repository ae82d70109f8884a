"""The ledger: what the request path hands over is written in order, later, and once."""

from collections.abc import Sequence

import anyio
import pytest
from test_blocks import block

from app.ledger import BATCH, Ledger
from models.block import Block
from models.errors import Busy, StorageUnusable

pytestmark = pytest.mark.anyio


class Shelf:
    """Takes what it is given, except while it is busy."""

    def __init__(self) -> None:
        self.taken: list[list[str]] = []
        self.busy = 0
        self.error: Exception = Busy("held")
        self.poison: set[str] = set()
        self.lost = 0

    def lose(self) -> None:
        self.lost += 1

    async def write(self, found: Sequence[Block]) -> None:
        await anyio.sleep(0)
        if self.busy:
            self.busy -= 1
            raise self.error
        if any(each.request_id in self.poison for each in found):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no such letter")
        self.taken.append([each.request_id for each in found])


async def test_everything_is_written_once_in_order_and_in_batches() -> None:
    shelf = Shelf()
    ledger = Ledger("blocks", shelf.write, shelf.lose)
    names = [f"r-{number}" for number in range(BATCH + 3)]
    for name in names:
        ledger.add(block(request_id=name))
    assert await ledger.flush()
    assert shelf.taken == [names[:BATCH], names[BATCH:]]
    assert await ledger.flush()
    assert len(shelf.taken) == 2


async def test_a_busy_store_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ledger._RETRY_S", 0.001)
    shelf = Shelf()
    shelf.busy = 2
    ledger = Ledger("blocks", shelf.write, shelf.lose)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.keep_writing)
        for name in ("r-1", "r-2"):
            ledger.add(block(request_id=name))
            with anyio.fail_after(5):
                while sum(map(len, shelf.taken)) < int(name[-1]):
                    await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert (shelf.taken, shelf.busy) == ([["r-1"], ["r-2"]], 0)


async def test_beyond_the_most_that_may_wait_blocks_are_lost() -> None:
    shelf = Shelf()
    shelf.busy = 1
    ledger = Ledger("blocks", shelf.write, shelf.lose, most=2)
    for number in range(3):
        ledger.add(block(request_id=f"r-{number}"))
    assert shelf.lost == 1
    assert not await ledger.flush()
    assert await ledger.flush()
    assert shelf.taken == [["r-0", "r-1"]]


@pytest.mark.parametrize(
    "poison", [{"r-0"}, {"r-7"}, {"r-3", "r-4", "r-600"}, {f"r-{number}" for number in range(20)}]
)
async def test_what_the_store_never_takes_holds_up_nothing_else(poison: set[str]) -> None:
    shelf = Shelf()
    shelf.poison = poison
    ledger = Ledger("blocks", shelf.write, shelf.lose)
    names = [f"r-{number}" for number in range(700)]
    for name in names:
        ledger.add(block(request_id=name))
    assert await ledger.flush()
    assert [name for batch in shelf.taken for name in batch] == [name for name in names if name not in poison]
    assert shelf.lost == len(poison)
    assert len(shelf.taken) < 60


async def test_a_full_disk_loses_nothing() -> None:
    shelf = Shelf()
    shelf.busy, shelf.error = 1, StorageUnusable("full")
    ledger = Ledger("blocks", shelf.write, shelf.lose)
    ledger.add(block(request_id="r-1"))
    assert not await ledger.flush()
    assert await ledger.flush()
    assert (shelf.taken, shelf.lost) == ([["r-1"]], 0)


async def test_what_waits_is_bounded_by_its_weight() -> None:
    shelf = Shelf()
    ledger = Ledger("blocks", shelf.write, shelf.lose, most=10, weigh=lambda each: len(each.request_id))
    for name in ("four", "six666", "r"):
        ledger.add(block(request_id=name))
    assert shelf.lost == 1
    assert await ledger.flush()
    ledger.add(block(request_id="again-ten!"))
    assert await ledger.flush()
    assert (shelf.taken, shelf.lost) == ([["four", "six666"], ["again-ten!"]], 1)
