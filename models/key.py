"""API keys: who may ask for what, and how often."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from models.errors import BadSettings

KEY_HEADER: Final = "x-stillwatch-key"
TOKEN_PREFIX: Final = "sw"
MAX_NAME: Final = 128
_ID_BYTES: Final = 4
_SECRET_BYTES: Final = 32


class Role(StrEnum):
    """What a key may do; each role may do all that those before it may. GATEWAY: ask about prompts and hand in
    events. ANALYST: read campaigns and prompts, search, label, allow, set modes. ADMIN: reindex.
    """

    GATEWAY = "gateway"
    ANALYST = "analyst"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: of its secret only the SHA-256 digest, which will do, as the secret is 256 random bits.

    key_id: shown in lists and logs. name: whose it is. rate: requests a second, None for any number. at: when it
    was made. until: when it runs out, None for never. revoked: when it was taken back, None if it was not.
    """

    key_id: str
    name: str
    role: Role
    digest: bytes
    rate: float | None
    at: datetime
    until: datetime | None = None
    revoked: datetime | None = None

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_NAME or not self.name.isprintable():
            raise BadSettings(f"a key's name has 1 to {MAX_NAME} printable characters, not {self.name!r}")
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise BadSettings(f"a key's rate is a number of requests a second above 0, not {self.rate}")

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens anything now."""
        return self.revoked is None and (self.until is None or now < self.until)


def new_key(
    name: str,
    role: Role,
    rate: float | None,
    now: datetime,
    until: datetime | None,
    random: Callable[[int], bytes],
) -> tuple[ApiKey, str]:
    """A key, and the token that its holder sends, which cannot be had again. random: so many random bytes."""
    key_id, secret = random(_ID_BYTES).hex(), random(_SECRET_BYTES).hex()
    key = ApiKey(key_id, name, role, sha256(secret.encode()).digest(), rate, now, until)
    return key, f"{TOKEN_PREFIX}_{key_id}_{secret}"


class Keyring:
    """The keys that there are; its length is that of those not revoked. is_in_use: whether one was ever made, for
    to revoke the last one must not open the doors.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        every = {key.key_id: key for key in keys}
        self.is_in_use = bool(every)
        self._keys: Mapping[str, ApiKey] = {name: key for name, key in every.items() if key.revoked is None}

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key_id: str, now: datetime) -> ApiKey | None:
        """The valid key of an id, None if there is none."""
        key = self._keys.get(key_id)
        return key if key is not None and key.is_valid(now) else None

    def find(self, token: str, now: datetime) -> ApiKey | None:
        """The valid key that a token is of, None if there is none. Takes as long for any secret."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self.get(key_id, now)
        if prefix != TOKEN_PREFIX or key is None:
            return None
        given = sha256(secret.encode("utf-8", "surrogatepass")).digest()
        return key if hmac.compare_digest(key.digest, given) else None
