"""Search over all stored prompts: nearest first, filters that hold, pages that do not overlap."""

from collections.abc import Iterator

import pytest
from traffic import NOW, TEMPLATE, background_rows, campaign_rows, published_engine

from indexer.engine import Engine
from models.errors import BadPrompt
from models.search import SearchQuery

FRESH = TEMPLATE.format("a theorem that nobody has sent before")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    rows = [*campaign_rows(0), *background_rows(5000, 300)]
    with published_engine(tmp_path_factory.mktemp("search"), rows) as opened:
        yield opened


def test_search_finds_the_nearest_prompt_first(engine: Engine) -> None:
    wanted = background_rows(5000, 4)[3]
    page = engine.search(SearchQuery(wanted["prompt"], limit=3))
    assert page.hits[0].text == wanted["prompt"]
    assert page.hits[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert [hit.similarity for hit in page.hits] == sorted((hit.similarity for hit in page.hits), reverse=True)
    assert (page.hits[0].events, page.hits[0].accounts, page.hits[0].campaign_id) == (1, 1, None)
    assert not page.exhausted


def test_filters_hold_however_narrow_they_are(engine: Engine) -> None:
    page = engine.search(SearchQuery(FRESH, account_id="user-5000-299"))
    assert [hit.text for hit in page.hits] == [background_rows(5000, 300)[299]["prompt"]]
    assert page.exhausted
    campaign_id = engine.campaigns()[0].campaign_id
    page = engine.search(SearchQuery("anything at all", campaign_id=campaign_id, limit=200))
    assert len(page.hits) == 120
    assert page.facets["campaign"] == {campaign_id: 120}
    held = engine.search(SearchQuery("w1 w2", words=("Patient Examiner", "behind"), limit=200))
    assert len(held.hits) == 120
    (word,) = [each for each in held.hits[7].text.split() if each.startswith("w1")][:1] or [held.hits[7].text]
    assert {hit.text for hit in engine.search(SearchQuery("anything", words=(word,))).hits} >= {held.hits[7].text}
    assert engine.search(SearchQuery("x", words=("patient", "no such word"))).hits == ()
    assert engine.search(SearchQuery("x", model="no such model")).hits == ()
    assert engine.search(SearchQuery("x", since=NOW)).hits == ()


def test_pages_of_a_search_do_not_overlap(engine: Engine) -> None:
    whole = engine.search(SearchQuery("w1 w2", limit=40))
    halves = [engine.search(SearchQuery("w1 w2", limit=20, offset=offset)) for offset in (0, 20)]
    assert [hit.fingerprint for page in halves for hit in page.hits] == [hit.fingerprint for hit in whole.hits]


def test_an_empty_query_is_refused(engine: Engine) -> None:
    with pytest.raises(BadPrompt, match="no text"):
        engine.search(SearchQuery("\u200b \n"))


def test_prompts_of_a_campaign_come_with_their_similarity(engine: Engine) -> None:
    campaign_id = engine.campaigns()[0].campaign_id
    page = engine.campaign_prompts(campaign_id, limit=50, offset=100)
    assert len(page.hits) == 20
    assert page.exhausted
    assert all(hit.similarity > 0.9 and hit.campaign_id == campaign_id for hit in page.hits)
