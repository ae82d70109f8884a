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

from models.errors import StorageUnusable

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
        return f"{session.claims}.{self._signature(_FOR_COOKIES, session.claims)}"

    def find(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; None if it is none of ours, or over."""
        claims, _, signature = cookie.rpartition(".")
        if not _same(self._signature(_FOR_COOKIES, claims), signature):
            return None
        key_id, until, nonce = claims.split(".")  # as we wrote it
        session = Session(key_id, datetime.fromtimestamp(int(until), UTC), nonce)
        return session if now < session.until else None

    def token(self, session: Session) -> str:
        """What each form of the session carries, and no other page can know."""
        return self._signature(_FOR_FORMS, session.claims)

    def is_token(self, session: Session, given: str) -> bool:
        """Whether a form came from a page of the session. Takes as long for any token."""
        return _same(self.token(session), given)

    def _signature(self, purpose: str, claims: str) -> str:
        signed = f"{purpose} {claims}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, signed, sha256).hexdigest()


def session_secret(path: Path, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """The secret that the workers of one data directory sign with, made by whoever comes first; for its owner's
    eyes only. Raises StorageUnusable if there is none and none can be kept, or what is there is none.
    """
    try:
        if not path.exists():
            _make_secret(path, random)
        secret = path.read_bytes()
    except OSError as error:
        raise StorageUnusable(f"the console's secret cannot be kept in {path}: {error.strerror}") from error
    if len(secret) != SECRET_BYTES:
        raise StorageUnusable(
            f"{path} holds {len(secret)} bytes, not {SECRET_BYTES}; "
            "remove it, and everybody signs in again and pseudonyms change"
        )
    return secret


def _make_secret(path: Path, random: Callable[[int], bytes]) -> None:
    """It is there whole or not at all, and never takes the place of another's where files can be linked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f"{path.name}.{random(8).hex()}")
    with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(random(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(mine, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        mine.replace(path)
        return
    mine.unlink()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
