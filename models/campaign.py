"""What a campaign is: a group of near-duplicate prompts spread over accounts, with the evidence about it."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.view import View

_ROUNDING = 1e-4  # of the quantiles, and of a product of float32 vectors


class Level(StrEnum):
    """How sure the engine is, weakest first. LIKELY and up is an alarm."""

    WATCH = "watch"
    LIKELY = "likely"
    STRONG = "strong"

    @property
    def rank(self) -> int:
        """0 for watch, 1 for likely, 2 for strong."""
        return list(Level).index(self)

    @property
    def is_alarm(self) -> bool:
        return self is not Level.WATCH


class Label(StrEnum):
    """An analyst's verdict. It follows the campaign over reindexes and never changes a threshold by itself."""

    CONFIRMED = "confirmed"
    BENIGN = "benign"
    IGNORE_UNTIL = "ignore_until"


class EvidenceKind(StrEnum):
    """CONTENT is about what is asked, COORDINATION about who asks, when, and how much."""

    CONTENT = "content"
    COORDINATION = "coordination"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of a campaign's evidence table.

    observed, expected: the measured value and the one a benign group would show; None if the field it needs
        is missing from the events ("not available"), and then `weight` is 0.
    weight: log-likelihood ratio (nats) of campaign against benign; positive speaks for a campaign.
    """

    name: str
    kind: EvidenceKind
    observed: float | None
    expected: float | None
    weight: float
    explanation: str


@dataclass(frozen=True, slots=True)
class Slot:
    """One variable part of a template.

    number: position in the skeleton, from 1.
    filled, distinct: prompts of the sample with text here, and different texts among them.
    mean_words: mean length of a filled slot in tokens.
    kind: what mostly fills it: "number", "date", "code", "json", "url", "text" or "empty"; "choice" if a few texts
        take turns.
    examples: up to three fillings, cut to 80 characters.
    repeated: how many of the different texts two or more accounts sent. A work queue that is split among accounts
        repeats next to nothing; people who ask the same question do.
    """

    number: int
    filled: int
    distinct: int
    mean_words: float
    kind: str
    examples: tuple[str, ...]
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """The fixed text of a campaign with its slots.

    skeleton: literal text with {1}, {2} ... where the slots are; "" if the prompts share none.
    regex: Python regular expression over the canonical text that every supporting prompt matches.
    literal_share: mean share of a prompt's tokens that are literal, in [0, 1].
    support: share of the sampled prompts that the regex matches, in [0, 1].
    role: "user" or "system", the text it was drawn from.
    """

    skeleton: str
    regex: str
    literal_share: float
    support: float
    role: str
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Strand:
    """One of several templates that the same pool of accounts uses. number: from 0, by first appearance. variants:
    further wordings of it, at most two.
    """

    number: int
    template: Template
    events: int
    accounts: int
    first_seen: datetime
    last_seen: datetime
    variants: tuple[Template, ...] = ()


class ShiftKind(StrEnum):
    """What changed within a campaign. The accounts and the template are followed apart: a POOL_SWAP keeps the
    template, the pivots keep the accounts.
    """

    POOL_SWAP = "pool swap"
    TEMPLATE_PIVOT = "template pivot"
    MODEL_PIVOT = "model pivot"
    DORMANT = "dormant"
    REVIVED = "revived"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a shift. accounts: how many. strand: number of the template, None if the shift is not between
    templates. model: name of the model, None if it is not between models.
    """

    accounts: int
    strand: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """A change within a campaign's traffic, both sides named.

    begin: last event of the old side. end: first event of the new side; for a silence that is not over, the end
    of the traffic. share: of the accounts active before and after that moved, or of those that were exchanged.
    p_value: chance of it if the order of each account's events meant nothing; 0 for silences, which are plain.
    """

    kind: ShiftKind
    begin: datetime
    end: datetime
    share: float
    p_value: float
    before: Side
    after: Side


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What became of a campaign: born, grew, shrank, unchanged, merged, split, or the kind of a shift.

    at: when it was noticed. others: ids of the campaigns that it split from or took in. shift: when and what,
    for shifts.
    """

    generation: str
    at: datetime
    event: str
    events: int
    accounts: int
    detail: str
    others: tuple[str, ...] = ()
    shift: Shift | None = None


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A prompt that stands for a campaign: its fingerprint in hex, and its text as an analyst reads it."""

    fingerprint: str
    text: str


@dataclass(frozen=True, slots=True)
class ViewThreshold:
    """When a prompt counts as one of the campaign's, seen through one view.

    threshold: least cosine similarity to an exemplar, in [-1, 1].
    background: the highest similarity that a background prompt reached, out of `background_size`.
    typical: the similarity that 95 % of the campaign's own prompts reach.
    own: quantiles of its own prompts' similarities to the nearest exemplar but themselves, ascending, evenly
        spaced from the least to the greatest; none if they were not kept.
    """

    view: View
    threshold: float
    background: float
    background_size: int
    typical: float
    own: tuple[float, ...] = ()

    def typicality(self, similarity: float) -> float:
        """Share of the campaign's own prompts that lie no nearer than this, in [0, 1]; 1 if that is not known."""
        if not self.own:
            return 1.0
        return bisect_right(self.own, similarity + _ROUNDING) / len(self.own)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A group of near-duplicate prompts and what is known about it. Who sent them, and in which hours, its events
    tell: see `models.traffic`.

    score: probability of a campaign given the evidence, in [0, 1], under the model in `indexer.score`.
    p_value: chance of a benign group of this width to look at least so, in (0, 1]. false_discovery: the rate among
        the groups tested at which this one counts as a campaign; 1 if it was too narrow or shallow to be tested.
    units: accounts, with all accounts of one organisation counted once.
    depth: median events a unit.
    capability: what the prompts are after ("reasoning", "coding", ...), "" if nothing points anywhere.
    template: of most of its events. variants: further wordings of it, at most two. strands: all templates of its
        pool with what each was used for; none if there is only one.
    formerly: ids of campaigns that merged into it, ascending.
    """

    campaign_id: str
    level: Level
    score: float
    p_value: float
    false_discovery: float
    capability: str
    events: int
    prompts: int
    accounts: int
    units: int
    depth: float
    first_seen: datetime
    last_seen: datetime
    models: dict[str, int]
    views: tuple[View, ...]
    template: Template
    evidence: tuple[Evidence, ...]
    exemplars: tuple[Exemplar, ...]
    thresholds: tuple[ViewThreshold, ...]
    history: tuple[HistoryEntry, ...]
    strands: tuple[Strand, ...] = ()
    variants: tuple[Template, ...] = ()
    formerly: tuple[str, ...] = ()


def level_now(level: Level, label: Label | None) -> Level:
    """The level that counts: what an analyst said is worth more than the score."""
    if label in (Label.BENIGN, Label.IGNORE_UNTIL):
        return Level.WATCH
    return Level.LIKELY if label is Label.CONFIRMED and not level.is_alarm else level


@dataclass(frozen=True, slots=True)
class CampaignLabel:
    """The label an analyst gave a campaign. `until` is set for IGNORE_UNTIL only."""

    campaign_id: str
    label: Label
    note: str
    author: str
    at: datetime
    until: datetime | None = None
