"""Portkey's webhook guardrail. Whatever is configured, Portkey lets a request through if we do not answer."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request
from pydantic import Field

from app.dialects import body_of, mapping_of, name_of, prompt_of
from app.errors import TO_GATEWAYS
from app.inquiry import REFUSAL, examine_any, mode_of
from app.schemas import EXAMPLE_PROMPT, Answer
from app.state import Use
from models.prompt import Prompt

router = APIRouter(tags=["gateways"], responses=TO_GATEWAYS)

_EXAMPLE: Final = {
    "request": {
        "json": {"model": "m-4", "messages": [{"role": "user", "content": EXAMPLE_PROMPT}]},
        "text": "...",
    },
    "metadata": {"_user": "a9"},
    "eventType": "beforeRequestHook",
}

Question = Annotated[dict[str, Any], Body(examples=[_EXAMPLE])]


class Reason(Answer):
    """What Portkey hands on to whoever sent the prompt: no ids, no scores."""

    reason: str


class VerdictAnswer(Answer):
    verdict: bool = Field(description="Whether the request may pass.")
    data: Reason | None


@router.post("/v1/gateways/portkey")
async def webhook(question: Question, request: Request, use: Use) -> VerdictAnswer:
    """Whether Portkey is to let a request through. Replies of models are let through unread."""
    asked, metadata = mapping_of(question.get("request")), mapping_of(question.get("metadata"))
    document = mapping_of(asked.get("json"))
    prompt = None if question.get("eventType") == "afterRequestHook" else _prompt(asked, document)
    found = await examine_any(
        request,
        use,
        prompt,
        mode_of(request.query_params.get("mode")),
        name_of(metadata.get("_user")),
        name_of(document.get("model")),
    )
    block = found is not None and found.block
    return VerdictAnswer(verdict=not block, data=Reason(reason=REFUSAL) if block else None)


def _prompt(asked: Mapping[str, Any], document: Mapping[str, Any]) -> Prompt | None:
    """Of the whole body: `text` is the last message only."""
    text = asked.get("text")
    return body_of(document).prompt or prompt_of([], [text] if isinstance(text, str) else [])
