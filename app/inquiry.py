"""One question from the request path, whichever gateway asks it, and the answer to it."""

import time
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from fastapi import Request

from app.exchange import exchange_of, note, route_of
from app.state import Services
from models.block import Block
from models.errors import NotReady, Overloaded
from models.match import Decision, Match, Question
from models.mode import Mode
from models.prompt import Prompt

# Shown to whoever sent the prompt: no ids, no scores.
REFUSAL: Final = "This request was refused by the usage policy."


@dataclass(frozen=True, slots=True)
class Inquiry:
    """mode: what is asked for, None if that is not said. account_id, model: as far as the gateway knows. top_k:
    nearest campaigns to list. patience_s: how long the gateway waits, None if that is not known.
    """

    prompt: Prompt
    mode: Mode | None = None
    account_id: str | None = None
    model: str | None = None
    top_k: int = 1
    patience_s: float | None = None


def mode_of(value: object) -> Mode | None:
    """The mode that a gateway's configuration names, None if it names none."""
    return Mode(value) if isinstance(value, str) and value in set(Mode) else None


async def examine(request: Request, use: Services, inquiry: Inquiry) -> Match:
    """The answer, counted and noted in the log."""
    began = time.perf_counter()
    question = Question(inquiry.prompt, inquiry.mode or use.mode, inquiry.top_k)
    try:
        found = await use.match(question, inquiry.patience_s)
    except (NotReady, Overloaded):  # it was sent all the same; before the first generation that is all there is
        remember(request, use, inquiry.prompt, inquiry.account_id, inquiry.model)
        raise
    use.metrics.match_seconds.observe(time.perf_counter() - began)
    record(request, use, found, inquiry.account_id, inquiry.model)
    remember(request, use, inquiry.prompt, inquiry.account_id, inquiry.model)
    note(
        request,
        decision=found.decision,
        block=found.block,
        would_block=found.would_block,
        campaign_id=found.campaign_id,
        campaign_level=found.level,
        similarity=found.similarity,
        threshold=found.threshold,
        generation=found.generation,
    )
    return found


async def examine_any(
    request: Request,
    use: Services,
    prompt: Prompt | None,
    mode: Mode | None = None,
    account_id: str | None = None,
    model: str | None = None,
    patience_s: float | None = None,
) -> Match | None:
    """`examine` for gateways, which cannot make anything of a refusal: None if they handed over nothing that a
    sender wrote; of a prompt that is too long, both ends are examined.
    """
    if prompt is None:
        use.metrics.unexamined.inc()
        note(request, decision=Decision.UNKNOWN)
        return None
    inquiry, limit = Inquiry(prompt, mode, account_id, model, patience_s=patience_s), use.limits.prompt_chars
    if len(prompt.system) + len(prompt.user) <= limit:
        return await examine(request, use, inquiry)
    found = await examine(request, use, replace(inquiry, prompt=prompt.shortened(limit)))
    return replace(found, truncated=True)


def record(request: Request, use: Services, found: Match, account_id: str | None, model: str | None) -> None:
    """Counts an answer; what is refused, or would be, is kept."""
    use.metrics.count_match(found)
    if not found.would_block:
        return
    first = found.nearest[0]
    block = Block(
        at=use.clock(),
        request_id=exchange_of(request).request_id,
        asked_by=route_of(request.scope),
        campaign_id=first.campaign_id,
        mode=found.mode,
        blocked=found.block,
        grounds=found.grounds,
        view=first.view,
        similarity=first.similarity,
        threshold=first.threshold,
        generation=found.generation,
        account_id=account_id,
        model=model,
    )
    use.ledger.add(block)


def remember(request: Request, use: Services, prompt: Prompt, account_id: str | None, model: str | None) -> None:
    """Hands a prompt that was asked about to the store, if the server is set to; of an unknown sender it would say
    nothing. A gateway that asks again, in a request of the same id, makes no second event.
    """
    if use.memory is None or account_id is None:
        return
    turns = (("system", prompt.system), ("user", prompt.user))
    asked = f"{account_id} {prompt.system} {prompt.user}".encode("utf-8", "surrogatepass")
    row = {
        "event_id": f"{exchange_of(request).request_id}-{blake2b(asked, digest_size=8).hexdigest()}",
        "account_id": account_id,
        "timestamp": use.clock().isoformat(),
        "messages": [{"role": role, "content": text} for role, text in turns if text],
        **({"model": model} if model else {}),
    }
    use.memory.add(row)
