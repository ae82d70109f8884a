"""The guardrail webhook of kgateway, agentgateway and Gloo AI Gateway."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request
from pydantic import Field

from app.dialects import body_of, mapping_of, name_of
from app.errors import TO_GATEWAYS
from app.inquiry import REFUSAL, examine_any, mode_of
from app.schemas import EXAMPLE_PROMPT, Answer
from app.state import Use

router = APIRouter(tags=["gateways"], prefix="/v1/gateways/kgateway", responses=TO_GATEWAYS)

_EXAMPLE: Final = {"body": {"messages": [{"role": "user", "content": EXAMPLE_PROMPT}]}}

Question = Annotated[dict[str, Any], Body(examples=[_EXAMPLE])]


class Pass(Answer):
    """Lets it through. The kinds of action are told apart by their fields, so there is no body here."""

    reason: str | None = Field(None, description="For the gateway's log.")


class Reject(Answer):
    """Refuses it: `body` goes to whoever sent the prompt, with this status."""

    body: str
    status_code: int
    reason: str


class ActionAnswer(Answer):
    action: Reject | Pass


@router.post("/request")
async def webhook(question: Question, request: Request, use: Use) -> ActionAnswer:
    """Whether the gateway is to let a request through. Header x-user names the account, x-model the model."""
    found = await examine_any(
        request,
        use,
        body_of(mapping_of(question.get("body"))).prompt,
        mode_of(request.query_params.get("mode")),
        name_of(request.headers.get("x-user")),
        name_of(request.headers.get("x-model")),
    )
    if found is not None and found.block:
        return ActionAnswer(action=Reject(body=REFUSAL, status_code=403, reason=REFUSAL))
    return ActionAnswer(action=Pass(reason="not examined" if found is None else found.reason))


@router.post("/response")
async def reply(question: Question) -> ActionAnswer:
    """Replies of models are let through unread."""
    return ActionAnswer(action=Pass(reason="replies are not examined"))
