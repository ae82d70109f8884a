"""Pools without a template are seen by who keeps meeting whom; strangers and audiences are not."""

from itertools import accumulate, combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_groups import corpus_of

from indexer.corpus import Corpus, distinct
from indexer.grams import TokenTable, token_table
from indexer.meetings import Share, acquaintances, meeting_prompts, meetings
from indexer.runs import MOST_TEXTS, SHARED_TOKENS
from indexer.senders import senders
from indexer.shared_runs import shared_runs
from models.text import is_unspaced, tokens

Sent = list[tuple[int, str]]  # unit and text of each event


def words(rng: Random, count: int) -> str:
    return " ".join(f"w{rng.getrandbits(40):x}" for _ in range(count))


def strangers(rng: Random, first: int = 1000, count: int = 300) -> Sent:
    """People of whom some share a passage now and then."""
    shared = [words(rng, 10) for _ in range(80)]
    return [
        (first + unit, f"{rng.choice(shared)} {words(rng, 6)}" if rng.random() < 0.3 else words(rng, 12))
        for unit in range(count)
        for _ in range(5)
    ]


def queue(rng: Random, units: range, tasks: int, each: int = 4) -> Sent:
    """A pool that works off unlike tasks, each given to a few of its accounts, in words of their own."""
    sent = []
    for _ in range(tasks):
        task = words(rng, 10)
        sent += [(unit, f"{words(rng, 3)} {task} {words(rng, 3)}") for unit in rng.sample(units, each)]
    return sent


def world(sent: Sent) -> tuple[Corpus, list[str]]:
    """A corpus in which every event's prompt is its text."""
    texts = sorted({text for _, text in sent})
    place = {text: number for number, text in enumerate(texts)}
    return corpus_of(len(texts), [(place[text], unit) for unit, text in sent]), texts


def sharing(table: TokenTable) -> Share:
    """Gives the pairs of chosen texts that share a run."""
    return lambda chosen: shared_runs(table, chosen).pairs


def found(sent: Sent, free: np.ndarray | None = None) -> list[set[str]]:  # type: ignore[type-arg]
    corpus, texts = world(sent)
    role = distinct(texts)
    chosen = np.ones(len(texts), bool) if free is None else free
    return [
        {texts[row] for row in rows}
        for rows in meeting_prompts(corpus, role, chosen, sharing(token_table(role.texts)))
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_pool_that_works_off_a_queue_is_found_with_all_its_tasks(seed: int) -> None:
    rng = Random(seed)
    pool = queue(rng, range(30), 120)
    (prompts,) = found(strangers(rng) + pool)
    assert prompts <= {text for _, text in pool}
    assert len(prompts) >= 0.95 * len(pool)


@pytest.mark.parametrize(("tasks", "each"), [(240, 4), (800, 4), (120, 8), (120, 12), (60, 18)])
def test_a_pool_that_works_harder_is_found_as_well(tasks: int, each: int) -> None:
    rng = Random(7)
    pool = queue(rng, range(30), tasks, each)
    for crowd in (strangers(rng, count=3000), [(1000 + unit % 3000, words(rng, 12)) for unit in range(15_000)]):
        (prompts,) = found(crowd + pool)
        assert prompts <= {text for _, text in pool}
        assert len(prompts) >= 0.95 * len(pool)


@pytest.mark.parametrize("seed", range(5))
def test_two_pools_are_two(seed: int) -> None:
    rng = Random(seed)
    one, other = queue(rng, range(30), 120), queue(rng, range(50, 70), 80)
    first, second = sorted(found(strangers(rng) + other + one), key=len, reverse=True)
    assert first <= {text for _, text in one}
    assert second <= {text for _, text in other}
    assert len(first | second) >= 0.95 * (len(one) + len(other))


def test_a_prompt_of_two_pools_belongs_to_the_one_that_sent_it_oftener_whoever_came_first() -> None:
    rng = Random(11)
    crowd, one, other = strangers(rng), queue(rng, range(30), 120), queue(rng, range(50, 70), 80)
    contested = words(rng, 9)
    both = [(unit, contested) for unit in (0, 1, 2, 50, 51)]
    sent = crowd + one + other + both
    pools = found(sent)
    assert [contested in prompts for prompts in sorted(pools, key=len)] == [False, True]
    assert found([(5000 - unit, text) for unit, text in sent]) == pools


@pytest.mark.parametrize("seed", range(5))
def test_strangers_are_no_pool(seed: int) -> None:
    assert found(strangers(Random(seed))) == []


def test_a_handful_of_colleagues_is_no_pool() -> None:
    rng = Random(1)
    assert found(strangers(rng) + queue(rng, range(8), 60)) == []
    assert len(found(strangers(rng) + queue(rng, range(12), 60))) == 1


def test_an_audience_of_one_text_is_no_pool() -> None:
    """Ten people share one long text, in pieces of their own: however long it is, they met once."""
    rng = Random(2)
    text = words(rng, 200)
    assert found(strangers(rng) + [(unit, f"{text} {words(rng, 4)}") for unit in range(10)]) == []


@pytest.mark.parametrize("seed", range(3))
def test_heavy_senders_of_popular_prompts_are_no_pool(seed: int) -> None:
    """Eighty who send fifteen times what others do share prompts again and again, as they would by chance."""
    rng = Random(seed)
    popular = [words(rng, 9) for _ in range(4000)]
    liked = list(accumulate((place + 3) ** -0.8 for place in range(len(popular))))
    sent = [
        (unit, rng.choices(popular, cum_weights=liked)[0] if rng.random() < 0.5 else words(rng, 9))
        for unit, count in enumerate([100] * 80 + [7] * 3000)
        for _ in range(count)
    ]
    assert found(sent) == []


def test_a_few_that_meet_all_day_do_not_hide_others() -> None:
    """Nine accounts send sixty texts, twenty of one passage: more meetings than all others have."""
    rng = Random(1)
    pool = queue(rng, range(30), 120)
    decoy = []
    for _ in range(3):
        passage = words(rng, 12)
        for text in (f"{words(rng, 3)} {passage} {words(rng, 3)}" for _ in range(20)):
            decoy += [(5000 + account, text) for account in range(9)]
    (prompts,) = found(strangers(rng) + pool + decoy)
    assert len(prompts & {text for _, text in pool}) >= 0.95 * len(pool)


@pytest.mark.parametrize("accounts", [100, 400])
def test_a_pool_does_not_hide_another(accounts: int) -> None:
    rng = Random(1)
    pool = queue(rng, range(30), 120)
    decoy = [
        (5000 + each, text)
        for text in (words(rng, 12) for _ in range(3 * accounts // 5))
        for each in rng.sample(range(accounts), 20)
    ]
    mine = {text for _, text in pool}
    assert max(len(prompts & mine) for prompts in found(strangers(rng) + pool + decoy)) >= 0.95 * len(mine)


@pytest.mark.parametrize("puppets", [3, 8])
def test_a_few_who_send_all_there_is_make_no_pool_of_those_who_send_some_of_it(puppets: int) -> None:
    rng = Random(2)
    library = [words(rng, 12) for _ in range(500)]
    readers = [(unit, text) for unit in range(150) for text in rng.sample(library, 3)]
    everything = [(9000 + puppet, text) for puppet in range(puppets) for text in library]
    assert found(strangers(rng, count=2000) + readers + everything) == []


@pytest.mark.parametrize("seed", range(10))
def test_common_acquaintances_equal_those_counted_one_by_one(seed: int) -> None:
    dice = np.random.default_rng(seed)
    units = int(dice.integers(3, 60))
    every = np.array(list(combinations(range(units), 2)))
    known = every[dice.random(len(every)) < dice.random()]
    friends = [set(known[(known == unit).any(axis=1)].ravel().tolist()) - {unit} for unit in range(units)]
    assert acquaintances(known, units).tolist() == [len(friends[a] & friends[b]) for a, b in known.tolist()]


def test_whoever_knows_everybody_costs_no_more_than_the_pairs() -> None:
    star = np.stack([np.zeros(200_000, np.int64), np.arange(1, 200_001)], axis=1)
    assert not acquaintances(star, 200_001).any()


def test_what_goes_round_among_many_is_no_meeting() -> None:
    rng = Random(3)
    footers = [words(rng, 10) for _ in range(4)]
    assert found([(unit, f"{words(rng, 4)} {footer}") for unit in range(40) for footer in footers]) == []


def test_the_same_task_word_for_word_is_a_meeting() -> None:
    rng = Random(4)
    pool = [(unit, task) for task in (words(rng, 9) for _ in range(100)) for unit in rng.sample(range(25), 4)]
    (prompts,) = found(strangers(rng) + pool)
    assert prompts == {text for _, text in pool}


def test_prompts_that_are_taken_do_not_count() -> None:
    rng = Random(5)
    pool = queue(rng, range(30), 120)
    sent = strangers(rng) + pool
    _, texts = world(sent)
    taken = {text for _, text in pool}
    assert found(sent, np.array([text not in taken for text in texts])) == []


def test_a_character_of_an_unspaced_script_is_not_a_word() -> None:
    rng = Random(6)

    def characters(count: int) -> str:
        return "".join(chr(0x4E00 + rng.randrange(8000)) for _ in range(count))

    def pool(shared: int) -> Sent:
        tasks = [characters(shared) for _ in range(120)]
        return [
            (unit, characters(9) + task + characters(9)) for task in tasks for unit in rng.sample(range(30), 4)
        ]

    assert is_unspaced(characters(1))
    assert found(strangers(rng) + pool(SHARED_TOKENS + 2)) == []
    assert len(found(strangers(rng) + pool(20))) == 1


def test_a_prompt_without_words_belongs_to_no_pool() -> None:
    """Its sender's number comes right behind that of a unit of the pool."""
    rng = Random(8)
    pool = queue(rng, range(30), 120)
    (prompts,) = found([*strangers(rng), *pool, (30, "")])
    assert prompts <= {text for _, text in pool}


def test_nothing_meets_in_an_empty_world() -> None:
    corpus, texts = world([])
    assert meeting_prompts(corpus, distinct(texts), np.zeros(0, bool), sharing(token_table([]))) == []


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=0, max_size=14), min_size=1, max_size=14),
    st.lists(st.tuples(st.integers(0, 13), st.integers(0, 5)), max_size=30),
)
def test_meetings_equal_a_search_by_hand(numbers: list[list[int]], sent: list[tuple[int, int]]) -> None:
    texts = sorted({" ".join(f"w{number // 2}" for number in each) for each in numbers})
    rows = np.array([(text % len(texts), unit) for text, unit in sent], np.int64).reshape(len(sent), 2)
    sent_by = senders(rows[:, 0], rows[:, 1], len(texts))
    senders_of = {text: set(rows[rows[:, 0] == text, 1].tolist()) for text in range(len(texts))}
    runs: dict[tuple[str, ...], set[int]] = {}
    for text, said in enumerate(texts):
        if senders_of[text]:
            split = tokens(said)
            for place in range(len(split) - SHARED_TOKENS + 1):
                runs.setdefault(tuple(split[place : place + SHARED_TOKENS]), set()).add(text)
    pairs = {
        pair for held in runs.values() if 1 < len(held) <= MOST_TEXTS for pair in combinations(sorted(held), 2)
    }
    pairs |= {(text, text) for text in senders_of}
    expected = {
        (a, b, one if a == first else other, other if a == first else one)
        for one, other in pairs
        if len(senders_of[one]) <= MOST_TEXTS and len(senders_of[other]) <= MOST_TEXTS
        for first in senders_of[one]
        for second in senders_of[other]
        if first != second
        for a, b in [sorted((first, second))]
    }
    met = meetings(sent_by, sharing(token_table(texts)))
    columns = (met.first, met.second, met.first_text, met.second_text)
    assert sorted(zip(*(each.tolist() for each in columns), strict=True)) == sorted(expected)
