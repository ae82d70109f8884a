"""Processes for end-to-end tests: real gateways, our server, a model behind them and servers that fail."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-gateways" / "bin" / "python"
NGINX = ROOT / ".venv-gateways" / "nginx" / "usr" / "sbin" / "nginx"
PORTKEY = ROOT / "scripts" / "gateways" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
START_S = 180.0
STOP_S = 20.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, ready: Callable[[], bool], **environment: str
) -> Iterator[int]:
    """A process that is ready, and is gone afterwards; its number."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=log.parent,
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
        )
        try:
            until = time.monotonic() + START_S
            while not ready():
                assert process.poll() is None, log.read_text(errors="replace")[-4000:]
                assert time.monotonic() < until, log.read_text(errors="replace")[-4000:]
                time.sleep(0.2)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)


def answers(url: str) -> Callable[[], bool]:
    """Whether anything answers at an address, errors included."""

    def check() -> bool:
        try:
            httpx.get(url, timeout=2, trust_env=False)
        except httpx.HTTPError:
            return False
        return True

    return check


@dataclass
class Seen:
    """What a server was asked: (path, headers, body)."""

    requests: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[str], tuple[int, Mapping[str, str], Any]]) -> Iterator[tuple[str, Seen]]:
    """A small server that answers every request by its path, (status, headers, document); its address."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.requests.append((self.path, dict(self.headers.items()), body))
            status, headers, document = answer(self.path)
            said = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": len(said),
                **headers,
            }.items():
                self.send_header(name, str(value))
            self.end_headers()
            with suppress(BrokenPipeError):  # whoever asked gave up
                self.wfile.write(said)

        do_GET = do_POST = handle_any  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(_: str) -> tuple[int, Mapping[str, str], Any]:
    """What a model says to a chat."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return (
        200,
        {},
        {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage},
    )


def unavailable(_: str) -> tuple[int, Mapping[str, str], Any]:
    """As our own server answers when it is not ready."""
    return 503, {"retry-after": "5"}, {"error": "not_ready", "detail": "", "request_id": "r"}


def slow(_: str) -> tuple[int, Mapping[str, str], Any]:
    """An answer that comes when nobody waits for it any more."""
    time.sleep(3)
    return 200, {}, {}


@contextmanager
def stillwatch(data: Path, log: Path, **environment: str) -> Iterator[str]:
    """Our own server over a data directory; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "app", "--data", data, "--port", str(port)]
    with running(command, log, answers(f"{url}/livez"), PYTHONPATH=str(ROOT), **environment):
        yield url
