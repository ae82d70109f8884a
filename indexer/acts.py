"""Acts of analysts, kept: who saw or took out what, when and why. Nothing here is ever changed or deleted."""

from collections.abc import Collection

import sqlalchemy as sa

from indexer.database import Database
from indexer.schema import acts
from indexer.times import microseconds, moment
from models.act import Act, ActKind
from models.storable import storable


class ActStore:
    """Part of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, act: Act) -> None:
        """Keeps an act; it is on disk on return."""
        row = {
            "kind": act.kind.value,
            "subject": storable(act.subject),
            "detail": storable(act.detail),
            "author": storable(act.author),
            "note": storable(act.note),
            "at_us": microseconds(act.at),
        }
        with self._database.writing() as connection:
            connection.execute(sa.insert(acts), row)

    def of(self, subjects: Collection[str], most: int, kind: ActKind | None = None) -> list[Act]:
        """The last acts that are about any of these subjects, the newest first; of one kind only if given."""
        query = sa.select(acts).where(acts.c.subject.in_([storable(each) for each in subjects]))
        if kind is not None:
            query = query.where(acts.c.kind == kind.value)
        query = query.order_by(acts.c.id.desc()).limit(most)
        return [
            Act(ActKind(row.kind), row.subject, row.detail, row.author, row.note, moment(row.at_us))
            for row in self._database.all(query)
        ]
