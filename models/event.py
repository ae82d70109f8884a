"""What an event is: one request of one account, as read from a file or over HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from models.errors import BadEvent, BadPrompt
from models.prompt import Prompt, prompt_from_messages

MAX_ID_CHARACTERS: Final = 512
MAX_ATTRIBUTE_DEPTH: Final = 64  # nested deeper, it could not be written again by every JSON library
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_SKEW: Final = timedelta(days=1)  # senders' clocks differ; more than a day ahead is an error, not skew

_ORGANISATION: Final = "org:"
_KNOWN_KEYS: Final = frozenset(
    {
        "event_id",
        "account_id",
        "timestamp",
        "prompt",
        "messages",
        "model",
        "org_id",
        "account_created_at",
        "payment_id",
        "network",
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One request. Times are UTC. `attributes` holds every key the format does not name."""

    event_id: str
    account_id: str
    timestamp: datetime
    prompt: Prompt
    model: str | None = None
    org_id: str | None = None
    account_created_at: datetime | None = None
    payment_id: str | None = None
    network: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """The unit of spread: all accounts of one organisation count once."""
        return unit_of(self.account_id, self.org_id)


def unit_of(account_id: str, org_id: str | None) -> str:
    """The unit of spread an account belongs to. Prefixes keep the two id spaces apart."""
    return f"{_ORGANISATION}{org_id}" if org_id else f"account:{account_id}"


def organisation_of(unit: str) -> str | None:
    """The organisation that a unit of spread is, None if it is an account; see `unit_of`."""
    return unit.removeprefix(_ORGANISATION) if unit.startswith(_ORGANISATION) else None


def parse_event(row: Mapping[str, Any], now: datetime) -> Event:
    """Event of one decoded row; `now` (aware) bounds how far in the future a timestamp may lie.

    Raises BadEvent naming the key at fault and the value seen (never prompt text).
    """
    timestamp = parse_time(row.get("timestamp"), "timestamp")
    if timestamp > now + CLOCK_SKEW:
        raise BadEvent(f"timestamp {timestamp.isoformat()} lies in the future (now {now.isoformat()})")
    created = row.get("account_created_at")
    return Event(
        event_id=_required_id(row, "event_id"),
        account_id=_required_id(row, "account_id"),
        timestamp=timestamp,
        prompt=_prompt(row),
        model=_optional_id(row, "model"),
        org_id=_optional_id(row, "org_id"),
        account_created_at=None if created in (None, "") else parse_time(created, "account_created_at"),
        payment_id=_optional_id(row, "payment_id"),
        network=_optional_id(row, "network"),
        attributes=_attributes(row),
    )


def parse_time(value: object, key: str) -> datetime:
    """UTC time of an ISO 8601 string or datetime; without an offset it is taken as UTC."""
    if isinstance(value, str):
        value = _from_iso(value, key)
    if not isinstance(value, datetime):
        raise BadEvent(f"{key} is missing" if value is None else f"{key} is {type(value).__name__}, not a time")
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise BadEvent(f"{key} {value.isoformat()} is out of range") from error
    if moment < EARLIEST:
        raise BadEvent(f"{key} {moment.isoformat()} lies before {EARLIEST.date()}")
    return moment


def _from_iso(text: str, key: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadEvent(f"{key} {text[:64]!r} is not an ISO 8601 time") from error


def _prompt(row: Mapping[str, Any]) -> Prompt:
    text, messages = row.get("prompt"), row.get("messages")
    has_text, has_messages = text not in (None, ""), messages not in (None, "", [])
    if has_text and has_messages:
        raise BadEvent("prompt and messages are both given; send one of them")
    try:
        if has_messages:
            if not isinstance(messages, Sequence) or isinstance(messages, str):
                raise BadEvent(f"messages is {type(messages).__name__}, not a list")
            return prompt_from_messages(messages)
        if not has_text:
            raise BadEvent("prompt and messages are both missing or empty")
        if not isinstance(text, str):
            raise BadEvent(f"prompt is {type(text).__name__}, not text")
        return Prompt(system="", user=text)
    except BadPrompt as error:
        raise BadEvent(str(error)) from error


def _attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {key: value for key, value in row.items() if key not in _KNOWN_KEYS and value is not None}
    for key, value in attributes.items():
        if _is_deeper(value, MAX_ATTRIBUTE_DEPTH):
            raise BadEvent(f"attribute {key[:64]!r} is nested deeper than {MAX_ATTRIBUTE_DEPTH} levels")
    return attributes


def _is_deeper(value: object, levels: int) -> bool:
    if isinstance(value, Mapping):
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = list(value)
    else:
        return False
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _required_id(row: Mapping[str, Any], key: str) -> str:
    value = _optional_id(row, key)
    if value is None:
        raise BadEvent(f"{key} is missing")
    return value


def _optional_id(row: Mapping[str, Any], key: str) -> str | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadEvent(f"{key} is {type(value).__name__}, not text")
        value = str(value)
    if len(value) > MAX_ID_CHARACTERS:
        raise BadEvent(f"{key} has {len(value)} characters, more than {MAX_ID_CHARACTERS}")
    if not value.isprintable():
        raise BadEvent(f"{key} holds control characters")
    return value
