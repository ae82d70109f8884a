"""However long the prompts are, a comparison looks at so many characters; what it saw is what a match says."""

from collections import OrderedDict
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from traffic import NEAR_TEMPLATE, OTHER_TEMPLATE, background_rows, campaign_rows, payload, published_engine, row

from indexer import comparison as comparison_module
from indexer.casebook import Casebook
from indexer.comparison import Comparison
from indexer.engine import Engine
from indexer.search import Searcher
from models.prompt import Prompt
from models.view import View

CHARS = 1 << 20  # of all prompts that are seen together
WORDS = Random(5)
LONG_ROWS = [row(7000 + n, f"pool-7000-{n % 24}", OTHER_TEMPLATE.format(payload(WORDS, 6_000))) for n in range(48)]
FLOOD_TEXT = " and ".join(NEAR_TEMPLATE.format(payload(WORDS, 6)) for _ in range(1_000))
FLOOD = row(9000, "flood", NEAR_TEMPLATE.format(FLOOD_TEXT))
NEAR_ROWS = [row(9100 + n, f"near-{n}", NEAR_TEMPLATE.format(payload(WORDS, 6))) for n in range(6)]
ROWS = [*campaign_rows(0), *LONG_ROWS, FLOOD, *NEAR_ROWS, *background_rows(5000, 100)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with published_engine(tmp_path_factory.mktemp("comparison"), ROWS) as opened:
        yield opened


@pytest.fixture
def comparison(casebook: Casebook) -> Comparison:
    return casebook._comparison


def place_of(casebook: Casebook, pool: str) -> int:
    return next(
        number
        for number, each in enumerate(casebook.campaigns)
        if casebook.campaign_accounts(each.campaign_id)[0].account_id.startswith(pool)
    )


def prompts_of(casebook: Casebook, rows: list[int]) -> list[Prompt]:
    hits = casebook.prompts_at(rows)
    return [Prompt(hits[row].system or "", hits[row].text) for row in rows]


def test_of_long_prompts_both_ends_are_seen_and_of_all_as_much(
    engine: Engine, casebook: Casebook, comparison: Comparison
) -> None:
    place = place_of(casebook, "pool-7000")
    one = casebook.campaigns[place]
    page = casebook.typical(one.campaign_id, 100, 0)
    assert page.compared == page.total == len(page.prompts) == len(LONG_ROWS)
    assert not any(each.whole for each in page.prompts)
    seen = comparison.seen(comparison.rows(place), place)
    prompts = prompts_of(casebook, [each.row for each in seen])
    most = CHARS // len(LONG_ROWS)  # all are longer
    short = [each.canonical().shortened(most) for each in prompts]
    assert [each.views for each in seen] == engine._current().matcher.compared(short, place)
    sample = casebook.lab(one.campaign_id)
    assert (len(sample.own), sample.own_total) == (page.compared, page.total)


def test_a_long_prompt_hides_no_short_one_that_is_near(casebook: Casebook, comparison: Comparison) -> None:
    place = place_of(casebook, "pool-0")
    outside = np.flatnonzero(comparison._group < 0)
    whole = {
        each.row: view.similarity
        for each in comparison.seen(outside, place)
        for view in each.views
        if view.view is View.WHOLE
    }
    nearest = sorted(whole, key=lambda row: -whole[row])[:10]
    near = comparison.near(place)
    assert set(nearest) <= {each.row for each in near}  # however many windows of the long one come nearer
    assert [each.best[1] for each in near] == sorted((each.best[1] for each in near), reverse=True)
    texts = [each.hit.text for each in casebook.near_misses(casebook.campaigns[place].campaign_id, 10).prompts]
    assert FLOOD["prompt"] in texts
    assert len(set(texts) & {each["prompt"] for each in NEAR_ROWS}) >= 5


def test_short_prompts_are_seen_whole_beside_long_ones(engine: Engine, comparison: Comparison) -> None:
    place = place_of(engine.casebook(), "pool-0")
    rows = np.concatenate([comparison.rows(place)[:3], comparison.rows(place_of(engine.casebook(), "pool-7000"))])
    seen = comparison.seen(rows, place)
    assert [each.whole for each in seen] == [True] * 3 + [False] * len(LONG_ROWS)
    alone = engine._current().matcher.compared(prompts_of(engine.casebook(), rows[:3].tolist()), place)
    assert [each.views for each in seen[:3]] == alone


def test_padding_is_not_what_is_seen(
    casebook: Casebook, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(casebook, "pool-0")
    (plain,) = prompts_of(casebook, comparison.rows(place)[:1].tolist())
    padded = Prompt("", "\u200b" * 900_000 + plain.user + "\u200b" * 900_000)
    monkeypatch.setattr(Searcher, "prompts", lambda *_: [padded, plain])
    first, second = comparison.seen(np.arange(2), place)
    assert first.views == second.views


def test_what_is_seen_of_a_prompt_is_what_a_match_says(
    engine: Engine, casebook: Casebook, comparison: Comparison
) -> None:
    place = place_of(casebook, "pool-0")
    ordered = comparison.own(place)
    assert [each.best[1] for each in ordered] == sorted((each.best[1] for each in ordered), reverse=True)
    first = ordered[0]
    (prompt,) = prompts_of(casebook, [first.row])
    told = engine.match(prompt).nearest[0]
    assert told.campaign_id == casebook.campaigns[place].campaign_id
    assert [(each.view, each.similarity) for each in told.views] == [
        (each.view, pytest.approx(each.similarity, abs=1e-5)) for each in first.views
    ]


def test_what_was_seen_is_remembered_of_each_kind_and_campaign(casebook: Casebook, comparison: Comparison) -> None:
    places = place_of(casebook, "pool-0"), place_of(casebook, "pool-7000")
    for kind in (comparison.own, comparison.near, comparison.others):
        assert kind(places[0]) is kind(places[0])
        assert kind(places[0]) != kind(places[1]) or not kind(places[0])


def test_what_was_asked_for_last_is_remembered_longest(
    casebook: Casebook, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_module, "_REMEMBERED", 2)
    monkeypatch.setattr(comparison, "_remembered", OrderedDict())
    places = place_of(casebook, "pool-0"), place_of(casebook, "pool-7000")
    kept = comparison.own(places[0])
    comparison.others(places[1])
    assert comparison.own(places[0]) is kept
    dropped = comparison.near(places[0])
    assert comparison.own(places[0]) is kept
    comparison.others(places[1])
    assert comparison.near(places[0]) is not dropped
