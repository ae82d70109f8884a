"""How much of the disk a data directory takes, and what for."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

# The last one is what the next reindex goes on from, or with.
_FOLDERS: Final = ("generations", "vectors", "work")


def disk_use(data: Path) -> dict[str, int]:
    """Bytes of each part of a data directory, and those that are "free". A database that is elsewhere, as
    PostgreSQL's is, counts nothing; a file that has several names counts once.
    """
    used = {"database": _size(data.glob("*.db*"))}
    for name in _FOLDERS:  # a walk passes over folders that are gone by now
        used[name] = _size(Path(folder) / file for folder, _, files in os.walk(data / name) for file in files)
    return {**used, "free": shutil.disk_usage(data).free}


def _size(paths: Iterable[Path]) -> int:
    """Of files, which may be gone by now."""
    sizes = {}
    for path in paths:
        with suppress(FileNotFoundError):
            if path.is_file():
                stat = path.stat()
                sizes[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(sizes.values())
