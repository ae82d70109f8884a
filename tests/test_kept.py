"""Recurring tokens of a corpus in compiled code, against numpy."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.grams import GRAM_TOKENS, HotGrams, no_grams, token_table
from indexer.kept import kept_in_corpus
from indexer.recurring import kept_tokens
from indexer.sample import load_texts
from models.text import canonical


@settings(deadline=None, max_examples=300)
@given(
    texts=st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "你"]), max_size=24).map(" ".join), max_size=6),
    seed=st.integers(0, 2**32 - 1),
    hot_share=st.sampled_from([0.1, 0.5, 0.9]),
    deep_share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_compiled_equals_numpy(texts: list[str], seed: int, hot_share: float, deep_share: float) -> None:
    table = token_table(texts)
    rng = np.random.default_rng(seed)
    every = np.unique(table.occurrences(0, len(table), GRAM_TOKENS)[0])
    hashes = every[rng.random(len(every)) < hot_share]
    hot = HotGrams(hashes, rng.random(len(hashes)) < deep_share)
    np.testing.assert_array_equal(kept_in_corpus(table, hot), kept_tokens(table, hot))


def test_real_prompts() -> None:
    texts = [canonical(each.text) for each in load_texts().background[:400]]
    texts += [
        f"{Random(seed).random()} you are a strict examiner of essays {text}" for seed, text in enumerate(texts)
    ]
    table = token_table(texts)
    grams, counts = np.unique(table.occurrences(0, len(table), GRAM_TOKENS)[0], return_counts=True)
    hot = HotGrams(grams[counts > 1], counts[counts > 1] > 3)
    kept = kept_in_corpus(table, hot)
    assert 0.05 < kept.mean() < 0.95
    np.testing.assert_array_equal(kept, kept_tokens(table, hot))


def test_nothing_is_hot() -> None:
    assert kept_in_corpus(token_table(["a b c d e f g h"]), no_grams()).tolist() == [False] * 8
    assert kept_in_corpus(token_table([]), no_grams()).tolist() == []
