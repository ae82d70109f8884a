"""A block: a prompt that was refused, or would have been in mode enforce."""

from dataclasses import dataclass
from datetime import datetime

from models.match import Ground
from models.mode import Mode
from models.view import View


@dataclass(frozen=True, slots=True)
class Block:
    """What an analyst wants to know of it afterwards; no word of the prompt.

    request_id: of the HTTP request. asked_by: the path that was asked. mode: that the answer was given in.
    blocked: whether it was refused. grounds, view, similarity, threshold, generation: as the answer had them.
    account_id, model: as far as the gateway knew.
    """

    at: datetime
    request_id: str
    asked_by: str
    campaign_id: str
    mode: Mode
    blocked: bool
    grounds: tuple[Ground, ...]
    view: View
    similarity: float
    threshold: float
    generation: str
    account_id: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class BlockQuery:
    """Which blocks are asked for; None is no condition. since is included, until excluded. before: number of a
    block, to go on from the last one of a page. limit: the most that are wanted.
    """

    limit: int
    campaign_id: str | None = None
    account_id: str | None = None
    blocked: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
