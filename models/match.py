"""What a match is: the answer to "what campaign does this prompt resemble?"."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from models.campaign import Label, Level
from models.mode import Mode
from models.prompt import Prompt
from models.view import View


@dataclass(frozen=True, slots=True)
class Question:
    """What campaign does this prompt resemble? top_k: nearest campaigns to list."""

    prompt: Prompt
    mode: Mode = Mode.AUDIT
    top_k: int = 5


class Decision(StrEnum):
    """MATCH: one of an alarmed campaign's prompts, with the promised rate of false positives. RELATED: at or above
    the threshold of an alarmed campaign, but farther out than nearly all of its own prompts, or not rarer than
    promised among background prompts: a variant, for an analyst to look at. WATCHED: of a group that is only
    watched, or that an analyst called benign. NONE: neither. UNKNOWN: not examined (mode off, or load was shed).
    """

    MATCH = "match"
    RELATED = "related"
    WATCHED = "watched"
    NONE = "none"
    UNKNOWN = "unknown"


class Ground(StrEnum):
    """Why a prompt counts as one of a campaign's. EXACT: the campaign sent this very prompt. WHOLE, RECURRING,
    SYSTEM: that view reaches its threshold. TEMPLATE: most of a template's fixed words stand in it, in order.
    """

    EXACT = "exact"
    WHOLE = "whole"
    RECURRING = "recurring"
    SYSTEM = "system"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class ViewSimilarity:
    """What one view shows of a prompt and a campaign: cosine similarity, and the threshold it needs."""

    view: View
    similarity: float
    threshold: float

    @property
    def margin(self) -> float:
        """By how much it is above its threshold; negative if it is below."""
        return self.similarity - self.threshold


def nearest_view(views: Sequence[ViewSimilarity]) -> ViewSimilarity | None:
    """The view in which a prompt comes nearest, by its margin; None if no view can tell."""
    return max(views, key=lambda each: each.margin, default=None)


@dataclass(frozen=True, slots=True)
class Nearest:
    """One campaign near the prompt: its best view, the cosine similarity there and the threshold it needs.

    typicality: share of the campaign's own prompts that lie no nearer to its exemplars, in [0, 1].
    views: what each view shows that can tell.
    """

    campaign_id: str
    level: Level
    label: Label | None
    view: View
    similarity: float
    threshold: float
    typicality: float
    views: tuple[ViewSimilarity, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Answer about one prompt.

    nearest: by how far above its threshold each lies, except that the campaign the very prompt belongs to and
        then the alarmed ones it reaches stand first.
    similarity, threshold, view, campaign_id, level: of the first of these, also when it is no match; None if
        no campaign came near at all.
    p_background: share of the prompts outside alarmed campaigns that come at least as near to one, in (0, 1];
        its resolution is 1 / (background_size + 1).
    typicality: of the first of `nearest`, None if there is none.
    alpha: p_background up to which a prompt can be a match; false_positive_bound: the rate of matches among
        background prompts is below this with 95 % confidence, as background_size of them showed.
    truncated: whether a part of the prompt was not examined.
    grounds: what speaks for a match, if it is one. would_block: whether mode enforce blocks it: the campaign is
        confirmed, its own mode allows it, and there are two grounds or more. block: whether it is to be blocked.
    """

    block: bool
    reason: str
    mode: Mode
    decision: Decision
    campaign_id: str | None
    level: Level | None
    similarity: float | None
    threshold: float | None
    p_background: float
    typicality: float | None
    alpha: float
    false_positive_bound: float
    background_size: int
    view: View | None
    nearest: tuple[Nearest, ...]
    generation: str
    encoder: str
    truncated: bool
    grounds: tuple[Ground, ...]
    would_block: bool
