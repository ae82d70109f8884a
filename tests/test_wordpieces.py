"""Words taken apart one by one, and remembered, against the whole text taken apart at once."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from indexer import wordpieces
from indexer.sample import load_texts
from indexer.settings import load_settings
from indexer.weights import TOKENIZER, distilled_static, minilm_folder
from indexer.wordpieces import WordPieces
from models.errors import WeightsUnusable

FILES = {
    "minilm": minilm_folder() / TOKENIZER,
    "static": distilled_static(load_settings(None, {}).weights) / TOKENIZER,
}
PIECES = {tier: WordPieces.read(path) for tier, path in FILES.items()}
tiers = pytest.mark.parametrize("tier", FILES)
# Letters that the normaliser drops, splits, folds or joins, and what it takes for special.
ODD = st.sampled_from(
    [
        *" \t\n\u00a0\u200b\u200d\ufeff\u3000",
        *"aÀ\u0300ßΣς你한ｱ😀'-.|#",
        "##",
        "[CLS]",
        "[SEP]",
        "[PAD] ",
        "\x00",
        "\ufffd",
        "\ud800",
    ]
)


def at_once(tier: str, text: str, special: bool) -> list[int]:
    whole = Tokenizer.from_file(str(FILES[tier]))
    whole.no_truncation()
    whole.no_padding()
    return list(whole.encode(text, add_special_tokens=special).ids)


@tiers
@settings(deadline=None, max_examples=300)
@given(text=st.one_of(st.text(), st.lists(ODD).map("".join)))
def test_word_by_word_is_all_at_once(tier: str, text: str) -> None:
    try:
        expected = at_once(tier, text, special=False)
    except (TypeError, UnicodeEncodeError):  # lone surrogates are no text to the library
        with pytest.raises((TypeError, UnicodeEncodeError)):
            PIECES[tier].numbers([text], special=False)
        return
    assert PIECES[tier].numbers([text], special=False) == [expected]
    assert PIECES[tier].numbers([text], special=False) == [expected]  # now from memory
    assert PIECES[tier].numbers([text], special=True) == [at_once(tier, text, special=True)]


@tiers
def test_real_texts_are_taken_apart_alike(tier: str) -> None:
    texts = [each.text for each in load_texts().background[:300]]
    assert PIECES[tier].numbers(texts, special=False) == [at_once(tier, text, special=False) for text in texts]


@tiers
@given(texts=st.lists(st.one_of(st.text("ab \t0é你😀'-"), st.just("")), max_size=6))
def test_end_to_end_is_one_after_the_other(tier: str, texts: list[str]) -> None:
    ids, offsets = PIECES[tier].end_to_end(texts)
    assert len(offsets) == len(texts) + 1
    found = [ids[start:end].tolist() for start, end in pairwise(offsets.tolist())]
    assert found == PIECES[tier].numbers(texts, special=False)


@tiers
def test_texts_cut_together_are_cut_as_alone(tier: str) -> None:
    texts = [each.text for each in load_texts().background[:200]]
    texts += ["", "a " * 30, "x " * 300, "你好" * 200, "word " * 2000, "a " * 254, "a" * 400]
    for window in (0, 50, 256):
        assert PIECES[tier].cut(texts, window) == [PIECES[tier].windows(text, window) for text in texts]


@tiers
def test_however_long_texts_are_few_words_are_taken_apart_at_a_time(
    tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"w{n}x{n * n}" for n in range(3_000)]
    texts = [" ".join(words), "short", " ".join(words[::-1]), " ".join(words[:100])]
    plain = WordPieces.read(FILES[tier])
    expected = [plain.windows(text, 128) for text in texts]

    class Counting:
        def __init__(self, tokenizer: Tokenizer) -> None:
            self.tokenizer, self.most = tokenizer, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.tokenizer, name)

        def encode_batch_fast(self, some: list[str], add_special_tokens: bool) -> Any:
            self.most = max(self.most, len(some))
            return self.tokenizer.encode_batch_fast(some, add_special_tokens=add_special_tokens)

    counting = Counting(Tokenizer.from_file(str(FILES[tier])))
    monkeypatch.setattr(wordpieces, "_WORDS_AT_A_TIME", 500)
    monkeypatch.setattr(wordpieces, "_CHARS_AT_A_TIME", 1_000)
    pieces = WordPieces(counting)  # type: ignore[arg-type]
    assert pieces.cut(texts, 128) == expected
    assert counting.most == 500


def test_minilm_has_edges() -> None:
    assert PIECES["minilm"].numbers(["", "a cat"], special=True) == [[101, 102], [101, 1037, 4937, 102]]
    assert PIECES["minilm"].numbers([], special=True) == []


def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    pieces = WordPieces(Tokenizer.from_file(str(FILES["minilm"])), kept=100)
    for number in range(400):
        pieces.numbers([f"river w{number}", "x" * 40], special=False)
        assert len(pieces._younger) + len(pieces._older) <= 100
    remembered = pieces._younger.keys() | pieces._older.keys()
    assert {"river", "w399", "w360"} <= remembered
    assert not {"w0", "w200", "x" * 40} & remembered


def test_threads_share_it() -> None:
    pieces = WordPieces(Tokenizer.from_file(str(FILES["minilm"])), kept=20)
    texts = [f"river {number} bank {number % 7}" for number in range(600)]
    expected = PIECES["minilm"].numbers(texts, special=False)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda text: pieces.numbers([text], special=False)[0], texts))
    assert found == expected


def test_a_tokenizer_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match=r"none\.json cannot be read: .*No such file"):
        WordPieces.read(tmp_path / "none.json")
