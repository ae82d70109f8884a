"""What is to be kept, on its way from the request path, which waits for no disk, to the store."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

import anyio

from models.errors import Busy, StorageUnusable

MOST_WAITING: Final = 50_000
BATCH: Final = 500
_RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Ledger(Generic[T]):
    """Belongs to one event loop. An item counts as kept once `write` has returned; those that wait when the
    process is killed, those beyond `most`, and those that the store cannot hold are lost: the answers were given
    all the same.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], Awaitable[None]],
        lost: Callable[[], None],
        most: int = MOST_WAITING,
        weigh: Callable[[T], int] | None = None,
    ) -> None:
        """name: of the items, for the log. write: raises Busy or StorageUnusable if it is worth another try.
        lost: told of each item that is lost. most: what may wait, in items or in what `weigh` says of them.
        """
        self._name = name
        self._write = write
        self._lost = lost
        self._most = most
        self._weigh = weigh or (lambda _: 1)
        self._waiting: deque[T] = deque()
        self._weight = 0
        self._arrived = anyio.Event()
        self._writing = anyio.Lock()

    def add(self, item: T) -> None:
        """Takes an item over; if too many wait it is lost."""
        if self._weight + self._weigh(item) > self._most:
            self._lost()
            return
        self._waiting.append(item)
        self._weight += self._weigh(item)
        self._arrived.set()

    async def keep_writing(self) -> None:
        """Writes what arrives, as soon as the batch before is written, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while not await self.flush():
                await anyio.sleep(_RETRY_S)

    async def flush(self) -> bool:
        """Writes all that waits; False if the store does not take it now.

        What it will never take is looked for by halves and dropped, so that it holds up nothing else.
        """
        size = BATCH
        async with self._writing:
            while self._waiting:
                batch = list(islice(self._waiting, size))
                try:
                    await self._write(batch)
                except (Busy, StorageUnusable) as error:
                    _log.warning("%s_wait count=%d reason=%s", self._name, len(self._waiting), error)
                    return False
                except Exception as error:  # noqa: BLE001 - an edge: nobody waits for an answer to this
                    if len(batch) > 1:
                        size = len(batch) // 2
                        continue
                    _log.error("%s_lost reason=%s", self._name, type(error).__name__)
                    self._lost()
                for item in batch:
                    self._waiting.popleft()
                    self._weight -= self._weigh(item)
                size = min(BATCH, 2 * size)
            return True
