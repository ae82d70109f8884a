"""A client of the HTTP API, for programs in Python: sync and async, with a deadline and retries within it."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import anyio
import httpx
import msgspec

from models.errors import Refused, Unreachable
from models.key import KEY_HEADER
from models.match import Match
from models.mode import Mode
from models.report import IngestReport
from models.storable import storable_json

T = TypeVar("T")

_LATER: Final = frozenset({429, 502, 503, 504})  # worth asking again
_FIRST_WAIT_S: Final = 0.02
_LONGEST_DETAIL: Final = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """deadline_s: for an answer, all attempts and waits together. attempts: at most."""

    deadline_s: float = 1.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked. To ask twice does no harm: a match changes nothing, and events are stored once."""

    path: str
    body: bytes


class Client:
    """Asks one server. Every method raises Refused if it answers with an error, and Unreachable if it does not
    answer within the deadline. Here, not in `AsyncClient`, that holds for each step of an attempt: a server that
    is slow to take the question and slow to answer, or that drips its answer, can take longer.
    """

    def __init__(self, url: str, key: str | None = None, patience: Patience | None = None) -> None:
        """key: the token of an API key."""
        self._patience = patience or Patience()
        self._http = httpx.Client(base_url=url, headers=_headers(key), trust_env=False)

    def match(self, prompt: str, **more: Any) -> Match:
        """What campaign does this prompt resemble? more: mode, top_k, account_id, model, request_id."""
        return _match(self._ask(_match_request({"prompt": prompt}, more)))

    def match_messages(self, messages: Sequence[Mapping[str, Any]], **more: Any) -> Match:
        """`match` of a chat."""
        return _match(self._ask(_match_request({"messages": list(messages)}, more)))

    def add_events(self, rows: Sequence[Mapping[str, Any]]) -> IngestReport:
        """Hands in events, as rows of the event format; they are on the server's disk on return."""
        return _report(self._ask(_events_request(rows)))

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: _Request) -> bytes:
        attempts = _Attempts(self._patience, time.monotonic, random.random)
        while True:
            try:
                answer = self._http.post(request.path, content=request.body, timeout=attempts.left_s())
                wait = attempts.after(answer)
            except httpx.TransportError as error:
                wait = attempts.after(error)
            if wait is None:
                return answer.content
            time.sleep(wait)


class AsyncClient:
    """`Client` for programs that run an event loop."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(key), trust_env=False, transport=transport)

    async def match(self, prompt: str, **more: Any) -> Match:
        """What campaign does this prompt resemble? more: mode, top_k, account_id, model, request_id."""
        return _match(await self._ask(_match_request({"prompt": prompt}, more)))

    async def match_messages(self, messages: Sequence[Mapping[str, Any]], **more: Any) -> Match:
        """`match` of a chat."""
        return _match(await self._ask(_match_request({"messages": list(messages)}, more)))

    async def add_events(self, rows: Sequence[Mapping[str, Any]]) -> IngestReport:
        """Hands in events, as rows of the event format; they are on the server's disk on return."""
        return _report(await self._ask(_events_request(rows)))

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, request: _Request) -> bytes:
        attempts = _Attempts(self._patience, time.monotonic, random.random)
        while True:
            try:
                with anyio.fail_after(attempts.left_s()):
                    answer = await self._http.post(request.path, content=request.body, timeout=None)
                wait = attempts.after(answer)
            except (httpx.TransportError, TimeoutError) as error:
                wait = attempts.after(error)
            if wait is None:
                return answer.content
            await anyio.sleep(wait)


class _Attempts:
    """Whether and when to ask again."""

    def __init__(self, patience: Patience, timer: Callable[[], float], dice: Callable[[], float]) -> None:
        self._patience = patience
        self._timer = timer
        self._dice = dice
        self._until = timer() + patience.deadline_s
        self._made = 0

    def left_s(self) -> float:
        """Time left until the deadline, above 0."""
        return max(1e-3, self._until - self._timer())

    def after(self, outcome: httpx.Response | Exception) -> float | None:
        """Seconds to wait before the next attempt; None if the outcome is an answer. Raises Refused or Unreachable
        if it is neither and there is no time, no attempt or no use left.
        """
        self._made += 1
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return None
        wait: float = _FIRST_WAIT_S * 2 ** (self._made - 1) * (0.5 + self._dice())
        if isinstance(outcome, httpx.Response):
            asked = outcome.headers.get("retry-after", "")
            wait = max(wait, float(asked) if asked.isascii() and asked.isdecimal() else 0.0)
        is_last = self._made >= self._patience.attempts or self._timer() + wait >= self._until
        if isinstance(outcome, httpx.Response) and (is_last or outcome.status_code not in _LATER):
            raise Refused(f"{outcome.status_code}: {outcome.text[:_LONGEST_DETAIL]}")
        if isinstance(outcome, Exception) and is_last:
            spent = self._patience.deadline_s - max(0.0, self._until - self._timer())
            reason = str(outcome) or type(outcome).__name__
            raise Unreachable(f"no answer in {self._made} attempts and {spent:.3f} s: {reason}") from outcome
        return wait


def _headers(key: str | None) -> dict[str, str]:
    return {"content-type": "application/json", **({KEY_HEADER: key} if key else {})}


def _match_request(asked: dict[str, Any], more: Mapping[str, Any]) -> _Request:
    mode = more.get("mode")
    named = {**more, "mode": Mode(mode)} if mode is not None else more
    return _Request("/v1/match", msgspec.json.encode(storable_json({**asked, **named})))


def _events_request(rows: Sequence[Mapping[str, Any]]) -> _Request:
    return _Request("/v1/events", msgspec.json.encode([storable_json(row) for row in rows]))


def _match(answer: bytes) -> Match:
    return _decoded(answer, Match)


def _report(answer: bytes) -> IngestReport:
    return _decoded(answer, IngestReport)


def _decoded(answer: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer, type=kind)
    except msgspec.DecodeError as error:
        raise Refused(f"the answer is no {kind.__name__}: {error}") from error
