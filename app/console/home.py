"""The first page: what is new since the last visit, alarms by level, and what is served."""

from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Response

from app.console.listing import Row, urgent_rows
from app.console.news import News, news_since
from app.console.places import HOME
from app.console.visit import Visit, Visiting
from app.state import Engine
from models.campaign import Level

router = APIRouter()

_SEEN: Final = "stillwatch_seen"
_SEEN_LIFETIME: Final = timedelta(days=90)
_FIRST_VISIT: Final = timedelta(days=1)
_NEWS_SHOWN: Final = 200


@router.get(HOME)
async def home(visit: Visiting) -> Response:
    """What is new since the last visit, alarms by level, and what is served."""
    status = await visit.use.look(visit.use.engine.status)
    before, seen = _seen(visit, status.generation or "")
    rows: list[Row] = []
    news: list[News] = []
    if status.generation:
        rows, news = await visit.use.run(_news, visit.use.engine, before, visit.use.clock() - _FIRST_VISIT)
    page = await visit.page(
        "home.html",
        status=status,
        since=before,
        news=news[:_NEWS_SHOWN],
        more=len(news) - _NEWS_SHOWN,
        levels={level: sum(row.level is level for row in rows) for level in reversed(Level)},
    )
    visit.set_cookie(page, _SEEN, seen, _SEEN_LIFETIME)
    return page


def _news(engine: Engine, generation: str, moment: datetime) -> tuple[list[Row], list[News]]:
    rows = urgent_rows(engine.campaigns(), engine.labels())
    return rows, news_since(rows, generation, moment)


def _seen(visit: Visit, generation: str) -> tuple[str, str]:
    """The generation that this browser saw last, before this session, "" if it saw none; and what it is to keep in
    mind. A generation, and no time: one may have been begun before a visit and published after it.
    """
    before, last, whose = [*visit.request.cookies.get(_SEEN, "").split("|"), "", "", ""][:3]
    if whose != visit.session.nonce:
        before = last
    return before, f"{before}|{generation}|{visit.session.nonce}"
