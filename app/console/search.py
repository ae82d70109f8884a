"""Search: prompts like a text, and what campaign it resembles and why."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from app.console.acts import acts_about
from app.console.downloads import PROMPT_COLUMNS, prompt_rows, table
from app.console.forms import AskedPrompts, checked, phrases
from app.console.places import HOME
from app.console.visit import Visit, Visiting
from app.exchange import note
from app.schemas import MAX_HITS, SearchRequest
from app.searching import query_of
from indexer.match import TYPICAL
from models.act import SEARCHES, ActKind
from models.campaign import level_now
from models.errors import UnknownAccount
from models.match import Question
from models.mode import Mode
from models.prompt import Prompt
from models.search import SearchQuery

router = APIRouter(prefix=f"{HOME}/search")

_ROWS: Final = 25
_NEAREST: Final = 5


@router.get("")
async def search(visit: Visiting, asked: Annotated[AskedPrompts, Query()]) -> Response:
    """Prompts like a short text, as the address says."""
    return await _found(visit, asked)


@router.post("")
async def paste(visit: Visiting) -> Response:
    """Prompts like one that was pasted, which no address could hold."""
    form = await visit.form(visit.use.limits.body_bytes)
    return await _found(visit, checked(AskedPrompts, form))


@router.post("/export")
async def export(visit: Visiting) -> Response:
    """The first prompts that a search finds, as a table."""
    form = await visit.form(visit.use.limits.body_bytes)
    asked = checked(AskedPrompts, form)
    act = visit.act(ActKind.EXPORT, SEARCHES, form, "search")
    result = await visit.run(visit.use.engine.search, await _query(visit, asked, MAX_HITS))
    answer = await table(visit, "search.csv", prompt_rows(iter(result.hits)), PROMPT_COLUMNS)
    await visit.record(act)
    return answer


async def _found(visit: Visit, asked: AskedPrompts) -> Response:
    said, text = asked.said(), _text(asked)
    said.pop("q", "")
    if not text.strip():
        return await visit.page("search.html", text=text, asked=said, result=None, match=None)
    question = Question(Prompt("", text), Mode.AUDIT, _NEAREST)
    visit.use.engine.admit(question)
    result = await visit.run(visit.use.engine.search, await _query(visit, asked, _ROWS))
    (match,) = await visit.run(visit.use.engine.match_all, [question])
    note(visit.request, hits=len(result.hits), decision=match.decision, generation=result.generation)
    return await visit.page(
        "search.html",
        text=text,
        asked=said,
        result=result,
        match=match,
        typical=TYPICAL,
        level_now=level_now,
        rows=_ROWS,
        most=MAX_HITS,
        acts=await visit.run(acts_about, visit.use.engine, [SEARCHES]),
    )


async def _query(visit: Visit, asked: AskedPrompts, limit: int) -> SearchQuery:
    """What is searched for. Raises BadInput."""
    only: dict[str, object] = {
        name: getattr(asked, name) or None for name in ("account_id", "campaign_id", "model", "since", "until")
    }
    if asked.account_id:
        name = await visit.account_id(asked.account_id)
        if name is None:
            raise UnknownAccount(f"no account of the current generation is called {asked.account_id}")
        only["account_id"] = name
    wanted = {"text": _text(asked), "words": phrases(asked.words), "limit": limit, "offset": asked.offset, **only}
    return query_of(checked(SearchRequest, wanted))


def _text(asked: AskedPrompts) -> str:
    """What prompts are to be like; the words that they must hold, if nothing else is said."""
    return asked.q if asked.q.strip() else asked.words
