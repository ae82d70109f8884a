"""One visit to a page: who is there, and the form that was sent, if it is one of ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final, TypeVar, TypeVarTuple
from urllib.parse import parse_qsl

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from app.console.forms import checked_note
from app.console.pages import rendered
from app.console.places import HOME
from app.console.sessions import COOKIE, LIFETIME, Session
from app.exchange import exchange_of, note
from app.state import Services, Use
from models.act import Act, ActKind
from models.errors import BadInput
from models.key import ApiKey, Role

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_TOKEN: Final = "token"
_MOST_FIELDS: Final = 64
FORM_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Visit:
    """session: of the browser; begun with this visit if `is_new`. key: that it was let in with, None for none."""

    request: Request
    use: Services
    session: Session
    key: ApiKey | None
    is_new: bool

    @property
    def author(self) -> str:
        """In whose name things are done; "" if that must be asked."""
        return self.key.name if self.key else ""

    def may(self, role: Role) -> bool:
        """Whether this visitor may do what is for a role. Where there are no keys everybody may do everything."""
        return self.key is None or self.key.role.rank >= role.rank

    @property
    def is_admin(self) -> bool:
        """Whether this visitor may do what is for admins."""
        return self.may(Role.ADMIN)

    def called(self, account_id: str) -> str:
        """What an account is called on pages."""
        return self.use.pseudonyms.account(account_id)

    def organisation(self, org_id: str) -> str:
        """What an organisation is called on pages."""
        return self.use.pseudonyms.organisation(org_id)

    def act(self, kind: ActKind, subject: str, form: Mapping[str, str], detail: str = "") -> Act:
        """What is about to be done, by whom and why, as a form says. Raises BadInput if it says neither."""
        return Act(
            kind, subject, detail, self.author_of(form), checked_note(form.get("note", "")), self.use.clock()
        )

    async def run(self, call: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run what a page takes, in one of the threads that pages have."""
        return await self.use.browse(call, *arguments)

    async def record(self, act: Act) -> None:
        """Keeps that something was done."""
        await self.run(self.use.engine.record, act)
        note(self.request, act=act.kind.value, subject=act.subject)

    def require(self, role: Role) -> None:
        """403 if this visitor may not do what is for a role."""
        if not self.may(role):
            raise HTTPException(403, f"this needs a key of role {role}")

    def author_of(self, form: Mapping[str, str]) -> str:
        """Whose act it is: that of the key, whatever the form says; where there are no keys, of whoever is named.
        Raises BadInput if nobody is.
        """
        author = self.author or form.get("author", "").strip()
        if not author:
            raise BadInput("author: say who you are")
        return author

    async def account_id(self, pseudonym: str) -> str | None:
        """Who goes by a pseudonym, None if nobody does."""
        engine, pseudonyms = self.use.engine, self.use.pseudonyms
        return await self.run(lambda: pseudonyms.account_id(pseudonym, engine.casebook().account_names()))

    async def page(self, name: str, http_status: int = 200, **values: Any) -> HTMLResponse:
        """A template filled in for this visitor, in a thread: a long list takes a while."""
        known = {"visit": self, "token": self.use.sessions.token(self.session), "path": self.request.url.path}
        page = await self.run(partial(rendered, name, http_status, **known, **values))
        if self.is_new:
            self.keep(page, self.session)
        return page

    def keep(self, answer: Response, session: Session) -> None:
        """Gives the browser the cookie of a session."""
        self.set_cookie(answer, COOKIE, self.use.sessions.cookie(session), LIFETIME)

    def set_cookie(self, answer: Response, name: str, value: str, lifetime: timedelta) -> None:
        """Gives the browser a cookie that no script can read, and no form of another site brings along."""
        answer.set_cookie(
            name,
            value,
            max_age=int(lifetime.total_seconds()),
            path=HOME,
            secure=self.request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )

    async def form(self, most_bytes: int = FORM_BYTES) -> dict[str, str]:
        """The fields of the form that was sent. 403 if it is not from a page of this session, 413 if it is longer
        than any that such a page sends.
        """
        body = b""
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > most_bytes:
                raise HTTPException(413, f"the form is larger than {most_bytes} bytes", {"connection": "close"})
        try:
            fields = await self.run(_fields, body)
        except ValueError as error:
            raise HTTPException(422, f"the form has more than {_MOST_FIELDS} fields") from error
        if self.is_new or not self.use.sessions.is_token(self.session, fields.pop(_TOKEN, "")):
            raise HTTPException(403, "the form is not from this session; load the page again")
        return fields


def _fields(body: bytes) -> dict[str, str]:
    """In a thread, as percent signs by the million take seconds."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))


async def _visit(request: Request, use: Use) -> Visit:
    found = use.sessions.find(request.cookies.get(COOKIE, ""), use.clock())
    session = found or use.sessions.begin("", use.clock())
    return Visit(request, use, session, exchange_of(request).key, found is None)


Visiting = Annotated[Visit, Depends(_visit)]
"""The type of an endpoint's parameter that takes the visit."""


def go_to(target: str) -> RedirectResponse:
    """See another page, by GET."""
    return RedirectResponse(target, 303)
