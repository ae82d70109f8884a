"""What asking about a prompt may lead to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """How far an answer may go, the least first. OFF: not examined. AUDIT, the default: examined and counted,
    never blocked. ENFORCE: blocked, if the campaign is confirmed and more than one view agrees.
    """

    OFF = "off"
    AUDIT = "audit"
    ENFORCE = "enforce"

    @property
    def rank(self) -> int:
        """0 for off, 1 for audit, 2 for enforce."""
        return list(Mode).index(self)


def least(first: Mode, *others: Mode | None) -> Mode:
    """The one that goes least far; None has no say."""
    return min((first, *(each for each in others if each is not None)), key=lambda mode: mode.rank)


@dataclass(frozen=True, slots=True)
class CampaignMode:
    """The most that may be done about a campaign's prompts, whatever a request asks for, and who said so."""

    campaign_id: str
    mode: Mode
    author: str
    at: datetime
