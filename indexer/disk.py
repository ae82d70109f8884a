"""How much of the disk a data directory takes, and what for."""

import os
import shutil
from pathlib import Path
from typing import Final

# The last one is of a reindex that runs, or was stopped and can be gone on with.
_FOLDERS: Final = ("generations", "vectors", "work")


def disk_use(data: Path) -> dict[str, int]:
    """Bytes of each part of a data directory, and those that are "free". A database that is elsewhere, as
    PostgreSQL's is, counts nothing.
    """
    used = {"database": sum(map(_size, data.glob("*.db*")))}
    for name in _FOLDERS:  # a walk passes over folders that are gone by now
        found = (Path(folder) / file for folder, _, files in os.walk(data / name) for file in files)
        used[name] = sum(map(_size, found))
    return {**used, "free": shutil.disk_usage(data).free}


def _size(path: Path) -> int:
    """Of a file, 0 of anything else; it may be gone by now."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
