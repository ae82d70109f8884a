"""What was published is read back as it was written, or not at all; the last good generation goes on serving."""

import logging
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from traffic import rewrite_manifest

from indexer import generation
from indexer.generation import (
    FORMAT,
    Generation,
    GenerationWriter,
    current_id,
    first_good,
    open_current,
    prune,
    verify,
)
from indexer.index import VectorIndex
from models.errors import GenerationDamaged, NotReady
from models.generation import Manifest, StoredFile
from models.space import EmbeddingSpace
from models.view import View

OLD, NEW = "20260203T040506.000000Z", "20260204T040506.000000Z"
FILES = ("group.npy", "labels.json", "whole.faiss")
VECTORS = np.eye(4, 8, dtype=np.float32)
LABELS = {"first": 1, "second": [2, 3]}


def manifest_of(name: str) -> Manifest:
    space = EmbeddingSpace("static", "r1", 8, "float32", True, 0)
    return Manifest(
        FORMAT,
        name,
        None,
        datetime(2026, 2, 3, tzinfo=UTC),
        42,
        {View.WHOLE: space},
        {"k": "1"},
        {"events": 7},
        (),
    )


def fill(writer: GenerationWriter) -> None:
    writer.array("group.npy", np.arange(5))
    writer.value("labels.json", LABELS)
    writer.index("whole.faiss", VectorIndex.build(VECTORS))


def publish(root: Path, name: str) -> Manifest:
    writer = GenerationWriter(root)
    fill(writer)
    return writer.publish(manifest_of(name), keep=5)


def listed(path: Path) -> StoredFile:
    content = path.read_bytes()
    return StoredFile(path.name, len(content), sha256(content).hexdigest())


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two published generations, the newer one current."""
    publish(tmp_path / "generations", OLD)
    publish(tmp_path / "generations", NEW)
    return tmp_path / "generations"


def test_round_trip(root: Path) -> None:
    opened = open_current(root)
    assert opened.manifest.generation == NEW == current_id(root)
    assert opened.manifest == replace(manifest_of(NEW), files=opened.manifest.files)
    assert opened.manifest.files == tuple(listed(root / NEW / name) for name in FILES)
    assert opened.array("group.npy").tolist() == [0, 1, 2, 3, 4]
    assert opened.value("labels.json", dict[str, object]) == LABELS
    cosines, rows = opened.index("whole.faiss").search(VECTORS[2:3], 1)
    assert (cosines.tolist(), rows.tolist()) == ([[1.0]], [[2]])


def test_reading_ahead_changes_nothing_whatever_became_of_the_files(root: Path) -> None:
    generation = open_current(root)
    before = {path.name: path.read_bytes() for path in generation.folder.iterdir()}
    generation.read_ahead()
    assert {path.name: path.read_bytes() for path in generation.folder.iterdir()} == before
    shutil.rmtree(generation.folder)
    generation.read_ahead()


def test_publish_gives_the_manifest_as_written(tmp_path: Path) -> None:
    assert publish(tmp_path, OLD) == verify(tmp_path / OLD).manifest


def test_arrays_are_mapped_and_read_only(root: Path) -> None:
    array = open_current(root).array("group.npy")
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 9


@pytest.mark.parametrize("name", [*FILES, "manifest.json", "manifest.sha256"])
@pytest.mark.parametrize("place", [0, 20, -1])
def test_one_flipped_bit_anywhere_and_the_last_good_generation_serves(
    root: Path, name: str, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    flip(root / NEW / name, place)
    with pytest.raises(GenerationDamaged, match=NEW):
        verify(root / NEW)
    with caplog.at_level(logging.ERROR, "indexer.generation"):
        assert open_current(root).manifest.generation == OLD
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"generation_refused generation={NEW}" in caplog.messages[0]


def test_a_changed_number_in_the_manifest_is_noticed(root: Path) -> None:
    """It would still be a well-formed manifest, with another watermark."""
    path = root / NEW / "manifest.json"
    flip(path, path.read_bytes().index(b'"watermark": 42') + len(b'"watermark": 4'))
    with pytest.raises(GenerationDamaged, match=f"the manifest of {NEW} was altered"):
        verify(root / NEW)


@pytest.mark.parametrize("name", [*FILES, "manifest.json", "manifest.sha256"])
def test_a_missing_file(root: Path, name: str) -> None:
    (root / NEW / name).unlink()
    with pytest.raises(GenerationDamaged, match=name):
        verify(root / NEW)
    assert open_current(root).manifest.generation == OLD


@pytest.mark.parametrize("name", [*FILES, "manifest.json", "manifest.sha256"])
def test_a_file_cut_short(root: Path, name: str) -> None:
    for size in (10, 0):
        (root / NEW / name).write_bytes((root / NEW / name).read_bytes()[:size])
        with pytest.raises(GenerationDamaged, match=NEW):
            verify(root / NEW)


def test_what_was_found_good_is_read_again_only_if_somebody_touched_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    stored = generation._stored
    monkeypatch.setattr(generation, "_stored", lambda path: read.append(path.name) or stored(path))
    verify(root / NEW)
    assert read == []  # it was read when it was published
    path = root / NEW / "group.npy"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=times)  # as if it had not been written to
    verify(root / NEW)
    verify(root / NEW)
    assert read == ["group.npy"]


@pytest.mark.parametrize("written", [b"", b"{", b"[]", b'{"group.npy": ["0", 1, 2, 3, 4]}'])
def test_a_damaged_note_of_what_was_good_costs_time_only(root: Path, written: bytes) -> None:
    (root / NEW / "verified.json").write_bytes(written)
    assert verify(root / NEW).manifest.generation == NEW
    flip(root / NEW / "group.npy", -1)
    with pytest.raises(GenerationDamaged, match="not what the manifest says"):
        verify(root / NEW)


def test_an_unknown_layout(root: Path) -> None:
    rewrite_manifest(root / NEW, lambda manifest: replace(manifest, format=FORMAT + 1))
    with pytest.raises(
        GenerationDamaged, match=f"{NEW} has layout {FORMAT + 1}; this version reads 3 and {FORMAT}"
    ):
        verify(root / NEW)


def test_a_manifest_of_another_generation(root: Path) -> None:
    shutil.rmtree(root / NEW)
    shutil.copytree(root / OLD, root / NEW)
    with pytest.raises(GenerationDamaged, match=f"{NEW} holds the manifest of generation {OLD}"):
        verify(root / NEW)


def test_a_sealed_manifest_that_is_none(root: Path) -> None:
    written = b'{"format": "one"}'
    (root / NEW / "manifest.json").write_bytes(written)
    (root / NEW / "manifest.sha256").write_text(sha256(written).hexdigest())
    with pytest.raises(GenerationDamaged, match=f"the manifest of {NEW} cannot be read"):
        verify(root / NEW)


def test_a_manifest_may_not_point_outside_its_folder(root: Path) -> None:
    outside = replace(listed(root / OLD / "group.npy"), name=f"../{OLD}/group.npy")
    rewrite_manifest(root / NEW, lambda manifest: replace(manifest, files=(outside,)))
    with pytest.raises(GenerationDamaged, match="not what the manifest says"):
        verify(root / NEW)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


def test_pickled_arrays_are_refused_even_if_the_manifest_vouches_for_them(root: Path) -> None:
    path = root / NEW / "group.npy"
    np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)
    others = [listed(root / NEW / name) for name in FILES[1:]]
    rewrite_manifest(root / NEW, lambda manifest: replace(manifest, files=(listed(path), *others)))
    opened = verify(root / NEW)
    with pytest.raises(GenerationDamaged, match=f"group.npy of generation {NEW}"):
        opened.array("group.npy")


def test_pickled_arrays_are_not_written_either(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        GenerationWriter(tmp_path).array("group.npy", np.array([Bomb()], dtype=object))


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x80\x04N."])
def test_what_is_no_array_no_index_and_no_value(root: Path, content: bytes) -> None:
    opened = open_current(root)
    for name in FILES:
        (root / NEW / name).write_bytes(content)
    with pytest.raises(GenerationDamaged, match=r"group\.npy"):
        opened.array("group.npy")
    with pytest.raises(GenerationDamaged, match=r"labels\.json"):
        opened.value("labels.json", dict[str, object])
    with pytest.raises(GenerationDamaged, match=r"whole\.faiss"):
        opened.index("whole.faiss")


def test_a_value_of_another_type(root: Path) -> None:
    with pytest.raises(GenerationDamaged, match=r"labels\.json"):
        open_current(root).value("labels.json", list[int])


def test_nothing_published_is_not_ready(tmp_path: Path) -> None:
    assert current_id(tmp_path) is None
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotReady, match="stillwatch reindex"):
            open_current(root)


def test_a_half_written_folder_is_ignored_and_then_cleaned(root: Path) -> None:
    killed = GenerationWriter(root)
    killed.array("group.npy", np.arange(3))
    assert [path.name for path in root.glob(".writing-*")] != []
    assert open_current(root).manifest.generation == NEW
    publish(root, "20260205T040506.000000Z")
    assert sorted(path.name for path in root.iterdir()) == [OLD, NEW, "20260205T040506.000000Z", "CURRENT"]


def test_an_abandoned_generation_leaves_nothing(root: Path) -> None:
    writer = GenerationWriter(root)
    fill(writer)
    writer.abandon()
    assert sorted(path.name for path in root.iterdir()) == [OLD, NEW, "CURRENT"]


@pytest.mark.parametrize(
    "content",
    [b"20990101T000000.000000Z", b"\xff\xfe broken", b"a\x00b", b"../generations", b"x" * 5000],
    ids=["absent", "no text", "nul", "path", "long"],
)
def test_a_current_that_points_nowhere(root: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (root / "CURRENT").write_bytes(content)
    with caplog.at_level(logging.ERROR, "indexer.generation"):
        assert open_current(root).manifest.generation == NEW
    assert caplog.messages[0].startswith("generation_refused generation=")


def test_an_empty_current_is_none(root: Path) -> None:
    (root / "CURRENT").write_bytes(b"")
    assert current_id(root) is None
    assert open_current(root).manifest.generation == NEW


def test_current_decides_not_age(root: Path) -> None:
    generation.switch(root, OLD)
    assert current_id(root) == OLD
    assert open_current(root).manifest.generation == OLD


def test_nothing_good_left_names_every_problem(root: Path) -> None:
    flip(root / NEW / "group.npy", -1)
    (root / OLD / "labels.json").unlink()
    with pytest.raises(GenerationDamaged) as caught:
        open_current(root)
    assert f"{NEW}/group.npy is not what the manifest says" in str(caught.value)
    assert f"{OLD}/labels.json is missing" in str(caught.value)


def test_a_generation_that_verifies_but_does_not_load_is_passed_over(root: Path) -> None:
    def load(opened: Generation) -> str:
        if opened.manifest.generation == NEW:
            raise GenerationDamaged("cannot be used")
        return opened.manifest.generation

    assert first_good(root, load) == OLD


def test_killed_before_the_switch_the_old_generation_serves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(root: Path, generation: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(generation, "switch", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(root, "20260205T040506.000000Z")
    assert open_current(root).manifest.generation == NEW
    publish(root, "20260206T040506.000000Z")
    assert open_current(root).manifest.generation == "20260206T040506.000000Z"


def test_what_does_not_read_back_is_not_switched_to(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaging_rename(source: Path, target: Path) -> None:
        flip(source / "group.npy", -1)
        os.replace(source, target)

    monkeypatch.setattr(os, "rename", damaging_rename)
    with pytest.raises(GenerationDamaged, match=r"group\.npy"):
        publish(root, "20260205T040506.000000Z")
    assert current_id(root) == NEW


def test_prune_keeps_the_newest_and_the_current(root: Path) -> None:
    generation.switch(root, OLD)
    for day in range(5, 9):
        shutil.copytree(root / NEW, root / f"2026020{day}T040506.000000Z")
    prune(root, 2)
    left = ["20260207T040506.000000Z", "20260208T040506.000000Z"]
    assert sorted(path.name for path in root.iterdir()) == [OLD, *left, "CURRENT"]


def test_publishing_keeps_five(tmp_path: Path) -> None:
    names = [f"2026020{day}T040506.000000Z" for day in range(1, 8)]
    for name in names:
        publish(tmp_path, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names[2:], "CURRENT"]
