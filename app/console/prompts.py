"""The prompts of a campaign by how typical they are of it, and those that just miss it."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from app.campaigns import CampaignId
from app.console.forms import PLACE
from app.console.listing import row_of
from app.console.places import HOME
from app.console.visit import Visiting
from app.exchange import note

router = APIRouter(prefix=f"{HOME}/campaigns/{{campaign_id}}")

_ROWS: Final = 20


@router.get("/prompts")
async def prompts(
    visit: Visiting,
    campaign_id: CampaignId,
    order: Annotated[str, Query(pattern="^(typical|fringe)$")] = "typical",
    offset: Annotated[int, Query(ge=0, le=PLACE)] = 0,
) -> Response:
    """The campaign's prompts, the most typical first, or those at its fringe."""
    note(visit.request, campaign_id=campaign_id)
    casebook, labels = visit.use.engine.casebook(), visit.use.engine.labels()
    one = casebook.campaign(campaign_id)
    found = await visit.run(casebook.typical, one.campaign_id, _ROWS, offset, order == "fringe")
    row = row_of(one, labels.get(one.campaign_id))
    return await visit.page(
        "campaign_prompts.html",
        one=one,
        row=row,
        tab="prompts",
        found=found,
        order=order,
        offset=offset,
        rows=_ROWS,
    )


@router.get("/near")
async def near(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Stored prompts that are in no campaign and come nearest to this one."""
    note(visit.request, campaign_id=campaign_id)
    casebook, labels = visit.use.engine.casebook(), visit.use.engine.labels()
    one = casebook.campaign(campaign_id)
    found = await visit.run(casebook.near_misses, one.campaign_id, 2 * _ROWS)
    row = row_of(one, labels.get(one.campaign_id))
    return await visit.page("campaign_near.html", one=one, row=row, tab="near", found=found)
