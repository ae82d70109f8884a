"""What is taken out of the console, and put in: by whom and why is kept, and nothing in it does anything."""

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import httpx
import pyarrow.parquet as pq
import pytest
from api_double import NOW, MemoryEngine, client_of, make_app, make_campaign
from console_house import HOSTILE, Links

from app.console.pages import as_code, as_words
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from indexer.stix import bundle_of, campaigns_in
from indexer.template_hashes import template_hashes
from models.act import Act, ActKind
from models.campaign import Level
from models.shared import SharedCampaign

pytestmark = pytest.mark.anyio

WHERE = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"


@pytest.fixture
async def client(engine: MemoryEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(engine)) as found:
        yield found


async def taken(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    token = Links((await client.get(WHERE)).text).fields["token"]
    sent = {"token": token, "note": "case 7", "author": "mira", **fields}
    return await client.post(f"{WHERE}/export", data=sent)


async def test_prompts_are_taken_out_as_tables(client: httpx.AsyncClient, engine: MemoryEngine) -> None:
    answer = await taken(client, format="prompts-csv")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{EXAMPLE_CAMPAIGN}.prompts.csv"'
    assert answer.headers["cache-control"] == "no-store"
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (row["prompt"], row["events"], row["campaign_id"]) == (EXAMPLE_PROMPT, "100", EXAMPLE_CAMPAIGN)
    answer = await taken(client, format="prompts-parquet")
    (row,) = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    assert (row["prompt"], row["events"]) == (EXAMPLE_PROMPT, 100)
    acts = [(each.kind, each.subject, each.detail, each.author, each.note) for each in engine.recorded]
    assert acts == [
        ("export", EXAMPLE_CAMPAIGN, "prompts-csv", "mira", "case 7"),
        ("export", EXAMPLE_CAMPAIGN, "prompts-parquet", "mira", "case 7"),
    ]
    assert "case 7" in (await client.get(WHERE)).text


@pytest.mark.parametrize(("own", "named"), [("false", False), ("true", True)])
async def test_accounts_bear_pseudonyms_unless_their_names_are_asked_for(
    client: httpx.AsyncClient, engine: MemoryEngine, own: str, named: bool
) -> None:
    for format in ("accounts-csv", "accounts-parquet", "report"):
        answer = await taken(client, format=format, with_names=own)
        assert answer.status_code == 200
        if format == "accounts-csv":
            rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
            names = [(row["account"], row["organisation"]) for row in rows]
            assert [row["share_of_its_events"] for row in rows] == ["1.0", "0.5"]
        elif format == "accounts-parquet":
            table = pq.read_table(io.BytesIO(answer.content)).to_pylist()
            names = [(row["account"], row["organisation"] or "") for row in table]
        else:
            report = read_report(answer.content)["report.md"]
            assert ("| a1 | 70 | 100 % |" in report) == named
            continue
        assert (names == [("a1", ""), ("a2", "o1")]) == named
        assert all(name.startswith("a-") for name, _ in names) == (not named)
    kinds = [ActKind.EXPORT_NAMES if named else ActKind.EXPORT] * 3
    assert [each.kind for each in engine.recorded] == kinds
    targets = Links((await client.get(f"{WHERE}/accounts")).text).targets
    account = next(each for each in targets if each.startswith("/console/accounts/a-"))
    assert (f"export with names of {EXAMPLE_CAMPAIGN}" in (await client.get(account)).text) == named


def read_report(packed: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name.partition("/")[2]: archive.read(name).decode() for name in archive.namelist()}


async def test_a_report_tells_the_case_with_pictures(client: httpx.AsyncClient) -> None:
    files = read_report((await taken(client, format="report")).content)
    assert set(files) == {"report.md", "events.svg", "accounts.svg"}
    for name in ("events.svg", "accounts.svg"):
        picture = ElementTree.fromstring(files[name])
        bars = [
            each
            for each in picture.iter("{http://www.w3.org/2000/svg}rect")
            if each.get("class", "").startswith("s")
        ]
        assert len(bars) >= 2
        assert "![" in files["report.md"]
        assert f"]({name})" in files["report.md"]
    assert "Drawn up 2026-03-01 12:00 UTC by mira" in files["report.md"]
    assert "two units, one expected" in files["report.md"]
    assert EXAMPLE_PROMPT in files["report.md"]


async def test_what_senders_wrote_means_nothing_in_a_report(
    client: httpx.AsyncClient, engine: MemoryEngine
) -> None:
    wrote = f"{HOSTILE}\n```\n# A heading\n![x](https://example.org/x.png) [y](javascript:z) | a | b |"
    hostile = make_campaign(EXAMPLE_CAMPAIGN, Level.STRONG, wrote)
    evidence = tuple(replace(each, explanation=wrote) for each in hostile.evidence)
    engine.set_campaigns(replace(hostile, evidence=evidence, models={wrote: 1}))
    files = read_report((await taken(client, format="report", note=wrote.replace("\x00", ""))).content)
    fence, outside = "", []
    for line in files["report.md"].splitlines():
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line.removesuffix("text")
        else:
            outside.append(line)
    assert fence == ""
    text = "\n".join(outside)
    for active in ("<script", "<img", "![x]", "](http", "](javascript", "\n# A heading"):
        assert active not in text, active
    for name in ("events.svg", "accounts.svg"):
        assert "<script" not in files[name]
        ElementTree.fromstring(files[name])


@pytest.mark.parametrize("text", ["", "`", "a ``` b", "```\n", "x" * 5000])
def test_code_ends_where_it_should(text: str) -> None:
    first, *lines, last = as_code(text).split("\n")
    assert first == f"{last}text"
    assert set(last) == {"`"}
    assert all(last not in line for line in lines)


def test_words_in_a_line_are_no_markdown() -> None:
    assert as_words("a|b\n*c* <d> [e](f)") == r"a\|b \*c\* &lt;d\> \[e\]\(f\)"


async def test_a_bundle_goes_out_without_text_and_comes_in_without_effect(
    client: httpx.AsyncClient, engine: MemoryEngine
) -> None:
    answer = await taken(client, format="stix", source="Example AI", days="30")
    assert answer.status_code == 200
    (told,) = campaigns_in(answer.text)
    assert (told.source, told.campaign_id, (told.until - NOW).days) == ("Example AI", EXAMPLE_CAMPAIGN, 30)
    assert told.hashes == template_hashes(engine.campaign(EXAMPLE_CAMPAIGN), bytes.fromhex(told.salt))
    assert EXAMPLE_PROMPT.split()[3] not in answer.text

    page = await client.get("/console/shared")
    sent = {"token": Links(page.text).fields["token"], "note": "from them", "author": "jo", "bundle": answer.text}
    before = (await client.post("/v1/match", json={"prompt": EXAMPLE_PROMPT})).json()
    assert (await client.post("/console/shared", data=sent)).status_code == 303
    page = await client.get("/console/shared")
    assert "Example AI" in page.text
    count = len(told.hashes)
    assert f"<code>{EXAMPLE_CAMPAIGN}</code></a> {count} of {count} hashes (100 %)" in page.text
    after = (await client.post("/v1/match", json={"prompt": EXAMPLE_PROMPT})).json()
    assert {**after, "request_id": ""} == {**before, "request_id": ""}
    assert (engine.recorded[-1].kind, engine.recorded[-1].detail) == ("import", "1 of Example AI")
    unsaid = await client.post("/console/shared/1/remove", data={"token": sent["token"]})
    assert unsaid.status_code == 422
    said = {"token": sent["token"], "note": "stale", "author": "jo"}
    assert (await client.post("/console/shared/1/remove", data=said)).status_code == 303
    page = await client.get("/console/shared")
    assert "hashes (100 %)" not in page.text
    assert (engine.recorded[-1].kind, engine.recorded[-1].detail) == ("remove", "entry 1")
    assert "stale" in page.text  # who comes next sees what was done
    assert (await client.post("/console/shared/1/remove", data=said)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"note": ""}, "note: "),
        ({"author": " "}, "author: "),
        ({"format": "exe"}, "format: "),
        ({"format": "stix"}, "source: "),
        ({"format": "stix", "source": "us", "days": "0"}, "days: "),
    ],
)
async def test_what_an_export_lacks_is_said_and_nothing_is_taken_out(
    client: httpx.AsyncClient, engine: MemoryEngine, fields: dict[str, str], said: str
) -> None:
    answer = await taken(client, **fields)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert engine.recorded == []
    assert (await client.post(f"{WHERE}/export", data={"note": "x", "author": "x"})).status_code == 403


async def test_bundles_that_are_over_or_empty_are_refused(client: httpx.AsyncClient, engine: MemoryEngine) -> None:
    token = Links((await client.get("/console/shared")).text).fields["token"]
    over = SharedCampaign("Them", "c-9", "", NOW, NOW, "ab" * 16, ("0" * 32,), NOW)
    for bundle, said in (
        (bundle_of([over], "Them", NOW.replace(year=2025)), "none is still"),
        ("{}", "no STIX 2.1"),
        (json.dumps(1), "no STIX"),
    ):
        sent = {"token": token, "note": "x", "author": "jo", "bundle": bundle}
        answer = await client.post("/console/shared", data=sent)
        assert (answer.status_code, said in answer.text) == (422, True)
    assert engine.bank() == engine.recorded == []


async def test_a_bank_of_many_salts_is_told_a_page_at_a_time(
    client: httpx.AsyncClient, engine: MemoryEngine
) -> None:
    until = NOW.replace(year=2030)
    told = [SharedCampaign("Them", f"c-{n}", "", NOW, NOW, f"{n:032x}", ("0" * 32,), until) for n in range(45)]
    engine.share_in(told, "jo")
    page = (await client.get("/console/shared")).text
    assert page.count("<bdi>Them</bdi>") == 20
    assert "page 1 of 3" in page
    assert (await client.get("/console/shared?page=3")).text.count("<bdi>Them</bdi>") == 5
    assert "page 3 of 3" in (await client.get("/console/shared?page=4")).text


async def test_what_was_done_before_campaigns_merged_and_long_ago_is_told(
    client: httpx.AsyncClient, engine: MemoryEngine
) -> None:
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    engine.set_campaigns(replace(one, formerly=("c-old",)))
    engine.record(Act(ActKind.EXPORT_NAMES, "c-old", "accounts-csv", "mira", "case 6", NOW - timedelta(days=9)))
    for n in range(100):
        engine.record(Act(ActKind.MODE, EXAMPLE_CAMPAIGN, "audit", "jo", f"change {n}", NOW))
    page = (await client.get(WHERE)).text
    assert "case 6" in page
    assert "and older ones" in page
    targets = Links((await client.get(f"{WHERE}/accounts")).text).targets
    account = next(each for each in targets if each.startswith("/console/accounts/a-"))
    page = (await client.get(account)).text
    assert "export with names of c-old, <bdi>accounts-csv</bdi> by <bdi>mira</bdi>: <bdi>case 6</bdi>" in page
    assert "change 99" not in page


async def test_what_a_search_finds_is_taken_out(client: httpx.AsyncClient, engine: MemoryEngine) -> None:
    page = await client.get("/console/search", params={"q": EXAMPLE_PROMPT, "campaign_id": EXAMPLE_CAMPAIGN})
    assert "Export the first" in page.text
    fields = {**Links(page.text).fields, "q": EXAMPLE_PROMPT, "author": "jo"}
    assert fields["campaign_id"] == EXAMPLE_CAMPAIGN
    missing = await client.post("/console/search/export", data={**fields, "note": ""})
    assert (missing.status_code, engine.recorded) == (422, [])
    answer = await client.post("/console/search/export", data={**fields, "note": "case 7"})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["campaign_id"] for row in rows] == [EXAMPLE_CAMPAIGN]
    assert (engine.recorded[0].detail, engine.recorded[0].note) == ("search", "case 7")
    again = await client.get("/console/search", params={"q": EXAMPLE_PROMPT})
    assert "case 7" in again.text


async def test_prompts_bear_no_names_and_what_fails_is_not_kept(
    client: httpx.AsyncClient, engine: MemoryEngine
) -> None:
    await taken(client, format="prompts-csv", with_names="true")
    assert engine.recorded[0].detail == "prompts-csv"
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    engine.set_campaigns(replace(one, template=replace(one.template, skeleton="{1}")))
    failed = await taken(client, format="stix", source="us")
    assert (failed.status_code, "no common text" in failed.text) == (422, True)
    assert len(engine.recorded) == 1


async def test_a_report_holds_long_words_whole(client: httpx.AsyncClient, engine: MemoryEngine) -> None:
    why, said = "because " * 400, "explained " * 300
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    evidence = tuple(replace(each, explanation=said.strip()) for each in one.evidence)
    engine.set_campaigns(replace(one, evidence=evidence))
    report = read_report((await taken(client, format="report", note=why)).content)["report.md"]
    assert report.count("because") == 400
    assert report.count("explained") == 300 * len(evidence)
    assert "**born**" in report
