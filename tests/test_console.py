"""The console over the small engine: who gets in, what the pages say, and what they never do."""

import re
from dataclasses import replace

import httpx
import pytest
from api_double import NOW, WATCHED_CAMPAIGN, MemoryEngine, make_campaign
from console_house import HOSTILE, KEYS, Links, console, every_page, sign_in

from app.console.sessions import COOKIE
from app.console.visit import FORM_BYTES
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from models.campaign import Label, Level
from models.key import KEY_HEADER, Keyring, Role
from models.mode import Mode

pytestmark = pytest.mark.anyio


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


async def test_the_list_tells_what_came_lately() -> None:
    async with console(MemoryEngine()) as client:
        page = (await client.get("/console/campaigns?sort=lately")).text
    assert re.search(r'<td class="number">40</td>', page)  # of 100 events, those of the last of two hours


async def test_what_senders_wrote_is_shown_and_never_obeyed() -> None:
    engine, long = MemoryEngine(), "x" * 100_000
    hostile = make_campaign(EXAMPLE_CAMPAIGN, Level.STRONG, HOSTILE)
    exemplars = tuple(replace(each, text=f"{HOSTILE} {long}") for each in hostile.exemplars)
    engine.members = [replace(each, account_id=HOSTILE, org_id=HOSTILE) for each in engine.members]
    template = replace(hostile.template, skeleton=f"{{0}} {{77}} {HOSTILE}")
    evidence = tuple(replace(each, explanation=HOSTILE) for each in hostile.evidence)
    history = tuple(replace(each, detail=HOSTILE) for each in hostile.history)
    more = {"evidence": evidence, "history": history, "models": {HOSTILE: 3}}
    engine.set_campaigns(replace(hostile, exemplars=exemplars, template=template, **more))
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
