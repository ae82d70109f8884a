"""Who is signed in to the console: a signed cookie that names a key, and the token that its forms carry.

The cookie holds no secret of the key, and nothing is kept of it here, so any worker can read what another has
given out. What makes it worthless is that the key is revoked or runs out, or the time that stands in it.
"""

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

COOKIE: Final = "stillwatch_session"
LIFETIME: Final = timedelta(hours=12)
SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 16
_FOR_COOKIES, _FOR_FORMS = "cookie", "form"  # so that neither signature can stand for the other


@dataclass(frozen=True, slots=True)
class Session:
    """key_id: of the key that was shown, "" for a browser that has shown none. until: aware, in whole seconds."""

    key_id: str
    until: datetime
    nonce: str

    @property
    def claims(self) -> str:
        """What is signed."""
        return f"{self.key_id}.{int(self.until.timestamp())}.{self.nonce}"


class Sessions:
    """Begins sessions and finds them again. random: so many random bytes."""

    def __init__(self, secret: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._secret = secret
        self._random = random

    def begin(self, key_id: str, now: datetime) -> Session:
        """A new session; the cookie of one that was begun before sign-in is worth nothing to it."""
        until = datetime.fromtimestamp(int((now + LIFETIME).timestamp()), UTC)
        return Session(key_id, until, self._random(_NONCE_BYTES).hex())

    def cookie(self, session: Session) -> str:
        """The cookie's value: what is claimed, and the signature."""
        return f"{session.claims}.{self._signature(_FOR_COOKIES, session)}"

    def find(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; None if it is none of ours, or over."""
        parts = cookie.split(".")
        if len(parts) != 4 or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) <= 12):
            return None
        session = Session(parts[0], datetime.fromtimestamp(int(parts[1]), UTC), parts[2])
        is_ours = _same(self._signature(_FOR_COOKIES, session), parts[3])
        return session if is_ours and now < session.until else None

    def token(self, session: Session) -> str:
        """What each form of the session carries, and no other page can know."""
        return self._signature(_FOR_FORMS, session)

    def is_token(self, session: Session, given: str) -> bool:
        """Whether a form came from a page of the session. Takes as long for any token."""
        return _same(self.token(session), given)

    def _signature(self, purpose: str, session: Session) -> str:
        return hmac.new(self._secret, f"{purpose} {session.claims}".encode(), sha256).hexdigest()


def session_secret(path: Path, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """The secret that the workers of one data directory sign with, made by whoever comes first; for its owner's
    eyes only.
    """
    try:
        return _whole(path.read_bytes(), path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f"{path.name}.{random(8).hex()}")
    with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(random(SECRET_BYTES))
    try:
        os.link(mine, path)  # whole, or not there; and never in place of another's
    except FileExistsError:
        pass
    finally:
        mine.unlink()
    return _whole(path.read_bytes(), path)


def _whole(secret: bytes, path: Path) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"{path} holds {len(secret)} bytes, not {SECRET_BYTES}; remove it, and all sign in again")
    return secret


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
