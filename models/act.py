"""What people did in the console that somebody may have to answer for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ActKind(StrEnum):
    """REVEAL: saw the name behind a pseudonym. EXPORT: took data out. IMPORT: put in what others told."""

    REVEAL = "reveal"
    EXPORT = "export"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Act:
    """One such act. subject: the campaign's id, the account's pseudonym, or "" for all of them. detail: what
    exactly, e.g. the format. note: why, in the author's words. at: aware.
    """

    kind: ActKind
    subject: str
    detail: str
    author: str
    note: str
    at: datetime
