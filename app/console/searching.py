"""Search: prompts like a text, and what campaign it resembles and why."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from app.console.places import HOME
from app.console.visit import Visit, Visiting, day
from app.console.visit import asked as asked_of
from app.exchange import note
from app.schemas import SearchRequest
from models.match import Question
from models.mode import Mode
from models.prompt import Prompt
from models.search import SearchQuery

router = APIRouter()

_ROWS: Final = 25
_NEAREST: Final = 5
_FILTERS: Final = ("account_id", "campaign_id", "model", "since", "until")
Text = Annotated[str, Query(max_length=4000)]
Word = Annotated[str, Query(max_length=256)]


@router.get(f"{HOME}/search")
async def search(
    visit: Visiting,
    q: Text = "",
    account_id: Word = "",
    campaign_id: Word = "",
    model: Word = "",
    since: Word = "",
    until: Word = "",
    offset: Annotated[int, Query(ge=0, le=10_000)] = 0,
) -> Response:
    """Prompts like a short text, as the address says."""
    given = (account_id, campaign_id, model, since, until)
    return await _found(visit, q, dict(zip(_FILTERS, given, strict=True)), offset)


@router.post(f"{HOME}/search")
async def paste(visit: Visiting) -> Response:
    """Prompts like one that was pasted, which no address could hold."""
    form = await visit.form(visit.use.limits.body_bytes)
    return await _found(visit, form.get("q", ""), {name: form.get(name, "") for name in _FILTERS}, 0)


async def _found(visit: Visit, text: str, filters: Mapping[str, str], offset: int) -> Response:
    asked = {name: value for name, value in filters.items() if value}
    values: dict[str, Any] = {"text": text, "asked": asked, "offset": offset, "rows": _ROWS, "result": None}
    if not text.strip():
        return await visit.page("search.html", match=None, **values)
    question = Question(Prompt("", text), Mode.AUDIT, _NEAREST)
    visit.use.engine.admit(question)
    since, until = (day(filters[name]) for name in ("since", "until"))
    only = {name: filters[name] or None for name in ("account_id", "campaign_id", "model")}
    wanted = asked_of(SearchRequest, {"text": text, **only, "since": since, "until": until})
    query = SearchQuery(
        text, _ROWS, offset, wanted.account_id, wanted.campaign_id, wanted.model, wanted.since, wanted.until
    )
    values["result"] = result = await visit.use.run(visit.use.engine.search, query)
    match = (await visit.use.match_all([question]))[0]
    note(visit.request, hits=len(result.hits), decision=match.decision, generation=result.generation)
    return await visit.page("search.html", match=match, **values)
