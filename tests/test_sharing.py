"""What providers tell one another: hashes that meet where templates do, in bundles that others can read."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from api_double import make_campaign
from hypothesis import given
from hypothesis import strategies as st

from indexer.stix import bundle_of, campaigns_in
from indexer.store import Store
from indexer.template_hashes import (
    LEAST_SHARE,
    MOST_HASHES,
    hashes_of,
    resemblance,
    resembled,
    template_hashes,
)
from models.campaign import Campaign, Level
from models.errors import BadInput, NotFound
from models.shared import BankEntry, Resemblance, SharedCampaign

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SALT = bytes(range(16))
WORDS = "You are a careful examiner. Write out every step of the reasoning behind {1} and grade it {2} out of ten."


def campaign_of(skeleton: str) -> Campaign:
    one = make_campaign("c-1", Level.LIKELY, "x")
    return replace(one, template=replace(one.template, skeleton=skeleton))


def shared(**changes: object) -> SharedCampaign:
    hashes = template_hashes(campaign_of(WORDS), SALT)
    until = NOW + timedelta(days=90)
    plain = SharedCampaign(
        "Example AI", "c-77", "reasoning", NOW - timedelta(days=9), NOW, SALT.hex(), hashes, until
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_same_words_give_the_same_hashes_however_they_are_written() -> None:
    one = template_hashes(campaign_of(WORDS), SALT)
    assert len(one) == (13 - 3) + 0 + 0  # runs of 13, 3 and 3 words
    assert one == template_hashes(campaign_of(WORDS.upper().replace("{1}", "{4}").replace(" ", "\u200b ")), SALT)
    assert not set(one) & set(template_hashes(campaign_of(WORDS), SALT[::-1]))
    assert all(len(each) == 32 and not set(each) - set("0123456789abcdef") for each in one)


def test_another_cut_of_the_slots_still_resembles_and_another_template_does_not() -> None:
    one = template_hashes(campaign_of(WORDS), SALT)
    cut = template_hashes(
        campaign_of("{1} careful examiner. Write out every step of the reasoning behind {2}"), SALT
    )
    assert resemblance("c-1", one, cut) == Resemblance("c-1", 7, 7)
    other = template_hashes(campaign_of("Translate the following text into French and keep its tone {1}"), SALT)
    assert resemblance("c-1", one, other).common == 0
    assert resemblance("c-1", one, ()).share == 0.0
    assert template_hashes(campaign_of("{1}"), SALT) == ()


@given(st.lists(st.integers(0, 3000), min_size=4, max_size=1500))
def test_of_many_grams_the_least_hashes_are_kept(numbers: list[int]) -> None:
    found = template_hashes(campaign_of(" ".join(f"w{n}" for n in numbers)), SALT)
    grams = {tuple(numbers[at : at + 4]) for at in range(len(numbers) - 3)}
    assert len(found) == min(MOST_HASHES, len(grams))
    alone = {hashes_of([" ".join(f"w{n}" for n in gram)], SALT)[0] for gram in grams}
    assert list(found) == sorted(alone)[:MOST_HASHES]


def test_of_templates_with_more_grams_than_are_kept_all_that_is_in_common_counts() -> None:
    ours = hashes_of([f"both {n}" for n in range(400)] + [f"ours {n}" for n in range(1200)], SALT)
    theirs = hashes_of([f"both {n}" for n in range(400)] + [f"theirs {n}" for n in range(4400)], SALT)
    found = resemblance("c-1", ours, theirs)  # 400 of the shorter one's 1,600, of which 512 were kept
    assert found.share == pytest.approx(0.25, abs=0.08)
    assert found.common == len({each for each in ours if each <= max(theirs)} & set(theirs))
    short = hashes_of([f"both {n}" for n in range(300)], SALT)
    assert resemblance("c-1", short, theirs).share == 1.0


def test_ours_that_resemble_what_others_told_are_found_the_nearest_first() -> None:
    cut = "{1} careful examiner. Write out every step of the reasoning behind {2}"
    half = "Write out every step of the {1} and then translate all of it into plain French please"
    ours = [campaign_of(each) for each in ("Translate this text into French {1}", half, cut, WORDS)]
    ours = [replace(each, campaign_id=f"c-{n}") for n, each in enumerate(ours)]
    found = resembled([BankEntry(7, shared(), "mira", NOW)], ours)
    theirs = set(shared().hashes)
    shares = {each.campaign_id: resemblance("", theirs, template_hashes(each, SALT)).share for each in ours}
    expected = sorted(
        (name for name, share in shares.items() if share >= LEAST_SHARE), key=lambda name: (-shares[name], name)
    )
    assert [(each.campaign_id, each.share) for each in found[7]] == [(name, shares[name]) for name in expected]
    assert expected[:2] == ["c-2", "c-3"]
    assert "c-0" not in expected


def test_a_bundle_comes_back_as_it_was() -> None:
    told = [shared(), shared(campaign_id="c-78", aim="")]
    written = bundle_of(told, "Example AI", NOW)
    assert campaigns_in(written) == told
    objects = json.loads(written)["objects"]
    kinds = [each["type"] for each in objects]
    assert kinds == ["marking-definition", "identity", *["campaign", "indicator", "relationship"] * 2]
    sign = objects[3]
    assert sign["valid_until"] == "2026-05-30T12:00:00Z"
    assert "careful" not in written
    assert "examiner" not in written


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "7", "[" * 100_000, '{"type": "bundle", "id": "x", "objects": [{}]}', "\ud800"],
)
def test_what_is_no_bundle_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"no STIX 2\.1 bundle"):
        campaigns_in(text)


def test_what_others_leave_out_is_looked_at_and_what_must_be_there_is_missed() -> None:
    bundle = json.loads(bundle_of([shared()], "Example AI", NOW))
    told, sign = bundle["objects"][2], bundle["objects"][3]
    del told["objective"], told["last_seen"], told["created_by_ref"]
    (found,) = campaigns_in(json.dumps(bundle))
    assert (found.source, found.aim, found.last_seen) == ("unknown", "", found.first_seen)
    del sign["valid_until"]
    with pytest.raises(BadInput, match="valid_until"):
        campaigns_in(json.dumps(bundle))
    sign["valid_until"], sign["x_stillwatch_salt"] = "2026-05-30T12:00:00Z", "not hex"
    assert campaigns_in(json.dumps(bundle)) == []
    sign["x_stillwatch_salt"] = "abc" * 7  # no whole bytes
    assert campaigns_in(json.dumps(bundle)) == []
    sign["x_stillwatch_salt"] = SALT.hex()
    assert (
        campaigns_in(json.dumps({**bundle, "objects": [each | {"revoked": True} for each in bundle["objects"]]}))
        == []
    )
    sign["valid_until"] = "9999-12-31T23:59:59.999999Z"
    assert campaigns_in(json.dumps(bundle))[0].until.year == 9999
    assert len(campaigns_in(json.dumps(bundle))) == 1
    bundle["objects"] += [{"type": "x-strange", "id": "nonsense"}, 7, {**sign, "pattern": "(" * 100_000}]
    assert len(campaigns_in(json.dumps(bundle))) == 1  # what is none of ours is not looked at
    bundle["objects"] += [{"type": "campaign", "spec_version": None}, {"type": "identity", "spec_version": "9"}]
    assert len(campaigns_in(json.dumps(bundle))) == 1
    bundle["objects"] += [{}] * 10_000
    with pytest.raises(BadInput, match="more than 10000"):
        campaigns_in(json.dumps(bundle))
    bundle["objects"] = bundle["objects"][:5]
    sign["pattern"] = "[file:name = 'x']"
    assert campaigns_in(json.dumps(bundle)) == []


def test_the_bank_keeps_one_entry_of_each_campaign_until_it_is_to_be_forgotten(store: Store) -> None:
    store.bank.add([shared(), shared(campaign_id="c-2")], "mira", NOW)
    store.bank.add([shared(aim="coding")], "jo", NOW + timedelta(days=1))
    entries = store.bank.entries(NOW)
    assert [(each.campaign.campaign_id, each.campaign.aim, each.added_by) for each in entries] == [
        ("c-77", "coding", "jo"),
        ("c-2", "reasoning", "mira"),
    ]
    assert entries[1].campaign == shared(campaign_id="c-2")
    assert store.bank.entries(NOW + timedelta(days=90)) == []
    store.bank.remove(entries[0].number)
    assert [each.campaign.campaign_id for each in store.bank.entries(NOW)] == ["c-2"]
    with pytest.raises(NotFound):
        store.bank.remove(entries[0].number)
