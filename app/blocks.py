"""What was refused, or would have been: for analysts, who see no word of the prompts here."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from app.errors import DOCUMENTED
from app.schemas import MAX_KEY, Answer, Id, UtcTime
from app.state import Use
from models.block import BlockQuery
from models.match import Ground
from models.mode import Mode
from models.view import View

router = APIRouter(tags=["blocks"], responses=DOCUMENTED)


class BlockAnswer(Answer):
    """One prompt that was refused, or would have been in mode enforce."""

    number: int
    at: datetime
    request_id: str
    asked_by: str
    campaign_id: str
    mode: Mode
    blocked: bool
    grounds: list[Ground]
    view: View
    similarity: float
    threshold: float
    generation: str
    account_id: str | None
    model: str | None


class BlockList(Answer):
    """The newest first. The next page is asked for with `before`, the number of the last one."""

    blocks: list[BlockAnswer]
    limit: int


@router.get("/v1/blocks")
async def blocks(
    use: Use,
    campaign_id: Annotated[Id | None, Query()] = None,
    account_id: Annotated[Id | None, Query()] = None,
    blocked: Annotated[bool | None, Query(description="Refused (true), or only in mode enforce (false).")] = None,
    since: Annotated[UtcTime | None, Query(description="Included.")] = None,
    until: Annotated[UtcTime | None, Query(description="Excluded.")] = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_KEY)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> BlockList:
    """The prompts that were refused, or would have been in mode enforce. They show up here a moment later."""
    query = BlockQuery(limit, campaign_id, account_id, blocked, since, until, before)
    found = await use.run(use.engine.blocks, query)
    names = [name for name in BlockAnswer.model_fields if name != "number"]
    rows = [{"number": number, **{name: getattr(each, name) for name in names}} for number, each in found]
    return BlockList.model_validate({"blocks": rows, "limit": limit})
