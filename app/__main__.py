"""`python -m app`: serve one data directory over HTTP."""

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import uvicorn

from app import logs
from app.main import create_app, now_utc
from app.state import Limits
from indexer.engine import Engine
from indexer.jobs import Jobs, reindex_command
from indexer.settings import Settings, load_settings
from models.errors import BadSettings, StillwatchError

SHUTDOWN_S = 10  # for requests in flight
KEEP_ALIVE_S = 75  # longer than gateways keep idle connections, so that they close first


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for opened in server.sockets:
                host, port = opened.getsockname()[:2]
                sys.stderr.write(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}\n")
        sys.stderr.flush()


def require_loopback(host: str) -> None:
    """Raises BadSettings if others than this machine could reach `host`."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise BadSettings(
            f"refusing to listen on {host}: the API has no keys yet, so anyone who reaches it can read prompts; "
            "put a proxy that authenticates in front and pass --allow-remote"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped. Exit status 2 if it cannot start."""
    options = _options(arguments)
    logs.configure()
    try:
        settings = load_settings(options.data, os.environ)
        host = settings.host if options.host is None else options.host
        port = settings.port if options.port is None else options.port
        if not options.allow_remote:
            require_loopback(host)
        server = _server(settings, host, port)
    except StillwatchError as error:
        sys.stderr.write(f"stillwatch serve: {error}\n")
        return 2
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 2


def _server(settings: Settings, host: str, port: int) -> _Server:
    jobs = Jobs(partial(reindex_command, settings.data), now_utc)
    limits = Limits(body_bytes=settings.max_body_bytes, prompt_chars=settings.max_prompt_chars)
    app = create_app(Engine.open(settings), jobs, limits=limits, mode=settings.mode)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return _Server(config)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the HTTP API of one data directory.")
    parser.add_argument("--data", type=Path, help="data directory")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    parser.add_argument("--allow-remote", action="store_true", help="listen on more than this machine; no keys!")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
