"""The campaigns: list, detail, and the analyst's verdict."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from app.campaign_schemas import (
    AccountList,
    CampaignDetail,
    CampaignHead,
    CampaignList,
    CampaignRow,
    History,
    LabelFilter,
    LabelRequest,
    ModeAnswer,
    ModeRequest,
    Timeline,
    Verdict,
)
from app.errors import DOCUMENTED, NOT_FOUND
from app.exchange import note
from app.schemas import EXAMPLE_CAMPAIGN, MAX_HITS, MAX_OFFSET, HitList
from app.state import Engine, Services, Use
from models.campaign import Campaign, CampaignLabel, Level
from models.deadline import in_future
from models.mode import CampaignMode

router = APIRouter(tags=["campaigns"], prefix="/v1/campaigns", responses=DOCUMENTED)

CampaignId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$", examples=[EXAMPLE_CAMPAIGN])]
Labels = Mapping[str, CampaignLabel]


@router.get("")
async def campaigns(
    use: Use,
    level: Annotated[list[Level] | None, Query(description="Only these levels.", examples=[["likely"]])] = None,
    label: Annotated[list[LabelFilter] | None, Query(description="Only these labels.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> CampaignList:
    """The campaigns of the current generation, most urgent first."""
    found, labels = await use.run(_all, use.engine)
    chosen = [one for one in found if _passes(one, labels, level, label)]
    rows = [_row(one, labels) for one in chosen[offset : offset + limit]]
    return CampaignList(campaigns=rows, total=len(chosen), limit=limit, offset=offset)


@router.get("/{campaign_id}", responses=NOT_FOUND)
async def campaign(campaign_id: CampaignId, request: Request, use: Use) -> CampaignDetail:
    """One campaign: evidence, template with slots, exemplars, thresholds."""
    note(request, campaign_id=campaign_id)
    return await use.run(_detail, use.engine, campaign_id)


@router.get("/{campaign_id}/accounts", responses=NOT_FOUND)
async def accounts(
    campaign_id: CampaignId,
    request: Request,
    use: Use,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> AccountList:
    """The accounts that took part."""
    note(request, campaign_id=campaign_id)
    casebook = use.engine.casebook()
    found = casebook.campaign(campaign_id)
    shown = await use.run(casebook.campaign_accounts, found.campaign_id, slice(offset, offset + limit))
    page = {"accounts": shown, "total": found.accounts, "limit": limit, "offset": offset}
    return AccountList.model_validate({"campaign_id": found.campaign_id, **page})


@router.get("/{campaign_id}/prompts", responses=NOT_FOUND)
async def prompts(
    campaign_id: CampaignId,
    request: Request,
    use: Use,
    limit: Annotated[int, Query(ge=1, le=MAX_HITS)] = 20,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> HitList:
    """The prompts that were sent, in the order of their fingerprints. Of long ones both ends are compared."""
    note(request, campaign_id=campaign_id)
    return HitList.model_validate(await use.run(use.engine.campaign_prompts, campaign_id, limit, offset))


@router.get("/{campaign_id}/timeline", responses=NOT_FOUND)
async def timeline(campaign_id: CampaignId, request: Request, use: Use) -> Timeline:
    """Events by hour and model."""
    note(request, campaign_id=campaign_id)
    casebook = use.engine.casebook()
    found = casebook.campaign(campaign_id)
    hours = await use.run(casebook.campaign_hours, found.campaign_id)
    return Timeline.model_validate({"campaign_id": found.campaign_id, "hours": hours})


@router.get("/{campaign_id}/history", responses=NOT_FOUND)
async def history(campaign_id: CampaignId, request: Request, use: Use) -> History:
    """What became of the campaign, generation by generation."""
    note(request, campaign_id=campaign_id)
    found = await use.run(use.engine.campaign, campaign_id)
    return History.model_validate({"campaign_id": found.campaign_id, "entries": found.history})


@router.put("/{campaign_id}/label", responses=NOT_FOUND)
async def put_label(campaign_id: CampaignId, question: LabelRequest, request: Request, use: Use) -> Verdict:
    """Record an analyst's verdict, in place of the one before."""
    note(request, campaign_id=campaign_id, label=question.label)
    return Verdict.model_validate(await use.run(record_label, use, campaign_id, question))


@router.put("/{campaign_id}/mode", responses=NOT_FOUND)
async def put_mode(campaign_id: CampaignId, question: ModeRequest, request: Request, use: Use) -> ModeAnswer:
    """Set the most that may be done about a campaign's prompts, from the next match call on."""
    note(request, campaign_id=campaign_id, mode=question.mode)
    return ModeAnswer.model_validate(await use.run(record_mode, use, campaign_id, question))


def record_label(use: Services, campaign_id: str, question: LabelRequest) -> CampaignLabel:
    """Stores a verdict under the campaign's present id. Raises UnknownCampaign, or BadInput if it has run out."""
    now = use.clock()
    until, one = in_future(question.until, now), use.engine.campaign(campaign_id)
    label = CampaignLabel(one.campaign_id, question.label, question.note, question.author, now, until)
    return use.engine.put_label(label)


def record_mode(use: Services, campaign_id: str, question: ModeRequest) -> CampaignMode:
    """Stores a mode under the campaign's present id. Raises UnknownCampaign."""
    one = use.engine.campaign(campaign_id)
    return use.engine.put_campaign_mode(CampaignMode(one.campaign_id, question.mode, question.author, use.clock()))


def _all(engine: Engine) -> tuple[tuple[Campaign, ...], Labels]:
    return engine.campaigns(), engine.labels()


def _passes(
    one: Campaign, labels: Labels, levels: Iterable[Level] | None, wanted: Iterable[LabelFilter] | None
) -> bool:
    verdict = labels.get(one.campaign_id)
    label = LabelFilter(verdict.label.value) if verdict else LabelFilter.NONE
    return (not levels or one.level in levels) and (not wanted or label in wanted)


def _head(one: Campaign, labels: Labels) -> dict[str, Any]:
    verdict = labels.get(one.campaign_id)
    numbers = {name: getattr(one, name) for name in CampaignHead.model_fields if name != "label"}
    return {**numbers, "label": verdict.label if verdict else None}


def _row(one: Campaign, labels: Labels) -> CampaignRow:
    return CampaignRow.model_validate({**_head(one, labels), "template": one.template.skeleton})


def _detail(engine: Engine, campaign_id: str) -> CampaignDetail:
    one, labels, modes = engine.campaign(campaign_id), engine.labels(), engine.campaign_modes()
    parts = ("views", "template", "evidence", "exemplars", "thresholds", "strands", "variants", "formerly")
    rest = {name: getattr(one, name) for name in parts}
    said = {"verdict": labels.get(one.campaign_id), "mode": modes.get(one.campaign_id)}
    return CampaignDetail.model_validate({**_head(one, labels), **rest, **said})
