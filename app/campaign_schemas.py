"""What goes over the wire about campaigns: lists, details, evidence, and what analysts say of them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from app.schemas import Answer, Id, Question, Text, UtcTime
from models.campaign import EvidenceKind, Label, Level, ShiftKind
from models.mode import Mode
from models.view import View


class LabelFilter(StrEnum):
    """The labels, and `none` for campaigns that have none."""

    CONFIRMED = "confirmed"
    BENIGN = "benign"
    IGNORE_UNTIL = "ignore_until"
    NONE = "none"


class CampaignHead(Answer):
    """The numbers of a campaign."""

    campaign_id: str
    level: Level
    score: float = Field(description="Probability of a campaign given the evidence, in [0, 1].")
    p_value: float = Field(description="Chance of a benign group of this width to look at least so, in (0, 1].")
    false_discovery: float = Field(description="Rate among all groups at which this one counts; 1 if not tested.")
    label: Label | None
    capability: str = Field(description='What the prompts are after, "" if nothing points anywhere.')
    events: int
    prompts: int = Field(description="Distinct prompts.")
    accounts: int
    units: int = Field(description="Accounts, with those of one organisation counted once.")
    depth: float = Field(description="Median events a unit.")
    first_seen: datetime
    last_seen: datetime
    models: dict[str, int] = Field(description="Events by model.")


class CampaignRow(CampaignHead):
    """A campaign in a list."""

    template: str = Field(description="Fixed text, with {1}, {2} ... for the slots.")


class CampaignList(Answer):
    """A page of campaigns, most urgent first. total: those that pass the filters."""

    campaigns: list[CampaignRow]
    total: int
    limit: int
    offset: int


class SlotAnswer(Answer):
    number: int
    filled: int
    distinct: int
    mean_words: float
    kind: str
    examples: list[str]
    repeated: int = Field(description="Different fillings that two or more accounts sent.")


class TemplateAnswer(Answer):
    """The fixed text of a campaign with its slots."""

    skeleton: str
    regex: str
    literal_share: float
    support: float
    role: str
    slots: list[SlotAnswer]


class StrandAnswer(Answer):
    """One of several templates that the same pool of accounts uses."""

    number: int
    template: TemplateAnswer
    events: int
    accounts: int
    first_seen: datetime
    last_seen: datetime
    variants: list[TemplateAnswer]


class EvidenceAnswer(Answer):
    """One line of evidence. weight: log-likelihood ratio in nats; positive speaks for a campaign."""

    name: str
    kind: EvidenceKind
    observed: float | None
    expected: float | None
    weight: float
    explanation: str


class ExemplarAnswer(Answer):
    fingerprint: str
    text: str


class ThresholdAnswer(Answer):
    view: View
    threshold: float
    background: float
    background_size: int
    typical: float
    own: list[float] = Field(description="Quantiles of its own prompts' similarities, evenly spaced, ascending.")


class Verdict(Answer):
    """The label an analyst gave a campaign."""

    campaign_id: str
    label: Label
    note: str
    author: str
    at: datetime
    until: datetime | None


class ModeAnswer(Answer):
    """The most that may be done about a campaign's prompts, whatever a request asks for."""

    campaign_id: str
    mode: Mode
    author: str
    at: datetime


class CampaignDetail(CampaignHead):
    """A campaign with its evidence. Accounts, prompts, timeline and history have addresses of their own."""

    verdict: Verdict | None
    mode: ModeAnswer | None = Field(description="The most that may be done about its prompts; null for enforce.")
    formerly: list[str] = Field(description="Ids of campaigns that merged into this one; they lead here.")
    views: list[View]
    template: TemplateAnswer
    variants: list[TemplateAnswer] = Field(description="Further wordings, at most two.")
    evidence: list[EvidenceAnswer]
    exemplars: list[ExemplarAnswer]
    thresholds: list[ThresholdAnswer]
    strands: list[StrandAnswer] = Field(description="Its pool's templates, if there are several.")


class AccountAnswer(Answer):
    """An account of a campaign. dedication: share of all its events that belong to the campaign."""

    account_id: str
    org_id: str | None
    events: int
    first_seen: datetime
    last_seen: datetime
    dedication: float


class AccountList(Answer):
    campaign_id: str
    accounts: list[AccountAnswer]
    total: int
    limit: int
    offset: int


class HourAnswer(Answer):
    hour: datetime = Field(description="Start of the hour, UTC.")
    events: int
    models: dict[str, int]


class Timeline(Answer):
    campaign_id: str
    hours: list[HourAnswer]


class SideAnswer(Answer):
    """One side of a shift. strand: number of the template; model: its name; each only where it is what changed."""

    accounts: int
    strand: int | None
    model: str | None


class ShiftAnswer(Answer):
    """A change within the traffic. begin: last event of the old side. end: first event of the new one."""

    kind: ShiftKind
    begin: datetime
    end: datetime
    share: float
    p_value: float
    before: SideAnswer
    after: SideAnswer


class HistoryAnswer(Answer):
    """at: when it was noticed. others: campaigns it split from or took in. shift: when and what happened."""

    generation: str
    at: datetime
    event: str
    events: int
    accounts: int
    detail: str
    others: list[str]
    shift: ShiftAnswer | None


class History(Answer):
    campaign_id: str
    entries: list[HistoryAnswer]


class LabelRequest(Question):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"label": "confirmed", "note": "pool seen before", "author": "mira"},
                {"label": "ignore_until", "note": "a class", "author": "mira", "until": "2126-03-01T00:00:00Z"},
            ]
        }
    )

    label: Label
    note: Annotated[Text, Field(max_length=4000)] = ""
    author: Annotated[Id, Field(max_length=128)]
    until: UtcTime | None = Field(None, description="For ignore_until, and only then.")

    @model_validator(mode="after")
    def _until_belongs_to_ignore(self) -> Self:
        if (self.label is Label.IGNORE_UNTIL) != (self.until is not None):
            raise ValueError("until is needed for ignore_until and for no other label")
        return self


class ModeRequest(Question):
    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "audit", "author": "mira"}]})

    mode: Mode = Field(
        description="off: its prompts match no more; audit: never blocked; enforce: blocked where asked for."
    )
    author: Annotated[Id, Field(max_length=128)]
