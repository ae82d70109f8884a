"""Processes: whether one is still there, and what this one may use."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def usable_cores() -> int:
    """How many cores this process may run on; a container is often given fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def without_collecting() -> Iterator[None]:
    """No search for garbage that refers to itself while it lasts. Batch work that holds millions of strings leaves
    hardly any, and each search would look at all of them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
