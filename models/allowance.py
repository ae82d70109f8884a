"""What an allow-list rule is: traffic that an analyst vouches for, whatever it looks like."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.deadline import in_future
from models.errors import BadInput


class AllowanceKind(StrEnum):
    """ORGANISATION: an org_id whose accounts may all say the same. SYSTEM_PROMPT: the system text of a known
    application. TEMPLATE: a public prompt that people pass round.
    """

    ORGANISATION = "organisation"
    SYSTEM_PROMPT = "system-prompt"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One rule. until: when it runs out, None for never."""

    rule_id: int
    kind: AllowanceKind
    value: str
    note: str
    author: str
    at: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it has not run out."""
        return self.until is None or self.until > now


def new_rule(
    kind: AllowanceKind, value: str, note: str, author: str, now: datetime, until: datetime | None
) -> Allowance:
    """A rule made now, which has no id before it is stored. Raises BadInput if it allows nothing, or has ended."""
    text = value.strip()
    if not text:
        raise BadInput("the value is empty; there is nothing to allow")
    return Allowance(0, kind, text, note, author, now, in_future(until, now))
