"""Texts encoded and taken apart elsewhere come to what they come to here, whoever dies meanwhile."""

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from indexer import encoders
from indexer.children import Children
from indexer.encode import Encoder, load_encoder
from indexer.encoders import Encoders, SharedEncoder
from indexer.grams import token_table
from indexer.match import view_encoders
from indexer.recurring import cut_out
from indexer.sample import load_texts
from indexer.settings import load_settings
from models.text import canonical
from models.view import View

WEIGHTS = load_settings(None, os.environ).weights
STATIC = load_encoder("static", WEIGHTS)
TEXTS = [canonical(each.text) for each in load_texts().background[:500]] + ["", "你好 世界", "word " * 900, "?!"]
by_view = pytest.mark.parametrize(
    "encoder", [view_encoders(STATIC)[view] for view in (View.WHOLE, View.RECURRING)]
)


@pytest.fixture(scope="module")
def helpers() -> Iterator[Encoders]:
    with Children("indexer.encoders", 2) as children:
        yield Encoders(children)


@pytest.fixture(autouse=True)
def every_text_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few texts are enough to be shared, in many parts."""
    monkeypatch.setattr(encoders, "LEAST_TEXTS", 1)
    monkeypatch.setattr(encoders, "_PART_TEXTS", 60)


@by_view
def test_vectors_and_windows_are_the_same(encoder: Encoder, helpers: Encoders) -> None:
    shared = SharedEncoder(encoder, helpers, "static", WEIGHTS)
    np.testing.assert_array_equal(shared.encode(TEXTS), encoder.encode(TEXTS))
    cut = shared.cut(TEXTS)
    assert cut == encoder.cut(TEXTS)
    assert len(cut[502]) > 3
    assert shared.space == encoder.space
    assert shared.windows(TEXTS[502]) == cut[502]
    np.testing.assert_array_equal(shared.encode_windows(TEXTS[:3])[1], encoder.encode_windows(TEXTS[:3])[1])


def test_token_tables_are_the_same(helpers: Encoders) -> None:
    found, expected = list(helpers.token_tables(TEXTS)), token_table(TEXTS)
    assert len(found) > 1
    for name in ("hashes", "unspaced"):
        joined = np.concatenate([getattr(each, name) for each in found])
        np.testing.assert_array_equal(joined, getattr(expected, name))
        assert joined.dtype == getattr(expected, name).dtype
    lengths = np.concatenate([np.diff(each.offsets) for each in found])
    np.testing.assert_array_equal(lengths, np.diff(expected.offsets))


def test_what_is_cut_out_is_the_same(helpers: Encoders) -> None:
    table = token_table(TEXTS)
    kept = np.random.default_rng(1).random(len(table.hashes)) < 0.02
    found = helpers.cut_out(TEXTS, table, kept)
    assert found == cut_out(TEXTS, table, kept)
    assert 100 < sum(map(bool, found)) < len(TEXTS)


def test_what_a_process_that_died_had_to_do_is_done_here(caplog: pytest.LogCaptureFixture) -> None:
    with Children("indexer.encoders", 2) as children:
        helpers = Encoders(children)
        shared = SharedEncoder(STATIC, helpers, "static", WEIGHTS)
        shared.encode(TEXTS[:200])
        for child in children._children:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        np.testing.assert_array_equal(shared.encode(TEXTS), STATIC.encode(TEXTS))
        assert shared.cut(TEXTS) == STATIC.cut(TEXTS)
        assert sum(map(len, helpers.token_tables(TEXTS))) == len(TEXTS)
    assert "an encoder has died part=8" in caplog.text


def test_few_texts_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "LEAST_TEXTS", len(TEXTS) + 1)
    with Children("indexer.encoders", 2) as children:
        helpers = Encoders(children)
        assert children._children == []
        np.testing.assert_array_equal(
            SharedEncoder(STATIC, helpers, "static", WEIGHTS).encode(TEXTS), STATIC.encode(TEXTS)
        )
        assert children._children == []
