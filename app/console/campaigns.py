"""The list of campaigns, and the page of one, with what an analyst says of it."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from app.campaign_schemas import LabelFilter, LabelRequest, ModeRequest
from app.campaigns import CampaignId, record_label, record_mode
from app.console.forms import AskedCampaigns, LabelForm, checked
from app.console.listing import Row, Wanted, chosen, models_of, urgent_rows
from app.console.places import HOME
from app.console.visit import Visit, Visiting, go_to
from app.exchange import note
from app.state import Engine
from models.campaign import Campaign, Label, Level
from models.errors import BadInput
from models.mode import Mode

router = APIRouter(prefix=f"{HOME}/campaigns")

_PAGE_ROWS: Final = 50
_ACCOUNTS_SHOWN: Final = 100


@router.get("")
async def campaigns(visit: Visiting, asked: Annotated[AskedCampaigns, Query()]) -> Response:
    """All campaigns, filtered and sorted as the address says, so that a view is kept by keeping the address."""
    wanted = Wanted(
        asked.q, asked.level, asked.label, asked.model, asked.since, asked.until, asked.sort, asked.order == "up"
    )
    rows, found = await visit.use.run(_chosen, visit.use.engine, wanted)
    pages = max(1, -(-len(found) // _PAGE_ROWS))
    at = min(asked.page, pages)
    return await visit.page(
        "campaigns.html",
        rows=found[(at - 1) * _PAGE_ROWS : at * _PAGE_ROWS],
        found=len(found),
        total=len(rows),
        pages=pages,
        at=at,
        asked=asked.said(),
        levels=list(Level),
        labels=list(LabelFilter),
        models=models_of(row.campaign for row in rows),
    )


@router.get("/{campaign_id}")
async def campaign(visit: Visiting, campaign_id: CampaignId) -> Response:
    """One campaign: what it is, why it was called one, who is in it, and what became of it."""
    note(visit.request, campaign_id=campaign_id)
    one, row = await visit.use.run(_one, visit.use.engine, campaign_id)
    return await visit.page(
        "campaign.html",
        one=one,
        row=row,
        evidence=sorted(one.evidence, key=lambda each: -abs(each.weight)),
        heaviest=max((abs(each.weight) for each in one.evidence), default=0.0) or 1.0,
        members=sorted(one.members, key=lambda each: (-each.events, each.account_id))[:_ACCOUNTS_SHOWN],
        history=one.history[::-1],
        mode=visit.use.engine.campaign_modes().get(one.campaign_id),
        labels=list(Label),
        modes=list(Mode),
    )


@router.post("/{campaign_id}/label")
async def label(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Records a verdict, in place of the one before."""
    form = await visit.form()
    said = checked(LabelForm, form)
    if not said.note.strip():
        raise BadInput("say why, in a word or two; whoever comes next will want to know")
    until = said.until if said.label == Label.IGNORE_UNTIL else None
    question = checked(
        LabelRequest, {"label": said.label, "note": said.note, "author": _author(visit, form), "until": until}
    )
    stored = await record_label(campaign_id, question, visit.request, visit.use)
    return go_to(f"{HOME}/campaigns/{stored.campaign_id}")


@router.post("/{campaign_id}/mode")
async def mode(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Sets the most that may be done about a campaign's prompts."""
    form = await visit.form()
    question = checked(ModeRequest, {"mode": form.get("mode", ""), "author": _author(visit, form)})
    stored = await record_mode(campaign_id, question, visit.request, visit.use)
    return go_to(f"{HOME}/campaigns/{stored.campaign_id}")


def _chosen(engine: Engine, wanted: Wanted) -> tuple[list[Row], list[Row]]:
    rows = urgent_rows(engine.campaigns(), engine.labels())
    return rows, chosen(rows, wanted)


def _one(engine: Engine, campaign_id: str) -> tuple[Campaign, Row]:
    one = engine.campaign(campaign_id)
    return one, urgent_rows([one], engine.labels())[0]


def _author(visit: Visit, form: Mapping[str, str]) -> str:
    """Whose act it is: that of the key, whatever the form says; where there are no keys, of whoever is named."""
    return visit.author or form.get("author", "").strip()
