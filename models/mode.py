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


@dataclass(frozen=True, slots=True)
class CampaignMode:
    """The most that may be done about a campaign's prompts, whatever a request asks for, and who said so."""

    campaign_id: str
    mode: Mode
    author: str
    at: datetime
