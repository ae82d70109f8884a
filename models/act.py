"""What people did in the console that somebody may have to answer for, beside the labels that they gave."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class ActKind(StrEnum):
    """REVEAL: saw the name behind a pseudonym. EXPORT: took data out. EXPORT_NAMES: took data out in which
    accounts go by their own names. IMPORT: put into the bank what others told. REMOVE: took it out of there. MODE:
    set the most that may be done about a campaign.
    """

    REVEAL = "reveal"
    EXPORT = "export"
    EXPORT_NAMES = "export with names"
    IMPORT = "import"
    REMOVE = "remove"
    MODE = "mode"


SEARCHES: Final = "searches"
BANK: Final = "bank"


@dataclass(frozen=True, slots=True)
class Act:
    """One such act. subject: the campaign's id, the account's pseudonym, SEARCHES or BANK. detail: what exactly:
    the format, or the account's own name, which outlives the pseudonym; no page shows that. note: why, in the
    author's words. at: aware.
    """

    kind: ActKind
    subject: str
    detail: str
    author: str
    note: str
    at: datetime
