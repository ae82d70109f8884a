"""Locks between processes over a data directory. A holder that is killed frees what it held."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import Busy


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock file; raises Busy at once if another process has it."""
    descriptor = hold(path)
    try:
        yield
    finally:
        os.close(descriptor)


def hold(path: Path) -> int:
    """Descriptor of the lock file, which is held until that is closed, at the latest when the process ends. Raises
    Busy at once if another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Busy(f"another process holds {path.name} in {path.parent}") from error
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # it was removed between the two calls: a lock that nobody can see


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


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
