"""A text is encoded once for each space, whatever happens in between."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from indexer import cache
from indexer.cache import VectorCache
from indexer.progress import SilentProgress
from models.errors import SpaceMismatch
from tests.tiny_encoder import TinyEncoder

TEXTS = [f"text number {number} of the lot" for number in range(10)]


def encode(folder: Path, texts: list[str], encoder: TinyEncoder) -> cache.Encoded:
    """Vectors through a cache opened afresh, as each run does."""
    return VectorCache(folder, encoder.space).encode(texts, encoder, SilentProgress())


def assert_same(found: cache.Encoded, texts: list[str]) -> None:
    """To the last digit of float32."""
    np.testing.assert_allclose(found.vectors[:], TinyEncoder().encode(texts), atol=1.2e-7)


def test_a_second_run_encodes_nothing_and_gives_the_same_values(tmp_path: Path) -> None:
    first, second = TinyEncoder(), TinyEncoder()
    fresh = encode(tmp_path, TEXTS, first)
    kept = encode(tmp_path, TEXTS, second)
    assert (fresh.fresh, kept.fresh) == (10, 0)
    assert second.encoded == []
    np.testing.assert_array_equal(kept.vectors[:], fresh.vectors[:])
    assert_same(kept, TEXTS)


def test_only_new_texts_are_encoded_each_once_and_shortest_first(tmp_path: Path) -> None:
    encoder = TinyEncoder()
    encode(tmp_path, ["known"], encoder)
    result = encode(tmp_path, ["longer text", "known", "brief", "longer text", ""], encoder)
    assert result.fresh == 3
    assert encoder.encoded == ["known", "", "brief", "longer text"]
    assert_same(result, ["longer text", "known", "brief", "longer text", ""])


def test_vectors_are_asked_from_many_batches_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BATCH_TEXTS", 3)
    encode(tmp_path, TEXTS, TinyEncoder())
    shuffled = TEXTS[::-3] + TEXTS[::2]
    again = encode(tmp_path, shuffled, TinyEncoder())
    assert again.fresh == 0
    assert_same(again, shuffled)


def test_one_open_cache_serves_what_it_has_just_encoded(tmp_path: Path) -> None:
    encoder = TinyEncoder()
    vectors = VectorCache(tmp_path, encoder.space)
    for texts in (TEXTS[:4], TEXTS[2:8], TEXTS):
        result = vectors.encode(texts, encoder, SilentProgress())
        assert_same(result, texts)
    assert len(encoder.encoded) == len(TEXTS)


@pytest.mark.parametrize(
    ("file", "lost"), [("vectors.f2", 3), ("vectors.f2", 70), ("keys.u8", 1), ("keys.u8", 40)]
)
def test_a_run_killed_while_it_wrote_loses_only_what_is_not_whole(tmp_path: Path, file: str, lost: int) -> None:
    """Of ten rows: vectors of 64 bytes, keys of 16."""
    encode(tmp_path, TEXTS, TinyEncoder())
    path = next(tmp_path.rglob(file))
    os.truncate(path, path.stat().st_size - lost)
    kept = min(path.stat().st_size // (64 if file == "vectors.f2" else 16), 10)
    assert kept in (7, 8, 9)
    encoder = TinyEncoder()
    # Other texts come first now, so the orphaned rows must not be taken for theirs.
    other = encode(tmp_path, ["a", "b", "c"], encoder)
    assert other.fresh == 3
    assert_same(other, ["a", "b", "c"])
    again = encode(tmp_path, TEXTS, encoder)
    assert again.fresh == 10 - kept
    assert_same(again, TEXTS)


def test_spaces_do_not_share_a_folder(tmp_path: Path) -> None:
    encode(tmp_path, TEXTS, TinyEncoder())
    assert encode(tmp_path, TEXTS, TinyEncoder("other")).fresh == 10
    assert encode(tmp_path, TEXTS, TinyEncoder(window=8)).fresh == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        encoder.space.key for encoder in (TinyEncoder(), TinyEncoder("other"), TinyEncoder(window=8))
    )


def test_an_encoder_of_another_space_is_refused(tmp_path: Path) -> None:
    vectors = VectorCache(tmp_path, TinyEncoder().space)
    with pytest.raises(SpaceMismatch, match="name is 'other', but the space here needs 'tiny'"):
        vectors.encode(TEXTS, TinyEncoder("other"), SilentProgress())


def test_a_folder_that_says_another_space_is_refused(tmp_path: Path) -> None:
    space = TinyEncoder().space
    encode(tmp_path, TEXTS, TinyEncoder())
    path = tmp_path / space.key / "space.json"
    stated = msgspec.json.decode(path.read_bytes())
    assert stated == {
        "name": "tiny", "revision": "1", "dimension": 32, "precision": "float16", "normalised": True, "window": 16
    }  # fmt: skip
    path.write_bytes(msgspec.json.encode(stated | {"revision": "2"}))
    with pytest.raises(SpaceMismatch, match="revision is '1', but the space here needs '2'"):
        VectorCache(tmp_path, space)


def test_no_texts_give_no_vectors(tmp_path: Path) -> None:
    result = encode(tmp_path, [], TinyEncoder())
    assert result.vectors.shape == (0, 32)
    assert result.fresh == 0
