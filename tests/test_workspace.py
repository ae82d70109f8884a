"""What a reindex in the making keeps on disk: whole, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from indexer.workspace import Folder, Workspace


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def make(folder: Folder) -> None:
        asked.append(folder.path.name)
        folder.write("numbers", np.arange(3))

    for _ in range(2):
        found = Workspace(tmp_path / "work").made("some", make).array("numbers", np.int64)
        assert found.tolist() == [0, 1, 2]
    assert len(asked) == 1


def test_one_that_was_not_finished_is_made_afresh(tmp_path: Path) -> None:
    def fail(folder: Folder) -> None:
        folder.write("numbers", np.arange(9))
        folder.write("more", np.arange(9))
        raise KeyboardInterrupt

    work = Workspace(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        work.made("some", fail)
    found = work.made("some", lambda folder: folder.write("numbers", np.arange(2)))
    assert found.has("numbers")
    assert not found.has("more")
    assert found.array("numbers", np.int64).tolist() == [0, 1]


def test_what_was_mapped_stays_readable_when_the_place_is_gone(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    found = work.made("some", lambda folder: folder.write("numbers", np.arange(5))).array("numbers", np.int64)
    work.remove()
    assert not (tmp_path / "work").exists()
    assert found.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float16, np.int32, np.uint64])
def test_arrays_of_every_kind_and_width_come_back(tmp_path: Path, dtype: type) -> None:
    folder = Folder(tmp_path)
    rows = (np.arange(24) % 2).astype(dtype).reshape(6, 4)
    with folder.writer("rows") as file:
        file.append(rows[:2])
        file.append(rows[2:2])
        file.append(rows[:1:-1].copy()[::-1])
    np.testing.assert_array_equal(folder.array("rows", dtype, 4), rows)
    folder.write("none", rows[:0])
    assert folder.array("none", dtype, 4).shape == (0, 4)


def test_an_array_that_is_read_cannot_be_changed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("numbers", np.arange(3))
    with pytest.raises(ValueError, match="read-only"):
        folder.array("numbers", np.int64)[0] = 1


def test_values_are_checked(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_value("names", {"a": ("one", "two")})
    assert folder.value("names", dict[str, tuple[str, ...]]) == {"a": ("one", "two")}
