"""LiteLLM's generic guardrail: what the proxy asks before (and after) it calls a model.

https://docs.litellm.ai/docs/adding_provider/generic_guardrail_api
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request
from pydantic import Field

from app.dialects import body_of, mapping_of, name_of, prompt_of
from app.errors import TO_GATEWAYS
from app.inquiry import REFUSAL, examine_any, mode_of
from app.schemas import EXAMPLE_PROMPT, Answer
from app.state import Use
from models.match import Decision, Match
from models.prompt import Prompt

router = APIRouter(tags=["gateways"], responses=TO_GATEWAYS)

_ACCOUNT_FIELDS: Final = ("user_api_key_end_user_id", "user_api_key_hash")  # the narrower first
_EXAMPLE: Final = {
    "input_type": "request",
    "texts": [EXAMPLE_PROMPT],
    "structured_messages": [{"role": "user", "content": EXAMPLE_PROMPT}],
    "request_data": {"user_api_key_hash": "4f1a", "user_api_key_end_user_id": "a9"},
    "additional_provider_specific_params": {"mode": "audit"},
    "model": "m-4",
}

Question = Annotated[dict[str, Any], Body(examples=[_EXAMPLE])]


class GuardrailAnswer(Answer):
    """LiteLLM reads `action` and `blocked_reason`, which it shows to its caller; the rest is for its operators."""

    action: str = Field(description="NONE or BLOCKED.")
    blocked_reason: str | None
    decision: Decision
    would_block: bool
    campaign_id: str | None
    similarity: float | None
    generation: str | None


@router.post("/beta/litellm_basic_guardrail_api")
async def guardrail(question: Question, request: Request, use: Use) -> GuardrailAnswer:
    """Whether LiteLLM is to let a request through. Replies of models are let through unread."""
    said = mapping_of(question.get("additional_provider_specific_params"))
    found = await examine_any(
        request,
        use,
        _prompt(question),
        mode_of(said.get("mode")),
        _account(question),
        name_of(question.get("model")),
    )
    return answer(found)


def answer(found: Match | None) -> GuardrailAnswer:
    """The answer in LiteLLM's terms."""
    block = found is not None and found.block
    return GuardrailAnswer(
        action="BLOCKED" if block else "NONE",
        blocked_reason=REFUSAL if block else None,
        decision=found.decision if found else Decision.UNKNOWN,
        would_block=found is not None and found.would_block,
        campaign_id=found.campaign_id if found else None,
        similarity=found.similarity if found else None,
        generation=found.generation if found else None,
    )


def _prompt(question: Mapping[str, Any]) -> Prompt | None:
    """By roles where they are given: `texts` holds system and user text alike."""
    if question.get("input_type") == "response":
        return None
    found = body_of({"messages": question.get("structured_messages")}).prompt
    texts = question.get("texts")
    if found is None and isinstance(texts, list):
        found = prompt_of([], [text for text in texts if isinstance(text, str)])
    return found


def _account(question: Mapping[str, Any]) -> str | None:
    """The sender: as a header names it that the operator passes on, else the end user, else the key's hash."""
    headers, data = mapping_of(question.get("request_headers")), mapping_of(question.get("request_data"))
    named = name_of(headers.get("x-account-id"))
    if named and named != "[present]":
        return named
    return next((name for field in _ACCOUNT_FIELDS if (name := name_of(data.get(field)))), None)
