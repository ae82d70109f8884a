"""`python -m app`: serve one data directory over HTTP, in one process or several."""

import argparse
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from app import logs
from app.tracing import tracing_of
from app.worker import TOGETHER, application, worker
from indexer.engine import Engine
from indexer.settings import Settings, load_settings
from models.errors import BadSettings, StillwatchError
from models.key import Keyring

SHUTDOWN_S = 10  # for requests in flight
KEEP_ALIVE_S = 75  # longer than gateways keep idle connections, so that they close first
BACKLOG = 2048  # connections that wait for a worker
SILENCE_S = 120  # after which a worker is taken for dead; one that loads a large generation is deaf for seconds


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for opened in server.sockets:
                _say_where(opened)


def _say_where(opened: socket.socket) -> None:
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
        remote, engine = not is_loopback(host), Engine.open(settings)
        if remote:
            require_keys(host, engine.keys(), options.allow_remote)
        tracing = tracing_of(os.environ)
    except StillwatchError as error:
        sys.stderr.write(f"stillwatch serve: {error}\n")
        return 2
    if options.workers > 1:
        engine.close()  # these were to show that there is nothing wrong; each worker opens its own
        tracing.close()
        return _serve_together(settings, host, port, remote, options.workers)
    server = _Server(_config(application(engine, settings, remote, tracing), host, port))
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 2


def _serve_together(settings: Settings, host: str, port: int, remote: bool, workers: int) -> int:
    """Several workers behind one socket; one that dies is replaced."""
    config = _config(partial(worker, settings, remote), host, port, workers)
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)  # here it tells of workers that died
    with TemporaryDirectory(prefix="stillwatch-metrics-") as together, config.bind_socket() as opened:
        os.environ[TOGETHER] = together
        opened.listen(BACKLOG)
        _say_where(opened)
        Multiprocess(config, [opened]).run()
    return 0


def _config(app: FastAPI | partial[FastAPI], host: str, port: int, workers: int | None = None) -> uvicorn.Config:
    """workers: None for one process, this one, in which the application is already made."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        factory=workers is not None,
        workers=workers,
        backlog=BACKLOG,
        timeout_worker_healthcheck=SILENCE_S,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


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
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
