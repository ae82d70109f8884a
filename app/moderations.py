"""OpenAI's moderations API, for gateways that know no other guardrail. It names neither account nor roles."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request
from pydantic import Field

from app.dialects import name_of, prompt_of
from app.errors import TO_GATEWAYS
from app.exchange import exchange_of
from app.inquiry import examine_any, mode_of
from app.schemas import EXAMPLE_PROMPT, MAX_BATCH, Answer
from app.state import Use
from models.errors import BadInput
from models.match import Decision, Match

router = APIRouter(tags=["gateways"], responses=TO_GATEWAYS)

CATEGORY: Final = "distillation_campaign"
_STANDARD: Final = (  # clients with strict types want to see these
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_EXAMPLE: Final = {"model": "stillwatch", "input": [EXAMPLE_PROMPT, "Which bread goes with leek soup?"]}

Question = Annotated[dict[str, Any], Body(examples=[_EXAMPLE])]


class ModerationResult(Answer):
    flagged: bool = Field(description="Whether to refuse the input; only ever true in mode enforce.")
    categories: dict[str, bool]
    category_scores: dict[str, float] = Field(description="For a match, how typical of the campaign it is.")
    category_applied_input_types: dict[str, list[str]]


class ModerationAnswer(Answer):
    """One result for each input, in their order."""

    id: str
    model: str
    results: list[ModerationResult]


@router.post("/v1/moderations")
async def moderations(question: Question, request: Request, use: Use) -> ModerationAnswer:
    """Whether each input is to be refused. The query parameter `mode` names the mode."""
    mode = mode_of(request.query_params.get("mode"))
    texts = _inputs(question.get("input"))
    if len(texts) > MAX_BATCH:
        raise BadInput(f"input holds {len(texts)} texts, more than {MAX_BATCH}")
    found = [await examine_any(request, use, prompt_of([], text), mode) for text in texts]
    model = name_of(question.get("model")) or "stillwatch"
    number = exchange_of(request).request_id
    return ModerationAnswer(id=f"modr-{number}", model=model, results=[_result(each) for each in found])


def _inputs(value: object) -> list[list[str]]:
    """The texts of each input: a list of texts is many inputs, a list of parts is one."""
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return [[part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)]]
    if isinstance(value, list):
        return [[text] if isinstance(text, str) else [] for text in value]
    return [[value] if isinstance(value, str) else []]


def _result(found: Match | None) -> ModerationResult:
    matched = found is not None and found.decision is Decision.MATCH
    score = (found.typicality or 0.0) if found is not None and matched else 0.0
    block = found is not None and found.block
    none = dict.fromkeys(_STANDARD, False)
    return ModerationResult(
        flagged=block,
        categories={**none, CATEGORY: block},
        category_scores={**dict.fromkeys(_STANDARD, 0.0), CATEGORY: score},
        category_applied_input_types={name: ["text"] for name in (*_STANDARD, CATEGORY)},
    )
