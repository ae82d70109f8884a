"""Events made ready to be stored: what can be worked out of them without a look at the store."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from indexer.times import microseconds
from models.disguise import is_disguised
from models.event import Event
from models.prompt import Prompt
from models.storable import storable, storable_json

NAME_KINDS: Final = ("org", "model", "payment", "network")


# These go from one process to another, which classes of msgspec do several times as quickly as dataclasses. What
# holds only texts and numbers can be in no cycle, so the garbage collector need not look at it.
class Wording(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A prompt as sent. disguised: 1 if letters of its texts were dressed up, else 0."""

    fingerprint: bytes
    system: str
    user: str
    disguised: int


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event. names: in the order of NAME_KINDS. wording: its place among those beside. attributes: JSON.
    digest: 16 bytes over everything the event holds besides its id. Texts are of the kind that UTF-8 can hold.
    """

    event_id: str
    account_id: str
    names: tuple[str | None, str | None, str | None, str | None]
    wording: int
    timestamp_us: int
    account_created_us: int | None
    attributes: str | None
    digest: bytes


class Records(msgspec.Struct, frozen=True, array_like=True):
    """Events in the order they came, and how their prompts are worded, each wording once."""

    events: list[Record]
    wordings: list[Wording]


def records_of(events: Iterable[Event]) -> Records:
    """The events made ready. What a wording comes to is worked out once."""
    records: list[Record] = []
    wordings: list[Wording] = []
    places: dict[tuple[str, str], int] = {}
    for event in events:
        texts = storable(event.prompt.system), storable(event.prompt.user)
        place = places.setdefault(texts, len(wordings))
        if place == len(wordings):
            wordings.append(_wording(*texts))
        records.append(_record(event, wordings[place], place))
    return Records(records, wordings)


def _wording(system: str, user: str) -> Wording:
    fingerprint = Prompt(system, user).fingerprint()
    return Wording(fingerprint, system, user, int(is_disguised(user) or is_disguised(system)))


def _record(event: Event, wording: Wording, place: int) -> Record:
    names = _name(event.org_id), _name(event.model), _name(event.payment_id), _name(event.network)
    account_id = storable(event.account_id)
    created = event.account_created_at
    timestamp_us, created_us = microseconds(event.timestamp), None if created is None else microseconds(created)
    attributes = _json(storable_json(event.attributes)).decode() if event.attributes else None
    columns = (timestamp_us, created_us, attributes)
    content = _json((account_id, names, wording.system, wording.user, columns))
    digest = blake2b(content, digest_size=16).digest()
    return Record(storable(event.event_id), account_id, names, place, *columns, digest)


def _name(given: str | None) -> str | None:
    return storable(given) if given else None


def _json(value: object) -> bytes:
    """JSON with keys in order, so that equal values give equal text."""
    return msgspec.json.encode(value, order="deterministic")
