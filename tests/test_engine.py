"""The engine: matching, searching and labelling over one published generation, and the switch to the next."""

import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy.event import listen
from tiny_encoder import TinyEncoder
from traffic import (
    NOW,
    OTHER_TEMPLATE,
    TEMPLATE,
    background_rows,
    campaign_rows,
    row,
    run_reindex,
    settings_of,
    store_rows,
)

from indexer import engine as engine_module
from indexer.encode import Encoder
from indexer.engine import STALE_AFTER_S, Engine
from indexer.feedback import Verdicts
from indexer.generation import Generation, current_id
from indexer.match import TYPICAL, Finding, Matcher
from indexer.search import places_of
from indexer.settings import Settings
from indexer.store import Store
from models.campaign import CampaignLabel, Label
from models.errors import (
    GenerationDamaged,
    NotReady,
    PromptTooLarge,
    StorageUnusable,
    UnknownCampaign,
    WeightsUnusable,
)
from models.match import Decision, Ground, Match, Question
from models.mode import CampaignMode, Mode
from models.prompt import Prompt
from models.search import SearchQuery
from models.status import Health
from models.view import View

FRESH = Prompt("", TEMPLATE.format("a theorem nobody has sent before"))
UNRELATED = Prompt("", "which bus goes to the harbour on sunday mornings in winter")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, weights: Path) -> Encoder:
        return TinyEncoder()

    monkeypatch.setattr(engine_module, "load_encoder", load)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_of(tmp_path_factory.mktemp("engine"))
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 300)])
    run_reindex(settings)
    return settings


@pytest.fixture
def settings(tmp_path: Path, published: Settings) -> Settings:
    """A copy of the published data directory that a test may change."""
    shutil.copytree(published.data, tmp_path / "data")
    return settings_of(tmp_path / "data")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    opened = Engine.open(settings, lambda: NOW)
    yield opened
    opened.close()


def label(engine: Engine, verdict: Label, until_s: float | None = None) -> None:
    until = None if until_s is None else NOW + timedelta(seconds=until_s)
    engine.put_label(CampaignLabel(engine.campaigns()[0].campaign_id, verdict, "", "ann", NOW, until))


def test_a_fresh_filling_of_the_template_matches(engine: Engine) -> None:
    match = engine.match(FRESH)
    campaign = engine.campaigns()[0]
    assert match.decision is Decision.MATCH
    assert (match.campaign_id, match.level, match.view) == (campaign.campaign_id, campaign.level, View.RECURRING)
    assert match.similarity is not None
    assert match.threshold is not None
    assert 1.0 >= match.similarity >= match.threshold
    assert 120 <= match.background_size <= 180  # half of them; thresholds were set on the others
    assert match.p_background == match.alpha == 1 / (match.background_size + 1)
    assert match.p_background < match.false_positive_bound < 0.03
    assert match.typicality is not None
    assert match.typicality >= TYPICAL
    assert View.RECURRING in {each.view for each in match.nearest[0].views}
    assert (match.block, match.mode, match.truncated) == (False, Mode.AUDIT, False)


def test_a_stored_prompt_matches_exactly_whatever_its_spelling(engine: Engine) -> None:
    stored = campaign_rows(0)[7]["prompt"]
    match = engine.match(Prompt("", "\u200b".join(stored.upper())))
    assert (match.decision, match.similarity, match.view) == (Decision.MATCH, 1.0, View.EXACT)


def test_an_unrelated_prompt_passes_and_still_shows_the_nearest_score(engine: Engine) -> None:
    match = engine.match(UNRELATED)
    assert match.decision is Decision.NONE
    assert match.p_background > 0.01
    assert not match.block
    for near in match.nearest:
        assert -1.0 <= near.similarity < near.threshold


def test_the_nearest_campaign_of_a_stored_background_prompt_is_none(engine: Engine) -> None:
    assert engine.match(Prompt("", background_rows(5000, 1)[0]["prompt"])).decision is Decision.NONE


def test_only_a_confirmed_campaign_is_blocked_and_only_in_enforce(engine: Engine) -> None:
    assert not engine.match(FRESH, Mode.ENFORCE).block
    label(engine, Label.CONFIRMED)
    assert engine.match(FRESH, Mode.ENFORCE).block
    assert not engine.match(FRESH, Mode.AUDIT).block
    assert not engine.match(UNRELATED, Mode.ENFORCE).block
    assert engine.match(FRESH, Mode.AUDIT).would_block
    off = engine.match(FRESH, Mode.OFF)
    assert (off.decision, off.block, off.campaign_id) == (Decision.UNKNOWN, False, None)


def test_a_campaigns_own_mode_is_the_most_that_is_done_about_it(engine: Engine) -> None:
    label(engine, Label.CONFIRMED)
    for mode, decision, would_block in (
        (Mode.AUDIT, Decision.MATCH, False),
        (Mode.OFF, Decision.WATCHED, False),
        (Mode.ENFORCE, Decision.MATCH, True),
    ):
        engine.put_campaign_mode(CampaignMode(engine.campaigns()[0].campaign_id, mode, "ann", NOW))
        match = engine.match(FRESH, Mode.ENFORCE)
        assert (match.decision, match.would_block, match.block) == (decision, would_block, would_block)


def test_modes_of_campaigns_are_kept_and_read_again(engine: Engine, settings: Settings) -> None:
    name = engine.campaigns()[0].campaign_id
    other = Engine.open(settings, lambda: NOW)
    for mode in (Mode.OFF, Mode.AUDIT):
        engine.put_campaign_mode(CampaignMode(name, mode, "ann", NOW))
    assert other.campaign_modes() == {}
    other.refresh()
    assert other.campaign_modes() == engine.campaign_modes() == {name: CampaignMode(name, Mode.AUDIT, "ann", NOW)}
    other.close()


def test_one_ground_alone_does_not_block(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    label(engine, Label.CONFIRMED)
    assert engine.match(FRESH).grounds == (Ground.WHOLE, Ground.RECURRING, Ground.TEMPLATE)
    assert engine.match(UNRELATED).grounds == ()
    monkeypatch.setattr("indexer.match.grounds_of", lambda *_: (Ground.RECURRING,))
    match = engine.match(FRESH, Mode.ENFORCE)
    assert (match.decision, match.would_block, match.block) == (Decision.MATCH, False, False)


def test_a_benign_label_silences_at_once(engine: Engine) -> None:
    label(engine, Label.BENIGN)
    match = engine.match(FRESH, Mode.ENFORCE)
    assert (match.decision, match.block) == (Decision.WATCHED, False)


def test_ignore_until_holds_until_then(engine: Engine) -> None:
    label(engine, Label.IGNORE_UNTIL, until_s=60)
    assert engine.match(FRESH).decision is Decision.WATCHED
    label(engine, Label.IGNORE_UNTIL, until_s=-60)
    assert engine.match(FRESH).decision is Decision.MATCH


def test_an_answer_is_remembered_until_something_is_said_or_runs_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [NOW]
    engine = Engine.open(settings, lambda: now[0])
    question = Question(FRESH)
    worked_out: list[int] = []
    match = Matcher.match

    def counted(matcher: Matcher, questions: Sequence[Question], verdicts: Verdicts) -> list[Match]:
        worked_out.append(len(questions))
        return match(matcher, questions, verdicts)

    monkeypatch.setattr(Matcher, "match", counted)
    assert engine.known_answer(question) is None
    first = engine.match(FRESH)
    engine.refresh()  # reads the same verdicts again
    assert (engine.known_answer(question), engine.match(FRESH)) == (first, first)
    assert worked_out == [1]
    label(engine, Label.IGNORE_UNTIL, until_s=60)
    assert engine.known_answer(question) is None
    assert engine.match(FRESH).decision is Decision.WATCHED
    now[0] += timedelta(seconds=59)
    assert engine.known_answer(question) is not None
    now[0] += timedelta(seconds=1)
    assert engine.known_answer(question) is None
    assert engine.match(FRESH) == first
    engine.close()


def test_what_another_process_says_counts_from_the_next_look_on(engine: Engine, settings: Settings) -> None:
    other = Engine.open(settings, lambda: NOW)
    before = engine.match(FRESH)
    label(other, Label.BENIGN)
    assert engine.match(FRESH) == before
    engine.refresh()
    assert engine.match(FRESH).decision is Decision.WATCHED
    other.close()


def test_a_batch_answers_like_single_calls(engine: Engine) -> None:
    prompts = [FRESH, UNRELATED, Prompt("", campaign_rows(0)[0]["prompt"])]
    assert engine.match_all([Question(each) for each in prompts]) == [engine.match(each) for each in prompts]


def test_a_batch_is_answered_by_one_generation_however_often_that_changes(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Matcher.match

    def answer_and_switch(matcher: Matcher, *arguments: Any) -> list[Match]:
        found = answer(matcher, *arguments)
        store_rows(settings, [row(20_000, "late", "one more prompt")])
        run_reindex(settings)
        engine.refresh()
        return found

    monkeypatch.setattr(Matcher, "match", answer_and_switch)
    first, second = engine.match_all([Question(FRESH), Question(UNRELATED)])
    assert first.generation == second.generation
    assert engine.match(FRESH).generation != first.generation


def test_p_background_keeps_its_promise_on_prompts_never_seen(engine: Engine) -> None:
    known, fresh = engine.match(UNRELATED).background_size, 400
    shares = [engine.match(Prompt("", each["prompt"])).p_background for each in background_rows(90_000, fresh)]
    assert min(shares) >= 1 / (known + 1)
    for level in (0.01, 0.05, 0.2, 0.5):
        # Both the background and the fresh prompts are samples: three standard deviations of their difference.
        chance = 3 * (level * (1 - level) * (1 / known + 1 / fresh)) ** 0.5
        assert sum(share <= level for share in shares) / fresh == pytest.approx(level, abs=chance)


def test_a_prompt_over_the_limit_is_refused_with_both_sizes(engine: Engine) -> None:
    with pytest.raises(PromptTooLarge, match="1048577 characters, more than 1048576"):
        engine.match(Prompt("", "x" * (1 << 20) + "y"))


def test_a_prompt_that_unfolds_is_measured_unfolded(engine: Engine) -> None:
    """One character of the Arabic presentation forms stands for eighteen."""
    with pytest.raises(PromptTooLarge, match="1080000 characters in canonical form, more than 1048576"):
        engine.match(Prompt("", "\ufdfa" * 60_000))


def test_a_long_prompt_is_seen_to_its_end(engine: Engine) -> None:
    buried = " ".join(f"n{n * 7919}" for n in range(5_000)) + " " + FRESH.user
    assert engine.match(Prompt("", buried)).decision is Decision.MATCH


def test_a_watched_look_alike_that_is_nearer_hides_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    store_rows(
        settings, [*campaign_rows(0), *campaign_rows(1000, OTHER_TEMPLATE, 40, 8), *background_rows(5000, 300)]
    )
    run_reindex(settings)
    engine = Engine.open(settings, lambda: NOW)
    first, second = engine.match(FRESH).campaign_id, engine.match(Prompt("", OTHER_TEMPLATE)).campaign_id
    assert first is not None
    assert second is not None

    def examine(matcher: Matcher, prompts: Sequence[Prompt], listed: int) -> list[Finding]:
        """Both are reached, the first more closely."""
        margin = np.array([0.2 if each.campaign_id == first else 0.1 for each in matcher.campaigns], np.float32)
        best, cosines, view = int(margin.argmax()), np.ones((3, len(margin)), np.float32), np.full(len(margin), 1)
        own = [best if prompt.user == "a member of the first" else -1 for prompt in prompts]
        return [Finding(np.arange(len(margin)), margin, cosines, view, each) for each in own]

    monkeypatch.setattr(Matcher, "examine", examine)
    assert engine.match(FRESH).campaign_id == first
    engine.put_label(CampaignLabel(first, Label.BENIGN, "", "ann", NOW, None))
    match = engine.match(FRESH)
    assert (match.decision, [each.campaign_id for each in match.nearest]) == (Decision.MATCH, [second, first])
    member = engine.match(Prompt("", "a member of the first"))  # of which there is no doubt
    assert (member.decision, member.campaign_id) == (Decision.WATCHED, first)
    engine.close()


def test_an_unknown_campaign_is_named(engine: Engine) -> None:
    with pytest.raises(UnknownCampaign, match="c-nothing"):
        engine.campaign("c-nothing")
    with pytest.raises(UnknownCampaign, match="c-nothing"):
        engine.campaign_prompts("c-nothing", 1, 0)


def test_a_campaign_is_found_by_the_ids_that_merged_into_it(engine: Engine) -> None:
    one, two = engine.campaigns()[0], replace(engine.campaigns()[0], campaign_id="c-two")
    found = places_of([replace(one, formerly=("c-a", "c-b")), replace(two, formerly=("c-c", one.campaign_id))])
    assert found == {one.campaign_id: 0, "c-a": 0, "c-b": 0, "c-two": 1, "c-c": 1}


def test_a_new_generation_is_taken_up_and_the_labels_follow(engine: Engine, settings: Settings) -> None:
    label(engine, Label.CONFIRMED)
    before = engine.campaigns()[0].campaign_id
    assert not engine.refresh()
    store_rows(settings, campaign_rows(9000, OTHER_TEMPLATE, 40, 8))
    run_reindex(settings)
    assert engine.refresh()
    assert {each.campaign_id for each in engine.campaigns()} > {before}
    assert engine.match(FRESH, Mode.ENFORCE).block
    assert engine.match(Prompt("", OTHER_TEMPLATE.format("a b c"))).decision is Decision.MATCH


def test_a_damaged_new_generation_leaves_the_old_one_serving(engine: Engine, settings: Settings) -> None:
    served = engine.match(FRESH).generation
    store_rows(settings, campaign_rows(9000, OTHER_TEMPLATE))
    report = run_reindex(settings)
    (settings.generations / report.generation / "campaigns.json").write_bytes(b"[]")
    engine.refresh()
    status = engine.status()
    assert engine.match(FRESH).generation == served
    assert status.health is Health.DEGRADED
    assert report.generation in status.detail


def test_status_counts_what_waits(engine: Engine, settings: Settings) -> None:
    assert (engine.status().health, engine.status().events_stored, engine.status().events_indexed) == (
        Health.OK,
        420,
        420,
    )
    store_rows(settings, background_rows(7000, 10))
    assert (engine.status().events_stored, engine.status().health) == (430, Health.OK)
    late = Engine.open(settings, lambda: NOW + timedelta(seconds=STALE_AFTER_S + 10))
    assert (late.status().health, late.status().detail[:15]) == (Health.STALE, "10 events wait ")
    late.close()


def test_while_the_store_is_away_the_engine_is_degraded_and_as_large_as_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage(".")  # others write to the disk meanwhile
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    before = engine.status()

    def away(_: Store) -> dict[str, int]:
        raise StorageUnusable("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "counts", away)
        assert engine.status() == replace(before, health=Health.DEGRADED, detail="the store does not answer")
        assert engine.match(FRESH).decision is Decision.MATCH
    assert engine.status() == before


def test_without_a_generation_nothing_is_answered_but_events_are_taken(tmp_path: Path) -> None:
    engine = Engine.open(settings_of(tmp_path), lambda: NOW)
    assert not engine.ready()
    assert engine.status().health is Health.NOT_READY
    for ask in (lambda: engine.match(FRESH), engine.campaigns, lambda: engine.search(SearchQuery("x"))):
        with pytest.raises(NotReady, match="stillwatch reindex"):
            ask()
    report = engine.add_events([*background_rows(0, 3), {"event_id": "bad"}, background_rows(0, 1)[0]])
    assert (report.read, report.stored, report.duplicate, report.rejected) == (5, 3, 1, 1)
    assert report.reasons == {"bad timestamp": 1}
    engine.close()


def test_a_generation_that_cannot_be_read_for_a_moment_is_tried_again(settings: Settings) -> None:
    now = [NOW]
    engine = Engine.open(settings, lambda: now[0])
    served = engine.status().generation
    store_rows(settings, background_rows(9000, 5))
    run_reindex(settings)
    manifest = settings.generations / str(current_id(settings.generations)) / "manifest.json"
    manifest.rename(manifest.with_suffix(".kept"))
    manifest.mkdir()  # reading it fails, as from a disk that has a fault for a moment
    assert not engine.refresh()
    status = engine.status()
    assert (status.generation, status.health) == (served, Health.DEGRADED)
    assert "cannot be read: Is a directory" in status.detail
    manifest.rmdir()
    manifest.with_suffix(".kept").rename(manifest)
    assert not engine.refresh()  # not yet: to look through all its files every second would cost too much
    now[0] += timedelta(seconds=30)
    assert engine.refresh()
    assert (engine.status().generation, engine.status().health) == (current_id(settings.generations), Health.OK)
    assert not engine.refresh()
    engine.close()


def test_weights_that_are_gone_leave_the_old_generation_serving(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_rows(settings, background_rows(9000, 5))
    run_reindex(settings)

    def load(name: str, weights: Path) -> Encoder:
        raise WeightsUnusable("weights are gone")

    engine._encoders.clear()
    monkeypatch.setattr(engine_module, "load_encoder", load)
    assert not engine.refresh()
    assert engine.status().detail == "weights are gone"
    assert engine.match(FRESH).decision is Decision.MATCH
    with pytest.raises(WeightsUnusable, match="weights are gone"):
        Engine.open(settings, lambda: NOW)


def test_keys_and_verdicts_are_heeded_while_a_generation_loads(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, going_on = threading.Event(), threading.Event()

    def load(self: Engine, generation: Generation) -> object:
        loading.set()
        assert going_on.wait(30)
        raise GenerationDamaged("after all")

    monkeypatch.setattr(Engine, "_load", load)
    store_rows(settings, background_rows(9000, 5))
    run_reindex(settings)
    refreshing = threading.Thread(target=engine.refresh)
    refreshing.start()
    assert loading.wait(30)
    with Store.open(settings.database) as store:
        store.verdicts.put_label(
            CampaignLabel(engine.campaigns()[0].campaign_id, Label.CONFIRMED, "", "ann", NOW, None)
        )
    engine.heed()
    assert [each.label for each in engine.labels().values()] == [Label.CONFIRMED]
    going_on.set()
    refreshing.join(30)


def test_a_prompt_that_is_remembered_twice_is_one_event_and_no_reject(engine: Engine, settings: Settings) -> None:
    row = {
        "event_id": "r-1-aa",
        "account_id": "a9",
        "messages": [{"role": "user", "content": "half \ud800 a pair"}],
    }
    before = engine.status().events_stored
    for second in range(3):
        engine.remember([{**row, "timestamp": (NOW + timedelta(seconds=second)).isoformat()}])
    assert engine.status().events_stored == before + 1
    assert not settings.rejects.exists()
    engine.remember([{**row, "event_id": "x" * 5000, "timestamp": NOW.isoformat()}])  # no id that can be kept
    assert engine.status().events_stored == before + 1
    assert not settings.rejects.exists()


def test_a_full_disk_is_told_of(engine: Engine, settings: Settings) -> None:
    rows = [{"event_id": "e-1", "account_id": "a", "timestamp": NOW.isoformat(), "prompt": "x" * 200_000}]
    with engine._store._database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    engine._store._database.close()
    listen(
        engine._store._database._reader, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={pages}")
    )
    with pytest.raises(StorageUnusable, match="takes nothing now: database or disk is full"):
        engine.add_events(rows)
    settings.rejects.parent.mkdir(exist_ok=True)
    settings.rejects.write_text("a file where the folder should be")
    with pytest.raises(StorageUnusable, match=r"rejects takes nothing now: (File exists|Not a directory)"):
        engine.add_events([{"event_id": "e-2"}])
