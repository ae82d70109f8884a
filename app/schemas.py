"""What goes over the wire: requests refuse fields they do not know, answers are documented field by field."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.exchange import REQUEST_ID_PATTERN
from models.allowance import AllowanceKind
from models.campaign import Label, Level
from models.event import MAX_ID_CHARACTERS
from models.job import JobState
from models.match import Decision, Ground
from models.mode import Mode
from models.prompt import Prompt, prompt_from_messages
from models.status import Health
from models.view import View

MAX_BATCH: Final = 256
MAX_TOP_K: Final = 50
MAX_MESSAGES: Final = 10_000
MAX_HITS: Final = 200
MAX_OFFSET: Final = 10_000
MAX_KEY: Final = 2**63 - 1  # what a database key holds

EXAMPLE_CAMPAIGN: Final = "c-7f3a9b21"
EXAMPLE_PROMPT: Final = (
    "You are an expert data analyst combining statistical rigour with deep domain knowledge. "
    "Analyse quarterly churn and show every step of your reasoning."
)


def _utc(moment: datetime) -> datetime:
    """A time without an offset is taken as UTC."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


def _storable(text: str) -> str:
    """Half of a surrogate pair is no character: it can be neither stored nor sent back."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds half a surrogate pair")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("the id holds control characters")
    return text


UtcTime = Annotated[datetime, AfterValidator(_utc)]
Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS), AfterValidator(_printable)]


class Question(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """Base of all answers; made from the engine's dataclasses by `model_validate`."""

    model_config = ConfigDict(from_attributes=True)


# Matching


class Message(BaseModel):
    """One turn of a chat, in the form that chat APIs share. Fields not named here are ignored."""

    model_config = ConfigDict(extra="ignore")

    role: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$", examples=["user"])]
    content: str | list[str | dict[str, Any]] | None = Field(
        None, description="Text, or parts of which those with a `text` count."
    )


class MatchItem(Question):
    """A prompt to examine: exactly one of `prompt` and `messages`."""

    prompt: str | None = Field(None, description="The user's text.")
    messages: list[Message] | None = Field(
        None, min_length=1, max_length=MAX_MESSAGES, description="A chat; system and user turns are examined."
    )
    account_id: Id | None = None
    model: Id | None = None
    request_id: Annotated[str, Field(pattern=REQUEST_ID_PATTERN)] | None = Field(
        None, description="The caller's id of the request; comes back in the answer."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give exactly one of prompt and messages")
        return self

    def to_prompt(self) -> Prompt:
        """Raises BadPrompt if there is no text in it."""
        if self.prompt is not None:
            return Prompt(system="", user=self.prompt)
        return prompt_from_messages([{"role": turn.role, "content": turn.content} for turn in self.messages or ()])


class MatchRequest(MatchItem):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": EXAMPLE_PROMPT},
                {
                    "messages": [
                        {"role": "system", "content": "You are a helpful assistant."},
                        {"role": "user", "content": [{"type": "text", "text": EXAMPLE_PROMPT}]},
                    ],
                    "account_id": "a9",
                    "model": "m-4",
                    "request_id": "gw-00017",
                    "mode": "enforce",
                    "top_k": 3,
                },
            ]
        }
    )

    mode: Mode | None = Field(
        None,
        description="off: do not examine; audit: never block; enforce: may block. Null: as the server is set.",
    )
    top_k: int = Field(5, ge=1, le=MAX_TOP_K, description="Nearest campaigns to list.")


class BatchRequest(Question):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"prompt": EXAMPLE_PROMPT, "request_id": "gw-1"},
                        {"prompt": "Which bread goes with leek soup?", "request_id": "gw-2"},
                    ],
                    "mode": "audit",
                    "top_k": 1,
                }
            ]
        }
    )

    items: list[MatchItem] = Field(min_length=1, max_length=MAX_BATCH)
    mode: Mode | None = None
    top_k: int = Field(5, ge=1, le=MAX_TOP_K)


class ViewAnswer(Answer):
    """One view of the prompt: its cosine similarity to a campaign, and the threshold it needs there."""

    view: View
    similarity: float
    threshold: float


class NearestAnswer(Answer):
    """One campaign near the prompt, seen through the view in which it is nearest."""

    campaign_id: str
    level: Level
    label: Label | None
    view: View
    similarity: float = Field(description="Cosine in [-1, 1]; higher is closer.")
    threshold: float = Field(description="The similarity from which a prompt counts as this campaign's.")
    typicality: float = Field(description="Share of the campaign's own prompts that lie no nearer, in [0, 1].")
    views: list[ViewAnswer] = Field(description="What each view shows that can tell.")


class MatchAnswer(Answer):
    """What campaign the prompt resembles. The nearest one is named on passes too."""

    block: bool = Field(description="Whether to refuse the prompt; only ever true in mode enforce.")
    reason: str
    mode: Mode
    decision: Decision
    campaign_id: str | None
    level: Level | None
    similarity: float | None = Field(description="Cosine in [-1, 1] to the nearest campaign; higher is closer.")
    threshold: float | None = Field(description="The similarity from which a prompt counts as that campaign's.")
    p_background: float = Field(
        description="Share of prompts outside alarmed campaigns that come at least as near to one."
    )
    typicality: float | None = Field(description="Share of the nearest campaign's own prompts that lie no nearer.")
    alpha: float = Field(description="The p_background up to which a prompt can be a match.")
    false_positive_bound: float = Field(
        description="The rate of matches among background prompts is below this, with 95 % confidence ..."
    )
    background_size: int = Field(description="... as so many background prompts showed.")
    view: View | None
    nearest: list[NearestAnswer]
    generation: str
    encoder: str
    truncated: bool = Field(description="Whether a part of the prompt was not examined.")
    grounds: list[Ground] = Field(description="What speaks for a match; two are needed to block.")
    would_block: bool = Field(description="Whether mode enforce blocks it.")
    request_id: str = Field(description="The caller's, or else the id of this HTTP request.")


class BatchAnswer(Answer):
    """One answer for each item, in the order of the items."""

    items: list[MatchAnswer]
    request_id: str


# The allow-list


class AllowanceRequest(Question):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "organisation", "value": "org-81", "note": "a roll-out of theirs", "author": "mira"},
                {"kind": "template", "value": "Act as a travel guide.", "author": "mira"},
            ]
        }
    )

    kind: AllowanceKind
    value: Annotated[Text, Field(min_length=1, description="The org_id, or the text that is known.")]
    note: Annotated[Text, Field(max_length=4000)] = ""
    author: Annotated[Id, Field(max_length=128)]
    until: UtcTime | None = Field(None, description="When the rule ends.")


class AllowanceAnswer(Answer):
    """One rule of the allow-list, and who made it."""

    rule_id: int
    kind: AllowanceKind
    value: str
    note: str
    author: str
    at: datetime
    until: datetime | None


class AllowanceList(Answer):
    allowances: list[AllowanceAnswer]
    total: int


class AllowanceRemoved(Answer):
    removed: int


# Search


class SearchRequest(Question):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "expert data analyst, statistical rigour"},
                {"text": EXAMPLE_PROMPT, "limit": 5, "model": "m-4", "since": "2026-02-01T00:00:00Z"},
            ]
        }
    )

    text: Annotated[Text, Field(min_length=1)]
    limit: int = Field(20, ge=1, le=MAX_HITS)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    account_id: Id | None = None
    campaign_id: Id | None = None
    model: Id | None = None
    since: UtcTime | None = Field(None, description="First moment included.")
    until: UtcTime | None = Field(None, description="First moment left out.")
    words: tuple[Annotated[Text, Field(min_length=1, max_length=256)], ...] = Field(
        (),
        max_length=8,
        description="Each must stand in the prompt as it was sent, whatever the case of its letters.",
    )

    @model_validator(mode="after")
    def _since_before_until(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since is not before until")
        return self


class HitAnswer(Answer):
    fingerprint: str
    similarity: float = Field(description="Cosine in [-1, 1]; higher is closer.")
    text: str
    system: str
    campaign_id: str | None
    events: int
    accounts: int
    first_seen: datetime
    last_seen: datetime


class HitList(Answer):
    """A page of stored prompts. exhausted: whether nothing comes after it."""

    hits: list[HitAnswer]
    offset: int
    exhausted: bool
    facets: dict[str, dict[str, int]] = Field(description="Events by campaign, model and account, top ten each.")
    generation: str
    encoder: str


# Operations


class IngestAnswer(Answer):
    """read = stored + duplicate + rejected."""

    read: int
    stored: int
    duplicate: int
    rejected: int
    rejects: str | None = Field(description="File with the refused rows, in the data directory; null if none.")
    reasons: dict[str, int] = Field(description="Refused rows by reason.")
    seconds: float


class ReindexRequest(Question):
    model_config = ConfigDict(json_schema_extra={"examples": [{"full": False}]})

    full: bool = Field(False, description="Compute everything anew instead of only what is new.")


class JobAnswer(Answer):
    """total: null where it is not known. result: the report, if it succeeded."""

    job_id: str
    kind: str
    state: JobState
    started_at: datetime
    finished_at: datetime | None
    stage: str
    done: int
    total: int | None
    detail: str
    result: dict[str, Any] | None


class StatusAnswer(Answer):
    """The engine now. generation, created_at, age_s, watermark and encoder are null if none is loaded."""

    generation: str | None
    created_at: datetime | None
    age_s: float | None
    watermark: int | None
    events_stored: int
    events_indexed: int
    prompts: int
    campaigns: int
    alarms: int
    encoder: str | None
    health: Health
    detail: str
    disk: dict[str, int]


class Alive(Answer):
    status: str = "alive"


class Ready(Answer):
    status: str = "ready"
    generation: str | None
    health: Health


class ErrorAnswer(Answer):
    """Every error has this shape. error: a fixed code; detail: a sentence; request_id: as in the server's log."""

    error: str
    detail: str
    request_id: str
