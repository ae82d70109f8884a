"""One visit to a page: who is there, and the form that was sent, if it is one of ours."""

from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from app.console.pages import rendered
from app.console.places import HOME
from app.console.sessions import COOKIE, LIFETIME, Session
from app.state import Services, Use
from models.key import ApiKey

_TOKEN: Final = "token"
_MOST_FIELDS: Final = 64


@dataclass(frozen=True, slots=True)
class Visit:
    """session: of the browser; begun with this visit if `is_new`. key: that is signed in, None for none."""

    request: Request
    use: Services
    session: Session
    key: ApiKey | None
    is_new: bool

    @property
    def author(self) -> str:
        """In whose name things are done; "" if that must be asked."""
        return self.key.name if self.key else ""

    def page(self, name: str, http_status: int = 200, **values: Any) -> HTMLResponse:
        """A template filled in for this visitor."""
        token = self.use.sessions.token(self.session)
        page = rendered(name, http_status, visit=self, token=token, path=self.request.url.path, **values)
        if self.is_new:
            self.keep(page, self.session)
        return page

    def keep(self, answer: Response, session: Session) -> None:
        """Gives the browser the cookie of a session, which no script can read, nor a form from elsewhere bring."""
        answer.set_cookie(
            COOKIE,
            self.use.sessions.cookie(session),
            max_age=int(LIFETIME.total_seconds()),
            path=HOME,
            secure=self.request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )

    async def form(self) -> dict[str, str]:
        """The fields of the form that was sent. 403 if it is not from a page of this session."""
        body = (await self.request.body()).decode("utf-8", "replace")
        try:
            fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError as error:
            raise HTTPException(422, f"the form has more than {_MOST_FIELDS} fields") from error
        if self.is_new or not self.use.sessions.is_token(self.session, fields.pop(_TOKEN, "")):
            raise HTTPException(403, "the form is not from this session; load the page again")
        return fields


async def _visit(request: Request, use: Use) -> Visit:
    now = use.clock()
    found = use.sessions.find(request.cookies.get(COOKIE, ""), now)
    key = use.engine.keys().get(found.key_id, now) if found else None
    return Visit(request, use, found or use.sessions.begin("", now), key, found is None)


Visiting = Annotated[Visit, Depends(_visit)]
"""The type of an endpoint's parameter that takes the visit."""


def local(target: str) -> str:
    """A page of the console to go on to; home for what is none, as a link from elsewhere may name."""
    return target if target == HOME or target.startswith((f"{HOME}/", f"{HOME}?")) else HOME


def go_to(target: str) -> RedirectResponse:
    """See another page, by GET."""
    return RedirectResponse(target, 303)
