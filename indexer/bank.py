"""The bank: campaigns that other providers told of. Nothing that decides about a prompt reads it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from indexer.database import Database
from indexer.schema import bank
from indexer.times import microseconds, moment
from models.errors import NotFound
from models.shared import BankEntry, SharedCampaign
from models.storable import storable


class BankStore:
    """Part of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, campaigns: Sequence[SharedCampaign], author: str, at: datetime) -> None:
        """Keeps campaigns, each in place of what its source told of it before; they are on disk on return."""
        rows = [
            {
                "source": storable(each.source),
                "campaign_id": storable(each.campaign_id),
                "aim": storable(each.aim),
                "first_us": microseconds(each.first_seen),
                "last_us": microseconds(each.last_seen),
                "salt": each.salt,
                "hashes": msgspec.json.encode(each.hashes).decode(),
                "until_us": microseconds(each.until),
                "added_by": storable(author),
                "at_us": microseconds(at),
            }
            for each in campaigns
        ]
        with self._database.writing() as connection:
            for row in rows:
                same = (bank.c.source == row["source"]) & (bank.c.campaign_id == row["campaign_id"])
                connection.execute(sa.delete(bank).where(same))
                connection.execute(sa.insert(bank), row)

    def remove(self, number: int) -> None:
        """Takes an entry out. Raises NotFound."""
        with self._database.writing() as connection:
            if not connection.execute(sa.delete(bank).where(bank.c.id == number)).rowcount:
                raise NotFound(f"the bank has no entry {number}")

    def entries(self, now: datetime) -> list[BankEntry]:
        """The entries that are not to be forgotten yet, the newest first."""
        query = sa.select(bank).where(bank.c.until_us > microseconds(now)).order_by(bank.c.id.desc())
        return [
            BankEntry(
                row.id,
                SharedCampaign(
                    row.source,
                    row.campaign_id,
                    row.aim,
                    moment(row.first_us),
                    moment(row.last_us),
                    row.salt,
                    msgspec.json.decode(row.hashes, type=tuple[str, ...]),
                    moment(row.until_us),
                ),
                row.added_by,
                moment(row.at_us),
            )
            for row in self._database.all(query)
        ]
