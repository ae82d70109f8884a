"""Envoy's external authorisation over HTTP, and other proxies that ask with the original request.

Envoy sends the original method, path (behind ours) and body, perhaps cut. 200 lets the request through; any other
answer below 500 goes to whoever sent the prompt; 5xx is a failure, with which Envoy does what it is configured to.
"""

from hashlib import sha256
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from app.dialects import name_of, read_body
from app.errors import TO_GATEWAYS
from app.inquiry import REFUSAL, examine_any, mode_of
from app.schemas import EXAMPLE_PROMPT
from app.state import Use
from models.match import Decision, Match

router = APIRouter(tags=["gateways"])

Rest = Annotated[str, Path(description="The path that was called.", examples=["v1/chat/completions"])]

_OTHER_METHODS: Final = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]
_BODY: Final = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "examples": [{"messages": [{"role": "user", "content": EXAMPLE_PROMPT}]}]}
        }
    }
}
_PARTIAL: Final = "x-envoy-auth-partial-body"
_TIMEOUT_MS: Final = "x-envoy-expected-rq-timeout-ms"
_TIMEOUT_DIGITS: Final = 7
_LEAST_PATIENCE_S: Final = 0.05  # whoever gets a header of his own past Envoy must not buy himself a fault


@router.post(
    "/v1/authz/{rest:path}",
    response_class=Response,
    openapi_extra={"requestBody": _BODY},
    responses={
        200: {"description": "Let it through. The headers x-stillwatch-* are for the operator."},
        403: {"description": "Refuse it; the body is an error in the dialect of the API that was called."},
        **TO_GATEWAYS,
    },
)
@router.api_route("/v1/authz/{rest:path}", methods=_OTHER_METHODS, include_in_schema=False)
async def authorise(rest: Rest, request: Request, use: Use) -> Response:
    """Whether a proxy is to let a request through, which it hands over as it came. A body that was cut is examined
    as far as it goes; a request without a prompt passes. Header x-account-id names the account, x-stillwatch-mode
    the mode.
    """
    said = read_body(await request.body(), request.headers.get("content-encoding", ""), use.limits.body_bytes)
    found = await examine_any(
        request,
        use,
        said.prompt,
        mode_of(request.headers.get("x-stillwatch-mode")),
        _account(request) or said.user,
        said.model,
        _patience_s(request),
    )
    headers = _headers(found, request.headers.get(_PARTIAL) == "true")
    if found is not None and found.block:
        return JSONResponse(_error(rest), 403)  # Envoy hands all headers of a refusal to the sender, unless told
    return Response(status_code=200, headers=headers)


def _account(request: Request) -> str | None:
    """The sender: as a header names it, else a digest of the credentials, which are never kept."""
    named = name_of(request.headers.get("x-account-id"))
    credentials = request.headers.get("authorization") or request.headers.get("x-api-key")
    return named or (f"key-{sha256(credentials.encode()).hexdigest()[:16]}" if credentials else None)


def _patience_s(request: Request) -> float | None:
    """How long Envoy waits for the answer, which it says of itself; None if it does not."""
    said = request.headers.get(_TIMEOUT_MS, "")
    sensible = said.isascii() and said.isdecimal() and len(said) <= _TIMEOUT_DIGITS and int(said) > 0
    return max(_LEAST_PATIENCE_S, int(said) / 1000) if sensible else None


def _headers(found: Match | None, is_partial: bool) -> dict[str, str]:
    """What the operator may pass on to the model's side or log; nothing of it should reach the sender."""
    headers = {"x-stillwatch-decision": (found.decision if found else Decision.UNKNOWN).value}
    if is_partial or (found is not None and found.truncated):
        headers["x-stillwatch-partial"] = "true"
    if found is not None:
        headers["x-stillwatch-would-block"] = str(found.would_block).lower()
        headers["x-stillwatch-generation"] = found.generation
        if found.campaign_id and found.decision is not Decision.NONE:
            headers["x-stillwatch-campaign"] = found.campaign_id
    return headers


def _error(path: str) -> dict[str, object]:
    if path.endswith("messages"):  # Anthropic's
        return {"type": "error", "error": {"type": "permission_error", "message": REFUSAL}}
    error = {"message": REFUSAL, "type": "invalid_request_error", "param": None, "code": "policy_violation"}
    return {"error": error}
