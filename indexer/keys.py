"""API keys, kept: made and taken back by command, never removed."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from indexer.database import Database
from indexer.schema import api_keys
from indexer.times import microseconds, moment
from models.errors import UnknownKey
from models.key import ApiKey, Role
from models.storable import storable


class KeyStore:
    """Part of a database. What its methods return from is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Keeps a new key."""
        row = {
            "key_id": key.key_id,
            "name": storable(key.name),
            "role": key.role.value,
            "digest": key.digest,
            "rate": key.rate,
            "at_us": microseconds(key.at),
            "until_us": None if key.until is None else microseconds(key.until),
        }
        with self._database.writing() as connection:
            connection.execute(sa.insert(api_keys), row)

    def revoke(self, key_id: str, at: datetime) -> None:
        """Takes a key back. Raises UnknownKey if there is none of this id that still opens anything."""
        mine = (api_keys.c.key_id == key_id) & api_keys.c.revoked_us.is_(None)
        with self._database.writing() as connection:
            done = connection.execute(sa.update(api_keys).where(mine).values(revoked_us=microseconds(at)))
            if not done.rowcount:
                raise UnknownKey(f"there is no key {key_id!r} that is not revoked")

    def all(self) -> tuple[ApiKey, ...]:
        """Every key there ever was, the oldest first."""
        rows = self._database.all(sa.select(api_keys).order_by(api_keys.c.at_us, api_keys.c.key_id))
        return tuple(map(_key, rows))


def _key(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        role=Role(row.role),
        digest=row.digest,
        rate=row.rate,
        at=moment(row.at_us),
        until=None if row.until_us is None else moment(row.until_us),
        revoked=None if row.revoked_us is None else moment(row.revoked_us),
    )
