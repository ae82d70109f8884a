"""Files of a reindex in the making: what is too large for memory, and what a run need not do again that goes on
where a killed one stopped.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from indexer.texts import Texts
from models.errors import StorageUnusable

_WRITING: Final = ".writing-"
_SIZES: Final = ".sizes"

T = TypeVar("T")


class Folder:
    """Arrays, texts and values in files of one folder. Arrays are mapped into memory when they are read, so they
    take none that the system could not have back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, array: NDArray[Any]) -> None:
        """Adds an array."""
        with self.writer(name) as file:
            file.append(array)

    @contextmanager
    def writer(self, name: str, base: "Folder | None" = None) -> Iterator["ArrayWriter"]:
        """Adds an array that is written part by part.

        base: a finished folder, whose array of this name comes first. Both folders then share its file where they
        can, so nothing is copied; the base goes on to see only what it had.
        """
        path = self.path / name
        if base is not None:
            try:
                os.link(base.path / name, path)
            except OSError:  # a file system without links; if it is something else, copying tells
                shutil.copyfile(base.path / name, path)
        with ArrayWriter(path, 0 if base is None else base.size(name)) as file:
            yield file

    @contextmanager
    def texts_writer(self, name: str, base: "Folder | None" = None) -> Iterator["TextsWriter"]:
        """Adds texts that are written part by part; base: as for `writer`."""
        data_name, offsets_name = f"{name}.bytes", f"{name}.offsets"
        with self.writer(data_name, base) as data, self.writer(offsets_name, base) as offsets:
            if base is None:
                offsets.append(np.zeros(1, np.int64))
            yield TextsWriter(data, offsets, 0 if base is None else base.size(data_name))

    def drop_texts(self, name: str) -> None:
        """Takes texts away that were of use for a while."""
        for part in ("bytes", "offsets"):
            (self.path / f"{name}.{part}").unlink()

    def write_value(self, name: str, value: object) -> None:
        """Adds a value as JSON."""
        (self.path / name).write_bytes(msgspec.json.encode(value))

    def array(self, name: str, dtype: DTypeLike, *row: int) -> NDArray[Any]:
        """The array of a name, as it was written, of rows of this shape."""
        path = self.path / name
        size = np.dtype(dtype).itemsize * int(np.prod(row, dtype=np.int64))
        count, rest = divmod(self.size(name), size)
        if rest:
            raise StorageUnusable(f"{path} has {rest} bytes more than {count} rows of {size}")
        if not count:  # nothing cannot be mapped
            return np.zeros((0, *row), dtype)
        return np.asarray(np.memmap(path, dtype, "r", shape=(count, *row)))  # a plain array is quicker to index

    def texts(self, name: str) -> Texts:
        """The texts of a name."""
        return Texts(self.array(f"{name}.bytes", np.uint8), self.array(f"{name}.offsets", np.int64))

    def value(self, name: str, kind: type[T]) -> T:
        """The value of a name, checked against its type."""
        return msgspec.json.decode((self.path / name).read_bytes(), type=kind)

    def has(self, name: str) -> bool:
        """Whether there is something of a name."""
        return (self.path / name).exists()

    def size(self, name: str) -> int:
        """Bytes of a file, without what another folder that shares it has put behind them."""
        sizes = self.path / _SIZES
        if sizes.exists():
            return msgspec.json.decode(sizes.read_bytes(), type=dict[str, int])[name]
        return (self.path / name).stat().st_size

    def is_whole(self) -> bool:
        """Whether all is there that was there when it was finished."""
        try:
            sizes = msgspec.json.decode((self.path / _SIZES).read_bytes(), type=dict[str, int])
            return all((self.path / name).stat().st_size >= size for name, size in sizes.items())
        except (OSError, msgspec.DecodeError):
            return False

    def finish(self) -> None:
        """Notes how long each file is, and leaves all of it on the disk: nothing may be added from here on."""
        self.write_value(_SIZES, {path.name: path.stat().st_size for path in self.path.iterdir()})
        for path in self.path.iterdir():
            sync(path)
        sync(self.path)


class ArrayWriter:
    """A file that rows are appended to, behind its first `start` bytes; a context manager."""

    def __init__(self, path: Path, start: int = 0) -> None:
        """Raises StorageUnusable if there are fewer."""
        if start and (there := path.stat().st_size) < start:
            raise StorageUnusable(f"{path} has {there} bytes, and {start} were written")
        self._file = path.open("r+b" if start else "wb")
        self._file.truncate(start)
        self._file.seek(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Adds rows at the end."""
        self._file.write(np.ascontiguousarray(rows).data)


class TextsWriter:
    """Texts that are appended to."""

    def __init__(self, data: ArrayWriter, offsets: ArrayWriter, end: int) -> None:
        self._data = data
        self._offsets = offsets
        self._end = end

    def append(self, texts: Iterable[str]) -> None:
        """Adds texts at the end."""
        self.append_all(Texts.of(texts))

    def append_all(self, texts: Texts) -> None:
        """Adds texts whose data begins with the first of them and ends with the last."""
        self._data.append(texts.data)
        self._offsets.append(self._end + texts.offsets[1:])
        self._end += int(texts.offsets[-1])


class Workspace:
    """Folders that are made once each. Only what is whole has its name, so a run that was killed left nothing
    that another could take for done.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def made(self, name: str, make: Callable[[Folder], None]) -> Folder:
        """The folder of a name, as `make` fills it. It is not asked again once it has come to its end."""
        path = self.path / name
        if not path.exists():
            aside = self.path / f"{_WRITING}{name}"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            folder = Folder(aside)
            make(folder)
            folder.finish()
            os.rename(aside, path)
            sync(self.path)
        return Folder(path)

    def write_value(self, name: str, value: object) -> None:
        """Notes a value, whole or not at all."""
        aside = self.path / f"{_WRITING}{name}"
        aside.write_bytes(msgspec.json.encode(value))
        sync(aside)
        os.replace(aside, self.path / name)
        sync(self.path)

    def value(self, name: str, kind: type[T]) -> T | None:
        """The value of a name, None if there is none that can be read."""
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def is_whole(self) -> bool:
        """Whether all folders that were made here are as they were."""
        return all(Folder(path).is_whole() for path in self.path.iterdir() if path.is_dir() and _is_made(path))

    def folder(self, name: str) -> Folder:
        """The folder of a name that was made before."""
        return Folder(self.path / name)

    def remove(self) -> None:
        """Removes all that was made. What is mapped stays readable."""
        remove(self.path)


def _is_made(path: Path) -> bool:
    return not path.name.startswith(_WRITING)


def remove(path: Path) -> None:
    """Removes a folder, as far as that can be done. It loses its name first, so nobody takes half of it for
    all.
    """
    aside = path.with_name(f"{_WRITING}gone-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    sync(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Makes a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
