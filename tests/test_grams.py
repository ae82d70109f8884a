"""Hot grams against a dictionary of sets."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import grams
from indexer.grams import (
    GRAM_TOKENS,
    HotGrams,
    expected_units,
    found_in,
    gram_hashes,
    no_grams,
    token_hashes,
    token_table,
)
from indexer.hot_grams import hot_counts
from indexer.occurrences import gram_hash as compiled_gram_hash
from indexer.senders import senders
from models.text import tokens

Events = list[tuple[int, int]]  # index of the text, unit
WORDS = st.sampled_from("abcd")


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[str], Events]:
    """Texts of few different words, so that grams recur, and events that send them."""
    texts = draw(st.lists(st.lists(WORDS, max_size=9).map(" ".join), min_size=1, max_size=8))
    event = st.tuples(st.integers(0, len(texts) - 1), st.integers(0, 4))
    return texts, draw(st.lists(event, max_size=20))


def hot_by_sets(texts: list[str], events: Events, min_texts: int, min_units: int) -> list[int]:
    """What `hot_grams` must give, slowly."""
    units_of_text: dict[int, set[int]] = defaultdict(set)
    for text, unit in events:
        units_of_text[text].add(unit)
    texts_of: dict[tuple[str, ...], set[int]] = defaultdict(set)
    units_of: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number, text in enumerate(texts):
        words = tokens(text)
        for start in range(len(words) - GRAM_TOKENS + 1):
            gram = tuple(words[start : start + GRAM_TOKENS])
            texts_of[gram].add(number)
            units_of[gram] |= units_of_text[number]
    hot = [g for g in texts_of if len(texts_of[g]) >= min_texts and len(units_of[g]) >= min_units]
    return sorted(gram_hash(" ".join(gram)) for gram in hot)


def gram_hash(text: str) -> int:
    """Hash of a text of exactly one gram."""
    (only,) = gram_hashes(token_hashes(text), GRAM_TOKENS)
    return int(only)


def hot(texts: list[str], events: Events, min_texts: int, min_units: int, budget: int = 50_000_000) -> list[int]:
    rows = np.array(events, np.int64).reshape(-1, 2)
    sent_by = senders(rows[:, 0], rows[:, 1], len(texts))
    found: list[int] = hot_counts(token_table(texts), sent_by, min_texts, min_units, budget).hashes.tolist()
    return found


@settings(deadline=None)  # the first call compiles
@given(corpora(), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2, 7, 50_000_000]))
def test_hot_grams_equal_the_slow_twin(
    corpus: tuple[list[str], Events], min_texts: int, min_units: int, budget: int
) -> None:
    texts, events = corpus
    assert hot(texts, events, min_texts, min_units, budget) == hot_by_sets(texts, events, min_texts, min_units)


@settings(max_examples=30)
@given(corpora())
def test_chunks_make_no_odds(corpus: tuple[list[str], Events]) -> None:
    texts, events = corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grams, "_CHUNK_TOKENS", 3)
        table = token_table(texts)
        chunks = list(table.chunks())
        assert [text for first, last in chunks for text in range(first, last)] == list(range(len(texts)))
        assert hot(texts, events, 2, 2) == hot_by_sets(texts, events, 2, 2)


def test_one_viral_prompt_is_not_hot() -> None:
    texts = ["tell me the grandma story please", "what is the capital of france"]
    events = [(0, unit) for unit in range(500)] + [(1, 0)]
    assert hot(texts, events, min_texts=2, min_units=2) == []


def test_many_prompts_of_one_unit_are_not_hot() -> None:
    texts = [f"summarise this support ticket number {number}" for number in range(50)]
    assert hot(texts, [(text, 7) for text in range(50)], min_texts=2, min_units=2) == []


def test_a_gram_of_many_prompts_and_units_is_hot() -> None:
    texts = [f"summarise this support ticket {number}" for number in range(8)] + ["summarise this support ticket"]
    events = [(text, text) for text in range(8)]
    assert hot(texts, events, min_texts=8, min_units=8) == [gram_hash("summarise this support ticket")]
    assert hot(texts, events, min_texts=8, min_units=9) == []
    assert hot(texts, events, min_texts=9, min_units=8) == [gram_hash("summarise this support ticket")]
    assert hot(texts, events, min_texts=10, min_units=8) == []


def test_a_gram_repeated_within_one_text_counts_once() -> None:
    assert hot(["go on and on go on and on"], [(0, 0), (0, 1)], min_texts=2, min_units=1) == []


def test_no_gram_runs_from_one_text_into_the_next() -> None:
    texts = ["a b", "c d", "a b", "c d"]
    assert hot(texts, [(text, text) for text in range(4)], 1, 1) == []


def test_an_empty_corpus_has_no_hot_grams() -> None:
    assert hot([], [], 1, 1) == []
    assert hot(["", "one two"], [], 1, 1) == []


def test_senders_are_distinct_units_in_the_order_of_the_texts() -> None:
    sent_by = senders(np.array([2, 0, 2, 2, 0]), np.array([5, 9, 4, 5, 9]), 4)
    assert sent_by.units.tolist() == [9, 4, 5]
    assert sent_by.offsets.tolist() == [0, 1, 1, 3, 3]


def test_hashes_are_the_same_in_every_process() -> None:
    hashes = token_hashes("write a poem about 你好")
    assert hashes.tolist() == [
        0x3EC2AD5C308C53DA,
        0xE6C632B61E964E1F,
        0x99DB2FAB20A92A0A,
        0xCACC05C646186E3E,
        0x8B6494EBD56EA514,
        0x14984F62C286ED2D,
    ]
    assert gram_hashes(hashes, 4).tolist() == [0x56E16885375C134A, 0xBD6BB4C5585C0A5A, 0xD6F1E59924F415F3]


def test_a_gram_hash_depends_on_the_order_of_words() -> None:
    assert gram_hash("a b c d") != gram_hash("a b d c")
    assert gram_hashes(token_hashes("a b c"), GRAM_TOKENS).tolist() == []


def test_a_table_flags_unspaced_characters() -> None:
    table = token_table(["plain words", "用 python 写", ""])
    assert table.unspaced.tolist() == [False, False, True, False, True]
    assert table.offsets.tolist() == [0, 2, 5, 5]
    assert table.hashes.tolist() == token_hashes("plain words 用 python 写").tolist()


def test_found_in_looks_hashes_up() -> None:
    known = HotGrams(np.array([3, 9, 2**64 - 1], np.uint64), np.array([False, True, False]))
    hot, deep = found_in(known, np.array([0, 3, 4, 9, 10, 2**64 - 1], np.uint64))
    assert hot.tolist() == [False, True, False, True, False, True]
    assert deep.tolist() == [False, False, False, True, False, False]
    assert found_in(no_grams(), np.array([3], np.uint64))[0].tolist() == [False]


def test_words_that_few_units_repeat_are_deep_and_everyday_ones_are_not() -> None:
    wrapped = [f"now think in small steps {number}" for number in range(40)]
    everyday = [f"what is the best way {number}" for number in range(40)]
    others = [f"{number} {number} {number} {number} {number}" for number in range(100, 220)]
    texts = [*wrapped, *everyday, *others]
    units = [number % 8 for number in range(40)] + list(range(40, 80)) + list(range(80, 200))
    events = list(zip(range(len(texts)), units, strict=True))
    sent_by = senders(*np.array(events).T, len(texts))
    found = hot_counts(token_table(texts), sent_by, 8, 8)
    deep = dict(zip(found.hashes.tolist(), found.deep.tolist(), strict=True))
    assert deep[gram_hash("now think in small")]
    assert deep[gram_hash("think in small steps")]
    assert not deep[gram_hash("what is the best")]
    assert not deep[gram_hash("is the best way")]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 500))
def test_expected_units_equal_the_sum_over_units(activity: list[int], draws: int) -> None:
    shares = np.array(activity) / sum(activity)
    exact = float((1 - np.exp(-draws * shares)).sum())
    assert expected_units(np.array([draws]), np.array(activity))[0] == pytest.approx(exact, rel=1e-6)


def test_a_gram_hashed_in_compiled_code_is_the_same() -> None:
    hashes = token_hashes("to be or not to be that is the question")
    assert [compiled_gram_hash(hashes, at, GRAM_TOKENS) for at in range(7)] == gram_hashes(
        hashes, GRAM_TOKENS
    ).tolist()
