"""What an analyst does about a campaign: the verdict and the mode, each with who said so and why."""

from collections.abc import Mapping

from fastapi import APIRouter, Response

from app.campaign_schemas import LabelRequest, ModeRequest
from app.campaigns import CampaignId, store_label, store_mode
from app.console.places import HOME
from app.console.visit import Visit, Visiting, asked, day, go_to
from app.exchange import note
from models.campaign import CampaignLabel, Label
from models.deadline import in_future
from models.errors import BadInput
from models.mode import CampaignMode

router = APIRouter()


@router.post(f"{HOME}/campaigns/{{campaign_id}}/label")
async def label(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Records a verdict, in place of the one before."""
    form = await visit.form()
    said = {name: form.get(name, "") for name in ("label", "note")}
    until = form.get("until", "") if said["label"] == Label.IGNORE_UNTIL else ""
    question = asked(LabelRequest, {**said, "author": _author(visit, form), "until": day(until)})
    if not question.note.strip():
        raise BadInput("say why, in a word or two; whoever comes next will want to know")
    note(visit.request, campaign_id=campaign_id, label=question.label)
    now = visit.use.clock()
    verdict = CampaignLabel(
        campaign_id, question.label, question.note, question.author, now, in_future(question.until, now)
    )
    stored = await visit.use.run(store_label, visit.use.engine, verdict)
    return go_to(f"{HOME}/campaigns/{stored.campaign_id}")


@router.post(f"{HOME}/campaigns/{{campaign_id}}/mode")
async def mode(visit: Visiting, campaign_id: CampaignId) -> Response:
    """Sets the most that may be done about a campaign's prompts."""
    form = await visit.form()
    question = asked(ModeRequest, {"mode": form.get("mode", ""), "author": _author(visit, form)})
    note(visit.request, campaign_id=campaign_id, mode=question.mode)
    wanted = CampaignMode(campaign_id, question.mode, question.author, visit.use.clock())
    stored = await visit.use.run(store_mode, visit.use.engine, wanted)
    return go_to(f"{HOME}/campaigns/{stored.campaign_id}")


def _author(visit: Visit, form: Mapping[str, str]) -> str:
    """Whose act it is: that of the key, whatever the form says; where there are no keys, of whoever is named."""
    return visit.author or form.get("author", "").strip()
