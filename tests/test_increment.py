"""A reindex behind the last one comes to what a full one does, over worlds that grow day by day."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from test_killed import finished, start, told
from traffic import campaign_rows, run_reindex, settings_of, store_rows

from indexer import finding, layout
from indexer.generation import Generation, open_current
from indexer.sample import load_texts
from indexer.settings import load_settings
from indexer.simulate import WorldSpec, simulate
from indexer.traffic import Traffic
from indexer.workspace import remove
from models.campaign import Campaign

EVENTS = 24_000
BEFORE = 18_000
SAME = 0.99  # ARI, of the groups of an increment and of a full run


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    """Simulated traffic in the order of time."""
    spec = WorldSpec(events=EVENTS, campaigns=3, start=datetime(2026, 2, 1, tzinfo=UTC))
    return [event.row for event in simulate(spec, load_texts(), seed=23)]


@pytest.fixture(scope="module")
def first(rows: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a full run over the first events, and more events."""
    settings = settings_of(tmp_path_factory.mktemp("first") / "data")
    store_rows(settings, rows[:BEFORE])
    finished(settings.data)
    store_rows(settings, rows[BEFORE:])
    return settings.data


@pytest.fixture(scope="module")
def behind(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, reindexed behind the first run."""
    data = copied(first, tmp_path_factory.mktemp("behind") / "data")
    finished(data)
    return data


@pytest.fixture(scope="module")
def at_once(rows: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full run over all events."""
    settings = settings_of(tmp_path_factory.mktemp("once") / "data")
    store_rows(settings, rows)
    finished(settings.data)
    return settings.data


def copied(data: Path, to: Path) -> Path:
    shutil.copytree(data, to)
    return to


def current(data: Path) -> Generation:
    return open_current(settings_of(data).generations)


def campaigns_of(data: Path) -> list[Campaign]:
    return current(data).value(layout.CAMPAIGNS, list[Campaign])


def array(data: Path, name: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(current(data).array(name))


def done(data: Path) -> dict[str, object]:
    """What the one run that is kept noted."""
    (work,) = (data / "work").iterdir()
    found: dict[str, object] = json.loads((work / "done.json").read_text())
    assert not (work / "begun.json").exists()
    return found


def fixed_words(campaign: Campaign) -> str:
    """A template without its slots, of which there may be one more or less in another sample."""
    return " ".join(re.sub(r"\{\d+\}", " ", campaign.template.skeleton).split())


def test_groups_are_those_of_a_full_run(behind: Path, at_once: Path) -> None:
    for name in (layout.PROMPT_IDS, layout.FINGERPRINTS, layout.EVENT_PROMPT):
        np.testing.assert_array_equal(array(behind, name), array(at_once, name))
    found, expected = array(behind, layout.GROUP), array(at_once, layout.GROUP)
    grouped = (found >= 0) | (expected >= 0)
    assert grouped.sum() > 3000
    assert adjusted_rand_score(found[grouped], expected[grouped]) >= SAME
    assert adjusted_rand_score(found, expected) >= SAME


def test_alarms_are_those_of_a_full_run(behind: Path, at_once: Path) -> None:
    found, expected = campaigns_of(behind), campaigns_of(at_once)
    alarmed = [[each for each in one if each.level.is_alarm] for one in (found, expected)]
    assert len(alarmed[0]) == len(alarmed[1]) == 3
    for one, other in zip(*alarmed, strict=True):
        assert one.level is other.level
        assert fixed_words(one) == fixed_words(other)
        assert abs(one.events - other.events) <= 0.01 * other.events
    assert done(behind)["full_events"] == BEFORE


def test_campaigns_keep_their_ids_and_tell_how_they_grew(first: Path, behind: Path) -> None:
    before = {each.campaign_id: each for each in campaigns_of(first) if each.level.is_alarm}
    now = {each.campaign_id: each for each in campaigns_of(behind)}
    traffic = Traffic.of(current(behind), list(now))
    assert before
    for name, campaign in before.items():
        assert now[name].events > campaign.events
        assert [entry.events for entry in now[name].history if entry.shift is None] == [
            campaign.events,
            now[name].events,
        ]
        number = list(now).index(name)
        assert sum(each.events for each in traffic.accounts_of(number)) == now[name].events
        assert sum(each.events for each in traffic.of_campaign(number)) == now[name].events


def test_the_index_and_the_columns_are_of_the_same_prompts(behind: Path) -> None:
    generation = current(behind)
    prompts = len(array(behind, layout.PROMPT_IDS))
    windows = array(behind, layout.WHOLE_PROMPT)
    assert len(generation.index(layout.WHOLE_INDEX)) == len(windows)
    assert set(windows.tolist()) == set(range(prompts))
    prints = array(behind, layout.FINGERPRINTS)
    assert [row.tobytes() for row in prints] == sorted(row.tobytes() for row in prints)


def test_a_campaign_that_begins_in_the_increment_is_found_with_its_few_prompts_of_before(tmp_path: Path) -> None:
    """Five prompts of it were there, which nothing tells from others."""
    settings = settings_of(tmp_path / "data")
    spec = WorldSpec(events=6000, campaigns=0, start=datetime(2026, 2, 1, tzinfo=UTC))
    rows = campaign_rows(50_000, each=10)
    store_rows(settings, [*(event.row for event in simulate(spec, load_texts(), seed=4)), *rows[:5]])
    run_reindex(settings)
    assert not [each for each in campaigns_of(settings.data) if each.level.is_alarm]
    store_rows(settings, rows[5:])
    run_reindex(settings)
    (alarm,) = (each for each in campaigns_of(settings.data) if each.level.is_alarm)
    assert (alarm.events, alarm.accounts) == (240, 24)
    assert done(settings.data)["full_events"] < done(settings.data)["events"]


def test_many_rows_are_linked_to_the_cells_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more than can be compared with each other, behind three increments, in cells of the
    first.
    """
    monkeypatch.setattr(finding, "EXACT_LIMIT", 1000)
    settings = settings_of(tmp_path / "data")
    rows = [
        event.row
        for event in simulate(
            WorldSpec(events=9000, campaigns=2, start=datetime(2026, 2, 1, tzinfo=UTC)), load_texts(), seed=31
        )
    ]
    for start_at, end in ((0, 6600), (6600, 7500), (7500, 8200), (8200, 9000)):
        store_rows(settings, rows[start_at:end])
        run_reindex(settings)
    assert done(settings.data)["full_events"] == 6600
    found = array(settings.data, layout.GROUP)
    alarms = sorted(each.events for each in campaigns_of(settings.data) if each.level.is_alarm)
    run_reindex(settings, full=True)
    assert done(settings.data)["full_events"] == 9000
    expected = array(settings.data, layout.GROUP)
    grouped = (found >= 0) | (expected >= 0)
    assert (
        adjusted_rand_score(found[grouped], expected[grouped]) >= 0.95
    )  # small worlds have few cells to look into
    assert alarms == sorted(each.events for each in campaigns_of(settings.data) if each.level.is_alarm)


def test_what_has_half_as_much_again_is_done_in_full(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    for first_row, full_events in ((0, 120), (1000, 240), (2000, 240), (3000, 480)):
        store_rows(settings, campaign_rows(first_row))
        run_reindex(settings)
        assert done(settings.data)["full_events"] == full_events


def test_other_parameters_and_full_begin_anew(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    run_reindex(settings)
    store_rows(settings, campaign_rows(2000, each=1))
    run_reindex(replace(settings, detection=replace(settings.detection, min_events=30)))
    assert done(settings.data)["full_events"] == done(settings.data)["events"]
    store_rows(settings, campaign_rows(3000, each=1))
    run_reindex(settings, full=True)
    assert done(settings.data)["full_events"] == done(settings.data)["events"]
    store_rows(settings, campaign_rows(4000, each=1))
    run_reindex(settings)
    assert done(settings.data)["full_events"] < done(settings.data)["events"]


def test_without_what_the_last_run_left_all_is_done_again(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    run_reindex(settings)
    shutil.rmtree(settings.work)
    store_rows(settings, campaign_rows(2000, each=1))
    report = run_reindex(settings)
    assert report.published
    assert (done(settings.data)["events"], done(settings.data)["full_events"]) == (264, 264)


def test_nothing_is_left_where_it_must_not_be(tmp_path: Path) -> None:
    settings = replace(settings_of(tmp_path / "data"), keep_work=False)
    store_rows(settings, campaign_rows(0))
    run_reindex(settings)
    assert list(settings.work.iterdir()) == []
    store_rows(settings, campaign_rows(1000))
    run_reindex(replace(settings, keep_work=True))
    run_reindex(settings)
    assert list(settings.work.iterdir()) == []
    assert load_settings(None, {"STILLWATCH_KEEP_WORK": "no"}).keep_work is False
    assert load_settings(None, {}).keep_work is True


@pytest.mark.parametrize("full", [False, True])
def test_an_older_generation_that_was_made_current_is_not_gone_on_from(full: bool, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    old = run_reindex(settings).generation
    store_rows(settings, campaign_rows(2000, each=1))
    run_reindex(settings, full=full)
    (settings.generations / "CURRENT").write_text(old)
    store_rows(settings, campaign_rows(3000, each=1))
    assert run_reindex(settings).events == 288
    assert done(settings.data)["full_events"] == 288


def test_a_run_whose_generation_is_lost_is_not_gone_on_with(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, campaign_rows(0))
    run_reindex(settings)
    shutil.rmtree(settings.generations)
    store_rows(settings, campaign_rows(1000))
    assert run_reindex(settings).events == 240


@pytest.mark.parametrize(
    "name",
    ["corpus/fingerprints", "recurring/numbers", "user words/hashes", "looked/of_prompt", "corpus", ".sizes"],
)
def test_a_damaged_base_is_given_up(name: str, tmp_path: Path) -> None:
    """As one is that somebody was removing when he was killed, or of which a copy was not finished."""
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    run_reindex(settings)
    (work,) = settings.work.iterdir()
    if name == "corpus":
        shutil.rmtree(work / name)
        (work / name).mkdir()
    elif name == ".sizes":
        (work / "whole" / name).unlink()
    else:
        size = (work / name).stat().st_size
        os.truncate(work / name, size // 16 * 8)
    store_rows(settings, campaign_rows(2000, each=1))
    report = run_reindex(settings)
    assert (report.events, report.prompts) == (264, 264)
    assert done(settings.data)["full_events"] == 264
    prints = array(settings.data, layout.FINGERPRINTS)
    assert prints.any(axis=1).all()


def test_a_base_that_is_being_removed_is_none(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    run_reindex(settings)
    (work,) = settings.work.iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a kill once it has lost its name
        remove(work)
    store_rows(settings, campaign_rows(2000, each=1))
    run_reindex(settings)
    assert done(settings.data)["full_events"] == 264


def test_without_hard_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    run_reindex(settings)
    store_rows(settings, campaign_rows(2000, each=1))
    linked = copied(settings.data, tmp_path / "linked")
    run_reindex(settings_of(linked))
    monkeypatch.setattr(os, "link", refuse)
    run_reindex(settings)
    assert done(settings.data)["full_events"] < done(settings.data)["events"]
    for name in (layout.GROUP, layout.FINGERPRINTS, layout.WHOLE_PROMPT):
        np.testing.assert_array_equal(array(settings.data, name), array(linked, name))


def test_evidence_of_a_group_that_stands_is_counted_anew(tmp_path: Path) -> None:
    """A fifth more events would have its template looked for again; its accounts are counted in any case."""
    settings = settings_of(tmp_path / "data")
    store_rows(settings, campaign_rows(0, accounts=16, each=15))
    run_reindex(settings)
    (before,) = campaigns_of(settings.data)
    store_rows(settings, campaign_rows(1000, accounts=22, each=2))
    run_reindex(settings)
    assert done(settings.data)["full_events"] < done(settings.data)["events"]
    (now,) = campaigns_of(settings.data)
    assert now.campaign_id == before.campaign_id
    assert (before.accounts, now.accounts) == (16, 38)
    assert now.template.skeleton == before.template.skeleton
    assert now.evidence != before.evidence
    counted_on = now.evidence, now.score, now.level
    run_reindex(settings, full=True)
    (at_once,) = campaigns_of(settings.data)
    assert counted_on == (at_once.evidence, at_once.score, at_once.level)


def test_nothing_new_keeps_what_was_left(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *campaign_rows(1000)])
    run_reindex(settings)
    before = done(settings.data)
    assert not run_reindex(settings).published
    assert done(settings.data) == before


@pytest.mark.parametrize("stage", ["take texts apart", "cluster whole text", "judge groups"])
def test_a_killed_increment_goes_on_and_comes_to_the_same(
    stage: str, first: Path, behind: Path, tmp_path: Path
) -> None:
    data = copied(first, tmp_path / "data")
    with start(data) as child:
        for each in told(child):
            if each["stage"] == stage:
                break
        child.send_signal(signal.SIGKILL)
    base, begun = sorted((data / "work").iterdir())
    assert (base / "done.json").exists()
    assert not (begun / "done.json").exists() or stage == "judge groups"
    report, _ = finished(data)
    assert report["published"]
    assert done(data) == done(behind) | {"generation": report["generation"]}
    for name in (layout.GROUP, layout.STRAND, layout.FINGERPRINTS, layout.WHOLE_PROMPT):
        np.testing.assert_array_equal(array(data, name), array(behind, name))


def test_a_killed_increment_leaves_the_base_as_it_was(first: Path, behind: Path, tmp_path: Path) -> None:
    """Files are shared with what is written behind them; another increment may then begin from the same base."""
    data = copied(first, tmp_path / "data")
    for _ in range(2):
        with start(data) as child:
            for each in told(child):
                if each["stage"] == "combine groups":
                    break
            child.send_signal(signal.SIGKILL)
        base, begun = sorted((data / "work").iterdir())
        shutil.rmtree(begun)
    finished(data)
    np.testing.assert_array_equal(array(data, layout.GROUP), array(behind, layout.GROUP))
    assert not base.exists()
