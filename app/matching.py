"""What campaign does this prompt resemble? Asked by gateways, in the request path."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from app.errors import DOCUMENTED
from app.exchange import exchange_of, note
from app.inquiry import Inquiry, examine, record, remember
from app.schemas import BatchAnswer, BatchRequest, MatchAnswer, MatchItem, MatchRequest
from app.state import Use
from models.errors import BadPrompt
from models.match import Match, Question
from models.prompt import Prompt

router = APIRouter(tags=["match"], responses=DOCUMENTED)


@router.post("/v1/match", response_model=MatchAnswer)
async def match(question: MatchRequest, request: Request, use: Use) -> Response:
    """Compare one prompt with the campaigns of the current generation."""
    note(request, caller_request_id=question.request_id)
    inquiry = Inquiry(question.to_prompt(), question.mode, question.account_id, question.model, question.top_k)
    found = await examine(request, use, inquiry)
    return _said(_answer(found, question, request))


@router.post("/v1/match/batch", response_model=BatchAnswer)
async def match_batch(question: BatchRequest, request: Request, use: Use) -> Response:
    """Compare up to 256 prompts, all with the same generation. One bad prompt refuses the batch."""
    prompts = _prompts(question.items)
    mode = question.mode or use.mode
    found = await use.match_all([Question(prompt, mode, question.top_k) for prompt in prompts])
    for one, prompt, item in zip(found, prompts, question.items, strict=True):
        record(request, use, one, item.account_id, item.model)
        remember(request, use, prompt, item.account_id, item.model)
    note(request, items=len(found), blocked=sum(one.block for one in found))
    answers = [_answer(one, item, request) for one, item in zip(found, question.items, strict=True)]
    return _said({"items": answers, "request_id": exchange_of(request).request_id})


def _prompts(items: list[MatchItem]) -> list[Prompt]:
    prompts: list[Prompt] = []
    for position, item in enumerate(items):
        try:
            prompts.append(item.to_prompt())
        except BadPrompt as error:
            raise BadPrompt(f"items[{position}]: {error}") from error
    return prompts


def _answer(found: Match, item: MatchItem, request: Request) -> dict[str, Any]:
    """The fields of a MatchAnswer."""
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return {**fields, "request_id": item.request_id or exchange_of(request).request_id}


def _said(document: dict[str, Any]) -> Response:
    """The answer as JSON. Not through pydantic, which would take longer than a known answer does."""
    return Response(msgspec.json.encode(document), media_type="application/json")
