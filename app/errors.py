"""Every error as an HTTP answer of one shape: {"error", "detail", "request_id"}.

Server-side faults that Stillwatch knows are 503, not 500: a gateway that fails open on 503 turns a 500 into an
error of its own client.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.console.pages import rendered
from app.console.places import is_page
from app.exchange import exchange_of
from app.schemas import ErrorAnswer
from models import errors

RETRY_AFTER_S: Final = 5

STATUS: Final[Mapping[type[errors.StillwatchError], int]] = MappingProxyType(
    {
        errors.StillwatchError: 500,
        errors.BadInput: 422,
        errors.BadEvent: 422,
        errors.BadPrompt: 422,
        errors.PromptTooLarge: 413,
        errors.UnreadableFile: 422,
        errors.NotFound: 404,
        errors.UnknownAccount: 404,
        errors.UnknownAllowance: 404,
        errors.UnknownCampaign: 404,
        errors.UnknownJob: 404,
        errors.UnknownKey: 404,
        errors.NotReady: 503,
        errors.Overloaded: 503,
        errors.Busy: 409,
        errors.Collapsed: 500,
        errors.BadSettings: 500,
        errors.Refused: 500,
        errors.Unreachable: 500,
        errors.StorageUnusable: 503,
        errors.GenerationDamaged: 503,
        errors.SpaceMismatch: 503,
        errors.WeightsUnusable: 503,
    }
)

_HTTP_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "bad_request",
        403: "forbidden",
        404: "not_found",
        405: "method_not_allowed",
        408: "body_timeout",
        413: "body_too_large",
        415: "unsupported_media_type",
        422: "invalid_request",
    }
)

DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": ErrorAnswer, "description": "The body is not text, or not JSON."},
    408: {"model": ErrorAnswer, "description": "The body did not arrive in time."},
    413: {"model": ErrorAnswer, "description": "The body or the prompt is too large."},
    422: {"model": ErrorAnswer, "description": "A field is missing, unknown or out of range."},
    500: {"model": ErrorAnswer, "description": "A fault of the server; its log has the request id."},
    503: {
        "model": ErrorAnswer,
        "description": "Not now: nothing is published, or too much waits. See Retry-After.",
    },
}
TO_GATEWAYS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"model": ErrorAnswer, "description": "Never given: every fault is 503 to a gateway."},
    503: {"model": ErrorAnswer, "description": "A fault, whatever it is, or nothing is published yet."},
}
NOT_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ErrorAnswer, "description": "There is nothing of this id."}
}
BUSY: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ErrorAnswer, "description": "Another job is running."}
}

# Paths of `app.litellm` and so on. Gateways call them on behalf of somebody else.
GATEWAY_PATHS: Final = ("/beta/litellm_basic_guardrail_api", "/v1/authz/", "/v1/gateways/", "/v1/moderations")
_FAULTS: Final = frozenset({400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}")
_SHOWN_PROBLEMS: Final = 5


def error_answer(
    request: Request, status: int, error: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The one shape of all errors; with Retry-After if the status is 503. In the console it is a page.

    To gateways it is 503 whatever the fault, so that they fail the way they are set up to: an answer below 500 is
    a verdict on the sender to Envoy, and an error without a way round it to LiteLLM.
    """
    if status in _FAULTS and request.url.path.startswith(GATEWAY_PATHS):
        status = 503
    retry = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}
    said = {"detail": detail, "request_id": exchange_of(request).request_id}
    if is_page(request.url.path):
        answer: Response = rendered("error.html", status, title=error.replace("_", " ").capitalize(), **said)
        answer.headers.update({**retry, **(headers or {})})
        return answer
    return JSONResponse(
        ErrorAnswer(error=error, **said).model_dump(), status, headers={**retry, **(headers or {})}
    )


def code_of(error: errors.StillwatchError) -> str:
    """The error's class in snake case: UnknownCampaign is "unknown_campaign"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def unexpected(request: Request) -> Response:
    """The answer to an error nobody foresaw: it says nothing but where to look."""
    return error_answer(request, 500, "internal_error", "unexpected error; the server's log has this request id")


def install(app: FastAPI) -> None:
    """Give `app` the handlers that turn each error into its answer."""
    app.add_exception_handler(errors.StillwatchError, _on_purpose)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _on_purpose(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.StillwatchError)
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return error_answer(request, status, code_of(error), str(error))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "http_error")
    return error_answer(request, error.status_code, code, error.detail, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{_place(problem['loc'])}: {problem['msg']}" for problem in error.errors()]
    hidden = len(problems) - _SHOWN_PROBLEMS
    more = [f"and {hidden} more"] if hidden > 0 else []
    return error_answer(request, 422, "invalid_request", "; ".join(problems[:_SHOWN_PROBLEMS] + more))


def _place(location: tuple[int | str, ...]) -> str:
    """Where the problem is, e.g. "body.items.3.prompt". Left out: a key that is no plain name (prompt text?)."""
    return ".".join(str(part) for part in location if isinstance(part, int) or _NAME.fullmatch(part))
