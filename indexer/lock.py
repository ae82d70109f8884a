"""Locks between processes over a data directory. A holder that is killed frees what it held."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from models.errors import Busy


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock file; raises Busy at once if another process has it."""
    with hold(path):
        yield


def hold(path: Path) -> IO[str]:
    """The lock file, held until it is closed; raises Busy at once if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise Busy(f"another process holds {path.name} in {path.parent}") from error
        if _is_at(path, file):
            return file
        file.close()  # it was removed between the two calls: a lock that nobody can see


def is_held(path: Path) -> bool:
    """Whether anybody holds the lock file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _is_at(path: Path, file: IO[str]) -> bool:
    """Whether an open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
