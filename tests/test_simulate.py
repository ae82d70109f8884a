"""Simulated worlds: what they hold, and that they are what they say."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.actors import Actor, Age, Form, Load, Pivot, Script
from indexer.cast import CAMPAIGNS, LOOK_ALIKES, cast
from indexer.clock import Clock, Window, draw_hours
from indexer.evaluate import read_truth
from indexer.evasion import Evasion, evade
from indexer.sample import Text, Texts, load_texts, write_texts
from indexer.simulate import Cast, SimulatedEvent, WorldSpec, play, simulate, write_world
from indexer.speech import Speech
from indexer.wording import instruction, pieces
from models.errors import BadSettings, UnreadableFile
from models.event import Event, parse_event
from models.text import canonical

START = datetime(2026, 2, 2, tzinfo=UTC)
SMALL = WorldSpec(events=2_000)


@cache
def texts() -> Texts:
    return load_texts()


@cache
def speech() -> Speech:
    return Speech(texts(), hop=0.12, change=0.5, rng=Random(0))


@cache
def small_world(seed: int = 1, campaigns: int = 4) -> tuple[SimulatedEvent, ...]:
    return tuple(simulate(replace(SMALL, campaigns=campaigns), texts(), seed))


def parsed(events: tuple[SimulatedEvent, ...]) -> Iterator[tuple[str, Event]]:
    return ((event.kind, parse_event(event.row, START + timedelta(days=30))) for event in events)


def played(actor: Actor, seed: int = 1, days: float = 1.0) -> tuple[SimulatedEvent, ...]:
    return tuple(play([actor], speech(), START, days, seed))


# The shipped sample


def test_the_shipped_sample_covers_every_source_and_names_its_licence() -> None:
    sample = texts()
    assert len(sample.background) > 10_000
    assert len(sample.payloads) == 9_000
    assert len(sample.templates) == 1_000
    notices = (Path(__file__).parent.parent / "indexer" / "texts" / "LICENSES.md").read_text("utf-8")
    for text in {(t.source, t.license) for t in (*sample.background, *sample.payloads, *sample.templates)}:
        assert f"| `{text[0]}` | {text[1]} |" in notices
    by_source = Counter(text.source for text in sample.payloads)
    assert by_source["plexpt_zh_20k"] == 1_500
    assert min(by_source.values()) > 150


def test_texts_come_from_a_folder_as_they_went_in(tmp_path: Path) -> None:
    rows = [Text("one\nline", "s", "MIT"), Text("二", "s", "MIT")]
    for name in ("background", "payloads", "templates"):
        write_texts(tmp_path / f"{name}.jsonl.gz", rows)
    first = (tmp_path / "payloads.jsonl.gz").read_bytes()
    write_texts(tmp_path / "payloads.jsonl.gz", rows)
    assert (tmp_path / "payloads.jsonl.gz").read_bytes() == first
    assert load_texts(tmp_path) == Texts(tuple(rows), tuple(rows), tuple(rows))


def test_a_broken_folder_is_refused_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="background"):
        load_texts(tmp_path)
    good = b'{"text":"a","source":"s","license":"l"}\n'
    (tmp_path / "background.jsonl.gz").write_bytes(gzip.compress(good + b'{"text":1}\n'))
    with pytest.raises(UnreadableFile, match=r"background\.jsonl\.gz line 2: "):
        load_texts(tmp_path)
    (tmp_path / "background.jsonl.gz").write_bytes(gzip.compress(good)[:-9])
    with pytest.raises(UnreadableFile, match="cannot be read"):
        load_texts(tmp_path)
    (tmp_path / "background.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(UnreadableFile, match="holds no texts"):
        load_texts(tmp_path)


# The default world


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    reports = [write_world(tmp_path / name, SMALL, texts(), seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert reports[0] == reports[1]
    for file in ("events.jsonl", "truth.jsonl"):
        first, second, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert first == second
        assert first != other


def test_truth_covers_each_event_once_in_order_of_time(tmp_path: Path) -> None:
    report = write_world(tmp_path, SMALL, texts(), seed=1)
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()
    ]
    truth = list(read_truth(tmp_path / "truth.jsonl"))
    assert [(row["event_id"], row["account_id"]) for row in rows] == [(t.event_id, t.account_id) for t in truth]
    assert len({row["event_id"] for row in rows}) == len(rows) == report.events == 2_000
    assert Counter(row.kind for row in truth) == report.kinds
    assert report.accounts == len({row["account_id"] for row in rows})
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)
    assert times[0] >= "2026-02-02T00:00:00"
    assert times[-1] < "2026-02-03T00:00:00"


def test_all_actors_are_there_and_every_row_is_an_event() -> None:
    kinds = {kind for kind, _ in parsed(small_world())}
    assert kinds == {
        "background",
        *(f"campaign:{name}" for name in CAMPAIGNS),
        *(f"benign:{name}" for name in LOOK_ALIKES),
    }


def test_no_account_was_made_after_its_first_request() -> None:
    for _, event in parsed(small_world()):
        assert event.account_created_at is not None
        assert event.account_created_at < event.timestamp


def test_a_world_without_campaigns_keeps_everything_else() -> None:
    kinds = Counter(kind for kind, _ in parsed(small_world(campaigns=0)))
    assert not [kind for kind in kinds if kind.startswith("campaign:")]
    assert {kind for kind in kinds if kind.startswith("benign:")} == {f"benign:{name}" for name in LOOK_ALIKES}
    bare = Counter(event.kind for event in simulate(WorldSpec(300, campaigns=0, benign=False), texts(), 1))
    assert bare == {"background": 300}


def test_even_small_campaigns_have_a_dozen_accounts_with_some_prompts_each() -> None:
    actors = cast(2_000, 1.0, 4, True, texts(), speech(), seed=1)
    for actor in actors:
        if actor.kind.startswith("campaign:"):
            assert actor.accounts >= 12
            assert actor.prompts >= 4
    assert sum(actor.events for actor in actors) == 2_000


def test_sizes_of_the_default_world() -> None:
    actors = cast(60_000, 1.0, 4, True, texts(), speech(), seed=1)
    campaigns = [actor for actor in actors if actor.kind.startswith("campaign:")]
    assert sum(actor.events for actor in actors) == 60_000
    assert all(60 <= actor.accounts <= 400 and 0.2 <= actor.mixing <= 0.6 for actor in campaigns)
    assert 0.08 <= sum(actor.accounts * actor.prompts for actor in campaigns) / 60_000 <= 0.20


def test_more_campaigns_than_recipes_get_names_and_wordings_of_their_own() -> None:
    actors = cast(60_000, 1.0, 6, False, texts(), speech(), seed=1)
    scripts = {actor.kind: actor.script for actor in actors if actor.kind.startswith("campaign:")}
    assert list(scripts)[4:] == ["campaign:reasoning-2", "campaign:wrapper-2"]
    assert scripts["campaign:reasoning"] != scripts["campaign:reasoning-2"]


def test_larger_worlds_have_several_look_alikes_of_each_sort() -> None:
    kinds = {actor.kind for actor in cast(240_000, 1.0, 0, True, texts(), speech(), seed=1)}
    assert {"benign:rollout", "benign:rollout-2", "benign:batch-2"} <= kinds


def test_impossible_worlds_are_refused() -> None:
    with pytest.raises(BadSettings, match="100 events are too few"):
        simulate(WorldSpec(events=100), texts(), 1)
    with pytest.raises(BadSettings, match="0 events"):
        WorldSpec(events=0)
    with pytest.raises(BadSettings, match="no time zone"):
        WorldSpec(start=datetime(2026, 1, 1))


def test_exact_duplicates_are_as_common_as_in_real_traffic() -> None:
    prompts = Counter(
        event.prompt.fingerprint()
        for kind, event in parsed(tuple(simulate(WorldSpec(12_000), texts(), 3)))
        if kind == "background"
    )
    assert 0.03 <= 1 - len(prompts) / prompts.total() <= 0.15


def test_ordinary_activity_has_a_heavy_tail() -> None:
    events = played(Actor("background", accounts=1_000, prompts=6))
    counts = sorted(Counter(event.row["account_id"] for event in events).values())
    assert len(counts) == 1_000
    assert median(counts) <= 4
    assert counts[-1] > 10 * median(counts)


def test_another_seed_gives_campaigns_another_wording() -> None:
    for name in CAMPAIGNS:
        forms = {
            actor.script.forms[0].parts
            for seed in range(6)
            for actor in cast(60_000, 1.0, 4, False, texts(), speech(), seed)
            if actor.kind == f"campaign:{name}" and actor.script is not None
        }
        assert len(forms) == 6


# Look-alikes


def test_accounts_of_the_app_share_one_organisation_and_one_system_prompt() -> None:
    app = [event for kind, event in parsed(small_world()) if kind == "benign:app"]
    assert len({event.org_id for event in app}) == 1
    assert app[0].org_id is not None
    assert len({event.prompt.system for event in app}) == 1
    assert len({event.account_id for event in app}) >= 12
    assert all(event.org_id is None for kind, event in parsed(small_world()) if kind == "benign:rollout")


def test_the_roll_out_has_one_network_one_payment_and_office_hours() -> None:
    rollout = [event for kind, event in parsed(small_world()) if kind == "benign:rollout"]
    assert len({(event.network, event.payment_id) for event in rollout}) == 1
    ages = [event.timestamp - event.account_created_at for event in rollout if event.account_created_at]
    assert max(ages) < timedelta(days=14)
    assert len(Counter(event.timestamp.hour for event in rollout)) <= 16


def test_the_classroom_works_on_one_evening() -> None:
    world = tuple(simulate(WorldSpec(3_000, days=7, campaigns=0), texts(), 1))
    times = [event.timestamp for kind, event in parsed(world) if kind == "benign:classroom"]
    assert times[-1] - times[0] < timedelta(hours=12)


def test_the_batch_job_is_one_account() -> None:
    assert len({event.account_id for kind, event in parsed(small_world()) if kind == "benign:batch"}) == 1


# Axes of an actor

TEMPLATE = Script((Form(("Fixed words in front.\n\n", "\n\nand behind.")),), ("one thing", "another thing"))
ATTACKER = Actor("campaign:x", accounts=40, prompts=25, script=TEMPLATE, load=Load.ROUND_ROBIN)


@pytest.mark.parametrize("mixing", [0.0, 0.3, 0.6])
def test_the_mixed_in_share_is_background(mixing: float) -> None:
    kinds = Counter(event.kind for event in played(replace(ATTACKER, mixing=mixing)))
    assert kinds.total() == round(1_000 / (1 - mixing))
    assert set(kinds) <= {"campaign:x", "background"}
    assert kinds["background"] / kinds.total() == pytest.approx(mixing, abs=0.04)


@pytest.mark.parametrize(
    ("load", "least", "most"), [(Load.ROUND_ROBIN, 25, 25), (Load.POISSON, 8, 50), (Load.HEAVY_TAIL, 1, 400)]
)
def test_load_decides_how_even_accounts_are(load: Load, least: int, most: int) -> None:
    counts = Counter(event.row["account_id"] for event in played(replace(ATTACKER, load=load)))
    assert len(counts) == 40
    assert least <= min(counts.values()) <= max(counts.values()) <= most
    if load is Load.HEAVY_TAIL:
        assert max(counts.values()) > 80


def test_round_robin_round_the_clock_takes_turns() -> None:
    events = played(replace(ATTACKER, clock=Clock.ROUND_THE_CLOCK))
    senders = [event.row["account_id"] for event in events]
    assert senders[:40] == senders[40:80]
    assert len(set(senders[:40])) == 40


def test_a_skeleton_share_is_kept_by_pasting_more() -> None:
    script = replace(TEMPLATE, forms=(Form((" ".join(["fixed"] * 30) + "\n\n", "")),), skeleton=(0.05, 0.3))
    users = [event.prompt.user for _, event in parsed(played(replace(ATTACKER, script=script)))]
    shares = [30 / len(user.split()) for user in users]
    assert min(shares) >= 0.02
    assert max(shares) <= 0.3
    assert 0.08 <= median(shares) <= 0.16


def test_a_form_without_slots_is_always_the_same() -> None:
    events = played(replace(ATTACKER, script=Script((Form(("Tell me a story.",)),))))
    assert {event.prompt.user for _, event in parsed(events)} == {"Tell me a story."}


def test_the_first_forms_are_the_popular_ones_under_zipf() -> None:
    forms = tuple(Form((f"form {number}",)) for number in range(10))
    users = [event.prompt.user for _, event in parsed(played(replace(ATTACKER, script=Script(forms, zipf=1.0))))]
    assert Counter(users)["form 0"] / len(users) == pytest.approx(0.34, abs=0.05)


def test_a_queue_hands_out_each_filling_so_many_times_to_whoever_comes() -> None:
    script = replace(TEMPLATE, fillings=(), samples=4)
    events = played(replace(ATTACKER, script=script))
    counts = Counter(event.prompt.user for _, event in parsed(events))
    assert len(events) == 1000
    assert max(counts.values()) == 4
    assert sum(count == 4 for count in counts.values()) > 200
    senders = {event.prompt.user: set[str]() for _, event in parsed(events)}
    for _, event in parsed(events):
        senders[event.prompt.user].add(event.account_id)
    assert fmean(map(len, senders.values())) > 3.4


def test_a_pool_swap_leaves_no_account_on_both_sides() -> None:
    events = played(replace(ATTACKER, swap_at=0.4, age=Age.FRESH))
    swap = START + timedelta(hours=24 * 0.4)
    sides: dict[bool, set[str]] = defaultdict(set)
    for _, event in parsed(events):
        sides[event.timestamp < swap].add(event.account_id)
    assert len(sides[True]) == len(sides[False]) == 20
    assert not sides[True] & sides[False]


def test_a_pivot_moves_half_of_the_accounts_to_another_model_and_template() -> None:
    other = Script((Form(("Other words.\n\n", "")),))
    pivot = Pivot(at=0.5, share=0.5, script=other, model="m-new")
    events = list(parsed(played(replace(ATTACKER, pivot=pivot, clock=Clock.ROUND_THE_CLOCK))))
    noon = START + timedelta(hours=12)
    before = [event for _, event in events if event.timestamp < noon]
    after = [event for _, event in events if event.timestamp >= noon]
    assert not [event for event in before if event.model == "m-new"]
    moved = [event for event in after if event.model == "m-new"]
    assert len(moved) / len(after) == pytest.approx(0.5, abs=0.05)
    assert all(event.prompt.user.startswith("Other words.") for event in moved)
    assert all(event.prompt.user.startswith("Fixed words") for event in after if event.model != "m-new")


def test_fresh_accounts_are_born_together_and_aged_ones_are_not() -> None:
    def births(age: Age) -> list[datetime]:
        events = parsed(played(replace(ATTACKER, age=age)))
        return sorted({event.account_created_at for _, event in events if event.account_created_at})

    fresh, aged = births(Age.FRESH), births(Age.AGED)
    assert fresh[-1] - fresh[0] <= timedelta(days=1)
    assert START - fresh[0] <= timedelta(days=12)
    assert aged[-1] - aged[0] > timedelta(days=300)
    assert START - aged[0] <= timedelta(days=730)


def test_sharing_and_networks() -> None:
    events = [event for _, event in parsed(played(replace(ATTACKER, sharing=8, networks=3)))]
    cards = defaultdict(set)
    for event in events:
        cards[event.payment_id].add(event.account_id)
    assert [len(accounts) for accounts in cards.values()] == [8] * 5
    assert len({event.network for event in events}) == 3


# Clocks


@pytest.mark.parametrize("clock", list(Clock))
@pytest.mark.parametrize("window", [Window(0, 24), Window(30, 33.5), Window(0, 24 * 9)])
def test_every_clock_stays_in_its_window(clock: Clock, window: Window) -> None:
    hours = draw_hours(400, clock, -5, window, window.at(0.5), Random(1))
    assert len(hours) == 400
    assert all(hour in window for hour in hours)


def test_offices_are_closed_at_night_and_on_weekends() -> None:
    hours = [hour for n in range(200) for hour in draw_hours(1, Clock.OFFICE, 0, Window(0, 168), 0, Random(n))]
    assert all(hour < 5 * 24 for hour in hours)
    assert all(7 <= hour % 24 < 20 for hour in hours)


def test_people_far_apart_are_awake_at_different_times() -> None:
    def at_midnight_utc(zone: float) -> int:
        hours = [h for n in range(500) for h in draw_hours(1, Clock.HUMAN, zone, Window(0, 24), 0, Random(n))]
        return sum(hour < 4 for hour in hours)

    assert at_midnight_utc(-5) > 3 * at_midnight_utc(0)


def test_a_scheduler_with_peoples_hours_asks_one_thing_at_a_time() -> None:
    def close(clock: Clock) -> int:
        hours = sorted(draw_hours(40, clock, 0, Window(0, 24 * 10), 0, Random(1)))
        return sum(later - earlier < 0.5 for earlier, later in pairwise(hours))

    nights = [h for n in range(500) for h in draw_hours(1, Clock.DIURNAL, 0, Window(0, 24), 0, Random(n)) if h < 6]
    assert len(nights) < 60
    assert close(Clock.DIURNAL) < 12 < 25 < close(Clock.HUMAN)


def test_a_burst_is_near_its_peak() -> None:
    hours = draw_hours(500, Clock.BURST, 0, Window(0, 24), 10, Random(1))
    assert median(hours) == pytest.approx(10, abs=0.3)
    assert sum(abs(hour - 10) < 3 for hour in hours) > 450


def test_batches_run_in_the_same_hours_of_every_day() -> None:
    hours = draw_hours(700, Clock.BATCHES, 0, Window(0, 24 * 7), 50.0, Random(1))  # 2 in the morning
    assert {int(hour // 24) for hour in hours} >= set(range(7))
    assert all(abs((hour - 2 + 12) % 24 - 12) <= 3.5 for hour in hours)


# Evasions and wording


@pytest.mark.parametrize("evasion", [each for each in Evasion if each.is_reversible])
def test_tricks_of_characters_are_seen_through(evasion: Evasion) -> None:
    rng = Random(1)
    for task in ("reasoning", "agentic", "grading", "analysis"):
        plain = instruction(rng, task, 30, 60)
        hidden = evade(plain, evasion, speech(), rng)
        assert hidden != plain
        assert canonical(hidden) == canonical(plain)


@pytest.mark.parametrize("evasion", [each for each in Evasion if not each.is_reversible])
def test_tricks_of_words_change_the_text_but_keep_most_of_it(evasion: Evasion) -> None:
    plain = instruction(Random(1), "reasoning", 30, 60)
    hidden = evade(plain, evasion, speech(), Random(2))
    words = plain.split()
    assert canonical(hidden) != canonical(plain)
    assert sum(word in hidden.split() for word in words) > 0.6 * len(words)


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.sampled_from(["reasoning", "agentic", "grading", "rewriting", "analysis", "office"]))
def test_instructions_have_the_length_asked_for(seed: int, task: str) -> None:
    text = instruction(Random(seed), task, 24, 48)
    assert 24 <= len(text.split()) <= 48
    assert "{" not in text
    assert "|" not in text


def test_the_grammar_is_rich() -> None:
    for section in ("role", "constraint", "output", "closing"):
        assert len(pieces()[section]) >= 24
    assert len({instruction(Random(seed), "reasoning", 35, 60) for seed in range(500)}) == 500


def test_no_lead_in_of_ordinary_prompts_is_a_template() -> None:
    """A text's first eight words may come back as a popular phrase does, not with hundreds of continuations."""
    rng = Random(1)
    heads: dict[str, set[str]] = defaultdict(set)
    for _ in range(8_000):
        prompt = speech().prompt(rng)
        words = prompt.split()
        if len(words) > 12:
            heads[" ".join(words[:8])].add(prompt)
    assert max(len(prompts) for prompts in heads.values()) <= 10


def test_serial_numbers_follow_time() -> None:
    ids = [event.row["event_id"] for event in small_world()]
    assert all(a < b for a, b in pairwise(ids))


def test_the_story_has_one_pool_swap_and_one_pivot() -> None:
    spec = WorldSpec(events=12_000, days=4.0, campaigns=3, cast=Cast.STORY)
    told = defaultdict(list)
    for kind, event in parsed(tuple(simulate(spec, texts(), 7))):
        told[kind].append(event)
    assert {kind for kind in told if kind.startswith("campaign:")} == {
        "campaign:reasoning",
        "campaign:returning",
        "campaign:moving",
    }
    middle = START + timedelta(days=2)

    def sides(kind: str) -> tuple[list[Event], list[Event]]:
        events = told[f"campaign:{kind}"]
        return [e for e in events if e.timestamp < middle], [e for e in events if e.timestamp >= middle]

    pools = {kind: [{e.account_id for e in side} for side in sides(kind)] for kind in ("returning", "moving")}
    assert not pools["returning"][0] & pools["returning"][1]
    assert len(pools["moving"][0] & pools["moving"][1]) > 0.8 * len(pools["moving"][0])
    before, after = (fmean(e.model == "m-5" for e in side) for side in sides("moving"))
    assert before < 0.3 < after - before + 0.05
    assert sum(kind.startswith("benign:") for kind in told) == len(LOOK_ALIKES)
