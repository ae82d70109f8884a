"""The varied cast: every trait at random, every axis doing what it says."""

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random

import pytest

from indexer.actors import Account, Actor, Place, compose
from indexer.axes import Axes, attacker
from indexer.clock import Clock
from indexer.phrasing import brief, foreign, halves, phrasing
from indexer.sample import load_texts
from indexer.simulate import Cast, SimulatedEvent, WorldSpec, simulate
from indexer.speech import Speech
from indexer.varied import CAMPAIGNS, LOOK_ALIKES_VARIED, missing_fields
from models.errors import BadSettings
from models.text import canonical, tokens

TEXTS = load_texts()
SPEECH = Speech(TEXTS, 0.2, 0.5, Random(0))
SOMEBODY = Account("a", "2026-01-01T00:00:00Z", None, None, "AS1", 0.0, "m", "", False, False, False)


def world(seed: int, **changes: object) -> list[SimulatedEvent]:
    spec = replace(WorldSpec(events=6000, campaigns=3, cast=Cast.VARIED), **changes)  # type: ignore[arg-type]
    return list(simulate(spec, TEXTS, seed))


def said(axes: Axes, count: int = 60) -> list[tuple[str, list[str]]]:
    """System text and the user's messages of requests of one such group."""
    actor: Actor = replace(axes.actor(Random(1)), kind="campaign:x", mixing=0.0)
    rng, queue = Random(2), list[str]()
    sent = [compose(actor, SOMEBODY, False, SPEECH, queue, rng) for _ in range(count)]
    return [(each.system, list(each.turns) or [each.user]) for each in sent]


def test_a_world_has_just_the_rows_asked_for_and_the_same_for_the_same_seed() -> None:
    first, again, other = world(1), world(1), world(2)
    assert len(first) == 6000
    assert first == again
    assert first != other


def test_campaigns_go_round_and_every_look_alike_is_there() -> None:
    kinds = Counter(event.kind for event in world(3, campaigns=2))
    assert {kind for kind in kinds if kind.startswith("campaign:")} == {"campaign:template", "campaign:wrapper"}
    assert {kind for kind in kinds if kind.startswith("benign:")} == {
        f"benign:{name}" for name in LOOK_ALIKES_VARIED
    }
    named = {event.kind for event in world(3, recipes=("swap", "swap"), look_alikes=("judges",))}
    assert named == {"background", "campaign:swap", "campaign:swap-2", "benign:judges"}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(BadSettings, match="there is no campaign 'nobody'; known are template, wrapper"):
        world(1, recipes=("nobody",))


def test_look_alikes_send_no_more_than_the_share_asked_for() -> None:
    def share(wanted: float) -> float:
        rows = world(5, campaigns=0, look_alike_share=(wanted, wanted))
        return sum(each.kind.startswith("benign:") for each in rows) / len(rows)

    assert 0.2 < share(0.6) <= 0.6  # a good part of their events is ordinary
    assert share(0.2) < 0.75 * share(0.6)
    with pytest.raises(BadSettings, match=r"within \[0, 1\), not \(0.5, 0.2\)"):
        WorldSpec(look_alike_share=(0.5, 0.2))


def test_the_small_campaign_is_as_small_as_it_is() -> None:
    accounts = Counter(e.row["account_id"] for e in world(5, recipes=("small",)) if e.kind == "campaign:small")
    assert len(accounts) == 12
    assert accounts.total() == pytest.approx(180, rel=0.15)


def test_some_worlds_lack_fields_for_everybody() -> None:
    seed = next(seed for seed in range(100) if missing_fields(seed) == ("payment_id",))
    assert not any("payment_id" in event.row for event in world(seed))
    assert {missing_fields(seed) for seed in range(100)} > {(), ("payment_id",)}


def test_meetings_are_small_families_of_the_same_accounts() -> None:
    events = [event for event in world(4, recipes=("meetings",)) if event.kind == "campaign:meetings"]
    families: dict[str, set[str]] = defaultdict(set)
    for event in events:
        text = event.row.get("prompt") or event.row["messages"][-1]["content"]
        families[" ".join(text.split()[:8])].add(event.row["account_id"])
    assert 3 < len(events) / len(families) < 8
    assert len(families) > 30


@pytest.mark.parametrize("name", sorted(CAMPAIGNS))
def test_every_campaign_can_be_planted(name: str) -> None:
    kinds = Counter(event.kind for event in world(6, recipes=(name,), look_alikes=()))
    assert kinds[f"campaign:{name}"] >= 100


@pytest.mark.parametrize(("level", "distinct"), [(0, (1, 1)), (1, (2, 60)), (2, (10, 60)), (3, (20, 60))])
def test_the_level_of_paraphrase_says_how_many_wordings_there_are(level: int, distinct: tuple[int, int]) -> None:
    rng = Random(7)
    one = phrasing(rng, "reasoning", (40, 60), level)
    wordings = {" ".join(one.say(rng)) for _ in range(60)}
    assert distinct[0] <= len(wordings) <= distinct[1]


def test_clauses_in_any_order_are_the_same_clauses() -> None:
    rng = Random(8)
    one = phrasing(rng, "agentic", (50, 80), 0, reorder=True)
    orders = [one.say(rng) for _ in range(20)]
    assert len({tuple(order) for order in orders}) > 10
    assert len({frozenset(order) for order in orders}) == 1


def test_fillers_are_strewn_in_at_their_rate() -> None:
    rng = Random(9)
    plain = phrasing(Random(9), "grading", (40, 60), 0)
    strewn = replace(plain, filler=0.2)
    words = len(" ".join(plain.say(rng)).split())
    counts = [len(" ".join(strewn.say(rng)).split()) for _ in range(100)]
    assert 1.15 < sum(counts) / len(counts) / words < 1.35  # some fillers are two words


def test_brief_wrappers_have_five_to_eight_words() -> None:
    rng = Random(10)
    lengths = {len(" ".join(brief(rng).say(rng)).split()) for _ in range(200)}
    assert lengths <= {5, 6, 7, 8}


def test_an_instruction_in_chinese_is_in_chinese() -> None:
    text = "".join(foreign(Random(1), "zh", 0).say(Random(2)))
    assert sum("\u4e00" <= letter <= "\u9fff" for letter in text) > 0.6 * len(text)


def test_places() -> None:
    axes = Axes(words=(20, 30), fillings=("payload of the day",))
    shown = {place: said(replace(axes, place=place), 1)[0] for place in Place}
    assert shown[Place.HEAD][1][0].endswith("\n\npayload of the day")
    assert shown[Place.TAIL][1][0].startswith("payload of the day\n\n")
    assert "\n\npayload of the day\n\n" in shown[Place.ENDS][1][0]
    assert shown[Place.SYSTEM][1] == ["payload of the day"]
    assert len(shown[Place.SYSTEM][0].split()) >= 15
    assert shown[Place.SPLIT][0]
    assert shown[Place.SPLIT][1][0].endswith("\n\npayload of the day")
    assert shown[Place.TURNS][1][1] == "payload of the day"
    assert len(shown[Place.TURNS][1]) == 3


@pytest.mark.parametrize("share", [(0.02, 0.05), (0.1, 0.2), (0.4, 0.6)])
def test_the_fixed_share_of_words_is_as_asked(share: tuple[float, float]) -> None:
    axes = Axes(words=(20, 40), skeleton=share)
    fixed = " ".join(axes.script(Random(1)).phrasings[0].say(Random(1)))
    for _, turns in said(axes, 20):
        words = len(tokens(canonical(turns[0])))
        assert 0.5 * share[0] < len(tokens(canonical(fixed))) / words < 1.3 * share[1]


def test_several_messages_are_sent_as_a_conversation() -> None:
    rows = [e.row for e in world(2, recipes=("messages",)) if e.kind == "campaign:messages"]
    roles = [message["role"] for message in rows[0]["messages"] if message["role"] != "system"]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_halves_cut_a_single_sentence_in_its_middle() -> None:
    assert halves(["one two three"]) == (["one two"], ["three"])
    assert halves(["a", "b", "c"]) == (["a", "b"], ["c"])


def test_attackers_differ_from_seed_to_seed() -> None:
    drawn = [attacker(Random(seed), 1.0) for seed in range(200)]
    assert min(each.accounts for each in drawn) < 45
    assert max(each.accounts for each in drawn) > 300
    assert {each.clock for each in drawn} == {Clock.ROUND_THE_CLOCK, Clock.BATCHES, Clock.HUMAN, Clock.DIURNAL}
    assert len({each.load for each in drawn}) == 3
