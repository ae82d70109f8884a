"""What an analyst reads of a generation is what the events, the match and the store say."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from traffic import (
    NEAR_TEMPLATE,
    OTHER_TEMPLATE,
    background_rows,
    campaign_rows,
    payload,
    published_engine,
    row,
)

from indexer.casebook import Casebook
from indexer.engine import Engine
from models.errors import UnknownAccount, UnknownCampaign
from models.prompt import Prompt
from models.traffic import CampaignAccount, FlaggedAccount
from models.view import View

ROWS = [
    *campaign_rows(0),
    *campaign_rows(3000, OTHER_TEMPLATE),
    *background_rows(5000, 300),
    *(row(9000 + n, f"odd-{n}", NEAR_TEMPLATE.format(payload(Random(n), 6))) for n in range(6)),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with published_engine(tmp_path_factory.mktemp("casebook"), ROWS) as opened:
        yield opened


def campaign_of(casebook: Casebook, account: str) -> str:
    """The one that an account is in."""
    (found,) = casebook.account(account).campaigns
    return found


@pytest.fixture
def campaign_id(engine: Engine) -> str:
    """The one of pool-0."""
    return campaign_of(engine.casebook(), "pool-0-3")


@pytest.fixture
def other_id(engine: Engine) -> str:
    return campaign_of(engine.casebook(), "pool-3000-3")


def at(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["timestamp"]).astimezone(UTC)


def test_hours_and_accounts_are_those_of_the_events(casebook: Casebook, campaign_id: str) -> None:
    mine = [each for each in ROWS if each["account_id"].startswith("pool-0-")]
    hours = casebook.hours({campaign_id})
    assert sum(each.events for each in hours) == len(ROWS)
    assert sum(each.flagged for each in hours) == len(mine)
    assert sum(each.flagged for each in casebook.hours(set())) == 0
    by_hour = Counter(at(each).replace(minute=0, second=0) for each in mine)
    assert {each.hour: each.events for each in casebook.campaign_hours(campaign_id)} == by_hour
    assert casebook.campaign_accounts(campaign_id, slice(1, 3)) == tuple(
        CampaignAccount(name, None, 5, min(theirs), max(theirs), 1.0)
        for name in ("pool-0-1", "pool-0-10")
        for theirs in [[at(each) for each in mine if each["account_id"] == name]]
    )
    assert len(casebook.campaign_accounts(campaign_id)) == 24
    assert casebook.lately(timedelta(days=99)) == {each.campaign_id: each.events for each in casebook.campaigns}
    assert casebook.sent_by(["nobody"]) == {}
    assert list(casebook.account_names()) == sorted({each["account_id"] for each in ROWS})
    found = casebook.account("pool-0-3")
    assert (found.events, found.campaigns) == (5, {campaign_id: 5})
    assert casebook.campaigns_of(["pool-0-3", "user-5000-1"]) == {"pool-0-3": {campaign_id: 5}, "user-5000-1": {}}
    assert casebook.busiest({campaign_id}, 100) == [
        FlaggedAccount(f"pool-0-{n}", 5, 5) for n in sorted(range(24), key=str)
    ]
    with pytest.raises(UnknownAccount):
        casebook.account("pool-0-99")


def test_prompts_of_an_account_are_those_it_sent(casebook: Casebook) -> None:
    sent = {each["prompt"] for each in ROWS if each["account_id"] == "pool-0-3"}
    first, rest = casebook.account_prompts("pool-0-3", 2, 0), casebook.account_prompts("pool-0-3", 10, 2)
    assert {hit.text for hit in (*first, *rest)} == sent
    assert (len(first), len(rest)) == (2, 3)
    assert all(hit.events == hit.accounts == 1 for hit in (*first, *rest))


def test_members_are_in_order_of_how_near_they_are(engine: Engine, casebook: Casebook, campaign_id: str) -> None:
    page = casebook.typical(campaign_id, 500, 0)
    assert page.compared == page.total == len(page.prompts) == 120
    margins = [each.margin for each in page.prompts]
    assert margins == sorted(margins, reverse=True)
    assert all(each.hit.campaign_id == campaign_id for each in page.prompts)
    fringe = casebook.typical(campaign_id, 5, 0, fringe=True)
    assert [each.margin for each in fringe.prompts] == sorted(margins)[:5]
    assert casebook.typical(campaign_id, 5, 100).prompts == page.prompts[100:105]
    nearest = max(page.prompts[0].views, key=lambda view: view.margin)
    assert (page.prompts[0].hit.similarity, margins[0]) == (nearest.similarity, nearest.margin)


def test_near_misses_are_outside_and_told_as_a_match_tells_them(engine: Engine, campaign_id: str) -> None:
    page = engine.casebook().near_misses(campaign_id, 50)
    assert page.prompts
    margins = [each.margin for each in page.prompts]
    assert margins == sorted(margins, reverse=True)
    assert all(each.hit.campaign_id is None for each in page.prompts)
    assert margins[0] < 0
    first = page.prompts[0]
    assert first.hit.text in {each["prompt"] for each in ROWS}
    match = engine.match(Prompt("", first.hit.text))
    (told,) = [each for each in match.nearest if each.campaign_id == campaign_id]
    assert [each.view for each in told.views] == [each.view for each in first.views]
    assert [each.margin for each in told.views] == pytest.approx([each.margin for each in first.views], abs=1e-5)


def test_the_lab_tries_on_members_near_misses_and_others(
    casebook: Casebook, campaign_id: str, other_id: str
) -> None:
    sample = casebook.lab(campaign_id)
    typical = casebook.typical(campaign_id, 500, 0)
    assert sample.own_total == len(sample.own) == 120
    assert {each.hit.fingerprint: each.views for each in sample.own} == {
        each.hit.fingerprint: each.views for each in typical.prompts
    }
    near = casebook.near_misses(campaign_id, 500).prompts
    assert {each.hit.fingerprint for each in sample.outside} == {each.hit.fingerprint for each in near}
    others = [each.hit.campaign_id for each in sample.others]
    assert others.count(other_id) == 10
    assert campaign_id not in others
    assert None not in others
    assert all(each.margin < 0 for each in sample.others)


def test_all_prompts_are_read_in_order(casebook: Casebook, campaign_id: str) -> None:
    found = list(casebook.all_prompts(campaign_id))
    assert len(found) == 120
    assert [each.fingerprint for each in found] == sorted(each.fingerprint for each in found)
    assert {each.text for each in found} == {e["prompt"] for e in ROWS if e["account_id"].startswith("pool-0-")}


def test_a_campaign_that_is_not_there_is_told_so(casebook: Casebook) -> None:
    for ask in (
        casebook.campaign_hours,
        lambda name: casebook.typical(name, 1, 0),
        lambda name: casebook.near_misses(name, 1),
    ):
        with pytest.raises(UnknownCampaign):
            ask("c-none")


def test_how_near_a_campaign_is_to_others_equals_a_look_at_each_exemplar(engine: Engine) -> None:
    matcher = engine._current().matcher
    for view in (View.WHOLE, View.RECURRING):
        all_of = [matcher.exemplars_of(view, number) for number in range(len(matcher.campaigns))]
        mine = next(each for each in all_of if len(each))
        expected = [max((float(a @ b) for a in mine for b in each), default=-1.0) for each in all_of]
        assert matcher.nearness(view, mine).tolist() == pytest.approx(expected, abs=1e-5)


def test_views_side_by_side_are_those_of_each_prompt_alone(engine: Engine) -> None:
    matcher = engine._current().matcher
    texts = [ROWS[0]["prompt"], ROWS[300]["prompt"], "one two"]
    together = matcher.side_by_side([Prompt("", text) for text in texts])
    assert together.shape[0] == 3
    for seen, text in zip(together, texts, strict=True):
        assert matcher.side_by_side([Prompt("", text)])[0].tolist() == pytest.approx(seen.tolist(), abs=1e-6)
    assert [round(float((seen**2).sum())) for seen in together] == [2, 1, 1]  # the first has recurring text, too
