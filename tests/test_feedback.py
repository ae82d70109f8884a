"""Verdicts and allow-lists: what they explain, what they do not, and that they count at once and are kept."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_double import make_campaign
from tiny_encoder import TinyEncoder
from traffic import NOW, TEMPLATE, background_rows, campaign_rows, run_reindex, settings_of, store_rows

from indexer import engine as engine_module
from indexer.coverage import covered_share, said_in
from indexer.encode import Encoder
from indexer.engine import Engine
from indexer.export import assignments
from indexer.feedback import allowed_campaigns, labels_now
from indexer.generation import open_current
from indexer.settings import Settings
from indexer.store import Store
from models.allowance import Allowance, AllowanceKind
from models.campaign import Campaign, CampaignLabel, Label, Level, Strand, level_now
from models.errors import UnknownAllowance
from models.match import Decision
from models.prompt import Prompt

PUBLIC = "Act as a seasoned travel guide and tell me what to see in one day in {{city}}, with times and prices."
CAMPAIGN = make_campaign("c-1", Level.STRONG, PUBLIC.partition(" {{")[0])
FRESH = Prompt("", TEMPLATE.format("a theorem nobody has sent before"))


def rule(kind: AllowanceKind, value: str, number: int = 1) -> Allowance:
    return Allowance(number, kind, value, "", "ann", NOW)


def nobody(organisations: Collection[str]) -> dict[str, dict[str, int]]:
    raise AssertionError(f"there is no rule of organisations, but {organisations} are asked for")


def with_skeleton(skeleton: str, role: str = "user") -> Campaign:
    return replace(CAMPAIGN, template=replace(CAMPAIGN.template, skeleton=skeleton, role=role))


def test_a_public_template_explains_a_campaign_that_says_nothing_else() -> None:
    public = rule(AllowanceKind.TEMPLATE, PUBLIC)
    assert allowed_campaigns([CAMPAIGN], [public], nobody) == {"c-1": public}
    assert allowed_campaigns([CAMPAIGN], [rule(AllowanceKind.TEMPLATE, "Act as a seasoned cook.")], nobody) == {}
    assert allowed_campaigns([CAMPAIGN], [], nobody) == {}


def test_words_of_his_own_beside_a_public_prompt_let_nobody_through() -> None:
    public = rule(AllowanceKind.TEMPLATE, PUBLIC)
    own = "Write down every step of your thinking before you answer, then grade the answer from one to ten."
    hostile = with_skeleton(f"{CAMPAIGN.template.skeleton} {own}")
    assert 0.3 < covered_share(hostile.template, said_in(PUBLIC)) < 0.9
    assert allowed_campaigns([hostile], [public], nobody) == {}
    shuffled = with_skeleton(" ".join(sorted(CAMPAIGN.template.skeleton.split())))
    assert allowed_campaigns([shuffled], [public], nobody) == {}
    moment = CAMPAIGN.first_seen
    strands = tuple(
        Strand(number, each.template, 50, 2, moment, moment)
        for number, each in enumerate((CAMPAIGN, with_skeleton(own)))
    )
    assert allowed_campaigns([replace(CAMPAIGN, strands=strands)], [public], nobody) == {}
    assert allowed_campaigns([replace(CAMPAIGN, variants=(strands[-1].template,))], [public], nobody) == {}


@pytest.mark.parametrize("skeleton", ["", "{1}", "as a {1}"])
def test_a_template_too_short_to_tell_is_not_explained(skeleton: str) -> None:
    assert covered_share(with_skeleton(skeleton).template, said_in(PUBLIC)) == 0.0


def test_a_system_prompt_explains_only_what_stands_in_the_system_prompt() -> None:
    text = rule(AllowanceKind.SYSTEM_PROMPT, PUBLIC)
    assert allowed_campaigns([with_skeleton(CAMPAIGN.template.skeleton, "system")], [text], nobody) == {
        "c-1": text
    }
    assert allowed_campaigns([CAMPAIGN], [text], nobody) == {}


def test_organisations_explain_a_campaign_if_they_send_nearly_all_of_it() -> None:
    rules = [rule(AllowanceKind.ORGANISATION, name, number) for number, name in enumerate(("o1", "o2"))]

    def allowed(**events: int) -> dict[str, Allowance]:
        def sent_by(organisations: Collection[str]) -> dict[str, dict[str, int]]:
            assert set(organisations) == {"o1", "o2"}
            return {"c-1": events} if events else {}

        return allowed_campaigns([CAMPAIGN], rules, sent_by)

    assert allowed() == allowed(o1=89) == allowed(o1=45, o2=44) == {}  # of 100 events
    assert allowed(o1=90) == {"c-1": rules[0]}
    assert allowed(o2=90) == {"c-1": rules[1]}


def test_of_organisations_together_the_rule_that_runs_out_first_explains() -> None:
    ends = [NOW + timedelta(hours=2), None, NOW + timedelta(hours=1)]
    rules = [
        replace(rule(AllowanceKind.ORGANISATION, f"o{number}", number), until=end)
        for number, end in enumerate(ends)
    ]

    def explains(*places: int) -> Allowance:
        sent = {rules[place].value: 99 // len(places) for place in places}
        return allowed_campaigns([CAMPAIGN], rules, lambda _: {"c-1": sent})["c-1"]

    assert [explains(0, 1), explains(1, 2), explains(0, 1, 2), explains(1)] == [rules[n] for n in (0, 2, 2, 1)]


def test_a_label_given_counts_for_more_than_a_rule_and_both_run_out() -> None:
    allowed = {"c-1": replace(rule(AllowanceKind.TEMPLATE, PUBLIC), until=NOW + timedelta(hours=1))}
    assert labels_now({}, allowed, NOW)["c-1"].label is Label.BENIGN
    assert labels_now({}, allowed, NOW + timedelta(hours=1)) == {}
    confirmed = CampaignLabel("c-1", Label.CONFIRMED, "", "bob", NOW)
    assert labels_now({"c-1": confirmed}, allowed, NOW) == {"c-1": confirmed}
    ignored = CampaignLabel("c-1", Label.IGNORE_UNTIL, "", "bob", NOW, NOW + timedelta(hours=2))
    assert labels_now({"c-1": ignored}, {}, NOW) == {"c-1": ignored}
    assert labels_now({"c-1": ignored}, {}, NOW + timedelta(hours=2)) == {}


@pytest.mark.parametrize(
    ("level", "label", "expected"),
    [
        (Level.STRONG, None, Level.STRONG),
        (Level.STRONG, Label.BENIGN, Level.WATCH),
        (Level.LIKELY, Label.IGNORE_UNTIL, Level.WATCH),
        (Level.WATCH, Label.CONFIRMED, Level.LIKELY),
        (Level.STRONG, Label.CONFIRMED, Level.STRONG),
    ],
)
def test_what_an_analyst_said_is_worth_more_than_the_score(
    level: Level, label: Label | None, expected: Level
) -> None:
    assert level_now(level, label) is expected


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return settings_of(tmp_path, database)


@contextmanager
def engine_of(
    settings: Settings, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, clock: Callable[[], datetime]
) -> Iterator[Engine]:
    def load(name: str, weights: Path) -> Encoder:
        return TinyEncoder()

    monkeypatch.setattr(engine_module, "load_encoder", load)
    store_rows(settings, [*rows, *background_rows(5000, 300)])
    run_reindex(settings)
    opened = Engine.open(settings, clock)
    yield opened
    opened.close()


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with engine_of(settings, campaign_rows(0), monkeypatch, lambda: NOW) as opened:
        yield opened


def exported_levels(settings: Settings) -> set[str | None]:
    with Store.open(settings.database) as store:
        return {row["level"] for row in assignments(open_current(settings.generations), store, NOW)}


def test_a_rule_counts_at_once_everywhere_and_until_it_is_taken_back(engine: Engine, settings: Settings) -> None:
    assert engine.match(FRESH).decision is Decision.MATCH
    before = exported_levels(settings)
    stored = engine.allow(rule(AllowanceKind.TEMPLATE, TEMPLATE, 0))
    assert engine.allow(rule(AllowanceKind.TEMPLATE, TEMPLATE, 0)) == stored
    assert engine.match(FRESH).decision is Decision.WATCHED
    assert engine.labels()[engine.campaigns()[0].campaign_id].note == f"allowed by rule {stored.rule_id}"
    assert exported_levels(settings) == {None, "watch"} != before
    engine.disallow(stored.rule_id, "ann")
    assert engine.match(FRESH).decision is Decision.MATCH
    assert exported_levels(settings) == before
    with pytest.raises(UnknownAllowance, match=f"no allow-list rule {stored.rule_id}"):
        engine.disallow(stored.rule_id, "ann")


def test_organisations_are_vouched_for_everywhere_until_one_runs_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**each, "org_id": f"org-{each['account_id']}"} for each in campaign_rows(0)]
    names = sorted({each["org_id"] for each in rows})
    times = [NOW]
    with engine_of(settings, rows, monkeypatch, lambda: times[-1]) as engine:
        before = exported_levels(settings)
        for number, name in enumerate(names[:21]):
            engine.allow(rule(AllowanceKind.ORGANISATION, name, number))
        assert engine.match(FRESH).decision is Decision.MATCH  # 21 of 24 accounts, each of as many events
        assert exported_levels(settings) == before
        last = engine.allow(replace(rule(AllowanceKind.ORGANISATION, names[21]), until=NOW + timedelta(hours=1)))
        assert engine.match(FRESH).decision is Decision.WATCHED
        (label,) = engine.labels().values()
        assert (label.note, label.until) == (f"allowed by rule {last.rule_id}", last.until)
        assert exported_levels(settings) == {None, "watch"}
        times.append(NOW + timedelta(hours=1))
        assert engine.match(FRESH).decision is Decision.MATCH
        engine.allow(rule(AllowanceKind.ORGANISATION, names[22]))
        assert engine.match(FRESH).decision is Decision.WATCHED  # 22 again, and none of them runs out
        (label,) = engine.labels().values()
        assert label.until is None


def test_verdicts_and_rules_change_no_threshold_level_or_score(engine: Engine, settings: Settings) -> None:
    before = engine.campaigns()[0]
    engine.allow(rule(AllowanceKind.TEMPLATE, TEMPLATE, 0))
    engine.put_label(CampaignLabel(before.campaign_id, Label.BENIGN, "", "ann", NOW))
    run_reindex(settings, full=True)
    engine.refresh()
    after = engine.campaigns()[0]
    assert replace(after, history=before.history) == before
