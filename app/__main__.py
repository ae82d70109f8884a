"""`python -m app`: serve one data directory over HTTP, in one process or several."""

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from fastapi import FastAPI

from app import logs
from app.console.sessions import session_secret
from app.metrics import metrics_folder
from app.server import BACKLOG, Server, nothing, say_where
from app.supervisor import CANNOT_START, Supervisor
from app.tracing import tracing_of
from app.worker import SESSION_SECRET, TOGETHER, application, work
from indexer.engine import Engine
from indexer.settings import Settings, load_settings
from models.errors import BadSettings, StillwatchError
from models.key import Keyring

MOST_WORKERS: Final = 64


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
        remote, engine = not is_loopback(host), Engine.open(settings)
        if remote:
            require_keys(host, engine.keys(), options.allow_remote)
        tracing = tracing_of(os.environ)
        session_secret(settings.data / SESSION_SECRET)  # or it is made by several workers at once
    except StillwatchError as error:
        sys.stderr.write(f"stillwatch serve: {error}\n")
        return CANNOT_START
    try:
        opened = _listening(host, port)
    except OSError as error:
        sys.stderr.write(f"stillwatch serve: cannot listen on {host}, port {port}: {error.strerror}\n")
        return CANNOT_START
    with opened:
        if options.workers == 1:
            return _serve(application(engine, settings, remote, tracing), opened)
        engine.close()  # these were to show that there is nothing wrong; each worker opens its own
        tracing.close()
        return _serve_together(settings, remote, opened, options.workers)


def _serve(app: FastAPI, opened: socket.socket) -> int:
    """In this process."""
    server = Server(app, opened, started=partial(say_where, opened), beat=nothing)
    with suppress(KeyboardInterrupt):
        server.serve_until_stopped()
    return 0 if server.started else CANNOT_START


def _serve_together(settings: Settings, remote: bool, opened: socket.socket, workers: int) -> int:
    """Several workers behind one socket; one that dies is replaced."""
    with metrics_folder(Path(gettempdir())) as together:
        os.environ[TOGETHER] = str(together)
        return Supervisor(partial(work, settings, remote, opened), workers, partial(say_where, opened)).run()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the HTTP API of one data directory.")
    parser.add_argument("--data", type=Path, help="data directory")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    parser.add_argument("--workers", type=_count, default=1, help="processes that answer; 1 by default")
    parser.add_argument("--allow-remote", action="store_true", help="listen on more than this machine; needs keys")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{count} is not a number from 1 to {MOST_WORKERS}")
    return count


if __name__ == "__main__":
    sys.exit(main())
