"""What is known about one request and its answer besides their bodies: id, and what to log."""

import re
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from fastapi import Request
from starlette.types import Scope

from models.key import ApiKey

REQUEST_ID_PATTERN: Final = r"^[A-Za-z0-9._:/+=@-]{1,128}$"

_REQUEST_ID = re.compile(REQUEST_ID_PATTERN)
_KEY: Final = "exchange"


@dataclass(slots=True)
class Exchange:
    """One per request. `notes` end up in the request's log line: ids and numbers only, never prompt text. hung_up:
    whether the caller went away before the whole request was here. key: that it was let in with, None for none.
    """

    request_id: str
    status: int | None = None
    hung_up: bool = False
    key: ApiKey | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def begin(scope: Scope, offered_id: str | None) -> Exchange:
    """Attach a new exchange to an ASGI scope. The caller's id is kept if it is sane, otherwise one is made."""
    sane = offered_id is not None and _REQUEST_ID.fullmatch(offered_id) is not None
    exchange = Exchange(offered_id if sane and offered_id else uuid4().hex)
    scope.setdefault("state", {})[_KEY] = exchange
    return exchange


def exchange_of(request: Request) -> Exchange:
    """The exchange that a request belongs to."""
    exchange: Exchange = request.scope["state"][_KEY]
    return exchange


def route_of(scope: Scope) -> str:
    """The route's pattern, e.g. "/v1/jobs/{job_id}": few in number, and nothing a caller wrote."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


def note(request: Request, **fields: object) -> None:
    """Add fields to the request's log line; None and empty values are left out."""
    exchange_of(request).notes.update({key: value for key, value in fields.items() if value not in (None, "")})
