"""Reindexing: the same traffic gives the same campaigns, and odd traffic gives a clear answer."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_encoder import TinyEncoder
from traffic import (
    NOW,
    OTHER_TEMPLATE,
    TEMPLATE,
    background_rows,
    campaign_rows,
    rewrite_manifest,
    row,
    run_reindex,
    settings_of,
    store_rows,
)

from indexer import layout
from indexer.export import assignments
from indexer.generation import Generation, open_current
from indexer.lock import exclusive
from indexer.published import Published
from indexer.reindex import LOCK_NAME
from indexer.settings import Detection, Settings
from indexer.store import Store
from models.campaign import Campaign, Level
from models.errors import Busy, Collapsed
from models.view import View


def published(settings: Settings) -> tuple[Generation, list[Campaign]]:
    generation = open_current(settings.generations)
    return generation, generation.value(layout.CAMPAIGNS, list[Campaign])


def groups(settings: Settings) -> dict[str, str | None]:
    """Campaign id by event id."""
    with Store.open(settings.database) as store:
        rows = assignments(open_current(settings.generations), store, NOW)
        return {each["event_id"]: each["campaign_id"] for each in rows}


@pytest.fixture(scope="module")
def traffic() -> list[dict[str, Any]]:
    pools = campaign_rows(0, TEMPLATE, 30, 4), campaign_rows(1000, OTHER_TEMPLATE, 30, 4)
    return [*pools[0], *pools[1], *background_rows(5000, 300)]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, traffic: list[dict[str, Any]]) -> Settings:
    settings = settings_of(tmp_path_factory.mktemp("indexed"))
    store_rows(settings, traffic)
    run_reindex(settings)
    return settings


def test_a_run_that_told_nothing_apart_is_not_published_unless_it_must_be(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [*campaign_rows(0, accounts=30, each=40), *background_rows(5000, 300)])
    assert run_reindex(settings).published
    before, _ = published(settings)
    blind = replace(settings, detection=replace(settings.detection, min_units=1000))
    with pytest.raises(Collapsed, match="of 1200 prompts that were in a group, 0 still are"):
        run_reindex(blind)
    assert published(settings)[0].manifest == before.manifest
    assert list(settings.work.iterdir()) == []  # or the next run would end alike, whatever has come since
    assert run_reindex(blind, force=True).published
    assert published(settings)[1] == []


def test_planted_campaigns_are_found_whole_and_apart(indexed: Settings, traffic: list[dict[str, Any]]) -> None:
    found = groups(indexed)
    first = {found[each["event_id"]] for each in traffic[:120]}
    second = {found[each["event_id"]] for each in traffic[120:240]}
    assert len(first) == len(second) == 1
    assert None not in first | second
    assert first != second
    assert {found[each["event_id"]] for each in traffic[240:]} == {None}


def test_a_campaign_shows_its_template_and_its_spread(indexed: Settings) -> None:
    _, campaigns = published(indexed)
    assert sorted(each.template.skeleton for each in campaigns) == [
        TEMPLATE.format("{1}"),
        OTHER_TEMPLATE.format("{1}"),
    ]
    traffic = Published.current(indexed.generations).traffic
    for number, each in enumerate(campaigns):
        assert (each.events, each.prompts, each.accounts, each.units, each.depth) == (120, 120, 30, 30, 4.0)
        assert View.RECURRING in each.views
        assert each.level is not Level.WATCH
        assert [entry.event for entry in each.history] == ["born"]
        assert sum(hour.events for hour in traffic.of_campaign(number)) == 120
        assert [account.events for account in traffic.accounts_of(number)] == [4] * 30


def test_shuffled_input_gives_the_same_campaigns_and_ids(
    tmp_path: Path, indexed: Settings, traffic: list[dict[str, Any]]
) -> None:
    shuffled = list(traffic)
    random.Random(5).shuffle(shuffled)
    settings = settings_of(tmp_path)
    store_rows(settings, shuffled)
    run_reindex(settings)
    assert groups(settings) == groups(indexed)
    assert published(settings)[1] == [
        replace(each, history=published(settings)[1][place].history)
        for place, each in enumerate(published(indexed)[1])
    ]


def test_a_second_reindex_with_nothing_new_encodes_and_publishes_nothing(indexed: Settings) -> None:
    encoder = TinyEncoder()
    report = run_reindex(indexed, encoder)
    assert (report.published, report.encoded, encoder.encoded) == (False, 0, [])


def test_a_generation_of_an_earlier_layout_serves_and_is_made_anew(
    tmp_path: Path, traffic: list[dict[str, Any]]
) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [{**each, "org_id": "o"} if number % 2 else each for number, each in enumerate(traffic)])
    run_reindex(settings)
    ids, folder = {each.campaign_id for each in published(settings)[1]}, open_current(settings.generations).folder
    since = {layout.EVENT_CAMPAIGN, "events.organisation.npy", *layout.event_names_files("organisation")}
    rewrite_manifest(
        folder,
        lambda manifest: replace(
            manifest, format=3, files=tuple(each for each in manifest.files if each.name not in since)
        ),
    )
    for name in since:
        (folder / name).unlink()
    shutil.rmtree(settings.data / "work")  # which no other version goes on from
    assert Published.current(settings.generations).traffic.sent_by(["o"]) == {}
    encoder = TinyEncoder()
    report = run_reindex(settings, encoder)
    assert (report.published, report.encoded, encoder.encoded) == (True, 0, [])
    assert {each.campaign_id for each in published(settings)[1]} == ids
    assert Published.current(settings.generations).traffic.sent_by(["o"]).keys() == ids


def test_a_full_reindex_gives_the_same_ids_and_encodes_nothing(
    tmp_path: Path, traffic: list[dict[str, Any]]
) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, traffic)
    run_reindex(settings)
    before, encoder = groups(settings), TinyEncoder()
    report = run_reindex(settings, encoder, full=True)
    assert (report.published, report.encoded, encoder.encoded) == (True, 0, [])
    assert groups(settings) == before
    assert {entry.event for each in published(settings)[1] for entry in each.history} == {"born", "unchanged"}


def test_ids_survive_growth_and_a_new_pool_of_accounts(tmp_path: Path, traffic: list[dict[str, Any]]) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, traffic)
    run_reindex(settings)
    before = {each.template.skeleton: each.campaign_id for each in published(settings)[1]}
    store_rows(settings, campaign_rows(9000, TEMPLATE, accounts=40))
    report = run_reindex(settings)
    after = {each.template.skeleton: each for each in published(settings)[1]}
    assert report.published
    assert {skeleton: each.campaign_id for skeleton, each in after.items()} == before
    grown = after[TEMPLATE.format("{1}")]
    assert (grown.accounts, [entry.event for entry in grown.history]) == (70, ["born", "grew"])


def test_only_new_texts_are_encoded(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, background_rows(0, 50))
    run_reindex(settings)
    store_rows(settings, background_rows(100, 3))
    encoder = TinyEncoder()
    report = run_reindex(settings, encoder)
    assert (report.events, report.encoded, len(encoder.encoded)) == (53, 3, 3)


@pytest.mark.parametrize(("count", "prompts"), [(0, 0), (1, 1), (2, 2)])
def test_hardly_any_events_are_published_without_campaigns(tmp_path: Path, count: int, prompts: int) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, background_rows(0, count))
    report = run_reindex(settings)
    assert (report.published, report.events, report.prompts, report.campaigns) == (True, count, prompts, 0)
    assert groups(settings) == {f"e{n}": None for n in range(count)}


def test_all_identical_events_are_one_group_of_one_prompt(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [row(n, f"a{n % 30}", "the very same prompt each time") for n in range(300)])
    report = run_reindex(settings)
    _, (only,) = published(settings)
    assert (report.prompts, report.campaigns) == (1, 1)
    assert (only.events, only.accounts, only.depth) == (300, 30, 10.0)
    assert View.EXACT in only.views


def test_identical_events_of_one_account_are_no_group(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [row(n, "a", "the very same prompt each time") for n in range(300)])
    assert run_reindex(settings).campaigns == 0


def test_an_organisation_counts_once(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [{**each, "org_id": "acme"} for each in campaign_rows(0)] + background_rows(5000, 50))
    assert run_reindex(settings).campaigns == 0


def test_evasive_spelling_does_not_hide_a_template(tmp_path: Path) -> None:
    zero_width = [{**each, "prompt": "\u200b".join(each["prompt"])} for each in campaign_rows(0)[:60]]
    full_width = [
        {**each, "prompt": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in each["prompt"])}
        for each in campaign_rows(0)[60:]
    ]
    settings = settings_of(tmp_path)
    store_rows(settings, [*zero_width, *full_width, *background_rows(5000, 50)])
    run_reindex(settings)
    assert [each.events for each in published(settings)[1]] == [120]


def test_a_wrapper_in_the_system_prompt_is_found_in_its_own_view(tmp_path: Path) -> None:
    rows = [
        {
            **{key: value for key, value in each.items() if key != "prompt"},
            "messages": [
                {"role": "system", "content": TEMPLATE.format(f"task {n}")},
                {"role": "user", "content": f"w{n * 7919} w{n * 104729}"},
            ],
        }
        for n, each in enumerate(campaign_rows(0))
    ]
    settings = settings_of(tmp_path)
    store_rows(settings, rows)
    run_reindex(settings)
    (only,) = published(settings)[1]
    assert (only.views, only.template.role, only.events) == ((View.SYSTEM,), "system", 120)


def test_changed_parameters_or_another_encoder_are_a_reason_to_build_anew(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, background_rows(0, 20))
    run_reindex(settings)
    changed = replace(settings, detection=Detection(min_cluster_size=12))
    assert run_reindex(changed).published
    assert not run_reindex(changed).published
    assert run_reindex(changed, TinyEncoder("another")).published


def test_two_reindexes_at_once_are_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with exclusive(settings.data / LOCK_NAME), pytest.raises(Busy, match=LOCK_NAME):
        run_reindex(settings)


def test_no_file_of_a_generation_needs_pickle(indexed: Settings) -> None:
    generation, _ = published(indexed)
    for stored in generation.manifest.files:
        if stored.name.endswith(".npy"):
            assert not np.load(generation.folder / stored.name, allow_pickle=False).dtype.hasobject
        else:
            assert stored.name.endswith((".json", ".faiss"))
