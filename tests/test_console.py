"""The console over the small engine: who gets in, what the pages say, and what they never do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from html.parser import HTMLParser
from random import Random

import anyio
import httpx
import numpy as np
import pytest
from api_double import NOW, WATCHED_CAMPAIGN, MemoryEngine, client_of, make_app, make_campaign

from app.console.forms import phrases
from app.console.sessions import COOKIE
from app.console.visit import FORM_BYTES
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from models.campaign import Label, Level
from models.key import KEY_HEADER, ApiKey, Keyring, Role, new_key
from models.mode import Mode
from models.search import SearchQuery

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


async def every_page(client: httpx.AsyncClient) -> list[str]:
    """The addresses of all pages, one of each kind."""
    of_one = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
    accounts = (await client.get(f"{of_one}/accounts")).text
    account = next(each for each in Links(accounts).targets if each.startswith("/console/accounts/a-"))
    tabs = [of_one, f"{of_one}/prompts", f"{of_one}/accounts", f"{of_one}/near", f"{of_one}/lab"]
    return [
        "/console",
        "/console/campaigns",
        *tabs,
        "/console/accounts",
        account,
        "/console/search?q=x",
        "/console/map",
        "/console/shared",
    ]


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


async def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline() -> None:
    """With a policy that would not let them, either."""
    async with console() as client:
        for path in (*await every_page(client), "/console/none"):
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
                    assert re.findall(r"https?:(?!//www.w3.org/2000/svg)", file.text) == []


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
        where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
        for path in await every_page(client):
            page = await client.get(path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "img" not in Links(page.text).tags
            assert not set("\u202e\u200b\x00") & set(Links(page.text).text)
            assert len(page.text) < 40_000
            if path in (
                f"{where}/accounts",
                f"{where}/lab",
                "/console/accounts",
                "/console/map",
                "/console/shared",
            ):
                continue  # which show pseudonyms only
            assert "&lt;script&gt;" in page.text, path
            assert "🙂" in page.text, path
        for path in ("/console", "/console/campaigns", where):
            page = await client.get(path)
            assert "&lt;script&gt;alert(1)" in page.text
            assert "[U+202E]gnp.exe[U+200B][U+0000]" in page.text
            assert "{{ 7*7 }}" in page.text
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
        assert "Events over time, by model" in page
        assert ": 60 m-4</title>" in page
        assert EXAMPLE_PROMPT.split()[0] in page
        missing = await client.get("/console/campaigns/c-00000000")
        assert missing.status_code == 404
        assert "Unknown campaign" in missing.text


async def test_before_the_first_generation_pages_say_so() -> None:
    async with console(MemoryEngine(published=False)) as client:
        home = await client.get("/console")
        assert home.status_code == 200
        assert "nothing was born" in home.text
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
        asked = {"level": "watch", "since": "2026-02-01", "until": ""}
        page = await client.get("/console/campaigns", params=asked)
        again = [target for target in Links(page.text).targets if "sort=events" in target]
        assert again == ["?since=2026-02-01&level=watch&sort=events&order="]  # the rest goes along
        wrong = await client.get("/console/campaigns", params={"since": "tomorrow"})
        assert (wrong.status_code, "a day is written like 2026-03-01" in wrong.text) == (422, True)


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
        unsaid = await client.post(f"{where}/mode", data={**fields, "mode": "audit"})
        assert (unsaid.status_code, "note: say why" in unsaid.text) == (422, True)
        answer = await client.post(f"{where}/mode", data={**fields, "mode": "audit", "note": "too early"})
        assert answer.status_code == 303
        (act,) = engine.recorded
        told = (act.kind, act.subject, act.detail, act.author, act.note)
        assert told == ("mode", EXAMPLE_CAMPAIGN, "audit", key.name, "too early")
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
        backwards = {"since": "2026-03-02", "until": "2026-03-01"}
        for days, said in (({"since": "soon"}, "a day is written like"), (backwards, "since is not before until")):
            asked = {"q": "bread", **days}
            wrong = await client.get("/console/search", params=asked)
            assert (wrong.status_code, said in wrong.text) == (422, True)
            wrong = await client.post("/console/search", data={**asked, "token": token})
            assert (wrong.status_code, said in wrong.text) == (422, True)


async def test_accounts_go_by_pseudonyms_until_somebody_says_why_they_must_be_known() -> None:
    key, token = KEYS[Role.ANALYST]
    engine = MemoryEngine()
    named = replace(
        engine.campaign(EXAMPLE_CAMPAIGN).members[0], account_id="jane@example.org", org_id="Example Ltd"
    )
    engine.set_campaigns(replace(engine.campaign(EXAMPLE_CAMPAIGN), members=(named,)))
    async with console(engine, key) as client:
        await sign_in(client, token)
        for path in await every_page(client):
            page = await client.get(path)
            assert "jane" not in page.text
            assert "Example Ltd" not in page.text
        sent = {"token": Links((await client.get("/console/accounts")).text).fields["token"]}
        asked = {**sent, "name": "jane@example.org"}
        assert (await client.post("/console/accounts", data=asked)).status_code == 422  # it says not why
        assert (
            await client.post("/console/accounts", data={**asked, "note": "x", "name": "joe"})
        ).status_code == 404
        assert engine.recorded == []
        where = (await client.post("/console/accounts", data={**asked, "note": "case 6"})).headers["location"]
        assert re.fullmatch("/console/accounts/a-[a-z2-7]{12}", where)
        again = await client.post("/console/accounts", data={**sent, "name": where.rpartition("/")[2]})
        assert again.headers["location"] == where
        (looked_up,) = engine.recorded
        assert (looked_up.kind, looked_up.subject, looked_up.note) == (
            "reveal",
            where.rpartition("/")[2],
            "case 6",
        )
        engine.recorded.clear()
        assert (await client.post(f"{where}/reveal", data={**sent, "note": "  "})).status_code == 422
        assert (await client.post(f"{where}/reveal", data={"note": "case 7"})).status_code == 403
        nobody = await client.post("/console/accounts/a-aaaaaaaaaaaa/reveal", data={**sent, "note": "case 7"})
        assert nobody.status_code == 404
        assert engine.recorded == []
        shown = await client.post(f"{where}/reveal", data={**sent, "note": "case 7", "author": "the boss"})
        assert shown.status_code == 200
        assert "jane@example.org" in shown.text
        assert "Example Ltd" in shown.text
        assert shown.headers["cache-control"] == "no-store"
        (act,) = engine.recorded
        told = (act.kind, act.subject, act.author, act.note, act.detail)
        assert told == ("reveal", where.rpartition("/")[2], key.name, "case 7", "jane@example.org")
        page = (await client.get(where)).text
        assert "jane" not in page
        assert "case 7" in page  # who comes next sees that it was asked


async def test_an_account_that_is_not_there_is_told_so() -> None:
    async with console() as client:
        assert (await client.get("/console/accounts/a-aaaaaaaaaaaa")).status_code == 404
        assert (await client.get("/console/accounts/jane")).status_code == 422
        assert (await client.get("/console/accounts/a-aaaaaaaaaaaa?page=99")).status_code == 404


async def test_search_takes_a_pseudonym_for_an_account_and_no_name() -> None:
    engine = MemoryEngine()
    asked: list[str | None] = []
    search = engine.search
    engine.search = lambda query: (asked.append(query.account_id), search(query))[1]  # type: ignore[method-assign]
    async with console(engine) as client:
        listed = await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}/accounts")
        pseudonym = next(each for each in Links(listed.text).targets if "/accounts/a-" in each).rpartition("/")[2]
        for given, status in ((pseudonym, 200), ("", 200), ("a1", 404), ("a-aaaaaaaaaaaa", 404)):
            found = await client.get("/console/search", params={"q": "x", "account_id": given})
            assert found.status_code == status
    assert asked == ["a1", None]


async def test_a_list_turned_too_far_shows_its_last_page() -> None:
    engine = MemoryEngine()
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    members = [replace(one.members[0], account_id=f"n{n:03}", events=500 - n) for n in range(120)]
    engine.set_campaigns(replace(one, members=tuple(members)))
    async with console(engine) as client:
        for page, rows, told in ((1, 50, "page 1 of 3"), (3, 20, "page 3 of 3"), (99, 20, "page 3 of 3")):
            found = await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}/accounts", params={"page": page})
            assert (found.text.count("<tr><td>"), told in found.text) == (rows, True)
        account = next(each for each in Links(found.text).targets if "/accounts/a-" in each)
        assert "page 1 of 1" not in (await client.get(f"{account}?page=99")).text
        assert EXAMPLE_PROMPT in (await client.get(f"{account}?page=99")).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ('audit "out of ten"', ("audit", "out of ten")),
        ('a"b c"d ""', ("a", "b c", "d")),
        ('"open', ("open",)),
    ],
)
def test_words_in_quotes_stand_together(text: str, expected: tuple[str, ...]) -> None:
    assert phrases(text) == expected


async def test_search_wants_exact_words_and_narrows_by_what_it_found() -> None:
    engine = MemoryEngine()
    asked: list[SearchQuery] = []
    search = engine.search
    engine.search = lambda query: (asked.append(query), search(query))[1]  # type: ignore[method-assign]
    async with console(engine) as client:
        await client.get("/console/search", params={"q": "grade", "words": 'audit "out of ten"'})
        page = await client.get("/console/search", params={"words": "audit"})
        assert [(each.text, each.words) for each in asked] == [
            ("grade", ("audit", "out of ten")),
            ("audit", ("audit",)),
        ]
        narrowed = next(each for each in Links(page.text).targets if "campaign_id=" in each)
        assert httpx.URL(narrowed).params["words"] == "audit"
        await client.get(narrowed)
        assert (asked[-1].campaign_id, asked[-1].words) == (EXAMPLE_CAMPAIGN, ("audit",))


async def test_prompts_are_told_with_the_template_marked_and_near_misses_with_their_margin() -> None:
    async with console() as client:
        where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
        page = (await client.get(f"{where}/prompts")).text
        assert f'<span class="fixed">{EXAMPLE_PROMPT.rstrip(".")}</span>' in page
        assert "1 of its 80 distinct prompts, evenly spaced, were compared" in page
        assert "+0.150" in page
        assert (await client.get(f"{where}/prompts", params={"order": "fringe"})).status_code == 200
        assert (await client.get(f"{where}/prompts", params={"order": "best"})).status_code == 422
        assert "-0.050" in (await client.get(f"{where}/near")).text
        accounts = (await client.get(f"{where}/accounts")).text
        assert WATCHED_CAMPAIGN in accounts  # which the same accounts are in


async def test_jobs_are_started_and_stopped_by_admins_only() -> None:
    (analyst, analysts), (admin, admins) = KEYS[Role.ANALYST], KEYS[Role.ADMIN]
    async with console(None, analyst, admin) as client:
        await sign_in(client, analysts)
        page = (await client.get("/console")).text
        assert "Reindex now" not in page
        sent = {"token": Links(page).fields["token"]}
        assert (await client.post("/console/jobs", data=sent)).status_code == 403
        assert (await client.post("/console/jobs/job-1/cancel", data=sent)).status_code == 403
        await sign_in(client, admins)
        page = (await client.get("/console")).text
        assert "Reindex now" in page
        assert "No job has run here yet" in page
        sent = {"token": Links(page).fields["token"]}
        assert (await client.post("/console/jobs")).status_code == 403
        assert (await client.post("/console/jobs", data=sent)).status_code == 303
        for _ in range(200):
            jobs = await client.get("/console/jobs")
            if "succeeded" in jobs.text:
                break
            await anyio.sleep(0.02)
        assert "<strong>reindex</strong>" in jobs.text
        assert "<html" not in jobs.text
        assert (await client.post("/console/jobs/job-1/cancel", data=sent)).status_code == 404


async def test_the_lab_gives_what_thresholds_are_tried_on() -> None:
    engine = MemoryEngine()
    hostile = make_campaign(EXAMPLE_CAMPAIGN, Level.STRONG, HOSTILE)
    engine.set_campaigns(hostile, make_campaign(WATCHED_CAMPAIGN, Level.WATCH, "a cover letter"))
    async with console(engine) as client:
        answer = await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}/lab/sample")
        found = answer.json()
        threshold = hostile.thresholds[0]
        assert found["thresholds"] == [{"view": "whole", "threshold": threshold.threshold}]
        told = [
            (each["kind"], each["weight"], each["similarities"], each["campaign"]) for each in found["prompts"]
        ]
        assert told == [
            ("own", 80.0, [0.95], EXAMPLE_CAMPAIGN),
            ("outside", 1.0, [0.75], None),
            ("other", 1.0, [0.75], WATCHED_CAMPAIGN),
        ]
        assert not set("\u202e\u200b") & set(found["prompts"][0]["text"])
        assert answer.headers["content-type"] == "application/json"
        assert (await client.get("/console/campaigns/c-none/lab/sample")).status_code == 404


async def test_the_map_gives_points_campaigns_and_the_prompts_behind_them() -> None:
    engine = MemoryEngine()
    async with console(engine) as client:
        page = await client.get("/console/map")
        assert "No map was drawn yet" in page.text
        assert "map.js" not in page.text
        assert (await client.get("/console/map/points")).status_code == 404
        sent = {"token": Links(page.text).fields["token"]}
        started = await client.post("/console/jobs/map", data=sent)
        assert (started.status_code, started.headers["location"]) == (303, "/console/map")
        assert "<strong>map</strong>" in (await client.get("/console/jobs")).text
        engine.is_mapped = True
        page = await client.get("/console/map")
        assert "3 prompts: all campaigns" in page.text
        assert "map.js" in page.text
        points = await client.get("/console/map/points")
        assert len(points.content) == 3 * 16
        assert np.frombuffer(points.content, "<f4", 6).tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
        assert np.frombuffer(points.content, "<i4", 6, 24).tolist() == [0, 1, -1, 0, 1, 2]
        of_it = {"generation": points.headers["x-generation"]}
        told = (await client.get("/console/map/campaigns", params=of_it)).json()
        assert (await client.get("/console/map/campaigns", params={"generation": "g-0"})).status_code == 404
        assert [(each["id"], each["level"]) for each in told] == [
            (EXAMPLE_CAMPAIGN, "likely"),
            (WATCHED_CAMPAIGN, "watch"),
        ]
        asked = {"rows": "1,0,99", "generation": points.headers["x-generation"]}
        prompts = (await client.get("/console/map/prompts", params=asked)).json()
        assert [(each["row"], each["campaign"]) for each in prompts] == [
            (1, WATCHED_CAMPAIGN),
            (0, EXAMPLE_CAMPAIGN),
        ]
        assert prompts[1]["text"] == EXAMPLE_PROMPT
        other = await client.get("/console/map/prompts", params={**asked, "generation": "g-0000"})
        assert other.status_code == 404
        for rows in ("", "a", "1;2", "-1", "1,"):
            assert (await client.get("/console/map/prompts", params={**asked, "rows": rows})).status_code == 422


async def test_the_lineage_shows_what_a_campaign_took_in_and_came_out_of() -> None:
    engine = MemoryEngine()
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    born = one.history[0]
    split = replace(born, event="split", others=(WATCHED_CAMPAIGN,))
    merged = replace(born, event="merged", others=("c-gone1", "c-gone2", "c-gone3", "c-gone4"))
    grew = replace(born, event="grew")
    engine.set_campaigns(replace(one, history=(split, grew, merged)), engine.campaign(WATCHED_CAMPAIGN))
    async with console(engine) as client:
        page = (await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}")).text
        picture = page[page.index('class="chart lineage"') :].partition("</svg>")[0]
        assert picture.count("<circle") == 2  # to grow changes nothing of what it is made of
        assert f'<a href="/console/campaigns/{WATCHED_CAMPAIGN}">' in picture
        assert "split out of" in picture
        assert ">c-gone3</text>" in picture
        assert "and 1 more" in picture
        assert "c-gone4" not in picture
