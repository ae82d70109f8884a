"""A reindex that is killed goes on where it was: nothing is encoded again, and nothing comes out otherwise."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traffic import NOW, background_rows, campaign_rows, run_reindex, settings_of, store_rows

from indexer import cache, layout
from indexer.generation import open_current
from indexer.jobs import reindex_command
from indexer.sample import load_texts
from indexer.settings import Settings
from indexer.simulate import WorldSpec, simulate
from indexer.store import Store
from models.campaign import Campaign

KILLS = 10
EVENTS = 20_000
EARLY = 0.3  # share of a stage within which it is killed
KEY_BYTES = 16


def start(data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        reindex_command(data, full=False),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    )


def told(child: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What the child says of its progress, as it says it."""
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("{"):
            yield json.loads(line)


def finished(data: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report of a reindex that nobody kills, and what it said."""
    with start(data) as child:
        said = list(told(child))
        assert child.stdout is not None
        report: dict[str, Any] = json.loads(child.stdout.read())
    assert child.returncode == 0
    return report, said


def cached_rows(data: Path) -> int:
    """Vectors on disk, of all spaces."""
    return sum(path.stat().st_size // KEY_BYTES for path in data.rglob("keys.u8"))


def distinct_keys(data: Path) -> set[tuple[str, bytes]]:
    """Space and key of all vectors on disk."""
    return {
        (path.parent.name, key.tobytes())
        for path in data.rglob("keys.u8")
        for key in np.fromfile(path, np.uint64).reshape(-1, 2)
    }


def encoded(said: list[dict[str, Any]]) -> int:
    """Vectors that a run said it had encoded and kept."""
    done: dict[str, int] = {}
    for each in said:
        if each["stage"].startswith("encode ("):
            done[each["stage"]] = each["done"]
    return sum(done.values())


def published(data: Path) -> dict[str, Any]:
    """All that a generation holds but its name and when it was made."""
    generation = open_current(settings_of(data).generations)
    campaigns = generation.value(layout.CAMPAIGNS, list[Campaign])
    same = [
        replace(each, history=tuple(replace(entry, generation="", at=NOW) for entry in each.history))
        for each in campaigns
    ]
    names = sorted(each.name for each in generation.manifest.files if each.name.endswith(".npy"))
    arrays = {name: np.asarray(generation.array(name)).tobytes() for name in names}
    return {"campaigns": same, "counts": generation.manifest.counts, **arrays}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated traffic that is stored and not indexed."""
    settings = settings_of(tmp_path_factory.mktemp("world"))
    spec = WorldSpec(events=EVENTS, campaigns=3, start=datetime(2026, 2, 1, tzinfo=UTC))
    store_rows(settings, (event.row for event in simulate(spec, load_texts(), seed=11)))
    return settings.data


@dataclass(frozen=True)
class Whole:
    """What comes of the world if nobody kills anything."""

    data: Path
    report: dict[str, Any]


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    data = copied(world, tmp_path_factory.mktemp("whole") / "data")
    return Whole(data, finished(data)[0])


def copied(world: Path, to: Path) -> Path:
    shutil.copytree(world, to)
    return to


def test_killed_at_ten_points_it_comes_to_the_same(world: Path, whole: Whole, tmp_path: Path) -> None:
    stages = [each for each in whole.report["stages"] if each["name"] != "publish"]
    data, chance = copied(world, tmp_path / "killed"), random.Random(3)
    rows = 0
    for _ in range(KILLS):
        stage = chance.choice(stages)
        so_far: list[dict[str, Any]] = []
        with start(data) as child:
            for each in told(child):
                so_far.append(each)
                if each["stage"] == stage["name"]:
                    break
            time.sleep(chance.uniform(0, EARLY) * stage["seconds"])
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL, "it was done before it was killed; the points are badly chosen"
        # What it said to be encoded is there for good, and never again is a text of it encoded.
        assert cached_rows(data) >= rows + encoded(so_far)
        rows = cached_rows(data)
    report, _ = finished(data)
    assert report["published"]
    assert cached_rows(data) == cached_rows(whole.data) == len(distinct_keys(data))
    assert published(data) == published(whole.data)
    (left,) = (data / "work").iterdir()  # for the next run to go on from
    assert (left / "done.json").exists()


def test_killed_in_the_middle_of_encoding_it_goes_on_behind_what_was_kept(
    world: Path, whole: Whole, tmp_path: Path
) -> None:
    data = copied(world, tmp_path / "data")
    with start(data) as child:
        for each in told(child):
            if each["stage"].startswith("encode (") and each["done"] >= cache.BATCH_TEXTS:
                break
        child.send_signal(signal.SIGKILL)
    kept = cached_rows(data)
    assert kept >= cache.BATCH_TEXTS
    report, _ = finished(data)
    assert kept + report["encoded"] == whole.report["encoded"]
    assert cached_rows(data) == len(distinct_keys(data))


def test_events_that_came_since_are_taken_up_by_the_next_run(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 300)])
    kill_at(settings, "measure unrelated text")
    store_rows(settings, campaign_rows(9000))
    first, _ = finished(settings.data)
    second, _ = finished(settings.data)
    third, _ = finished(settings.data)
    assert [each["events"] for each in (first, second, third)] == [420, 540, 540]
    assert [each["published"] for each in (first, second, third)] == [True, True, False]


def test_what_is_left_of_another_store_or_of_other_parameters_is_not_gone_on_with(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 300)])
    kill_at(settings, "measure unrelated text")
    (left,) = (settings.data / "work").iterdir()
    with Store.open(settings.database) as store:
        assert left.name.startswith(f"{store.watermark()}-")
    longer = replace(settings, detection=replace(settings.detection, min_events=30))
    run_reindex(longer)
    assert not left.exists()
    shutil.rmtree(settings.generations)
    kill_at(settings, "measure unrelated text")
    (settings.data / "stillwatch.db").unlink()
    store_rows(settings, [*campaign_rows(100), *background_rows(7000, 300)])
    report, _ = finished(settings.data)
    assert (report["events"], report["prompts"]) == (420, 420)
    with Store.open(settings.database) as store:
        kept = {each.fingerprint for batch in store.prompts(store.watermark()) for each in batch}
    prints = open_current(settings.generations).array(layout.FINGERPRINTS)
    assert {row.tobytes() for row in np.asarray(prints)} == kept


def test_what_is_published_already_is_not_gone_on_with(tmp_path: Path) -> None:
    """A run that is killed when it has published leaves its work behind."""
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 300)])
    kill_at(settings, "measure unrelated text")
    shutil.copytree(settings.work, tmp_path / "left")
    assert finished(settings.data)[0]["events"] == 420
    shutil.rmtree(settings.work)
    shutil.copytree(tmp_path / "left", settings.work)
    assert not finished(settings.data)[0]["published"]
    assert list(settings.work.iterdir()) == []
    shutil.copytree(tmp_path / "left", settings.work, dirs_exist_ok=True)
    store_rows(settings, campaign_rows(9000))
    assert finished(settings.data)[0]["events"] == 540


def kill_at(settings: Settings, stage: str) -> None:
    """Starts a reindex and kills it when it begins a stage."""
    with start(settings.data) as child:
        for each in told(child):
            if each["stage"] == stage:
                break
        child.send_signal(signal.SIGKILL)
