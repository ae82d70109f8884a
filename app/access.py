"""Who may ask for what: API keys, the roles that paths need, and how often a key may be used."""

import time
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.console.places import SIGN_IN, STATIC, is_page
from app.console.sessions import COOKIE, Sessions
from app.errors import GATEWAY_PATHS, error_answer
from app.exchange import exchange_of, note
from app.schemas import ErrorAnswer
from models.key import KEY_HEADER, ApiKey, Keyring, Role

_OPEN: Final = frozenset({"/livez", "/readyz", SIGN_IN})
_OF_GATEWAYS: Final = frozenset(
    {"/v1/match", "/v1/match/batch", "/v1/events", "/v1/status", "/metrics", "/openapi.json"}
)
_OF_ADMINS: Final = frozenset({"/v1/reindex"})
_JOBS: Final = "/v1/jobs/"
_CANCEL: Final = "/cancel"
_AUTHZ: Final = "/v1/authz/"
_BY_NAME: Final = "while there is no key, ask by an address or by localhost, not by a domain's name; or make a key"
_BEARER: Final = "bearer "
_REFUSALS: Final = {
    "401": "A valid key is needed.",
    "403": "The key's role is not enough.",
    "429": "The key is used too often; see Retry-After.",
}


class Access:
    """ASGI middleware. Where no key was ever made and none is required, everybody may do everything who asks by an
    address, or a name that no domain can have: else any web site could have its own name lead here, and ask on
    behalf of whoever looks at it ("DNS rebinding"). What gateways ask may bear the name of another.

    A refusal comes before any of the body is read. To gateways it is 503, as every fault is.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Callable[[], Keyring],
        required: bool,
        clock: Callable[[], datetime],
        sessions: Sessions,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._keys = keys
        self._required = required
        self._clock = clock
        self._sessions = sessions
        self._rates = Rates(timer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = role_needed(scope["path"]) if scope["type"] == "http" else None
        if needed is None:
            await self._app(scope, receive, send)
            return
        keys, request = self._keys(), Request(scope)
        answer: Response
        if not (keys.is_in_use or self._required):
            if needed.rank >= Role.ANALYST.rank and names_a_domain(request.headers):
                await error_answer(request, 403, "forbidden", _BY_NAME)(scope, receive, send)
            else:
                await self._app(scope, receive, send)
            return
        key = self._key(request, keys)
        if key is None and is_page(scope["path"]):
            answer = RedirectResponse(f"{SIGN_IN}?{urlencode({'next': _goal(request)})}", 303)
        elif key is None:
            answer = error_answer(
                request, 401, "unauthorised", f"a valid key is needed, in the header {KEY_HEADER}"
            )
        elif key.role.rank < needed.rank:
            answer = error_answer(
                request, 403, "forbidden", f"this needs a key of role {needed}; key {key.key_id} is of {key.role}"
            )
        elif wait_s := self._rates.wait_s(key):
            detail = f"key {key.key_id} may ask {key.rate:g} times a second"
            headers = {"retry-after": str(max(1, round(wait_s)))}
            answer = error_answer(request, 429, "too_many_requests", detail, headers)
        else:
            note(request, key_id=key.key_id)
            exchange_of(request).key = key
            await self._app(scope, receive, send)
            return
        if key is not None:
            note(request, key_id=key.key_id)
        await answer(scope, receive, send)

    def _key(self, request: Request, keys: Keyring) -> ApiKey | None:
        """The key of a request; on pages, that of the session too."""
        now, path = self._clock(), request.scope["path"]
        token = token_of(request.headers, path)
        if token is None and is_page(path):
            session = self._sessions.find(request.cookies.get(COOKIE, ""), now)
            return keys.get(session.key_id, now) if session else None
        return keys.find(token or "", now)


class Rates:
    """How often each key was used of late: a bucket of a second's requests that fills at the key's rate."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, key: ApiKey) -> float:
        """0 if the key may be used now, which is then counted; else the seconds until it may."""
        if key.rate is None:
            return 0.0
        now, most = self._timer(), max(1.0, key.rate)
        left, at = self._left.get(key.key_id, (most, now))
        left = min(most, left + (now - at) * key.rate)
        if left < 1:
            self._left[key.key_id] = (left, now)
            return (1 - left) / key.rate
        self._left[key.key_id] = (left - 1, now)
        return 0.0


def names_a_domain(headers: Headers) -> bool:
    """Whether a request calls this server by a name that a domain of the internet can have."""
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return True
    try:
        ip_address(host.partition("%")[0])
        return False
    except ValueError:
        return "." in host and not host.endswith(".localhost")


def _goal(request: Request) -> str:
    """Where to go on after signing in: the page, with what it was asked for, or that of the form."""
    path, query = request.scope["path"], request.url.query
    if request.method != "GET":
        return str(path).rpartition("/")[0]
    return f"{path}?{query}" if query else path


def role_needed(path: str) -> Role | None:
    """The least role that may use a path, None if everybody may. What is not named is for analysts."""
    if path in _OPEN or path.startswith(STATIC):
        return None
    if path in _OF_GATEWAYS or path.startswith(GATEWAY_PATHS):
        return Role.GATEWAY
    is_cancelling = path.startswith(_JOBS) and path.endswith(_CANCEL)
    return Role.ADMIN if path in _OF_ADMINS or is_cancelling else Role.ANALYST


def token_of(headers: Headers, path: str) -> str | None:
    """The token of a request, None if it has none. On Envoy's path only our own header counts: there the others
    hold the end user's credentials.
    """
    own = headers.get(KEY_HEADER)
    if own is not None or path.startswith(_AUTHZ):
        return own
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get("x-api-key")


def documented(schema: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document with the keys that paths need, and the answers of those who lack them."""
    schema["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    error = {"schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"}}
    refused = {
        status: {"description": description, "content": {"application/json": error}}
        for status, description in _REFUSALS.items()
    }
    for path, operations in schema["paths"].items():
        if role_needed(path) is None:
            continue
        for operation in operations.values():
            own: list[dict[str, list[str]]] = (
                [{"key": []}] if path.startswith(_AUTHZ) else [{"key": []}, {"bearer": []}]
            )
            operation["security"] = [*own, {}]  # none is needed where there are no keys
            if not path.startswith(GATEWAY_PATHS):
                operation["responses"] |= refused
    return schema
