"""Prompts of a group are about one item if they share most of what few others say, whatever stands round it."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.grams import token_table
from indexer.items import items_of, prompt_items
from indexer.runs import MOST_TEXTS
from indexer.views import words_of

TEMPLATE = "answer the question below and think aloud about every single step before you do so"


def words(rng: Random, count: int) -> str:
    return " ".join(f"w{rng.getrandbits(40):x}" for _ in range(count))


def parts(texts: list[str], groups: list[int] | None = None, budget: int = 10**9) -> set[frozenset[int]]:
    """The items as sets of places."""
    found = items_of(token_table(texts), np.array(groups or [0] * len(texts)), budget)
    return {frozenset(np.flatnonzero(found == number).tolist()) for number in np.unique(found)}


def dealt(rng: Random, items: int, each: int) -> list[str]:
    """Every item `each` times in a row, between words that differ."""
    said = [words(rng, 20) for _ in range(items)]
    return [f"{words(rng, 4)} {TEMPLATE} {item} {words(rng, 4)}" for item in said for _ in range(each)]


def test_what_is_handed_out_several_times_is_one_item_whatever_chatter_is_round_it() -> None:
    rng = Random(1)
    assert parts(dealt(rng, 30, 4)) == {frozenset(range(4 * item, 4 * item + 4)) for item in range(30)}


def test_a_template_and_a_shared_sentence_make_no_item() -> None:
    rng = Random(2)
    quoted = words(rng, 10)
    texts = [f"{TEMPLATE} {words(rng, 30)}" for _ in range(40)]
    texts[3], texts[7] = f"{texts[3]} {quoted}", f"{texts[7]} {quoted}"
    assert len(parts(texts)) == 40


def test_what_more_texts_share_than_do_a_task_is_template() -> None:
    rng = Random(3)
    for count, items in ((MOST_TEXTS, 1), (MOST_TEXTS + 1, MOST_TEXTS + 1)):
        assert len(parts([f"{TEMPLATE} {words(rng, 3)}" for _ in range(count)])) == items


def test_groups_are_not_compared_and_ungrouped_texts_stand_alone() -> None:
    rng = Random(4)
    item = words(rng, 20)
    texts = [f"{item} {words(rng, 3)}" for _ in range(6)]
    assert parts(texts, [0, 0, 1, 1, -1, -1]) == {frozenset(each) for each in ((0, 1), (2, 3), (4,), (5,))}


def test_scripts_without_spaces_have_items_too() -> None:
    first, second = (
        "请把下面这段话改写成更加正式的书面语并说明理由",
        "用三种不同的方法解释为什么天空在白天是蓝色的",
    )
    assert parts([f"{first}甲乙", f"丙丁{first}", second]) == {frozenset({0, 1}), frozenset({2})}


def test_groups_that_do_not_fit_together_are_looked_at_one_after_the_other() -> None:
    texts = dealt(Random(7), 12, 3)
    groups = [item // 4 for item in range(12) for _ in range(3)]
    assert parts(texts, groups, budget=600) == parts(texts, groups) == parts(texts)
    assert len(parts(texts)) == 12


def test_a_long_table_is_sampled_by_what_is_said_so_items_stay_whole() -> None:
    texts = dealt(Random(5), 30, 4)
    few = parts([text + " " + words(Random(n // 4), 200) for n, text in enumerate(texts)], budget=3000)
    assert few == {frozenset(range(4 * item, 4 * item + 4)) for item in range(30)}


def test_prompts_have_the_item_of_their_text_and_none_without_text() -> None:
    rng = Random(6)
    item = words(rng, 20)
    texts = [f"{item} please", "", f"{item} thanks", f"{item} please", words(rng, 20)]
    found = prompt_items(words_of(texts), np.array([0, 0, 0, 0, 0]))
    assert found[1] == -1
    assert found[0] == found[2] == found[3] != found[4]
    assert prompt_items(words_of(["", ""]), np.array([0, 0])).tolist() == [-1, -1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=14), min_size=1, max_size=12))
def test_items_equal_those_of_a_plain_loop(said: list[list[str]]) -> None:
    texts = [" ".join(each) for each in said]
    runs = [{tuple(each[at : at + 8]) for at in range(len(each) - 7)} for each in said]
    held = {run: sum(run in own for own in runs) for own in runs for run in own}
    rare = [{run for run in own if held[run] <= MOST_TEXTS} for own in runs]
    item = list(range(len(said)))
    for one in range(len(said)):
        for other in range(one):
            shared = len(rare[one] & rare[other])
            if shared and 2 * shared >= min(len(rare[one]), len(rare[other])):
                item = [item[one] if each == item[other] else each for each in item]
    expected = {frozenset(n for n, each in enumerate(item) if each == number) for number in set(item)}
    assert parts(texts) == expected
