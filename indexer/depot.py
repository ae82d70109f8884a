"""A place for generations beside the data directory: a shared folder, or a bucket of an object store. One machine
reindexes and leaves its generations there; servers on others fetch them, and need no other way to each other. The
only door to fsspec.

    DEPOT/20260203T040506.123456Z/   as in the data directory
    DEPOT/CURRENT                    the id of the one to serve, written last
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Final

import fsspec

from indexer.generation import (
    CURRENT,
    MANIFEST,
    SEAL,
    Generation,
    current_id,
    is_name,
    manifest_of,
    prune,
    switch,
    verify,
)
from indexer.lock import exclusive
from indexer.workspace import sync
from models.errors import BadSettings, Busy, GenerationDamaged, Unreachable

log = logging.getLogger(__name__)

_FETCHING: Final = ".fetching-"
_LOCK: Final = "fetch.lock"


class Depot:
    """Generations below a URL that fsspec knows: file:///mnt/shared, s3://bucket/path, and others."""

    def __init__(self, url: str) -> None:
        """Raises BadSettings for a URL that cannot be used, or needs a package that is not there."""
        self._url = url
        self._troubles: tuple[type[Exception], ...] = (
            OSError,
            *_troubles_of("botocore.exceptions", "BotoCoreError"),
        )
        try:
            # Nobody else's listing may be remembered: another machine writes there.
            self._files, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise BadSettings(f"STILLWATCH_DEPOT cannot be used: {error}") from error
        if not self._root.strip("/"):
            raise BadSettings("STILLWATCH_DEPOT cannot be used: it names no folder")

    def current(self) -> str | None:
        """Id of the generation to serve, None if there is none yet. Raises Unreachable."""
        with self._reaching():
            try:
                said: bytes = self._files.cat_file(self._at(CURRENT))
            except FileNotFoundError:
                return None
        return said.decode(errors="replace").strip() or None

    def push(self, generation: Generation, keep: int) -> None:
        """Copies a generation there, makes it the current one, and removes all but the newest `keep`; nothing is
        done if there is this one already, or a newer one. Raises Unreachable.
        """
        name = generation.manifest.generation
        if (self.current() or "") >= name:
            return
        with self._reaching():
            self._files.makedirs(self._at(name), exist_ok=True)
            for file in (*(each.name for each in generation.manifest.files), SEAL, MANIFEST):
                self._files.put_file(str(generation.folder / file), self._at(name, file))
            self._files.pipe_file(self._at(CURRENT), name.encode())
            for old in sorted(self._names(), reverse=True)[keep:]:
                if old != name:
                    self._files.rm(self._at(old), recursive=True)
        log.info("generation_pushed generation=%s", name)

    def fetch(self, root: Path, keep: int) -> bool:
        """Copies the current generation into a folder of generations and switches to it there, if it is newer than
        the one that is current there. Gives whether it was. Raises Unreachable, and GenerationDamaged if it is not
        one that this version reads, or did not arrive whole; then nothing has changed.
        """
        name = self.current()
        root.mkdir(parents=True, exist_ok=True)
        if name is None or name <= (current_id(root) or ""):
            return False
        if not is_name(name):
            raise GenerationDamaged(f"the depot's {CURRENT} names {name[:64]!r}, which is no generation")
        with suppress(Busy), exclusive(root / _LOCK):  # of several servers one fetches it for all
            if not _is_whole(root / name):
                self._fetch(name, root)
            switch(root, name)
            prune(root, keep)
            log.info("generation_fetched generation=%s", name)
        return current_id(root) == name

    def _fetch(self, name: str, root: Path) -> None:
        """What is small comes first, and tells whether the rest is worth the while."""
        for leftover in root.glob(f"{_FETCHING}*"):  # of a process that was killed; the lock is ours
            shutil.rmtree(leftover)
        place = root / f"{_FETCHING}{os.getpid()}"
        aside = place / name
        aside.mkdir(parents=True)
        try:
            for file in (MANIFEST, SEAL):
                self._get(name, file, aside)
            for stored in manifest_of(aside).files:
                if PurePosixPath(stored.name).name != stored.name:
                    raise GenerationDamaged(f"the manifest lists {stored.name[:64]!r}, which lies elsewhere")
                self._get(name, stored.name, aside)
            verify(aside)
            sync(aside)
            shutil.rmtree(root / name, ignore_errors=True)  # what a run left that lost its power
            os.rename(aside, root / name)
            sync(root)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _get(self, name: str, file: str, to: Path) -> None:
        with self._reaching():
            self._files.get_file(self._at(name, file), str(to / file))
        sync(to / file)

    def _names(self) -> Iterator[str]:
        for path in self._files.ls(self._root, detail=False):
            if is_name(PurePosixPath(path).name):
                yield PurePosixPath(path).name

    def _at(self, *parts: str) -> str:
        return "/".join((self._root.rstrip("/"), *parts))

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except self._troubles as error:
            raise Unreachable(f"the depot cannot be used now: {type(error).__name__}: {error}") from error


def _is_whole(folder: Path) -> bool:
    try:
        verify(folder)
    except GenerationDamaged:
        return False
    return True


def _troubles_of(module: str, name: str) -> tuple[Any, ...]:
    """What an object store's library raises for a store that does not answer, if that library is there."""
    try:
        return (getattr(import_module(module), name),)
    except ImportError:
        return ()
