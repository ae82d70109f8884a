"""The map: prompts on a plane, all campaigns among them, as a script draws it."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from app.console.jobs import recent_jobs
from app.console.listing import row_of
from app.console.pages import brief, one_line, pieces
from app.console.places import HOME
from app.console.visit import Visit, Visiting
from app.state import Casebook
from models.campaign import CampaignLabel, Template
from models.errors import NotFound
from models.text import clean, without_padding

router = APIRouter(prefix=f"{HOME}/map")

OfGeneration = Annotated[str, Query(max_length=64)]

_TEXT: Final = 240  # characters of a prompt
_NAME: Final = 90  # of a template
_QUERY: Final = 900  # characters of a prompt that an address can hold
_MOST_ROWS: Final = 60
_PRIVATE: Final = {"cache-control": "no-store"}


@router.get("")
async def map_page(visit: Visiting) -> Response:
    """The page."""
    casebook = visit.use.engine.casebook()
    drawn = await visit.run(casebook.mapped)
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
    found = await visit.run(casebook.mapped)
    if found is None:
        raise NotFound("no map was drawn yet")
    parts = found.places.astype("<f4"), found.campaigns.astype("<i4"), found.rows.astype("<i4")
    content = b"".join(np.ascontiguousarray(each).tobytes() for each in parts)
    return Response(
        content, headers={**_PRIVATE, "x-generation": casebook.name}, media_type="application/octet-stream"
    )


@router.get("/campaigns")
async def campaigns(visit: Visiting, generation: OfGeneration) -> Response:
    """What each campaign is called, by number."""
    casebook, labels = _of(visit, generation), visit.use.engine.labels()
    return JSONResponse(await visit.run(_campaigns, casebook, labels), headers=_PRIVATE)


@router.get("/prompts")
async def prompts(
    visit: Visiting,
    rows: Annotated[str, Query(pattern=r"^\d{1,9}(,\d{1,9})*$", max_length=10 * _MOST_ROWS)],
    generation: OfGeneration,
) -> Response:
    """The prompts of some points; those without events are left out."""
    casebook = _of(visit, generation)
    wanted = [int(each) for each in rows.split(",")][:_MOST_ROWS]
    return JSONResponse(await visit.run(_prompts, casebook, wanted), headers=_PRIVATE)


def _of(visit: Visit, generation: str) -> Casebook:
    """The casebook, if it is of this generation: rows and numbers of another are others. Raises NotFound."""
    casebook = visit.use.engine.casebook()
    if generation != casebook.name:
        raise NotFound("another generation was published; load the page again")
    return casebook


def _prompts(casebook: Casebook, rows: list[int]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "text": one_line(hit, _TEXT),
            "query": clean(without_padding(hit.text or hit.system)[: 4 * _QUERY])[:_QUERY],
            "campaign": hit.campaign_id,
        }
        for row, hit in casebook.prompts_at(rows).items()
    ]


def _campaigns(casebook: Casebook, labels: Mapping[str, CampaignLabel]) -> list[dict[str, Any]]:
    return [
        {
            "id": each.campaign_id,
            "level": row_of(each, labels.get(each.campaign_id)).level.value,
            "template": _name(each.template),
            "events": each.events,
        }
        for each in casebook.campaigns
    ]


def _name(template: Template) -> str:
    """How a template begins, with dots for its slots."""
    parts = pieces(template.skeleton, [slot.number for slot in template.slots])
    return brief("".join(text or "…" for text, _ in parts), _NAME)
