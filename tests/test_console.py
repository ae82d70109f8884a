"""The console over the small engine: who gets in, what the pages say, and what they never do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from api_double import NOW, WATCHED_CAMPAIGN, MemoryEngine, client_of, make_app, make_campaign
from hypothesis import given
from hypothesis import strategies as st

from app.console import sessions
from app.console.listing import Wanted, chosen, models_of, rows_of
from app.console.news import news_since
from app.console.pages import age, measure, pieces, share, shown
from app.console.places import local
from app.console.sessions import COOKIE, LIFETIME, Session, Sessions, session_secret
from app.console.visit import FORM_BYTES
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from models.campaign import CampaignLabel, HistoryEntry, Label, Level, TimelineHour
from models.errors import StorageUnusable
from models.key import KEY_HEADER, ApiKey, Keyring, Role, new_key
from models.mode import Mode

pytestmark = pytest.mark.anyio

DICE = Random(11)
KEYS = {role: new_key(f"{role} of ours", role, None, NOW, None, DICE.randbytes) for role in Role}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\u200b\x00 {1} {{ 7*7 }} 🙂"


class Links(HTMLParser):
    """What a page loads or leads to, its inline scripts and styles, its form fields, and what is read there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.inline: list[str] = []
        self.fields: dict[str, str] = {}
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {name: value or "" for name, value in attrs}
        self.targets += [found[name] for name in ("href", "src", "action") if name in found]
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        if tag in ("script", "style") and "src" not in found:
            self.inline.append(tag)
        if tag == "input" and "name" in found:
            self.fields[found["name"]] = found.get("value", "")


@asynccontextmanager
async def console(engine: MemoryEngine | None = None, *keys: ApiKey) -> AsyncIterator[httpx.AsyncClient]:
    served = engine or MemoryEngine()
    served.keyring = Keyring(keys)
    async with client_of(make_app(served)) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, token: str, goal: str = "/console") -> httpx.Response:
    page = await client.get("/console/sign-in", params={"next": goal})
    fields = Links(page.text).fields
    return await client.post("/console/sign-in", data={**fields, "key": token})


@pytest.mark.parametrize("path", ["/console", "/console/campaigns", f"/console/campaigns/{EXAMPLE_CAMPAIGN}"])
async def test_who_is_not_signed_in_is_asked_for_a_key_and_led_back(path: str) -> None:
    key, token = KEYS[Role.ANALYST]
    async with console(None, key) as client:
        refused = await client.get(path)
        assert refused.status_code == 303
        assert refused.headers["location"] == str(httpx.URL("/console/sign-in", params={"next": path}))
        answer = await sign_in(client, token, path)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/console" in cookie
        assert token not in cookie
        page = await client.get(path)
        assert page.status_code == 200
        assert "analyst of ours" in page.text


async def test_keys_that_are_unknown_or_of_gateways_get_nobody_in() -> None:
    gateway, theirs = KEYS[Role.GATEWAY]
    async with console(None, gateway, KEYS[Role.ANALYST][0]) as client:
        for token, said in ((theirs, "role gateway"), ("sw_00000000_00", "not valid"), ("", "not valid")):
            answer = await sign_in(client, token)
            assert answer.status_code == 403
            assert said in answer.text
            assert (await client.get("/console")).status_code == 303


async def test_a_revoked_key_ends_its_sessions_and_so_does_time_and_signing_out() -> None:
    key, token = KEYS[Role.ADMIN]
    engine = MemoryEngine()
    async with console(engine, key) as client:
        await sign_in(client, token)
        page = await client.get("/console")
        assert page.status_code == 200
        engine.keyring = Keyring([replace(key, revoked=NOW)])
        assert (await client.get("/console")).status_code == 303
        engine.keyring = Keyring([key])
        assert (await client.get("/console")).status_code == 200
        left = await client.post("/console/sign-out", data={"token": Links(page.text).fields["token"]})
        assert left.status_code == 303
        assert (await client.get("/console")).status_code == 303
    ours = Sessions(b"s" * 32, DICE.randbytes)
    session = ours.begin(key.key_id, NOW)
    cookie = ours.cookie(session)
    assert ours.find(cookie, NOW + LIFETIME - timedelta(seconds=1)) == session
    assert ours.find(cookie, NOW + LIFETIME) is None


async def test_a_form_from_elsewhere_is_refused() -> None:
    key, token = KEYS[Role.ANALYST]
    async with console(None, key) as client:
        assert (await client.post("/console/sign-in", data={"key": token})).status_code == 403
        await client.get("/console/sign-in")
        for forged in ("", "0" * 64, "ü"):
            answer = await client.post("/console/sign-in", data={"key": token, "token": forged})
            assert answer.status_code == 403
            assert "load the page again" in answer.text
        assert (await client.get("/console")).status_code == 303


@pytest.mark.parametrize("cookie", ["x.999999999999.b.c", "x.-1.b.c", "x.y.b.c", "...", "a.b.c.d.e", "\xe9", ""])
async def test_a_cookie_of_any_shape_is_no_session_and_no_fault(cookie: str) -> None:
    async with console(None, KEYS[Role.ANALYST][0]) as client:
        header = {"cookie": f"{COOKIE}={cookie}".encode("latin-1")}
        assert (await client.get("/console", headers=header)).status_code == 303
        assert (await client.get("/console/sign-in", headers=header)).status_code == 200


async def test_a_form_larger_than_any_of_ours_is_not_read_to_its_end() -> None:
    key, token = KEYS[Role.ANALYST]
    async with console(None, key) as client:
        fields = Links((await client.get("/console/sign-in")).text).fields
        answer = await client.post("/console/sign-in", data={**fields, "key": token + " " * FORM_BYTES})
        assert (answer.status_code, "larger than" in answer.text) == (413, True)


async def test_what_was_asked_for_is_asked_again_after_signing_in() -> None:
    key, token = KEYS[Role.ANALYST]
    async with console(None, key) as client:
        refused = await client.get("/console/campaigns", params={"level": "strong", "q": "a b"})
        sent_to = httpx.URL(refused.headers["location"])
        goal = sent_to.params["next"]
        assert goal == "/console/campaigns?level=strong&q=a+b"
        assert (await sign_in(client, token, goal)).headers["location"] == goal
        client.cookies.clear()
        lost = await client.post(f"/console/campaigns/{EXAMPLE_CAMPAIGN}/label", data={"label": "benign"})
        assert httpx.URL(lost.headers["location"]).params["next"] == f"/console/campaigns/{EXAMPLE_CAMPAIGN}"


async def test_a_key_sent_as_a_header_signs_what_is_done_with_it() -> None:
    key, token = KEYS[Role.ANALYST]
    engine = MemoryEngine()
    where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
    async with console(engine, key) as client:
        fields = Links((await client.get(where, headers={KEY_HEADER: token})).text).fields
        said = {**fields, "label": "benign", "note": "a class", "author": "the boss"}
        answer = await client.post(f"{where}/label", data=said, headers={KEY_HEADER: token})
        assert answer.status_code == 303
        assert engine.labels()[EXAMPLE_CAMPAIGN].author == key.name


@given(st.text(max_size=80), st.binary(min_size=32, max_size=32))
def test_only_our_own_signature_makes_a_session(text: str, secret: bytes) -> None:
    ours, theirs = Sessions(b"\1" * 32), Sessions(secret)
    session = ours.begin("ab12", NOW)
    cookie = ours.cookie(session)
    assert ours.find(cookie, NOW) == session
    assert ours.find(text, NOW) is None
    assert ours.find(cookie + text, NOW) == (None if text else session)
    assert theirs.find(cookie, NOW) is None
    assert not ours.is_token(session, ours.cookie(session).rpartition(".")[2])  # one is not the other
    longer = Session("ab12", session.until + timedelta(days=1), session.nonce)
    assert ours.find(f"{longer.claims}.{cookie.rpartition('.')[2]}", NOW) is None


def test_the_secret_is_made_once_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "data" / "console.secret"
    first = session_secret(path)
    assert (len(first), path.stat().st_mode & 0o777) == (32, 0o600)
    assert session_secret(path) == first
    assert [each.name for each in path.parent.iterdir()] == ["console.secret"]
    path.write_bytes(b"short")
    with pytest.raises(StorageUnusable, match="holds 5 bytes, not 32"):
        session_secret(path)
    with pytest.raises(StorageUnusable, match="cannot be kept"):
        session_secret(path / "beneath")


def test_where_files_cannot_be_linked_the_secret_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(sessions.os, "link", refuse)
    first = session_secret(tmp_path / "console.secret")
    assert session_secret(tmp_path / "console.secret") == first
    assert [each.name for each in tmp_path.iterdir()] == ["console.secret"]


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/console/campaigns?level=strong", "/console/campaigns?level=strong"),
        ("/console", "/console"),
        ("https://evil.example/console", "/console"),
        ("//evil.example", "/console"),
        ("/console/campaigns/c-1", "/console/campaigns/c-1"),
        ("/console/../v1/status", "/console"),
        ("/console/%2e%2e/v1/status", "/console"),
        ("/console//evil.example", "/console"),
        ("/console\r\nset-cookie: a=b", "/console"),
        ("http://[", "/console"),
        ("/consoles", "/console"),
        ("/v1/reindex", "/console"),
        ("", "/console"),
    ],
)
def test_after_signing_in_one_stays_here(target: str, goes: str) -> None:
    assert local(target) == goes


async def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline() -> None:
    """With a policy that would not let them, either."""
    async with console() as client:
        for path in ("/console", "/console/campaigns", f"/console/campaigns/{EXAMPLE_CAMPAIGN}", "/console/none"):
            page = await client.get(path)
            links = Links(page.text)
            assert links.inline == []
            assert all(re.match(r"/console|#|\?", target) for target in links.targets), links.targets
            policy = page.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            for target in links.targets:
                if target.startswith("/console/static/"):
                    file = await client.get(target)
                    assert file.status_code == 200
                    assert "http:" not in file.text
                    assert "https:" not in file.text


async def test_what_senders_wrote_is_shown_and_never_obeyed() -> None:
    engine, long = MemoryEngine(), "x" * 100_000
    hostile = make_campaign(EXAMPLE_CAMPAIGN, Level.STRONG, HOSTILE)
    exemplars = tuple(replace(each, text=f"{HOSTILE} {long}") for each in hostile.exemplars)
    members = tuple(replace(each, account_id=HOSTILE, org_id=HOSTILE) for each in hostile.members)
    template = replace(hostile.template, skeleton=f"{{0}} {{77}} {HOSTILE}")
    evidence = tuple(replace(each, explanation=HOSTILE) for each in hostile.evidence)
    history = tuple(replace(each, detail=HOSTILE) for each in hostile.history)
    more = {"evidence": evidence, "history": history, "models": {HOSTILE: 3}}
    engine.set_campaigns(replace(hostile, exemplars=exemplars, members=members, template=template, **more))
    async with console(engine) as client:
        clean = Links((await client.get("/console/campaigns")).text).tags
        assert "img" not in clean
        for path in ("/console", "/console/campaigns", f"/console/campaigns/{EXAMPLE_CAMPAIGN}"):
            page = await client.get(path)
            assert page.status_code == 200
            assert "&lt;script&gt;alert(1)" in page.text
            assert "<script>alert" not in page.text
            assert "\u202e" not in Links(page.text).text
            assert "[U+202E]gnp.exe[U+200B][U+0000]" in page.text
            assert "{{ 7*7 }}" in page.text
            assert "🙂" in page.text
            assert len(page.text) < 30_000
        assert "more characters)" in page.text
        assert "{0} {77} " in page.text  # which a sender wrote, and no slot is called
        assert '<mark title="slot 1">1</mark>' in page.text


async def test_the_campaign_page_tells_what_is_known() -> None:
    engine = MemoryEngine()
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    async with console(engine) as client:
        page = (await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}")).text
        for line in one.evidence:
            assert line.explanation in page
        for member in one.members:
            assert member.account_id in page
        assert EXAMPLE_PROMPT.split()[0] in page
        missing = await client.get("/console/campaigns/c-00000000")
        assert missing.status_code == 404
        assert "Unknown campaign" in missing.text


async def test_before_the_first_generation_pages_say_so() -> None:
    async with console(MemoryEngine(published=False)) as client:
        home = await client.get("/console")
        assert home.status_code == 200
        assert "Nothing was born" in home.text
        listed = await client.get("/console/campaigns")
        assert listed.status_code == 503
        assert "Not ready" in listed.text
        assert listed.headers["retry-after"] == "5"


async def test_a_list_is_filtered_and_sorted_by_its_address() -> None:
    async with console() as client:

        async def ids(**asked: str) -> list[str]:
            page = await client.get("/console/campaigns", params=asked)
            assert page.status_code == 200
            return re.findall(r'<td><a href="/console/campaigns/([^"]+)"', page.text)

        assert await ids() == [EXAMPLE_CAMPAIGN, WATCHED_CAMPAIGN]
        assert await ids(level="watch") == [WATCHED_CAMPAIGN]
        assert await ids(sort="level", order="up") == [WATCHED_CAMPAIGN, EXAMPLE_CAMPAIGN]
        assert await ids(q="no such word") == []
        assert await ids(label="confirmed") == []
        page = await client.get("/console/campaigns", params={"since": "tomorrow", "level": "watch"})
        assert "this filter was left out" in page.text
        assert "level=watch" in page.text  # what was asked for goes along when the order changes


def campaign(name: str, level: Level, **more: Any) -> Any:
    return replace(make_campaign(name, level, EXAMPLE_PROMPT), **more)


def test_rows_count_what_came_lately_and_heed_what_analysts_said() -> None:
    end = datetime(2026, 3, 2, 12, tzinfo=UTC)
    hours = tuple(TimelineHour(end - timedelta(hours=back), 10 + back, {}) for back in (30, 24, 3))
    busy = campaign("c-1", Level.LIKELY, last_seen=end, timeline=hours)
    past = campaign("c-2", Level.STRONG, last_seen=end - timedelta(days=3), timeline=hours)
    verdict = CampaignLabel("c-2", Label.BENIGN, "", "mira", end)
    rows = rows_of([busy, past], {"c-2": verdict})
    assert [(row.lately, row.level) for row in rows] == [(34 + 13, Level.LIKELY), (0, Level.WATCH)]
    assert [row.campaign.campaign_id for row in chosen(rows, Wanted(sort="lately", upwards=True))] == [
        "c-2",
        "c-1",
    ]
    assert [row.campaign.campaign_id for row in chosen(rows, Wanted(label="benign"))] == ["c-2"]
    assert chosen(rows, Wanted(sort="nothing")) == rows
    assert [row.campaign.campaign_id for row in chosen(rows, Wanted(since=end))] == ["c-1"]
    assert models_of([busy]) == sorted(busy.models)


def test_news_are_what_was_noticed_since_alarms_first() -> None:
    def became(event: str, hour: int) -> HistoryEntry:
        return HistoryEntry(f"g{10 + hour:02}", NOW + timedelta(hours=hour), event, 1, 1, "")

    watched = campaign("c-1", Level.WATCH, history=(became("born", 5),))
    moved = campaign("c-2", Level.STRONG, history=(became("born", -1), became("pool swap", 1), became("grew", 2)))
    calm = campaign("c-3", Level.STRONG, history=(became("born", -1), became("unchanged", 3)))

    def told(generation: str, moment: datetime) -> list[tuple[str, list[str]]]:
        found = news_since(rows_of([watched, moved, calm], {}), generation, moment)
        return [(each.row.campaign.campaign_id, [one.event for one in each.entries]) for each in found]

    assert told("", NOW) == [("c-2", ["grew", "pool swap"]), ("c-1", ["born"])]
    assert told("g11", NOW) == [("c-2", ["grew"]), ("c-1", ["born"])]  # whenever that was looked at
    assert told("g15", NOW) == []


def test_numbers_are_said_as_people_read_them() -> None:
    assert [share(each) for each in (0, 0.0004, 0.5, 0.123, 0.9996, 1)] == [
        "0 %",
        "< 0.1 %",
        "50 %",
        "12.3 %",
        "> 99.9 %",
        "100 %",
    ]
    assert [measure(each) for each in (None, 0.00123, 3.0, 123456.0)] == ["–", "0.00123", "3", "123,456"]
    assert [age(each) for each in (5, 60, 7300, 200_000)] == [
        "less than a minute",
        "1 minute",
        "2 hours",
        "2 days",
    ]
    assert pieces("ask {1} now{2}{3}", [1, 2]) == [("ask ", 0), ("", 1), (" now", 0), ("", 2), ("{3}", 0)]
    assert shown("a\u3164b\u2800c\u2028d\U000e0141e\ufe01f ☀\ufe0f\tg\nh") == (
        "a[U+3164]b[U+2800]c[U+2028]d[U+E0141]e[U+FE01]f ☀\ufe0f\tg\nh"
    )
    assert shown("abc", 2) == "ab … (1 more characters)"
    assert COOKIE == "stillwatch_session"


async def test_a_label_given_here_counts_at_the_next_match_and_bears_the_name_of_the_key() -> None:
    key, token = KEYS[Role.ANALYST]
    engine = MemoryEngine()
    where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
    async with console(engine, key) as client:
        await sign_in(client, token)
        fields = {"token": Links((await client.get(where)).text).fields["token"]}
        said = {**fields, "label": "confirmed", "note": "seen before <b>", "author": "somebody else"}
        answer = await client.post(f"{where}/label", data=said)
        assert (answer.status_code, answer.headers["location"]) == (303, where)
        verdict = engine.labels()[EXAMPLE_CAMPAIGN]
        assert (verdict.label, verdict.note, verdict.author) == (Label.CONFIRMED, "seen before <b>", key.name)
        page = (await client.get(where)).text
        assert "seen before &lt;b&gt;" in page
        answer = await client.post(f"{where}/mode", data={**fields, "mode": "audit"})
        assert answer.status_code == 303
        mode = engine.campaign_modes()[EXAMPLE_CAMPAIGN]
        assert (mode.mode, mode.author) == (Mode.AUDIT, key.name)
        assert "At most <strong>audit</strong>" in (await client.get(where)).text


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"label": "confirmed", "note": " "}, 422, "say why"),
        ({"label": "guilty", "note": "x"}, 422, "label: "),
        ({"label": "ignore_until", "note": "x"}, 422, "until is needed"),
        ({"label": "ignore_until", "note": "x", "until": "2026-13-01"}, 422, "until: "),
        ({"label": "ignore_until", "note": "x", "until": "2020-01-01"}, 422, "not in the future"),
        ({"label": "benign", "note": "x", "author": ""}, 422, "author: "),
        ({"label": "ignore_until", "note": "a class", "until": "2126-03-01"}, 303, ""),
        ({"label": "benign", "note": "a class", "until": "2126-03-01"}, 303, ""),
    ],
)
async def test_what_a_form_lacks_is_said(fields: dict[str, str], status: int, said: str) -> None:
    """Without keys, whoever says something is asked for a name."""
    engine = MemoryEngine()
    where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
    async with console(engine) as client:
        page = Links((await client.get(where)).text).fields
        assert "author" in page
        sent = {"token": page["token"], "author": "mira", **fields}
        answer = await client.post(f"{where}/label", data=sent)
        assert answer.status_code == status
        assert said in answer.text
        assert (EXAMPLE_CAMPAIGN in engine.labels()) == (status == 303)
        unsigned = await client.post(f"{where}/label", data={**sent, "token": ""})
        assert unsigned.status_code == 403


async def test_search_finds_prompts_and_explains_what_they_resemble() -> None:
    async with console() as client:
        empty = await client.get("/console/search")
        assert empty.status_code == 200
        assert "Prompts like it" not in empty.text
        found = await client.get("/console/search", params={"q": EXAMPLE_PROMPT})
        assert found.status_code == 200
        assert "<strong>match</strong>" in found.text
        assert found.text.index(EXAMPLE_CAMPAIGN) < found.text.index(WATCHED_CAMPAIGN)
        assert "more like this" in found.text
        token = Links(empty.text).fields["token"]
        pasted = await client.post("/console/search", data={"q": EXAMPLE_PROMPT, "token": token})
        assert "<strong>match</strong>" in pasted.text
        assert (await client.post("/console/search", data={"q": EXAMPLE_PROMPT})).status_code == 403
        long = await client.post("/console/search", data={"q": "word " * 3000, "token": token})
        assert (long.status_code, "Prompt too large" in long.text) == (413, True)
        for days in ({"since": "soon"}, {"since": "2026-03-02", "until": "2026-03-01"}):
            wrong = await client.get("/console/search", params={"q": "bread", **days})
            assert (wrong.status_code, "Bad input" in wrong.text) == (422, True)
