"""The allow-list: organisations, system prompts and public templates that an analyst vouches for."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from app.errors import DOCUMENTED, NOT_FOUND
from app.exchange import note
from app.schemas import MAX_KEY, AllowanceAnswer, AllowanceList, AllowanceRemoved, AllowanceRequest, Id
from app.state import Use
from models.allowance import new_rule

router = APIRouter(tags=["allow-list"], prefix="/v1/allowances", responses=DOCUMENTED)

RuleId = Annotated[int, Path(ge=1, le=MAX_KEY, examples=[1])]
Author = Annotated[Id, Query(max_length=128, description="Who takes it back.", examples=["mira"])]


@router.get("")
async def allowances(use: Use) -> AllowanceList:
    """The rules that were not taken back, oldest first; one that has run out explains nothing any more."""
    found = await use.run(use.engine.allowances)
    return AllowanceList.model_validate({"allowances": found, "total": len(found)})


@router.post("", status_code=201)
async def allow(question: AllowanceRequest, request: Request, use: Use) -> AllowanceAnswer:
    """Vouch for something: campaigns that it explains are no alarm, from the next match call on.

    The same rule again, while it is in force, changes nothing and answers the one that is there.
    """
    rule = new_rule(question.kind, question.value, question.note, question.author, use.clock(), question.until)
    stored = await use.run(use.engine.allow, rule)
    note(request, rule_id=stored.rule_id, kind=stored.kind)
    return AllowanceAnswer.model_validate(stored)


@router.delete("/{rule_id}", responses=NOT_FOUND)
async def disallow(rule_id: RuleId, author: Author, request: Request, use: Use) -> AllowanceRemoved:
    """Take a rule back; who did it, and when, is kept."""
    note(request, rule_id=rule_id)
    await use.run(use.engine.disallow, rule_id, author)
    return AllowanceRemoved(removed=rule_id)
