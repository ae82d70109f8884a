"""Accounts in the console: by pseudonym, and by name only on the record."""

import re
from dataclasses import replace

import pytest
from api_double import MemoryEngine
from casebook_double import MEMBERS
from console_house import KEYS, Links, console, every_page, sign_in

from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from models.key import Role

pytestmark = pytest.mark.anyio


async def test_accounts_go_by_pseudonyms_until_somebody_says_why_they_must_be_known() -> None:
    key, token = KEYS[Role.ANALYST]
    engine = MemoryEngine()
    engine.members = [replace(MEMBERS[0], account_id="jane@example.org", org_id="Example Ltd")]
    engine.set_campaigns(replace(engine.campaign(EXAMPLE_CAMPAIGN), accounts=1))
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
    engine.members = [replace(MEMBERS[0], account_id=f"n{n:03}", events=500 - n) for n in range(120)]
    engine.set_campaigns(replace(one, accounts=120))
    async with console(engine) as client:
        for page, rows, told in ((1, 50, "page 1 of 3"), (3, 20, "page 3 of 3"), (99, 20, "page 3 of 3")):
            found = await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}/accounts", params={"page": page})
            assert (found.text.count("<tr><td>"), told in found.text) == (rows, True)
        account = next(each for each in Links(found.text).targets if "/accounts/a-" in each)
        assert "page 1 of 1" not in (await client.get(f"{account}?page=99")).text
        assert EXAMPLE_PROMPT in (await client.get(f"{account}?page=99")).text
