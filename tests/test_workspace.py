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


def test_an_array_that_grew_is_one_file_of_which_each_folder_knows_its_own_end(tmp_path: Path) -> None:
    work = Workspace(tmp_path)

    def first(folder: Folder) -> None:
        folder.write("numbers", np.arange(3))
        with folder.texts_writer("texts") as texts:
            texts.append(["one", "two \ud800"])

    base = work.made("base", first)
    for end in (5, 9):  # as if a run had been killed and another began from the same base

        def grow(folder: Folder, end: int = end) -> None:
            with folder.writer("numbers", base) as file:
                file.append(np.arange(3, end))
            with folder.texts_writer("texts", base) as texts:
                texts.append([f"text {end}"])

        grown = work.made(f"up to {end}", grow)
        assert grown.array("numbers", np.int64).tolist() == list(range(end))
        assert list(grown.texts("texts")) == ["one", "two \ud800", f"text {end}"]
        assert base.array("numbers", np.int64).tolist() == [0, 1, 2]
        assert list(base.texts("texts")) == ["one", "two \ud800"]
        assert (base.path / "numbers").samefile(grown.path / "numbers")


def test_nothing_is_grown_from_nothing(tmp_path: Path) -> None:
    work = Workspace(tmp_path)
    base = work.made("base", lambda folder: folder.write("numbers", np.zeros(0, np.int64)))

    def grow(folder: Folder) -> None:
        with folder.writer("numbers", base) as file:
            file.append(np.arange(2))

    assert work.made("more", grow).array("numbers", np.int64).tolist() == [0, 1]
    assert base.array("numbers", np.int64).tolist() == []


def test_a_value_of_a_place_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    assert work.value("done", list[int]) is None
    work.write_value("done", [1])
    work.write_value("done", [2])
    assert work.value("done", list[int]) == [2]
    assert [path.name for path in work.path.iterdir()] == ["done"]
