"""How much of the disk a data directory takes, and what for."""

import shutil
from pathlib import Path
from typing import Final

# What the parts are called, by the pattern that finds their files.
_PARTS: Final = {
    "database": "*.db*",
    "generations": "generations/**/*",
    "vectors": "vectors/**/*",
    "work": "work/**/*",  # of a reindex that runs, or was stopped and can be gone on with
}


def disk_use(data: Path) -> dict[str, int]:
    """Bytes of each part of a data directory, and those that are "free". A database that is elsewhere, as
    PostgreSQL's is, counts nothing.
    """
    used = {part: sum(_size(path) for path in data.glob(pattern)) for part, pattern in _PARTS.items()}
    return {**used, "free": shutil.disk_usage(data).free}


def _size(path: Path) -> int:
    """Of a file, 0 of anything else; it may be gone by now."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
