"""Generations on disk: written aside, verified, then switched to by one atomic step.

    generations/20260203T040506.123456Z/   manifest.json, its sha256, and the files it lists
    generations/CURRENT                    the id of the one that serves

A reader trusts only files whose size and sha256 stand in the manifest, and a manifest whose own sha256 stands
in manifest.sha256. A file that was read through once is not read again for as long as nobody touches it. If the
current generation is damaged or half written, the newest one that verifies is used instead.
"""

import logging
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from indexer.index import CodeIndex, VectorIndex
from indexer.process import without_collecting
from indexer.workspace import sync
from models.errors import GenerationDamaged, NotReady
from models.generation import Manifest, StoredFile

log = logging.getLogger(__name__)

FORMAT: Final = 4  # of what is written
_READ: Final = frozenset({3, FORMAT})  # 3 has no organisation of each event
NOTHING_PUBLISHED: Final = "no generation is published yet; run `stillwatch reindex`"
CURRENT: Final = "CURRENT"
MANIFEST: Final = "manifest.json"
SEAL: Final = "manifest.sha256"
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z")
_GOOD: Final = "verified.json"  # not among the files that the manifest lists
_ASIDE: Final = ".writing-"
_AHEAD_BYTES: Final = 2 << 20

T = TypeVar("T")


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was when it was found to have a digest: whoever writes to it leaves another time, whoever puts
    another in its place leaves another number.
    """

    sha256: str
    size: int
    written_ns: int
    changed_ns: int  # which nobody can set back
    inode: int

    @classmethod
    def of(cls, path: Path, digest: str) -> "_Seen":
        """The file now."""
        found = path.stat()
        return cls(digest, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@dataclass(frozen=True, slots=True)
class Generation:
    """A verified generation: read its files through the methods here."""

    folder: Path
    manifest: Manifest

    def holds(self, name: str) -> bool:
        """Whether it has a file of this name; a generation of an earlier version may lack some."""
        return any(each.name == name for each in self.manifest.files)

    def array(self, name: str) -> NDArray[np.generic]:
        """The array of a .npy file, mapped into memory. Pickled objects are refused."""
        try:
            mapped: NDArray[np.generic] = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise GenerationDamaged(
                f"{name} of generation {self.manifest.generation} is not a .npy file"
            ) from error
        return mapped

    def index(self, name: str) -> VectorIndex:
        """The FAISS index of a file."""
        return VectorIndex.read(self.folder / name)

    def codes(self, name: str) -> CodeIndex:
        """The FAISS index of codes of a file."""
        return CodeIndex.read(self.folder / name)

    def read_ahead(self) -> None:
        """Has the system read all files into its memory while nobody waits for them, as far as it has room. It is
        a hint: whoever reads a file that is amiss is told.
        """
        if sys.platform != "linux":
            return
        for each in self.manifest.files:
            with suppress(OSError), (self.folder / each.name).open("rb") as file:
                # Asked for more at once, the system reads some of it only.
                for start in range(0, each.size_bytes, _AHEAD_BYTES):
                    os.posix_fadvise(file.fileno(), start, _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)

    def value(self, name: str, kind: type[T]) -> T:
        """The value of a JSON file, checked against its type."""
        try:
            with without_collecting():  # which would take four times as long as decoding thousands of campaigns
                return msgspec.json.decode((self.folder / name).read_bytes(), type=kind)
        except (msgspec.DecodeError, OSError) as error:
            raise GenerationDamaged(f"{name} of generation {self.manifest.generation}: {error}") from error


class GenerationWriter:
    """Files of a generation in the making, in a folder that no reader looks at."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for leftover in root.glob(f"{_ASIDE}*"):  # of a run that was killed; the reindex lock is ours
            shutil.rmtree(leftover)
        self._root = root
        self._folder = root / f"{_ASIDE}{os.getpid()}"
        self._folder.mkdir()
        self._weighed: dict[str, StoredFile] = {}

    def array(self, name: str, array: NDArray[np.generic]) -> None:
        """Adds an array as a .npy file."""
        with (self._folder / name).open("wb") as file:
            np.save(file, array, allow_pickle=False)

    def index(self, name: str, index: VectorIndex | CodeIndex) -> None:
        """Adds a FAISS index."""
        index.write(self._folder / name)

    def value(self, name: str, value: object) -> None:
        """Adds a value as JSON."""
        (self._folder / name).write_bytes(msgspec.json.encode(value))

    def weigh(self) -> None:
        """Notes size and digest of all that was added so far, which `publish` then need not do."""
        for path in sorted(self._folder.iterdir()):
            self._weighed[path.name] = self._weighed.get(path.name) or _stored(path)

    def publish(self, manifest: Manifest, keep: int) -> Manifest:
        """Lists the files in the manifest, makes all of it durable, reads it back, switches to it, and removes all
        but the newest `keep` generations.

        Gives the manifest as written. Nothing changes for readers until the very last step.
        """
        self.weigh()
        complete = replace(manifest, files=tuple(each for _, each in sorted(self._weighed.items())))
        written = msgspec.json.format(msgspec.json.encode(complete))
        (self._folder / MANIFEST).write_bytes(written)
        (self._folder / SEAL).write_text(sha256(written).hexdigest())
        for path in self._folder.iterdir():
            sync(path)
        sync(self._folder)
        target = self._root / complete.generation
        os.rename(self._folder, target)
        sync(self._root)
        verify(target)
        switch(self._root, complete.generation)
        prune(self._root, keep)
        return complete

    def abandon(self) -> None:
        """Removes what was written."""
        shutil.rmtree(self._folder, ignore_errors=True)


def switch(root: Path, generation: str) -> None:
    """Makes a generation the current one, atomically."""
    aside = root / f"{CURRENT}.tmp"
    aside.write_text(generation)
    sync(aside)
    os.replace(aside, root / CURRENT)
    sync(root)


def current_id(root: Path) -> str | None:
    """Id that CURRENT names, None if nothing was ever published. Cheap: for polling."""
    try:
        return (root / CURRENT).read_text(errors="replace").strip() or None
    except FileNotFoundError:
        return None


def verify(folder: Path) -> Generation:
    """The generation in a folder. Raises GenerationDamaged naming the first thing that is wrong."""
    try:
        return _verified(folder)
    except OSError as error:
        raise GenerationDamaged(f"{folder.name} cannot be read: {error.strerror}") from error


def manifest_of(folder: Path) -> Manifest:
    """The manifest in a folder, if its seal holds and this version reads it; the files are not looked at. Raises
    GenerationDamaged.
    """
    try:
        written, seal = (folder / MANIFEST).read_bytes(), (folder / SEAL).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GenerationDamaged(f"{folder.name} has no {MANIFEST} or no {SEAL}") from error
    if sha256(written).hexdigest().encode() != seal:
        raise GenerationDamaged(f"the manifest of {folder.name} was altered")
    try:
        manifest = msgspec.json.decode(written, type=Manifest)
    except msgspec.DecodeError as error:
        raise GenerationDamaged(f"the manifest of {folder.name} cannot be read: {error}") from error
    if manifest.format not in _READ:
        readable = " and ".join(map(str, sorted(_READ)))
        raise GenerationDamaged(f"{folder.name} has layout {manifest.format}; this version reads {readable}")
    if manifest.generation != folder.name:
        raise GenerationDamaged(f"{folder.name} holds the manifest of generation {manifest.generation}")
    return manifest


def _verified(folder: Path) -> Generation:
    manifest = manifest_of(folder)
    known = _known_good(folder)
    looked_at = {each.name: _look(folder, each, known.get(each.name)) for each in manifest.files}
    if looked_at != known:
        _remember_good(folder, looked_at)
    return Generation(folder, manifest)


def _look(folder: Path, expected: StoredFile, before: _Seen | None) -> _Seen:
    """A file as it is now. It is read through unless it is the one that was found good before."""
    path = folder / expected.name
    if not path.is_file():
        raise GenerationDamaged(f"{folder.name}/{expected.name} is missing")
    now = _Seen.of(path, expected.sha256)
    if now != before and _stored(path) != expected:
        raise GenerationDamaged(f"{folder.name}/{expected.name} is not what the manifest says")
    return now


def _known_good(folder: Path) -> dict[str, _Seen]:
    """What was found good here before; nothing if that cannot be read."""
    try:
        return msgspec.json.decode((folder / _GOOD).read_bytes(), type=dict[str, _Seen])
    except (OSError, msgspec.DecodeError):
        return {}


def _remember_good(folder: Path, found: dict[str, _Seen]) -> None:
    """Spares the next reader the reading of gigabytes. Where nothing may be written, everybody reads."""
    aside = folder / f"{_GOOD}.{os.getpid()}"
    with suppress(OSError):
        aside.write_bytes(msgspec.json.encode(found))
        os.replace(aside, folder / _GOOD)


def open_current(root: Path) -> Generation:
    """The current generation, or the newest good one if the current is damaged.

    Raises NotReady if there is none at all, GenerationDamaged if there are some but none is good.
    """
    return first_good(root, lambda generation: generation)


def load_current(root: Path, load: Callable[[Generation], T]) -> T:
    """`load` of the generation that CURRENT names, and of no other. Raises GenerationDamaged, or NotReady."""
    current = current_id(root)
    if current is None:
        raise NotReady(NOTHING_PUBLISHED)
    if root / current not in _published(root):  # a damaged CURRENT may hold anything: it is never used as a path
        raise GenerationDamaged(f"CURRENT names {current[:64]!r}, which is not there")
    return load(verify(root / current))


def first_good(root: Path, load: Callable[[Generation], T]) -> T:
    """`load` of the current generation, or of the newest one that verifies and loads; see `open_current`."""
    current = current_id(root)
    names = sorted((path.name for path in _published(root)), reverse=True)
    if current is None and not names:
        raise NotReady(NOTHING_PUBLISHED)
    problems: list[str] = []
    if current in names:
        names.remove(current)
        names.insert(0, current)
    elif current is not None:  # a damaged CURRENT may hold anything, so it is never used as a path
        problems.append(f"CURRENT names {current[:64]!r}, which is not there")
        log.error("generation_refused generation=%r reason=missing", current[:64])
    for name in names:
        try:
            return load(verify(root / name))
        except GenerationDamaged as error:
            log.error("generation_refused generation=%s reason=%s", name, error)
            problems.append(str(error))
    raise GenerationDamaged("no generation can be used: " + "; ".join(problems))


def prune(root: Path, keep: int) -> None:
    """Removes all but the newest `keep` generations; the current one always stays."""
    current = current_id(root)
    for path in sorted(_published(root), reverse=True)[keep:]:
        if path.name != current:
            shutil.rmtree(path)


def _published(root: Path) -> list[Path]:
    return [path for path in root.glob("*Z") if is_name(path.name) and path.is_dir()]


def is_name(name: str) -> bool:
    """Whether this is how a generation is called."""
    return _NAME.fullmatch(name) is not None


def _stored(path: Path) -> StoredFile:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return StoredFile(path.name, path.stat().st_size, digest.hexdigest())
