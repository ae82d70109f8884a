"""The HTTP server of one process: uvicorn, set up."""

import socket
import sys
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI

SHUTDOWN_S: Final = 10  # for requests in flight
KEEP_ALIVE_S: Final = 75  # longer than gateways keep idle connections, so that they close first
BACKLOG: Final = 2048  # connections that wait for a worker


class Server(uvicorn.Server):
    """Serves behind a socket that listens.

    started: called once, when requests are taken. beat: called ten times a second by the event loop from then on,
    as long as it turns.
    """

    def __init__(
        self, app: FastAPI, opened: socket.socket, started: Callable[[], None], beat: Callable[[], None]
    ) -> None:
        self._opened = opened
        self._started = started
        self._beat = beat
        host, port = opened.getsockname()[:2]
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            backlog=BACKLOG,
            lifespan="on",  # by default a fault when it starts would be taken for an application that has none
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        super().__init__(config)

    def serve_until_stopped(self) -> None:
        """Runs until SIGTERM or SIGINT; requests in flight are answered first."""
        self.run([self._opened])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started()

    async def on_tick(self, counter: int) -> bool:
        self._beat()
        return await super().on_tick(counter)


def nothing() -> None:
    """What is to happen where nothing is."""


def say_where(opened: socket.socket) -> None:
    """Tells whoever started the server where it listens."""
    host, port = opened.getsockname()[:2]
    sys.stderr.write(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}\n")
    sys.stderr.flush()
