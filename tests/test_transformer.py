"""The MiniLM tiers against sentence-transformers, which defines them, and their promise of one vector a text."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
from tiny_network import token_vectors, write_network

from indexer.encode import load_encoder
from indexer.sample import load_texts
from indexer.settings import load_settings
from indexer.transformer import TransformerEncoder
from indexer.vectors import normalise
from indexer.weights import NETWORK, TOKENIZER, minilm_folder, quantised_minilm
from models.errors import WeightsUnusable
from models.text import canonical

WEIGHTS = load_settings(None, {}).weights
FRANCE = "what is the capital of france"


@pytest.fixture(scope="module")
def minilm() -> TransformerEncoder:
    return loaded("minilm")


@pytest.fixture(scope="module")
def int8() -> TransformerEncoder:
    return loaded("minilm-int8")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Real prompts of all lengths, and a few that are none."""
    real = [canonical(each.text) for each in load_texts().background]
    odd = ["", "?", "你好 世界", "x" * 5000, "😀", " ".join(["river"] * 600)]
    return [*odd, *Random(1).sample(real, 250)]


@pytest.fixture(scope="module")
def reference(texts: list[str]) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm_folder()), device="cpu", local_files_only=True)
    return normalise(model.encode(texts, convert_to_numpy=True, show_progress_bar=False))


def loaded(tier: str) -> TransformerEncoder:
    encoder = load_encoder(tier, WEIGHTS)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def test_minilm_is_that_of_sentence_transformers(
    minilm: TransformerEncoder, texts: list[str], reference: Any
) -> None:
    cosines = (minilm.encode(texts) * reference).sum(axis=1)
    assert float(cosines.min()) > 0.9999  # what float16 leaves


def test_int8_keeps_close_to_it(int8: TransformerEncoder, texts: list[str], reference: Any) -> None:
    vectors = int8.encode(texts)
    cosines = (vectors * reference).sum(axis=1)
    assert float(cosines.mean()) > 0.99
    assert float(cosines.min()) > 0.95
    # What counts is how near texts are to one another.
    off = np.abs(vectors @ vectors.T - reference @ reference.T)
    assert float(np.quantile(off, 0.99)) < 0.04


@pytest.mark.parametrize("tier", ["minilm", "int8"])
def test_a_text_has_one_vector_whatever_it_is_encoded_with(
    tier: str, texts: list[str], request: pytest.FixtureRequest
) -> None:
    encoder: TransformerEncoder = request.getfixturevalue(tier)
    some = texts[:40]
    alone = np.concatenate([encoder.encode([text]) for text in some])
    np.testing.assert_array_equal(encoder.encode(some), alone)
    np.testing.assert_array_equal(encoder.encode(some[::-1]), alone[::-1])
    with ThreadPoolExecutor(4) as threads:
        np.testing.assert_array_equal(
            np.concatenate(list(threads.map(lambda t: encoder.encode([t]), some))), alone
        )


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_a_text_has_one_vector_on_any_number_of_cores(
    cores: int, texts: list[str], int8: TransformerEncoder
) -> None:
    other = TransformerEncoder.read(quantised_minilm(WEIGHTS), "minilm-int8", "1", "int8", cores)
    np.testing.assert_array_equal(other.encode(texts[:20]), int8.encode(texts[:20]))


def test_the_two_are_different_spaces(minilm: TransformerEncoder, int8: TransformerEncoder) -> None:
    assert minilm.space.precision == "float32"
    assert int8.space.precision == "int8"
    assert minilm.space.revision != int8.space.revision
    assert (minilm.space.dimension, minilm.space.window) == (int8.space.dimension, int8.space.window) == (384, 256)


def test_of_a_text_longer_than_the_window_the_beginning_is_seen(minilm: TransformerEncoder) -> None:
    words = ["river"] * 254
    one, longer = minilm.encode([" ".join(words), " ".join([*words, *(["chocolate"] * 300)])])
    np.testing.assert_array_equal(one, longer)


def test_a_vector_is_the_networks(tmp_path: Path) -> None:
    encoder = tiny(tmp_path)
    pieces = encoder._pieces.numbers([FRANCE], special=True)[0]
    assert (pieces[0], pieces[-1], len(pieces)) == (101, 102, 8)  # [CLS], six words, [SEP]
    expected = normalise(token_vectors(8)[pieces].mean(axis=0, keepdims=True))
    np.testing.assert_allclose(encoder.encode([FRANCE]), expected, atol=1e-3)
    assert encoder.encode([]).shape == (0, 8)


@pytest.mark.parametrize("kept", [0, 10, 300_000])
def test_a_network_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    tiny(tmp_path)
    whole = (tmp_path / NETWORK).read_bytes()
    (tmp_path / NETWORK).write_bytes(whole[:kept])
    with pytest.raises(WeightsUnusable, match=r"model\.onnx cannot be read: .*"):
        TransformerEncoder.read(tmp_path, "tiny", "1", "float32")


def test_a_missing_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnusable, match=r"model\.onnx cannot be read: .*doesn't exist"):
        TransformerEncoder.read(tmp_path, "tiny", "1", "float32")


def test_a_tokenizer_cut_short_is_refused(tmp_path: Path) -> None:
    tiny(tmp_path)
    (tmp_path / TOKENIZER).write_bytes((tmp_path / TOKENIZER).read_bytes()[:1000])
    with pytest.raises(WeightsUnusable, match=r"tokenizer\.json cannot be read: Input data was truncated"):
        TransformerEncoder.read(tmp_path, "tiny", "1", "float32")


def tiny(folder: Path) -> TransformerEncoder:
    write_network(folder / NETWORK, dimension=8)
    copyfile(minilm_folder() / TOKENIZER, folder / TOKENIZER)
    return TransformerEncoder.read(folder, "tiny", "1", "float32")
