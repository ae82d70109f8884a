"""The screens of the console that show campaigns."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from app.campaigns import CampaignId
from app.console.listing import COLUMNS, Row, Wanted, chosen, models_of, rows_of
from app.console.news import news_since
from app.console.places import HOME
from app.console.visit import Visit, Visiting
from app.exchange import note
from app.state import Engine
from models.campaign import Campaign, Label, Level
from models.mode import Mode
from models.status import Status

router = APIRouter()

_PAGE_ROWS: Final = 50
_SEEN: Final = "stillwatch_seen"
_SEEN_S: Final = 90 * 86_400
_FIRST_VISIT: Final = timedelta(days=1)
_NEWS_SHOWN: Final = 200
_ACCOUNTS_SHOWN: Final = 100

Word = Annotated[str, Query(max_length=200)]


@router.get(HOME)
async def home(visit: Visiting) -> Response:
    """What is new since the last visit, alarms by level, and what is served."""
    status = await visit.use.look(visit.use.engine.status)
    rows = await visit.use.run(_rows, visit.use.engine) if status.generation else []
    since, seen = _since(visit, status.generation or "")
    found = await visit.use.run(news_since, rows, since, visit.use.clock() - _FIRST_VISIT)
    levels = {level: [row for row in rows if row.level is level] for level in reversed(Level)}
    page = await visit.page(
        "home.html",
        status=status,
        since=since,
        news=found[:_NEWS_SHOWN],
        more=len(found) - _NEWS_SHOWN,
        levels=levels,
        waiting=_waiting(status),
    )
    page.set_cookie(
        _SEEN,
        seen,
        max_age=_SEEN_S,
        path=HOME,
        secure=visit.request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return page


@router.get(f"{HOME}/campaigns")
async def campaigns(
    visit: Visiting,
    q: Word = "",
    level: Word = "",
    label: Word = "",
    model: Word = "",
    since: Word = "",
    until: Word = "",
    sort: Word = "",
    order: Word = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """All campaigns, filtered and sorted as the address says, so that a view is kept by keeping the address."""
    problems: list[str] = []
    wanted = Wanted(
        q, level, label, model, _day(since, problems), _day(until, problems), sort, upwards=order == "up"
    )
    rows = await visit.use.run(_rows, visit.use.engine)
    found = await visit.use.run(chosen, rows, wanted)
    pages = max(1, -(-len(found) // _PAGE_ROWS))
    asked = {
        name: value
        for name, value in visit.request.query_params.items()
        if value and name in ("q", "level", "label", "model", "since", "until", "sort", "order")
    }
    at = min(page, pages)
    return await visit.page(
        "campaigns.html",
        rows=found[(at - 1) * _PAGE_ROWS : at * _PAGE_ROWS],
        found=len(found),
        total=len(rows),
        pages=pages,
        at=at,
        asked=asked,
        levels=list(Level),
        labels=[*(each.value for each in Label), "none"],
        models=models_of(row.campaign for row in rows),
        columns=list(COLUMNS),
        problems=problems,
    )


@router.get(f"{HOME}/campaigns/{{campaign_id}}")
async def campaign(visit: Visiting, campaign_id: CampaignId) -> Response:
    """One campaign: what it is, why it was called one, who is in it, and what became of it."""
    note(visit.request, campaign_id=campaign_id)
    one, row = await visit.use.run(_one, visit.use.engine, campaign_id)
    return await visit.page(
        "campaign.html",
        one=one,
        row=row,
        evidence=sorted(one.evidence, key=lambda each: -abs(each.weight)),
        heaviest=max((abs(each.weight) for each in one.evidence), default=1.0) or 1.0,
        members=sorted(one.members, key=lambda each: (-each.events, each.account_id))[:_ACCOUNTS_SHOWN],
        history=one.history[::-1],
        mode=visit.use.engine.campaign_modes().get(one.campaign_id),
        labels=list(Label),
        modes=list(Mode),
    )


def _rows(engine: Engine) -> list[Row]:
    """All of them, the most urgent first by what analysts said too."""
    return sorted(rows_of(engine.campaigns(), engine.labels()), key=lambda row: -row.level.rank)


def _one(engine: Engine, campaign_id: str) -> tuple[Campaign, Row]:
    one = engine.campaign(campaign_id)
    return one, rows_of([one], engine.labels())[0]


def _since(visit: Visit, generation: str) -> tuple[str, str]:
    """The generation that this browser saw last, before this session, "" if it saw none; and what it is to keep in
    mind. A generation, and no time: one may have been begun before a visit and published after it.
    """
    before, last, whose = [*visit.request.cookies.get(_SEEN, "").split("|"), "", "", ""][:3]
    if whose != visit.session.nonce:
        before = last
    return before, f"{before}|{generation}|{visit.session.nonce}"


def _day(text: str, problems: list[str]) -> datetime | None:
    """The start of a day, UTC."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        problems.append("A day is written like 2026-03-01; this filter was left out.")
        return None


def _waiting(status: Status) -> int:
    return status.events_stored - status.events_indexed
