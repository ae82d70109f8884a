"""The ledger: what the request path hands over is written in order, later, and once."""

from collections.abc import Sequence

import anyio
import pytest
from test_blocks import block

from app.ledger import BATCH, Ledger
from models.block import Block
from models.errors import Busy

pytestmark = pytest.mark.anyio


class Shelf:
    """Takes what it is given, except while it is busy."""

    def __init__(self) -> None:
        self.taken: list[list[str]] = []
        self.busy = 0

    async def write(self, found: Sequence[Block]) -> None:
        await anyio.sleep(0)
        if self.busy:
            self.busy -= 1
            raise Busy("held")
        self.taken.append([each.request_id for each in found])


async def test_everything_is_written_once_in_order_and_in_batches() -> None:
    shelf = Shelf()
    ledger = Ledger("blocks", shelf.write)
    names = [f"r-{number}" for number in range(BATCH + 3)]
    assert all(ledger.add(block(request_id=name)) for name in names)
    assert await ledger.flush()
    assert shelf.taken == [names[:BATCH], names[BATCH:]]
    assert await ledger.flush()
    assert len(shelf.taken) == 2


async def test_a_busy_store_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ledger._RETRY_S", 0.001)
    shelf = Shelf()
    shelf.busy = 2
    ledger = Ledger("blocks", shelf.write)
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
    ledger = Ledger("blocks", shelf.write, most=2)
    assert [ledger.add(block(request_id=f"r-{number}")) for number in range(3)] == [True, True, False]
    assert not await ledger.flush()
    assert await ledger.flush()
    assert shelf.taken == [["r-0", "r-1"]]
