"""The first page: what is new since the last visit, alarms by level, traffic, and what is served and done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Response

from app.console.charts import Chart, timeline
from app.console.jobs import recent_jobs
from app.console.listing import LATELY, Row, urgent_rows
from app.console.news import News, news_since
from app.console.places import HOME
from app.console.visit import Visit, Visiting
from app.state import Engine
from indexer.published import urgent_first
from models.campaign import Level
from models.traffic import TrafficHour

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Told:
    """What one generation tells."""

    rows: list[Row]
    news: list[News]
    hours: tuple[TrafficHour, ...]


_SEEN: Final = "stillwatch_seen"
_SEEN_LIFETIME: Final = timedelta(days=90)
_FIRST_VISIT: Final = timedelta(days=1)
_NEWS_SHOWN: Final = 200


@router.get(HOME)
async def home(visit: Visiting) -> Response:
    """What is new since the last visit, alarms by level, and what is served."""
    status = await visit.use.look(visit.use.engine.status)
    before, seen = _seen(visit, status.generation or "")
    told = _Told([], [], ())
    if status.generation:
        told = await visit.run(_told, visit.use.engine, before, visit.use.clock() - _FIRST_VISIT)
    page = await visit.page(
        "home.html",
        status=status,
        since=before,
        alarms=[each for each in told.news if each.row.level.is_alarm],
        watched=[each for each in told.news if not each.row.level.is_alarm],
        shown_news=_NEWS_SHOWN,
        levels={level: sum(row.level is level for row in told.rows) for level in reversed(Level)},
        traffic=_traffic(told.hours),
        flagged=flagged_share(told.hours),
        flagged_lately=flagged_share(_lately(told.hours)),
        last_hour=told.hours[-1].hour if told.hours else None,
        jobs=await visit.use.look(recent_jobs, visit.use.jobs),
        now=visit.use.clock(),
    )
    visit.set_cookie(page, _SEEN, seen, _SEEN_LIFETIME)
    return page


def flagged_share(hours: Sequence[TrafficHour]) -> float:
    """Share of these hours' events that are of alarmed campaigns; 0 without any."""
    events = sum(each.events for each in hours)
    return sum(each.flagged for each in hours) / events if events else 0.0


def _lately(hours: Sequence[TrafficHour]) -> list[TrafficHour]:
    """Those of the last day that has traffic."""
    return [each for each in hours if each.hour > hours[-1].hour - LATELY]


def _told(engine: Engine, generation: str, moment: datetime) -> _Told:
    casebook = engine.casebook()
    rows = urgent_rows(urgent_first(casebook.campaigns), engine.labels())
    alarmed = {row.campaign.campaign_id for row in rows if row.level.is_alarm}
    return _Told(rows, news_since(rows, generation, moment), casebook.hours(alarmed))


def _traffic(hours: Sequence[TrafficHour]) -> Chart:
    series = {
        "of alarmed campaigns": [each.flagged for each in hours],
        "of others": [each.events - each.flagged for each in hours],
    }
    return timeline([each.hour for each in hours], series)


def _seen(visit: Visit, generation: str) -> tuple[str, str]:
    """The generation that this browser saw last, before this session, "" if it saw none; and what it is to keep in
    mind. A generation, and no time: one may have been begun before a visit and published after it.
    """
    before, last, whose = [*visit.request.cookies.get(_SEEN, "").split("|"), "", "", ""][:3]
    if whose != visit.session.nonce:
        before = last
    return before, f"{before}|{generation}|{visit.session.nonce}"
