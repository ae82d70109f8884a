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

from indexer.texts import IntArray, Texts, encode, offsets_of
from models.errors import StorageUnusable

_WRITING: Final = ".writing-"

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
    def writer(self, name: str) -> Iterator["ArrayWriter"]:
        """Adds an array that is written part by part."""
        with ArrayWriter(self.path / name) as file:
            yield file

    @contextmanager
    def texts_writer(self, name: str) -> Iterator["TextsWriter"]:
        """Adds texts that are written part by part."""
        with self.writer(f"{name}.bytes") as data, self.writer(f"{name}.offsets") as offsets:
            yield TextsWriter(data, offsets)

    def write_value(self, name: str, value: object) -> None:
        """Adds a value as JSON."""
        (self.path / name).write_bytes(msgspec.json.encode(value))

    def array(self, name: str, dtype: DTypeLike, *row: int) -> NDArray[Any]:
        """The array of a name, as it was written, of rows of this shape."""
        path = self.path / name
        size = np.dtype(dtype).itemsize * int(np.prod(row, dtype=np.int64))
        count, rest = divmod(path.stat().st_size, size)
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


class ArrayWriter:
    """A file that rows are appended to; a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

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

    def __init__(self, data: ArrayWriter, offsets: ArrayWriter) -> None:
        self._data = data
        self._offsets = offsets
        self._end = 0
        self._offsets.append(np.zeros(1, np.int64))

    def append(self, texts: Iterable[str]) -> None:
        """Adds texts at the end."""
        encoded = [encode(text) for text in texts]
        ends: IntArray = self._end + offsets_of(list(map(len, encoded)))[1:]
        self._data.append(np.frombuffer(b"".join(encoded), np.uint8))
        self._offsets.append(ends)
        self._end = int(ends[-1]) if len(ends) else self._end


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
            make(Folder(aside))
            for each in aside.iterdir():
                sync(each)
            sync(aside)
            os.rename(aside, path)
            sync(self.path)
        return Folder(path)

    def remove(self) -> None:
        """Removes all that was made, as far as that can be done. What is mapped stays readable."""
        shutil.rmtree(self.path, ignore_errors=True)


def sync(path: Path) -> None:
    """Makes a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
