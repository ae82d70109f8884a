"""Codes of exemplars in a generation: learned once, at reindexing, and read by everybody who serves it."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny_encoder import TinyEncoder
from traffic import background_rows, campaign_rows, payload, run_reindex, settings_of, store_rows

from indexer import layout
from indexer import publish as publish_module
from indexer.generation import Generation, open_current
from indexer.index import LEAST_CODED, CodeIndex, IntArray
from indexer.match import Matcher
from indexer.shortlist import codes_of
from indexer.vectors import FloatArray
from models.prompt import Prompt
from models.view import View

WORDS = random.Random(7)
TEMPLATES = [f"{payload(WORDS, 14)}: {{}}" for _ in range(LEAST_CODED + 4)]
PROMPTS = [Prompt("", template.format("the wheat trade of the hanse")) for template in TEMPLATES]


def published(folder: Path) -> Generation:
    settings = settings_of(folder)
    campaigns = [each for at, template in enumerate(TEMPLATES) for each in campaign_rows(120 * at, template)]
    store_rows(settings, [*campaigns, *background_rows(5000, 300)])
    run_reindex(settings)
    return open_current(settings.generations)


def test_codes_of_many_exemplars_are_stored_and_not_learned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [layout.exemplar_codes_file(view) for view in (View.WHOLE, View.RECURRING)]
    without = published(tmp_path / "without")
    assert not any(without.holds(name) for name in names)  # they are few
    monkeypatch.setattr(publish_module, "codes_of", partial(codes_of, exact_rows=0))
    coded = published(tmp_path / "coded")
    assert all(coded.holds(name) for name in names)

    def never(vectors: object) -> CodeIndex:
        raise AssertionError("codes are learned while somebody waits")

    asked, nearest = [], CodeIndex.nearest

    def noted(codes: CodeIndex, queries: FloatArray, k: int) -> IntArray:
        asked.append(len(codes))
        return nearest(codes, queries, k)

    monkeypatch.setattr(CodeIndex, "build", never)
    monkeypatch.setattr(CodeIndex, "nearest", noted)
    reading, comparing = Matcher(coded, TinyEncoder()), Matcher(without, TinyEncoder())
    assert len(reading.campaigns) == len(TEMPLATES)
    for one, other in zip(reading.examine(PROMPTS, 1), comparing.examine(PROMPTS, 1), strict=True):
        np.testing.assert_array_equal(one.campaigns, other.campaigns)
        np.testing.assert_allclose(one.margin, other.margin, atol=1e-6)
        assert one.margin.max() > 0
    assert set(asked) == {len(coded.codes(name)) for name in names}


def test_codes_that_an_earlier_version_did_not_store_are_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = published(tmp_path)
    learned = []

    def learn(exemplars: object, campaigns: int) -> None:
        learned.append(campaigns)

    monkeypatch.setattr("indexer.match.codes_of", learn)
    matcher = Matcher(generation, TinyEncoder())
    assert learned == [len(matcher.campaigns)] * 3
