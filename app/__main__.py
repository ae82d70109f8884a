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
from models.key import Keyring

SHUTDOWN_S = 10  # for requests in flight
SWITCH_S = 0.0005  # the event loop waits no longer for a thread that examines prompts; ten times that by default
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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_keys(host: str, keys: Keyring, allow_remote: bool) -> None:
    """Raises BadSettings if others are not meant to reach `host`, or could do so without a key."""
    if not allow_remote:
        raise BadSettings(f"refusing to listen on {host}: pass --allow-remote if others are to reach it")
    if not keys:
        raise BadSettings(
            f"refusing to listen on {host}: there is no API key, so anyone who reaches it could read prompts; "
            "make one with `stillwatch keys create NAME --role gateway`"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped. Exit status 2 if it cannot start."""
    options = _options(arguments)
    logs.configure()
    try:
        settings = load_settings(options.data, os.environ)
        host = settings.host if options.host is None else options.host
        port = settings.port if options.port is None else options.port
        server = _server(settings, host, port, options.allow_remote)
    except StillwatchError as error:
        sys.stderr.write(f"stillwatch serve: {error}\n")
        return 2
    sys.setswitchinterval(SWITCH_S)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 2


def _server(settings: Settings, host: str, port: int, allow_remote: bool) -> _Server:
    engine, remote = Engine.open(settings), not is_loopback(host)
    if remote:
        require_keys(host, engine.keys(), allow_remote)
    jobs = Jobs(partial(reindex_command, settings.data), now_utc)
    limits = Limits(body_bytes=settings.max_body_bytes, prompt_chars=settings.max_prompt_chars)
    app = create_app(
        engine,
        jobs,
        limits=limits,
        mode=settings.mode,
        keys_required=remote,
        remember=settings.remember,
    )
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
    parser.add_argument("--allow-remote", action="store_true", help="listen on more than this machine; needs keys")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
