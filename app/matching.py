"""What campaign does this prompt resemble? Asked by gateways, in the request path."""

from fastapi import APIRouter, Request

from app.errors import DOCUMENTED
from app.exchange import exchange_of, note
from app.inquiry import Inquiry, examine, record, remember
from app.schemas import BatchAnswer, BatchRequest, MatchAnswer, MatchItem, MatchRequest
from app.state import Use
from models.errors import BadPrompt
from models.match import Match, Question
from models.prompt import Prompt

router = APIRouter(tags=["match"], responses=DOCUMENTED)


@router.post("/v1/match")
async def match(question: MatchRequest, request: Request, use: Use) -> MatchAnswer:
    """Compare one prompt with the campaigns of the current generation."""
    note(request, caller_request_id=question.request_id)
    inquiry = Inquiry(question.to_prompt(), question.mode, question.account_id, question.model, question.top_k)
    found = await examine(request, use, inquiry)
    return _answer(found, question, request)


@router.post("/v1/match/batch")
async def match_batch(question: BatchRequest, request: Request, use: Use) -> BatchAnswer:
    """Compare up to 256 prompts, all with the same generation. One bad prompt refuses the batch."""
    prompts = _prompts(question.items)
    mode = question.mode or use.mode
    found = await use.match_all([Question(prompt, mode, question.top_k) for prompt in prompts])
    for one, prompt, item in zip(found, prompts, question.items, strict=True):
        record(request, use, one, item.account_id, item.model)
        remember(request, use, prompt, item.account_id, item.model)
    note(request, items=len(found), blocked=sum(one.block for one in found))
    answers = [_answer(one, item, request) for one, item in zip(found, question.items, strict=True)]
    return BatchAnswer(items=answers, request_id=exchange_of(request).request_id)


def _prompts(items: list[MatchItem]) -> list[Prompt]:
    prompts: list[Prompt] = []
    for position, item in enumerate(items):
        try:
            prompts.append(item.to_prompt())
        except BadPrompt as error:
            raise BadPrompt(f"items[{position}]: {error}") from error
    return prompts


def _answer(found: Match, item: MatchItem, request: Request) -> MatchAnswer:
    request_id = item.request_id or exchange_of(request).request_id
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return MatchAnswer.model_validate({**fields, "request_id": request_id})
