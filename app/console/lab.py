"""The threshold lab: what other thresholds of a campaign would have flagged, of what is stored. Nothing is
changed.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from app.campaigns import CampaignId
from app.console.listing import row_of
from app.console.pages import one_line
from app.console.places import HOME
from app.console.visit import Visiting
from app.exchange import note
from app.state import Casebook
from models.campaign import Campaign
from models.compared import Compared

router = APIRouter(prefix=f"{HOME}/campaigns/{{campaign_id}}/lab")

_TEXT: Final = 300  # characters of a prompt


@router.get("")
async def lab(visit: Visiting, campaign_id: CampaignId) -> Response:
    """The page; a script asks for what it tries thresholds on."""
    note(visit.request, campaign_id=campaign_id)
    casebook, labels = visit.use.engine.casebook(), visit.use.engine.labels()
    one = casebook.campaign(campaign_id)
    row = row_of(one, labels.get(one.campaign_id))
    return await visit.page("campaign_lab.html", one=one, row=row, tab="lab")


@router.get("/sample")
async def sample(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Thresholds, and stored prompts with what each view shows of them."""
    note(visit.request, campaign_id=campaign_id)
    casebook = visit.use.engine.casebook()
    found = await visit.run(sample_of, casebook, casebook.campaign(campaign_id))
    return JSONResponse(found, headers={"cache-control": "no-store"})


def sample_of(casebook: Casebook, one: Campaign) -> dict[str, Any]:
    """thresholds: of each view that has one. prompts: of which kind each is ("own", "outside", "other"), for how
    many it stands, its similarity in each of these views (null where it shows nothing), its events, accounts,
    campaign and text.
    """
    found = casebook.lab(one.campaign_id)
    weight = found.own_total / len(found.own) if found.own else 1.0
    views = [each.view.value for each in one.thresholds]
    kinds = (("own", found.own, weight), ("outside", found.outside, 1.0), ("other", found.others, 1.0))
    return {
        "thresholds": [{"view": each.view.value, "threshold": each.threshold} for each in one.thresholds],
        "own_total": found.own_total,
        "prompts": [row for kind, prompts, stands_for in kinds for row in _rows(kind, prompts, stands_for, views)],
    }


def _rows(kind: str, prompts: Iterable[Compared], weight: float, views: list[str]) -> Iterator[dict[str, Any]]:
    for each in prompts:
        seen = {view.view.value: round(view.similarity, 4) for view in each.views}
        hit = each.hit
        yield {
            "kind": kind,
            "weight": weight,
            "similarities": [seen.get(view) for view in views],
            "events": hit.events,
            "campaign": hit.campaign_id,
            "text": one_line(hit, _TEXT),
        }
