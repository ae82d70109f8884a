"""The template is recovered wherever it stands, and nothing else is."""

from random import Random

import numpy as np
import pytest

from indexer.grams import HotGrams, no_grams, token_table
from indexer.hot_grams import hot_counts
from indexer.recurring import kept_tokens, recurring_text, recurring_texts
from indexer.sample import load_texts
from indexer.senders import senders
from models.text import canonical

HEAD = "explain your reasoning step by step and end with the answer"
TAIL = "write the final result between double brackets on the last line"
CHINESE = "请一步一步地思考并在最后给出答案"
PROMPTS = 20


def payloads(seed: int, words: int = 15) -> list[str]:
    """Different texts without a word in common with anything."""
    rng = Random(seed)
    return [" ".join(f"w{rng.getrandbits(60):x}" for _ in range(words)) for _ in range(PROMPTS)]


def han_payloads(seed: int) -> list[str]:
    rng = Random(seed)
    return ["".join(chr(rng.randrange(0x5000, 0x9000)) for _ in range(40)) for _ in range(PROMPTS)]


def hot_of(texts: list[str]) -> HotGrams:
    """Hot grams when each text comes from a unit of its own."""
    each = np.arange(len(texts))
    return hot_counts(token_table(texts), senders(each, each, len(texts)), min_texts=8, min_units=8).grams


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [
        ("{HEAD} {P}", HEAD),
        ("{P} {TAIL}", TAIL),
        ("{HEAD}: {P}. {TAIL}", f"{HEAD} | {TAIL}"),
        ("{P} -- {HEAD} -- {P2}", HEAD),
        ("{HEAD}, {TAIL}; {P}", f"{HEAD}, {TAIL}"),
        ("{P}{CHINESE}", CHINESE),
        ("{CHINESE}{HAN}", CHINESE),
    ],
)
def test_a_wrapper_round_ever_different_payloads_is_recovered(wrapper: str, expected: str) -> None:
    texts = [
        wrapper.format(HEAD=HEAD, TAIL=TAIL, CHINESE=CHINESE, P=one, P2=two, HAN=han)
        for one, two, han in zip(payloads(1), payloads(2), han_payloads(3), strict=True)
    ]
    hot = hot_of(texts)
    assert recurring_texts(texts, token_table(texts), hot) == [expected] * PROMPTS


def test_a_wrapper_is_recovered_behind_a_prefix_of_thousands_of_words() -> None:
    texts = [f"{long} {HEAD} {short}" for long, short in zip(payloads(4, 3000), payloads(5), strict=True)]
    assert recurring_texts(texts, token_table(texts), hot_of(texts)) == [HEAD] * PROMPTS


def test_alone_equals_together() -> None:
    texts = [f"{HEAD} {one} {TAIL}" if number % 3 else one for number, one in enumerate(payloads(6))]
    texts += ["", "short", HEAD, f"{HEAD} {HEAD}"]
    hot = hot_of(texts)
    assert recurring_texts(texts, token_table(texts), hot) == [recurring_text(text, hot) for text in texts]


def test_background_prompts_have_no_recurring_text() -> None:
    wrapped = [f"{HEAD} {one} {TAIL}" for one in payloads(7)]
    background = sorted({canonical(text.text) for text in load_texts().background[:300]})
    hot = hot_of(wrapped + background)
    assert recurring_texts(wrapped, token_table(wrapped), hot) == [f"{HEAD} | {TAIL}"] * PROMPTS
    assert recurring_texts(background, token_table(background), hot) == [""] * len(background)


def test_a_run_of_five_recurring_words_is_an_everyday_phrase() -> None:
    five, six = "what is the best way", "what is the best way to"
    for phrase, expected in ((five, ""), (six, six)):
        texts = [f"{phrase} {one}" for one in payloads(8)]
        assert recurring_text(texts[0], hot_of(texts)) == expected


def test_an_unspaced_character_is_half_a_word() -> None:
    for template, expected in ((CHINESE[:11], ""), (CHINESE[:12], CHINESE[:12])):
        texts = [template + one for one in han_payloads(9)]
        assert recurring_text(texts[0], hot_of(texts)) == expected


def test_runs_of_neighbouring_texts_are_not_added_up() -> None:
    hot = hot_of([f"{one} alpha beta gamma delta" for one in payloads(10)])
    pair = ["alpha beta gamma delta", "alpha beta gamma delta"]
    assert kept_tokens(token_table(pair), hot).tolist() == [False] * 8


def test_without_hot_grams_nothing_recurs() -> None:
    assert recurring_text(HEAD, no_grams()) == ""
    assert recurring_texts([], token_table([]), no_grams()) == []


def deep_hot(texts: list[str], units: int) -> HotGrams:
    """Hot grams when `units` units take turns, among as many prompts of others."""
    others = [" ".join(one.split()[:9]) for seed in range(6) for one in payloads(100 + seed)]
    table = token_table([*texts, *others])
    unit = np.concatenate([np.arange(len(texts)) % units, np.arange(units, units + len(others))])
    return hot_counts(table, senders(np.arange(len(table)), unit, len(table)), min_texts=8, min_units=8).grams


def test_a_wrapper_of_five_words_is_recovered_if_accounts_repeat_it() -> None:
    brief = "think in small steps now"
    texts = [f"{brief} {one}" for seed in range(2) for one in payloads(seed)]
    assert recurring_texts(texts, token_table(texts), deep_hot(texts, 8)) == [brief] * len(texts)
    assert recurring_texts(texts, token_table(texts), hot_of(texts)) == [""] * len(texts)


def test_filler_words_do_not_end_a_deep_run() -> None:
    first, second = "now think in small", "steps and mind the details"
    texts = [f"{first} {second} {one}" for seed in range(2) for one in payloads(seed)]
    hot = deep_hot(texts, 8)
    assert recurring_text(f"{first} {second} basically", hot) == f"{first} {second}"
    assert recurring_text(f"{first} well basically {second}", hot) == f"{first} | {second}"
    assert recurring_text("mind the details", hot) == ""
