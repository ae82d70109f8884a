"""What analysts said, kept: labels, allow-list rules and modes of campaigns, with who said it and when."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from indexer.database import Database
from indexer.schema import allowances, campaign_modes, label_history, labels
from indexer.times import microseconds, moment
from models.allowance import Allowance, AllowanceKind
from models.campaign import CampaignLabel, Label
from models.errors import UnknownAllowance
from models.mode import CampaignMode, Mode
from models.storable import storable


class VerdictStore:
    """Part of a database. What its methods return from is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_label(self, label: CampaignLabel) -> None:
        """Make this the campaign's label and add it to the history; it is on disk on return."""
        row = {
            "campaign_id": label.campaign_id,
            "label": label.label.value,
            "note": storable(label.note),
            "author": storable(label.author),
            "at_us": microseconds(label.at),
            "until_us": None if label.until is None else microseconds(label.until),
        }
        with self._database.writing() as connection:
            connection.execute(sa.delete(labels).where(labels.c.campaign_id == label.campaign_id))
            connection.execute(sa.insert(labels), row)
            connection.execute(sa.insert(label_history), row)

    def labels(self) -> dict[str, CampaignLabel]:
        """The label in force of each campaign that has one, by campaign id."""
        return {row.campaign_id: _label(row) for row in self._database.all(sa.select(labels))}

    def put_mode(self, mode: CampaignMode) -> None:
        """Make this the campaign's mode; the one before keeps its row."""
        row = {
            "campaign_id": mode.campaign_id,
            "mode": mode.mode.value,
            "author": storable(mode.author),
            "at_us": microseconds(mode.at),
        }
        with self._database.writing() as connection:
            connection.execute(sa.insert(campaign_modes), row)

    def modes(self) -> dict[str, CampaignMode]:
        """The mode in force of each campaign that was given one, by campaign id."""
        rows = self._database.all(sa.select(campaign_modes).order_by(campaign_modes.c.id))
        return {
            row.campaign_id: CampaignMode(row.campaign_id, Mode(row.mode), row.author, moment(row.at_us))
            for row in rows
        }

    def allow(self, rule: Allowance) -> Allowance:
        """Adds an allow-list rule and gives it with its id. The same kind and value again, while it is in force,
        changes nothing and gives the rule that is there.
        """
        value = storable(rule.value)
        row = {
            "kind": rule.kind.value,
            "value": value,
            "note": storable(rule.note),
            "author": storable(rule.author),
            "at_us": microseconds(rule.at),
            "until_us": None if rule.until is None else microseconds(rule.until),
        }
        with self._database.writing() as connection:
            for each in self.allowances():
                ended = each.until is not None and each.until <= rule.at
                if (each.kind, each.value) == (rule.kind, value) and not ended:
                    return each
            number = connection.execute(sa.insert(allowances), row).inserted_primary_key
        return replace(rule, rule_id=int(number[0]) if number else 0, value=value)

    def disallow(self, rule_id: int, author: str, at: datetime) -> None:
        """Takes a rule back; its row stays. Raises UnknownAllowance."""
        change = {"removed_by": storable(author), "removed_us": microseconds(at)}
        here = (allowances.c.id == rule_id) & allowances.c.removed_us.is_(None)
        with self._database.writing() as connection:
            if not connection.execute(sa.update(allowances).where(here), change).rowcount:
                raise UnknownAllowance(f"there is no allow-list rule {rule_id}")

    def allowances(self) -> list[Allowance]:
        """The rules that were not taken back, those that have run out included, oldest first."""
        rows = self._database.all(
            sa.select(allowances).where(allowances.c.removed_us.is_(None)).order_by(allowances.c.id)
        )
        return [
            Allowance(
                row.id,
                AllowanceKind(row.kind),
                row.value,
                row.note,
                row.author,
                moment(row.at_us),
                None if row.until_us is None else moment(row.until_us),
            )
            for row in rows
        ]


def _label(row: sa.Row[Any]) -> CampaignLabel:
    until = None if row.until_us is None else moment(row.until_us)
    return CampaignLabel(row.campaign_id, Label(row.label), row.note, row.author, moment(row.at_us), until)
