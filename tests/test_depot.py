"""Generations go from one machine to others by way of a depot: whole, in order, or not at all."""

import os
import shutil
import stat
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import fsspec
import msgspec
import pytest
from tiny_encoder import TinyEncoder
from traffic import NOW, background_rows, campaign_rows, run_reindex, settings_of, store_rows

from indexer import engine as module
from indexer.depot import Depot
from indexer.engine import Engine
from indexer.generation import current_id, open_current, verify
from indexer.settings import Settings
from indexer.store import Store
from models.errors import BadSettings, GenerationDamaged, Unreachable
from models.prompt import Prompt

KEEP = 2


@pytest.fixture(params=["file", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty depot."""
    if request.param == "file":
        return f"file://{tmp_path / 'depot'}"
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    made: str = request.getfixturevalue("bucket")
    return made


@pytest.fixture
def here(tmp_path: Path, url: str) -> Settings:
    """A machine that reindexes, with one campaign."""
    settings = replace(settings_of(tmp_path / "here"), depot=url, kept_generations=KEEP)
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 100)])
    run_reindex(settings)
    return settings


def again(settings: Settings, first: int) -> str:
    """Publishes one more generation, and gives its id."""
    store_rows(settings, background_rows(first, 3))
    return run_reindex(settings).generation


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "verified.json"}


def test_what_is_published_is_fetched_whole(here: Settings, url: str, tmp_path: Path) -> None:
    name = current_id(here.generations)
    root = tmp_path / "there"
    assert Depot(url).current() == name
    assert Depot(url).fetch(root, KEEP)
    assert current_id(root) == name
    assert files(root / str(name)) == files(here.generations / str(name))
    assert not Depot(url).fetch(root, KEEP)


def test_a_newer_one_is_fetched_and_old_ones_go_on_both_sides(here: Settings, url: str, tmp_path: Path) -> None:
    root = tmp_path / "there"
    names = [current_id(here.generations)]
    Depot(url).fetch(root, KEEP)
    for first in (7000, 8000, 9000):
        names.append(again(here, first))
        assert Depot(url).fetch(root, KEEP)
    assert sorted(path.name for path in root.glob("*Z")) == names[-KEEP:]
    assert sorted(Depot(url)._names()) == names[-KEEP:]


def test_an_older_one_is_not_gone_back_to(here: Settings, url: str, tmp_path: Path) -> None:
    """A machine that also reindexes, without the depot, is ahead of it."""
    root = tmp_path / "there"
    Depot(url).fetch(root, KEEP)
    again(replace(here, depot=""), 7000)
    newest = current_id(here.generations)
    assert not Depot(url).fetch(here.generations, KEEP)
    assert current_id(here.generations) == newest
    assert not run_reindex(here).published
    assert Depot(url).current() == newest  # it was left there though nothing was new


def test_an_older_one_is_not_left_in_front_of_a_newer_one(here: Settings, url: str, tmp_path: Path) -> None:
    old = open_current(here.generations)
    newest = again(here, 7000)
    Depot(url).push(old, KEEP)
    assert Depot(url).current() == newest
    behind = replace(settings_of(tmp_path / "behind"), depot=url, kept_generations=KEEP)
    store_rows(behind, background_rows(5000, 30))
    name = run_reindex(behind).generation  # by a clock that is behind that of the machine before
    assert name > newest
    assert Depot(url).current() == name


def test_of_one_that_cannot_be_read_only_what_says_so_is_fetched(here: Settings, tmp_path: Path) -> None:
    depot = tmp_path / "other"
    shutil.copytree(here.generations, depot)
    name = str(current_id(depot))
    manifest = msgspec.json.decode((depot / name / "manifest.json").read_bytes()) | {"format": 99}
    (depot / name / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (depot / name / "manifest.sha256").write_text(sha256(msgspec.json.encode(manifest)).hexdigest())
    (depot / name / "group.npy").unlink()  # nobody gets so far
    with pytest.raises(GenerationDamaged, match="has layout 99"):
        Depot(f"file://{depot}").fetch(tmp_path / "there", KEEP)


def test_what_a_lost_power_left_of_one_is_fetched_again(here: Settings, url: str, tmp_path: Path) -> None:
    root, name = tmp_path / "there", str(current_id(here.generations))
    shutil.copytree(here.generations / name, root / name)
    (root / name / "group.npy").write_bytes(b"")
    assert Depot(url).fetch(root, KEEP)
    assert files(root / name) == files(here.generations / name)


def test_a_folder_of_somebody_else_beside_them_is_left_alone(here: Settings, url: str) -> None:
    store, path = fsspec.core.url_to_fs(url)
    store.makedirs(f"{path}/EXPORT-Z", exist_ok=True)
    store.pipe_file(f"{path}/EXPORT-Z/rows", b"theirs")
    for first in (7000, 8000, 9000):
        again(here, first)
    assert store.cat_file(f"{path}/EXPORT-Z/rows") == b"theirs"
    assert len(list(Depot(url)._names())) == KEEP


def test_an_empty_depot_gives_nothing(url: str, tmp_path: Path) -> None:
    assert Depot(url).current() is None
    assert not Depot(url).fetch(tmp_path / "there", KEEP)


def test_what_arrives_damaged_changes_nothing(here: Settings, url: str, tmp_path: Path) -> None:
    root = tmp_path / "there"
    Depot(url).fetch(root, KEEP)
    before = current_id(root)
    name = again(here, 7000)
    store, path = fsspec.core.url_to_fs(url)
    file = f"{path}/{name}/group.npy"
    written = store.cat_file(file)
    store.pipe_file(file, written[:-1] + bytes([written[-1] ^ 1]))
    with pytest.raises(GenerationDamaged, match=r"group.npy is not what the manifest says"):
        Depot(url).fetch(root, KEEP)
    assert (current_id(root), [each.name for each in root.glob("*Z")]) == (before, [before])
    store.pipe_file(file, written)
    assert Depot(url).fetch(root, KEEP)


@pytest.mark.parametrize("said", ["../../etc", "..", "20260203T040506/x.Z", ""])
def test_a_depot_that_names_what_is_no_generation_is_not_followed(said: str, tmp_path: Path) -> None:
    (tmp_path / "depot").mkdir()
    (tmp_path / "depot" / "CURRENT").write_text(said)
    depot = Depot(f"file://{tmp_path / 'depot'}")
    if not said:
        assert depot.current() is None
        return
    with pytest.raises(GenerationDamaged, match="which is no generation"):
        depot.fetch(tmp_path / "there", KEEP)


def test_a_manifest_that_lists_what_lies_elsewhere_is_not_followed(here: Settings, tmp_path: Path) -> None:
    depot = tmp_path / "other"
    shutil.copytree(here.generations, depot)
    manifest = depot / str(current_id(depot)) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"group.npy"', b'"../../secret"'))
    manifest.with_suffix(".sha256").write_text(sha256(manifest.read_bytes()).hexdigest())
    with pytest.raises(GenerationDamaged, match=r"lists '../../secret', which lies elsewhere"):
        Depot(f"file://{depot}").fetch(tmp_path / "there", KEEP)


def test_a_url_that_nobody_knows_is_said_so() -> None:
    for url in ("gopher+x://somewhere/else", "memory://"):
        with pytest.raises(BadSettings, match="STILLWATCH_DEPOT cannot be used"):
            Depot(url)


def test_a_depot_that_is_away_is_told_of_and_what_is_loaded_goes_on_serving(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_encoder", lambda name, weights: TinyEncoder())
    depot = tmp_path / "shared"
    shutil.copytree(here.generations, depot)
    there = replace(settings_of(tmp_path / "there"), depot=f"file://{depot}")
    engine = Engine(there, Store.open(there.database), lambda: NOW)
    assert engine.refresh()
    assert engine.match(Prompt("", "hello there")).generation == current_id(depot)
    assert engine.status().detail == ""
    (depot / "CURRENT").unlink()
    (depot / "CURRENT").mkdir()  # which cannot be read as a file
    assert not engine.refresh()
    assert engine.status().detail.startswith("the depot cannot be used now: IsADirectoryError")
    assert (
        engine.match(Prompt("", "hello there")).generation == open_current(there.generations).manifest.generation
    )
    engine.close()


def test_what_could_not_be_left_there_is_published_here(here: Settings, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    settings = replace(here, depot=f"file://{blocked}/depot")
    store_rows(settings, background_rows(7000, 3))
    with pytest.raises(Unreachable, match="the depot cannot be used now"):
        run_reindex(settings)
    name = current_id(settings.generations)
    assert verify(settings.generations / str(name)).manifest.counts["events"] == 223
    blocked.unlink()
    assert not run_reindex(settings).published
    assert Depot(settings.depot).current() == name
    assert os.stat(blocked / "depot" / str(name) / "group.npy").st_mode & stat.S_IRUSR
