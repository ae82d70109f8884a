"""What is to be kept, on its way from the request path, which waits for no disk, to the store."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

import anyio

from models.errors import StillwatchError

MOST_WAITING: Final = 50_000
BATCH: Final = 500
_RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Ledger(Generic[T]):
    """Belongs to one event loop. An item counts as kept once `write` has returned; those that wait when the
    process is killed, and those beyond `most`, are lost: the answers were given all the same.
    """

    def __init__(
        self, name: str, write: Callable[[Sequence[T]], Awaitable[None]], most: int = MOST_WAITING
    ) -> None:
        """name: of the items, for the log."""
        self._name = name
        self._write = write
        self._most = most
        self._waiting: deque[T] = deque()
        self._arrived = anyio.Event()
        self._writing = anyio.Lock()

    def add(self, item: T) -> bool:
        """Takes an item over; False if too many wait, and it is lost."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(item)
        self._arrived.set()
        return True

    async def keep_writing(self) -> None:
        """Writes what arrives, as soon as the batch before is written, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while not await self.flush():
                await anyio.sleep(_RETRY_S)

    async def flush(self) -> bool:
        """Writes all that waits; False if the store does not take it now."""
        async with self._writing:
            while self._waiting:
                batch = list(islice(self._waiting, BATCH))
                try:
                    await self._write(batch)
                except StillwatchError as error:
                    _log.warning("%s_wait count=%d reason=%s", self._name, len(self._waiting), error)
                    return False
                for _ in batch:
                    self._waiting.popleft()
            return True
