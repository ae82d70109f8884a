"""What a page is asked for, by the query of its address or by a form: strings, empty where nothing was said."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, TypeVar

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from models.errors import BadInput
from models.event import MAX_ID_CHARACTERS

_PHRASE: Final = re.compile(r'"([^"]*)"|([^\s"]+)')
NOTE_CHARS: Final = 4000
PLACE: Final = 100_000  # the farthest that a list can be turned to

Kind = TypeVar("Kind", bound=BaseModel)


def _day(value: object) -> object:
    """The first moment of a day, as a browser's date field writes it."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC) if value else None
    except ValueError:
        raise ValueError("a day is written like 2026-03-01") from None


Day = Annotated[datetime | None, BeforeValidator(_day)]
Page = Annotated[int, Query(ge=1, le=PLACE)]
Word = Annotated[str, Field(max_length=MAX_ID_CHARACTERS)]


class Asked(BaseModel):
    """Of any page that lists something. since: included; until: left out."""

    since: Day = None
    until: Day = None

    def said(self) -> dict[str, str]:
        """What was said, as an address says it again, without the place on the list."""
        values = self.model_dump(exclude={"page", "offset"}, exclude_defaults=True)
        return {
            name: f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value)
            for name, value in values.items()
            if value
        }


class AskedCampaigns(Asked):
    """q: words of them. sort: one of `app.console.listing.COLUMNS`. order: "up" for the least first."""

    q: Word = ""
    level: Word = ""
    label: Word = ""
    model: Word = ""
    sort: Word = ""
    order: Word = ""
    page: int = Field(1, ge=1, le=PLACE)


class AskedPrompts(Asked):
    """q: a text that they are like. words: that must stand in them; in double quotes, as they stand together."""

    q: str = ""
    words: Word = ""
    account_id: Word = ""
    campaign_id: Word = ""
    model: Word = ""
    offset: int = Field(0, ge=0, le=10_000)


class LabelForm(BaseModel):
    """until: counts for ignore_until, and is left aside with any other label."""

    label: str = ""
    note: str = ""
    until: Day = None


class Format(StrEnum):
    """What a campaign can be taken out as."""

    REPORT = "report"
    PROMPTS_CSV = "prompts-csv"
    PROMPTS_PARQUET = "prompts-parquet"
    ACCOUNTS_CSV = "accounts-csv"
    ACCOUNTS_PARQUET = "accounts-parquet"
    STIX = "stix"


class ExportForm(BaseModel):
    """with_names: whether accounts bear their own names and not pseudonyms. source, days: of a bundle, who tells
    others of the campaign, and how long they are to keep it.
    """

    format: Format = Format.REPORT
    note: str = ""
    with_names: bool = False
    source: Word = ""
    days: int = Field(90, ge=1, le=730)


def phrases(text: str) -> tuple[str, ...]:
    """Words, and what stands between double quotes as one."""
    return tuple(filter(None, (quoted.strip() or word for quoted, word in _PHRASE.findall(text))))


def checked_note(note: str) -> str:
    """Why something was done. Raises BadInput if nothing is said, or too much."""
    if not note.strip():
        raise BadInput("note: say why, in a word or two; whoever comes next will want to know")
    if len(note) > NOTE_CHARS:
        raise BadInput(f"note: it has {len(note)} characters, more than {NOTE_CHARS}")
    return note.strip()


def checked(kind: type[Kind], fields: Mapping[str, object]) -> Kind:
    """What fields say. Raises BadInput, which tells the first that is wrong, and not what stood in it."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{where}: {first['msg']}" if where else first["msg"]) from None
