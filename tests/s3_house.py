"""An object store that speaks S3, for tests: on loopback, gone when they end. It is moto's, in an environment of
its own, which `scripts/s3/setup` makes.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.request import Request, urlopen

from gateway_house import free_port

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-s3" / "bin" / "python"
START_S = 60.0


class Server:
    """A store that runs until the block of `serving` ends."""

    def __init__(self, port: int) -> None:
        self._numbers = count()
        self.url = f"http://127.0.0.1:{port}"

    def environment(self) -> dict[str, str]:
        """What s3fs reads to find it."""
        return {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "FSSPEC_S3_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL": self.url,
        }

    def fresh(self) -> str:
        """URL of a place in a new bucket."""
        bucket = f"bucket-{next(self._numbers)}"
        with urlopen(Request(f"{self.url}/{bucket}", method="PUT")) as answer:
            assert answer.status == 200
        return f"s3://{bucket}/stillwatch"


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers."""
    assert PYTHON.exists(), "the object store is not installed; scripts/s3/setup does it"
    port = free_port()
    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(port)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(server.url):
            assert process.poll() is None, "the object store has ended"
            assert time.monotonic() < deadline, "the object store does not answer"
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):
            return True
    except OSError:
        return False
