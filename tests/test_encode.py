"""The encoders on their real weights; nothing here touches the network."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from indexer.encode import SentenceEncoder, load_encoder
from indexer.grams import gram_hashes, token_hashes
from indexer.sample import load_texts
from indexer.settings import load_settings
from indexer.sketch import SKETCH_DIMENSION, SketchedEncoder, sketch
from indexer.static import StaticEncoder
from indexer.transformer import TransformerEncoder
from indexer.vectors import normalise, stored_precision
from indexer.weights import distilled_static
from indexer.windows import OVERLAP_TOKENS
from models.errors import WeightsUnusable
from models.text import canonical, tokens

AnyEncoder = SentenceEncoder | StaticEncoder | TransformerEncoder
WEIGHTS = load_settings(None, os.environ).weights
FRANCE = "what is the capital of france"
FILLER = tokens("the river was wide and the old bridge had been closed for repair since early spring")


@pytest.fixture(scope="module")
def minilm() -> TransformerEncoder:
    encoder = load_encoder("minilm", WEIGHTS)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


@pytest.fixture(scope="module")
def static() -> StaticEncoder:
    encoder = load_encoder("static", WEIGHTS)
    assert isinstance(encoder, StaticEncoder)
    return encoder


def filler(words: int) -> list[str]:
    return [FILLER[number % len(FILLER)] for number in range(words)]


def test_minilm_gives_known_vectors_without_a_network(
    minilm: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    (vector,) = minilm.encode([FRANCE])
    assert vector.dtype == np.float32
    np.testing.assert_allclose(
        vector[:6], [0.06841803, -0.00901763, 0.02203293, -0.02096485, 0.08227254, -0.06402366], atol=1e-3
    )
    assert (minilm.space.name, minilm.space.dimension, minilm.space.window) == ("minilm", 384, 256)


def test_static_gives_known_cosines(static: StaticEncoder) -> None:
    """Not known values: the distilled axes may come out mirrored on another machine."""
    (vector,) = static.encode([FRANCE])
    other, far = static.encode(["the capital of france is what", "bake a chocolate cake with my daughter"])
    assert float(vector @ other) == pytest.approx(0.995, abs=0.02)
    assert float(vector @ far) < 0.4
    assert (static.space.name, static.space.dimension, static.space.window) == ("static", 256, 256)


def test_related_texts_are_nearer_than_unrelated_ones(minilm: TransformerEncoder) -> None:
    france, paris, cake = minilm.encode([FRANCE, "paris is france's seat of government", "bake a cake"])
    assert france @ paris > france @ cake + 0.3


@pytest.mark.parametrize("tier", ["minilm", "static"])
def test_vectors_have_length_one_whatever_the_text(tier: str, request: pytest.FixtureRequest) -> None:
    encoder: AnyEncoder = request.getfixturevalue(tier)
    texts = [FRANCE, "", "你好 世界", "привет", "😀", "x" * 5000, "a"]
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(texts), axis=1), 1.0, atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.space.dimension)


def test_an_empty_text_lies_on_the_first_axis_of_the_static_tier(static: StaticEncoder) -> None:
    (vector,) = static.encode([""])
    assert vector[0] == 1.0
    assert not vector[1:].any()


@pytest.mark.parametrize("tier", ["minilm", "static"])
def test_windows_cover_every_word_and_overlap(tier: str, request: pytest.FixtureRequest) -> None:
    encoder: AnyEncoder = request.getfixturevalue(tier)
    words = [f"{word}{number}" for number, word in enumerate(filler(700))]
    text = " ".join(words)
    pieces = encoder.windows(text)
    end = 0
    for piece in pieces:
        start = text.index(piece)
        assert start <= end, "words between two windows are in neither"
        assert end == 0 or start < end, "windows overlap"
        end = start + len(piece)
    assert end == len(text)
    assert len(pieces) > 3


@pytest.mark.parametrize("tier", ["minilm", "static"])
def test_each_window_of_real_text_fits_the_encoder(tier: str, request: pytest.FixtureRequest) -> None:
    encoder: AnyEncoder = request.getfixturevalue(tier)
    text = canonical(" ".join(each.text for each in load_texts().background[:80]))
    sizes = [len(encoder._pieces.spans(piece)) for piece in encoder.windows(text)]
    limit = encoder.space.window - 2
    assert max(sizes) <= limit  # though the half of a word cut in two may read as one token more
    assert min(sizes[:-1]) >= limit - 3
    assert sizes[-1] > OVERLAP_TOKENS


def test_a_text_that_fits_is_one_window(minilm: TransformerEncoder) -> None:
    assert minilm.windows(FRANCE) == [FRANCE]
    assert minilm.windows("") == [""]
    exactly = " ".join(["a"] * 254)
    assert minilm.windows(exactly) == [exactly]
    # A longer one is cut with two tokens to spare, and each piece begins 32 before the end of the last.
    assert minilm.windows(exactly + " a") == [" ".join(["a"] * 252), " ".join(["a"] * 35)]


def test_cutting_windows_does_not_change_later_vectors(minilm: TransformerEncoder) -> None:
    text = " ".join(filler(300))
    before = minilm.encode([text, FRANCE])
    minilm.windows(" ".join(filler(900)))
    np.testing.assert_array_equal(minilm.encode([text, FRANCE]), before)


@pytest.mark.parametrize("tier", ["minilm", "static"])
def test_a_word_two_hundred_words_in_moves_the_vector(tier: str, request: pytest.FixtureRequest) -> None:
    encoder: AnyEncoder = request.getfixturevalue(tier)
    words = filler(230)
    changed = words[:200] + ["chocolate"] + words[201:]
    one, other = encoder.encode([" ".join(words), " ".join(changed)])
    assert not np.array_equal(one, other)


def test_static_vectors_do_not_depend_on_the_batch(static: StaticEncoder) -> None:
    texts = [FRANCE, "", " ".join(filler(240)), "用 python 写", "x", *(f"text {number}" for number in range(1100))]
    together = static.encode(texts)
    np.testing.assert_array_equal(together[:8], np.concatenate([static.encode([text]) for text in texts[:8]]))
    np.testing.assert_array_equal(together[::-1], static.encode(texts[::-1]))


@pytest.mark.parametrize("tier", ["minilm", "static"])
def test_windows_encoded_at_once_are_those_encoded_one_by_one(tier: str, request: pytest.FixtureRequest) -> None:
    encoder: AnyEncoder = request.getfixturevalue(tier)
    texts = [FRANCE, " ".join(filler(600)), "", "用 python 写", " ".join(["a"] * 254), " ".join(["a"] * 255)]
    for each in (encoder, SketchedEncoder(encoder)):
        found = each.encode_windows(texts)
        assert [len(vectors) for vectors in found] == [1, 3, 1, 1, 1, 2]
        for text, vectors in zip(texts, found, strict=True):
            np.testing.assert_array_equal(vectors, each.encode(each.windows(text)))
        assert each.encode_windows([]) == []


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match="'maxilm' is neither one of static, minilm, minilm-int8 nor"):
        load_encoder("maxilm", tmp_path)


def test_static_vectors_are_those_of_sentence_transformers(static: StaticEncoder, tmp_path: Path) -> None:
    """Which adds them up in half precision; and a local folder has a space of its own."""
    folder = tmp_path / "house-model"
    shutil.copytree(distilled_static(WEIGHTS), folder)
    own = load_encoder(str(folder), WEIGHTS)
    texts = [
        FRANCE,
        "",
        "用 python 写 一个 函数",
        *(canonical(each.text) for each in load_texts().background[:200]),
    ]
    pieces = [piece for text in texts for piece in static.windows(text)]
    assert [piece for text in texts for piece in own.windows(text)] == pieces
    assert float((own.encode(pieces) * static.encode(pieces)).sum(axis=1).min()) > 0.99999
    assert (own.space.name, own.space.dimension, own.space.window) == ("house-model", 256, 256)
    assert own.space.revision != static.space.revision


def test_token_vectors_under_another_name_are_refused(tmp_path: Path) -> None:
    save_file({"weight": np.zeros((2, 3), np.float16)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsUnusable, match=r"holds weight, not embedding\.weight"):
        StaticEncoder.read(tmp_path, "static", "1")


def test_a_folder_of_pickled_weights_is_refused_before_they_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(distilled_static(WEIGHTS), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsUnusable, match=r"holds no \.safetensors file"):
        load_encoder(str(folder), WEIGHTS)


def test_the_tiers_have_different_spaces(minilm: TransformerEncoder, static: StaticEncoder) -> None:
    spaces = [minilm.space, static.space, SketchedEncoder(minilm).space, SketchedEncoder(static).space]
    assert len({space.key for space in spaces}) == 4
    assert all(space.normalised for space in spaces)


def test_normalise_scales_rows_and_gives_empty_rows_a_direction() -> None:
    rows = np.array([[3, 4], [0, 0], [0, -2]], np.float32)
    np.testing.assert_allclose(normalise(rows), [[0.6, 0.8], [1, 0], [0, -1]], atol=1e-7)


def test_stored_precision_is_what_float16_gives_back() -> None:
    rows = normalise(np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32))
    stored = stored_precision(rows)
    np.testing.assert_allclose(stored, rows, atol=5e-4)
    np.testing.assert_array_equal(stored, normalise(rows.astype(np.float16).astype(np.float32)))


def test_a_sketch_of_one_word_is_one_signed_column() -> None:
    (row,) = sketch(["france"])
    (place,) = np.flatnonzero(row)
    (word,) = word_hashes("france")
    assert abs(row[place]) == 1.0
    assert place == word % SKETCH_DIMENSION


def word_hashes(text: str) -> list[int]:
    """Hashes of the single words of a text, as the sketch sees them."""
    return [int(each) for each in gram_hashes(token_hashes(text), 1)]


def test_a_sketch_tells_word_order_and_an_empty_text_apart() -> None:
    one, other, same, empty, blank = sketch(["dog bites man", "man bites dog", "dog bites man", "", "?!"])
    np.testing.assert_array_equal(one, same)
    assert 0.2 < one @ other < 0.8
    np.testing.assert_array_equal(empty, blank)
    assert empty[0] == 1.0


def test_texts_sketched_together_are_sketched_as_alone() -> None:
    texts = [canonical(each.text) for each in load_texts().background[:200]] + ["", "?!", "你好 世界", "a a a a"]
    np.testing.assert_array_equal(sketch(texts), np.concatenate([sketch([text]) for text in texts]))
    assert sketch([]).shape == (0, SKETCH_DIMENSION)


def test_a_sketched_cosine_is_the_mean_of_both_cosines(static: StaticEncoder) -> None:
    texts = [FRANCE, "what is the capital of spain"]
    one, other = SketchedEncoder(static).encode(texts)
    meaning, words = static.encode(texts), sketch(texts)
    assert float(one @ other) == pytest.approx((meaning[0] @ meaning[1] + words[0] @ words[1]) / 2, abs=1e-3)


def test_a_sketched_encoder_cuts_the_same_windows(static: StaticEncoder) -> None:
    text = " ".join(filler(700))
    assert SketchedEncoder(static).windows(text) == static.windows(text)
    assert len(tokens(text)) == 700
