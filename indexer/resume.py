"""Where a reindex works: where a killed one stopped, or in a new place."""

import re
import shutil
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from indexer.generation import FORMAT
from indexer.store import Store
from indexer.workspace import Workspace

_RECIPE: Final = 1  # raised whenever what a run leaves for the next one changes
_RECIPE_DIGITS: Final = 16


def workspace_of(
    root: Path, store: Store, watermark: int, way: Mapping[str, str], covered: int, full: bool
) -> tuple[Workspace, int]:
    """Where to work, and up to which event: what a killed run left below `root`, if it was over the same store in
    the same way, or a new place. Whatever else is there is removed, and with `full` all of it.

    way: spaces and parameters. covered: an event up to which all is done; work that goes no further is of no use.
    """
    told = msgspec.json.encode((_RECIPE, FORMAT, version("stillwatch"), way))
    recipe = sha256(told).hexdigest()[:_RECIPE_DIGITS]
    mine = re.compile(f"([0-9]+)-([0-9a-f]+)-{recipe}")
    root.mkdir(parents=True, exist_ok=True)
    found: tuple[Workspace, int] | None = None
    for path in sorted(root.iterdir()):
        name = mine.fullmatch(path.name)
        if name and not full and found is None and _goes_on(store, int(name[1]), name[2], covered):
            found = Workspace(path), int(name[1])
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return found or (Workspace(root / f"{watermark}-{_event(store, watermark)}-{recipe}"), watermark)


def _goes_on(store: Store, watermark: int, event: str, covered: int) -> bool:
    return watermark > covered and _event(store, watermark) == event


def _event(store: Store, sequence: int) -> str:
    """Tells the event of a sequence number from that of another store."""
    return (store.digest_at(sequence) or b"\0").hex()
