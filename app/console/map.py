"""The map: prompts on a plane, all campaigns among them, as a script draws it."""

from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from app.console.jobs import recent_jobs
from app.console.listing import urgent_rows
from app.console.pages import brief
from app.console.places import HOME
from app.console.visit import Visiting
from app.state import Engine
from models.errors import NotFound
from models.text import clean

router = APIRouter(prefix=f"{HOME}/map")

_TEXT: Final = 240  # characters of a prompt
_NAME: Final = 90  # of a template
_MOST_ROWS: Final = 60
_PRIVATE: Final = {"cache-control": "no-store"}


@router.get("")
async def map_page(visit: Visiting) -> Response:
    """The page."""
    casebook = visit.use.engine.casebook()
    drawn = await visit.use.run(casebook.mapped)
    jobs = await visit.use.look(recent_jobs, visit.use.jobs)
    return await visit.page(
        "map.html",
        drawn=drawn.drawn if drawn else "",
        points=len(drawn.rows) if drawn else 0,
        generation=casebook.name,
        jobs=jobs,
        now=visit.use.clock(),
    )


@router.get("/points")
async def points(visit: Visiting) -> Response:
    """All points as bytes, little-endian, each part of n: places (2 float32), campaign (int32), row (int32). The
    header x-generation names the generation whose rows and campaigns these are.
    """
    casebook = visit.use.engine.casebook()
    found = await visit.use.run(casebook.mapped)
    if found is None:
        raise NotFound("no map was drawn yet")
    parts = found.places.astype("<f4"), found.campaigns.astype("<i4"), found.rows.astype("<i4")
    content = b"".join(np.ascontiguousarray(each).tobytes() for each in parts)
    return Response(
        content, headers={**_PRIVATE, "x-generation": casebook.name}, media_type="application/octet-stream"
    )


@router.get("/campaigns")
async def campaigns(visit: Visiting) -> Response:
    """What each campaign is called, by number."""
    return JSONResponse(await visit.use.run(_campaigns, visit.use.engine), headers=_PRIVATE)


@router.get("/prompts")
async def prompts(
    visit: Visiting,
    rows: Annotated[str, Query(pattern=r"^\d{1,9}(,\d{1,9})*$", max_length=10 * _MOST_ROWS)],
    generation: Annotated[str, Query(max_length=64)],
) -> Response:
    """The prompts of some points. 404 if another generation has come since, whose rows are others."""
    casebook = visit.use.engine.casebook()
    if generation != casebook.name:
        raise NotFound("another generation was published; load the page again")
    wanted = [int(each) for each in rows.split(",")][:_MOST_ROWS]
    hits = await visit.use.run(casebook.prompts_at, wanted)
    found = [
        {
            "text": brief(clean((hit.text or hit.system)[: 4 * _TEXT]), _TEXT),
            "campaign": hit.campaign_id,
            "events": hit.events,
            "accounts": hit.accounts,
        }
        for hit in hits
    ]
    return JSONResponse(found, headers=_PRIVATE)


def _campaigns(engine: Engine) -> list[dict[str, Any]]:
    casebook = engine.casebook()
    level_of = {row.campaign.campaign_id: row.level for row in urgent_rows(casebook.campaigns, engine.labels())}
    return [
        {
            "id": each.campaign_id,
            "level": level_of[each.campaign_id].value,
            "template": brief(each.template.skeleton, _NAME),
            "events": each.events,
        }
        for each in casebook.campaigns
    ]
