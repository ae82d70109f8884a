"""The list of campaigns, and the page of one, with what an analyst says of it."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from app.campaign_schemas import LabelFilter, LabelRequest, ModeRequest
from app.campaigns import CampaignId, record_label, record_mode
from app.console.acts import Acts, acts_about
from app.console.course import drawn_by_model, drawn_by_strand, drawn_senders, lineage
from app.console.forms import AskedCampaigns, LabelForm, checked, checked_note
from app.console.listing import LATELY, Row, Wanted, chosen, models_of, row_of, turned_to, urgent_rows
from app.console.places import HOME
from app.console.visit import Visiting, go_to
from app.exchange import note
from app.state import Engine
from indexer.published import urgent_first
from models.act import ActKind
from models.campaign import Campaign, Label, Level
from models.mode import Mode
from models.traffic import CampaignHour

router = APIRouter(prefix=f"{HOME}/campaigns")

_PAGE_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class _Shown:
    """A campaign with what is told of it, and all others of its generation."""

    one: Campaign
    row: Row
    all: tuple[Campaign, ...]
    hours: tuple[CampaignHour, ...]
    acts: Acts


@router.get("")
async def campaigns(visit: Visiting, asked: Annotated[AskedCampaigns, Query()]) -> Response:
    """All campaigns, filtered and sorted as the address says, so that a view is kept by keeping the address."""
    wanted = Wanted(
        asked.q, asked.level, asked.label, asked.model, asked.since, asked.until, asked.sort, asked.order == "up"
    )
    rows, found = await visit.run(_chosen, visit.use.engine, wanted)
    turned = turned_to(asked.page, len(found), _PAGE_ROWS)
    return await visit.page(
        "campaigns.html",
        rows=found[turned.rows],
        found=len(found),
        total=len(rows),
        turned=turned,
        asked=asked.said(),
        levels=list(Level),
        labels=list(LabelFilter),
        models=models_of(row.campaign for row in rows),
    )


@router.get("/{campaign_id}")
async def campaign(visit: Visiting, campaign_id: CampaignId) -> Response:
    """One campaign: what it is, why it was called one, when it was active, and what became of it."""
    note(visit.request, campaign_id=campaign_id)
    shown = await visit.run(_shown, visit.use.engine, campaign_id)
    one = shown.one
    return await visit.page(
        "campaign.html",
        one=one,
        row=shown.row,
        tab="overview",
        by_model=drawn_by_model(shown.hours, one.history),
        by_strand=drawn_by_strand(shown.hours, one.history) if one.strands else None,
        senders=drawn_senders(shown.hours),
        evidence=sorted(one.evidence, key=lambda each: -abs(each.weight)),
        heaviest=max((abs(each.weight) for each in one.evidence), default=0.0) or 1.0,
        history=one.history[::-1],
        lineage=lineage(one),
        known={each.campaign_id for each in shown.all},
        mode=visit.use.engine.campaign_modes().get(one.campaign_id),
        labels=list(Label),
        modes=list(Mode),
        acts=shown.acts,
    )


@router.post("/{campaign_id}/label")
async def label(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Records a verdict, in place of the one before."""
    form = await visit.form()
    said = checked(LabelForm, form)
    until = said.until if said.label == Label.IGNORE_UNTIL else None
    question = checked(
        LabelRequest,
        {"label": said.label, "note": checked_note(said.note), "author": visit.author_of(form), "until": until},
    )
    note(visit.request, campaign_id=campaign_id, label=question.label)
    stored = await visit.run(record_label, visit.use, campaign_id, question)
    return go_to(f"{HOME}/campaigns/{stored.campaign_id}")


@router.post("/{campaign_id}/mode")
async def mode(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Sets the most that may be done about a campaign's prompts."""
    form = await visit.form()
    act = visit.act(ActKind.MODE, campaign_id, form, form.get("mode", ""))
    question = checked(ModeRequest, {"mode": form.get("mode", ""), "author": act.author})
    note(visit.request, campaign_id=campaign_id, mode=question.mode)
    stored = await visit.run(record_mode, visit.use, campaign_id, question)
    await visit.record(replace(act, subject=stored.campaign_id))
    return go_to(f"{HOME}/campaigns/{stored.campaign_id}")


def _chosen(engine: Engine, wanted: Wanted) -> tuple[list[Row], list[Row]]:
    casebook = engine.casebook()
    rows = urgent_rows(urgent_first(casebook.campaigns), engine.labels(), casebook.lately(LATELY))
    return rows, chosen(rows, wanted)


def _shown(engine: Engine, campaign_id: str) -> _Shown:
    casebook = engine.casebook()
    one = casebook.campaign(campaign_id)
    row = row_of(one, engine.labels().get(one.campaign_id))
    hours, ids = casebook.campaign_hours(one.campaign_id), (one.campaign_id, *one.formerly)
    return _Shown(one, row, casebook.campaigns, hours, acts_about(engine, ids, ids))
