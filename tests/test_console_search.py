"""Search in the console: by meaning and by exact words, with what it resembles."""

import httpx
import pytest
from api_double import WATCHED_CAMPAIGN, MemoryEngine
from console_house import Links, console

from app.console.forms import phrases
from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from models.search import SearchQuery

pytestmark = pytest.mark.anyio


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
