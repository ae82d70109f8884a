"""`python -m app` as a process: it says where it listens, answers over a socket, and stops cleanly."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
# The engine's module is replaced before the server is imported: what is tested here is the server.
STUB = """
import sys, types
sys.path[:0] = ["tests"]
import api_double
from models.key import Keyring, Role, new_key
class Engine:
    @classmethod
    def open(cls, settings):
        engine = api_double.MemoryEngine()
        if (settings.data / "with-key").exists():
            key, _ = new_key("gw", Role.GATEWAY, None, api_double.NOW, None, bytes)
            engine.keyring = Keyring([key])
        return engine
sys.modules["indexer.engine"] = types.SimpleNamespace(Engine=Engine)
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def serve(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STUB, *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(data: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server on a free port, and its address."""
    with serve("--data", data, "--port", "0", *more) as process:
        try:
            assert process.stderr
            first = process.stderr.readline()
            listening = re.fullmatch(r"listening on (http://\S+)\n", first)
            assert listening, first + process.stderr.read()
            yield process, listening[1]
        finally:
            process.kill()


def test_it_answers_and_stops_on_sigterm(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        answer = httpx.post(f"{address}/v1/match", json={"prompt": "anything"})
        assert (answer.status_code, answer.json()["decision"]) == (200, "none")
        assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=20)[1]
        assert process.returncode == -signal.SIGTERM
    (line,) = rest.splitlines()
    assert '"path": "/v1/match"' in line


def test_an_oversized_body_is_refused_over_a_socket(tmp_path: Path) -> None:
    body, headers = b" " * (8 * 2**20 + 1), {"content-type": "application/json"}
    with serving(tmp_path) as (_, address), httpx.Client() as client:
        answer = client.post(f"{address}/v1/events", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")
        assert client.get(f"{address}/livez").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_refuses_to_be_reached_from_elsewhere_unless_told(tmp_path: Path, host: str) -> None:
    with serve("--data", tmp_path, "--host", host) as process:
        errors = process.communicate(timeout=20)[1]
    assert process.returncode == 2
    assert errors.startswith(f"stillwatch serve: refusing to listen on {host}: pass --allow-remote")


def test_it_refuses_to_be_reached_from_elsewhere_without_a_key(tmp_path: Path) -> None:
    with serve("--data", tmp_path, "--host", "0.0.0.0", "--allow-remote") as process:
        errors = process.communicate(timeout=20)[1]
    assert process.returncode == 2
    assert errors.startswith("stillwatch serve: refusing to listen on 0.0.0.0: there is no API key")
    assert "stillwatch keys create" in errors


def test_it_listens_everywhere_when_told_and_keyed(tmp_path: Path) -> None:
    (tmp_path / "with-key").touch()
    with serving(tmp_path, "--host", "0.0.0.0", "--allow-remote") as (_, address):
        assert httpx.get(f"{address}/livez").status_code == 200
        assert httpx.get(f"{address}/v1/status").status_code == 401


def test_a_setting_that_cannot_work_is_named(tmp_path: Path) -> None:
    with serve("--data", tmp_path, STILLWATCH_PORT="many") as process:
        errors = process.communicate(timeout=20)[1]
    assert (process.returncode, errors) == (
        2,
        "stillwatch serve: STILLWATCH_PORT is 'many', not a number of type int\n",
    )


def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as (_, address),
        serve("--data", tmp_path, "--port", address.rpartition(":")[2]) as second,
    ):
        errors = second.communicate(timeout=20)[1]
    assert second.returncode == 2
    assert "Address already in use" in errors
