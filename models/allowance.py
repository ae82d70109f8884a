"""What an allow-list rule is: traffic that an analyst vouches for, whatever it looks like."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
