"""However long the prompts are, a comparison looks at so many characters; what it saw is what a match says."""

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from traffic import OTHER_TEMPLATE, background_rows, campaign_rows, payload, published_engine, row

from indexer.casebook import Casebook
from indexer.comparison import Comparison
from indexer.engine import Engine
from models.prompt import Prompt

LONG = 60_000  # characters of a prompt
MOST = 1 << 19  # that are looked at
WORDS = Random(5)
LONG_ROWS = [
    row(7000 + n, f"pool-7000-{n % 24}", OTHER_TEMPLATE.format(payload(WORDS, LONG // 10))) for n in range(48)
]
ROWS = [*campaign_rows(0), *LONG_ROWS, *background_rows(5000, 100)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with published_engine(tmp_path_factory.mktemp("comparison"), ROWS) as opened:
        yield opened


@pytest.fixture
def casebook(engine: Engine) -> Casebook:
    return engine.casebook()


@pytest.fixture
def comparison(casebook: Casebook) -> Comparison:
    return casebook._comparison


def place_of(casebook: Casebook, pool: str) -> int:
    return next(n for n, each in enumerate(casebook.campaigns) if each.members[0].account_id.startswith(pool))


def test_as_many_long_prompts_are_compared_as_have_so_many_characters(casebook: Casebook) -> None:
    one = casebook.campaigns[place_of(casebook, "pool-7000")]
    page = casebook.typical(one.campaign_id, 100, 0)
    sizes = [len(each.hit.text) for each in page.prompts]
    assert page.total == len(LONG_ROWS)
    assert page.compared == len(page.prompts) == MOST // max(sizes)
    sample = casebook.lab(one.campaign_id)
    assert (len(sample.own), sample.own_total) == (page.compared, page.total)
    every = casebook.members(one.campaign_id, 100, 0)
    assert every.compared == every.total == len(LONG_ROWS)


@pytest.mark.parametrize("chars", [0, 1, 250, 1000, 10_000])
def test_what_is_seen_is_a_part_of_all_and_fits(casebook: Casebook, comparison: Comparison, chars: int) -> None:
    place = place_of(casebook, "pool-0")
    rows = comparison.rows(place)
    every, some = comparison.seen(rows, place), comparison.seen(rows, place, chars)
    sizes = np.cumsum([len(hit.text) for hit in casebook.prompts_at(rows.tolist()).values()])
    assert some == every[: max(1, int(np.count_nonzero(sizes <= chars)))]
    assert len(every) == len(rows) == 120


def test_of_a_long_prompt_both_ends_are_seen(engine: Engine, casebook: Casebook, comparison: Comparison) -> None:
    place = place_of(casebook, "pool-7000")
    rows = comparison.rows(place)[:3]
    hits = casebook.prompts_at(rows.tolist())
    short = [Prompt(hits[row].system or "", hits[row].text).shortened(500) for row in rows.tolist()]
    expected = engine._current().matcher.compared(short, place)
    assert [each.views for each in comparison.seen(rows, place, longest=500)] == expected
    assert [each.views for each in comparison.seen(rows, place)] != expected


def test_what_is_seen_of_a_prompt_is_what_a_match_says(
    engine: Engine, casebook: Casebook, comparison: Comparison
) -> None:
    place = place_of(casebook, "pool-0")
    ordered = comparison.own(place)
    assert [each.best[1] for each in ordered] == sorted((each.best[1] for each in ordered), reverse=True)
    first = ordered[0]
    hit = casebook.prompts_at([first.row])[first.row]
    told = engine.match(Prompt(hit.system or "", hit.text)).nearest[0]
    assert told.campaign_id == casebook.campaigns[place].campaign_id
    assert [(each.view, each.similarity) for each in told.views] == [
        (each.view, pytest.approx(each.similarity, abs=1e-5)) for each in first.views
    ]


def test_what_was_seen_is_remembered_of_each_kind_and_campaign(casebook: Casebook, comparison: Comparison) -> None:
    places = place_of(casebook, "pool-0"), place_of(casebook, "pool-7000")
    for kind in (comparison.own, comparison.near, comparison.others):
        assert kind(places[0]) is kind(places[0])
        assert kind(places[0]) != kind(places[1]) or not kind(places[0])
