"""Prompts of a group are about one item if they share most of what few others say, whatever stands round it."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.corpus import distinct
from indexer.grams import token_table
from indexer.items import SAME, items_of, prompt_items
from indexer.runs import MOST_TEXTS
from indexer.views import Words

TEMPLATE = "answer the question below and think aloud about every single step before you do so"


def words(rng: Random, count: int) -> str:
    return " ".join(f"w{rng.getrandbits(40):x}" for _ in range(count))


def tokens_of(texts: list[str]) -> Words:
    role = distinct(texts)
    return Words(role, token_table(role.texts))


def parts(texts: list[str], groups: list[int] | None = None) -> set[frozenset[int]]:
    """The items as sets of places."""
    found = items_of(token_table(texts), np.array(groups or [0] * len(texts)))
    return {frozenset(np.flatnonzero(found == number).tolist()) for number in np.unique(found[found >= 0])}


def dealt(rng: Random, items: int, each: int, chatter: int = 4, length: int = 20) -> list[str]:
    """Every item `each` times in a row, between words that differ."""
    said = [words(rng, length) for _ in range(items)]
    return [f"{words(rng, chatter)} {TEMPLATE} {item} {words(rng, chatter)}" for item in said for _ in range(each)]


def whole(items: int, each: int) -> set[frozenset[int]]:
    return {frozenset(range(each * item, each * (item + 1))) for item in range(items)}


def test_what_is_handed_out_several_times_is_one_item_whatever_chatter_is_round_it() -> None:
    assert parts(dealt(Random(1), 30, 4)) == whole(30, 4)
    assert parts(dealt(Random(1), 30, 4, chatter=12)) == whole(30, 4)


def test_a_text_that_says_an_item_again_and_again_counts_once() -> None:
    rng = Random(9)
    said = [words(rng, 20) for _ in range(30)]
    texts = [f"{TEMPLATE} {item}" for item in said for _ in range(4)]
    again = [" ".join([item] * (MOST_TEXTS + 1)) for item in said]
    assert parts(texts + again) == {frozenset([*range(4 * item, 4 * item + 4), 120 + item]) for item in range(30)}


def test_words_of_the_template_make_no_item_however_they_are_put() -> None:
    """Two wordings of each sentence: every combination is rare, but none of its parts."""
    rng = Random(2)
    sentences = [(words(rng, 7), words(rng, 7)) for _ in range(4)]
    items = [words(rng, 20) for _ in range(40)]
    texts = [f"{' '.join(map(rng.choice, sentences))} {item}" for item in items for _ in range(4)]
    assert parts(texts) == whole(40, 4)


def test_a_shared_sentence_makes_no_item() -> None:
    rng = Random(3)
    quoted = words(rng, 10)
    texts = [f"{TEMPLATE} {words(rng, 30)}" for _ in range(40)]
    texts[3], texts[7] = f"{texts[3]} {quoted}", f"{texts[7]} {quoted}"
    assert len(parts(texts)) == 40


def test_what_more_texts_share_than_do_a_task_is_template() -> None:
    rng = Random(4)
    assert len(parts([f"{TEMPLATE} {words(rng, 3)}" for _ in range(MOST_TEXTS)])) == 1
    assert len(parts([f"{TEMPLATE} {words(rng, 3)}" for _ in range(MOST_TEXTS + 1)])) == MOST_TEXTS + 1


def test_short_items_are_told_by_all_of_their_words() -> None:
    rng = Random(5)
    texts = [f"{words(rng, 2)} {TEMPLATE} {n % 10}" for n in range(30)]
    alone = [f"{TEMPLATE} number {n // 3}" for n in range(30)]
    assert len(parts(texts)) == 30  # what differs is mostly chatter
    assert parts(alone) == whole(10, 3)


def test_a_prompt_that_is_all_template_is_about_nothing() -> None:
    rng = Random(6)
    texts = [TEMPLATE, *(f"{TEMPLATE} {words(rng, 9)}" for _ in range(MOST_TEXTS))]
    found = items_of(token_table(texts), np.zeros(len(texts), np.int64))
    assert found[0] == -1
    assert len(set(found.tolist())) == len(texts)


def test_groups_are_not_compared_and_ungrouped_texts_are_about_nothing() -> None:
    rng = Random(7)
    item = words(rng, 20)
    texts = [f"{item} {words(rng, 3)}" for _ in range(6)]
    assert parts(texts, [0, 0, 1, 1, -1, -1]) == {frozenset({0, 1}), frozenset({2, 3})}


def test_scripts_without_spaces_have_items_too() -> None:
    first, second = (
        "请把下面这段话改写成更加正式的书面语并说明理由",
        "用三种不同的方法解释为什么天空在白天是蓝色的",
    )
    assert parts([f"{first}甲乙", f"丙丁{first}", second]) == {frozenset({0, 1}), frozenset({2})}


def test_of_long_texts_the_same_runs_are_looked_at() -> None:
    assert parts(dealt(Random(8), 30, 4, length=2000)) == whole(30, 4)


def test_prompts_have_the_item_of_their_text_and_none_without_text() -> None:
    rng = Random(6)
    item = words(rng, 20)
    texts = [f"{item} please", "", f"{item} thanks", f"{item} please", words(rng, 20), f"{item} please"]
    found = prompt_items(tokens_of(texts), np.array([0, 0, 0, 0, 0, -1]))
    assert found[1] == found[5] == -1
    assert found[0] == found[2] == found[3] != found[4]
    assert prompt_items(tokens_of(["", ""]), np.array([0, 0])).tolist() == [-1, -1]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=14), min_size=1, max_size=12))
def test_items_equal_those_of_a_plain_loop(said: list[list[str]]) -> None:
    """So few texts have no template."""
    texts = [" ".join(each) for each in said]
    runs = [
        {tuple(each[at : at + 8]) for at in range(len(each) - 7)} if len(each) >= 8 else {tuple(each)}
        for each in said
    ]
    item = list(range(len(said)))
    for one in range(len(said)):
        for other in range(one):
            shared = len(runs[one] & runs[other])
            if shared and shared >= SAME * min(len(runs[one]), len(runs[other])):
                item = [item[one] if each == item[other] else each for each in item]
    expected = {frozenset(n for n, each in enumerate(item) if each == number) for number in set(item)}
    assert parts(texts) == expected
