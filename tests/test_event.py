"""Which rows are events, and what is said of those that are not."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from models.errors import BadEvent
from models.event import Event, organisation_of, parse_event, unit_of
from models.prompt import Prompt

NOW = datetime(2026, 2, 4, tzinfo=UTC)
ROW: dict[str, Any] = {
    "event_id": "e1",
    "account_id": "a9",
    "timestamp": "2026-02-03T04:05:06+00:00",
    "prompt": "hello",
}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_smallest_event() -> None:
    event = parse_event(ROW, NOW)
    assert event == Event("e1", "a9", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), Prompt("", "hello"))
    assert event.unit == "account:a9"


def test_every_key_of_the_format_and_attributes() -> None:
    row = ROW | {
        "prompt": None,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "model": "m-4",
        "org_id": "o1",
        "account_created_at": "2026-01-01",
        "payment_id": 77,
        "network": "AS64500",
        "region": "eu",
        "empty": None,
        "tags": ["a", {"b": 1}],
    }
    assert parse_event(row, NOW) == Event(
        event_id="e1",
        account_id="a9",
        timestamp=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        prompt=Prompt("s", "u"),
        model="m-4",
        org_id="o1",
        account_created_at=datetime(2026, 1, 1, tzinfo=UTC),
        payment_id="77",
        network="AS64500",
        attributes={"region": "eu", "tags": ["a", {"b": 1}]},
    )


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-03T04:05:06Z",
        "2026-02-03T04:05:06",
        "2026-02-03T06:05:06+02:00",
        datetime(2026, 2, 3, 4, 5, 6),
        datetime(2026, 2, 3, 6, 5, 6, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_times_become_utc(time: object) -> None:
    moment = parse_event(ROW | {"timestamp": time}, NOW).timestamp
    assert (moment, moment.tzinfo) == (datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), UTC)


def test_a_clock_may_be_ahead_by_a_day_and_no_more() -> None:
    assert parse_event(ROW | {"timestamp": "2026-02-05T00:00:00Z"}, NOW).timestamp == NOW + timedelta(days=1)
    reason = "timestamp 2026-02-05T00:00:01+00:00 lies in the future (now 2026-02-04T00:00:00+00:00)"
    with pytest.raises(BadEvent, match=re.escape(reason)):
        parse_event(ROW | {"timestamp": "2026-02-05T00:00:01Z"}, NOW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": None}, "event_id is missing"),
        ({"event_id": ""}, "event_id is missing"),
        ({"event_id": True}, "event_id is bool, not text"),
        ({"event_id": 1.5}, "event_id is float, not text"),
        ({"account_id": "a" * 513}, "account_id has 513 characters, more than 512"),
        ({"account_id": "a\nb"}, "account_id holds control characters"),
        ({"account_id": "\ud800"}, "account_id holds control characters"),
        ({"model": ["m"]}, "model is list, not text"),
        ({"timestamp": None}, "timestamp is missing"),
        ({"timestamp": 1700000000}, "timestamp is int, not a time"),
        ({"timestamp": "yesterday"}, "timestamp 'yesterday' is not an ISO 8601 time"),
        ({"timestamp": "1999-12-31T23:59:59Z"}, "timestamp 1999-12-31T23:59:59+00:00 lies before 2000-01-01"),
        ({"timestamp": "0001-01-01T00:00:00+01:00"}, "timestamp 0001-01-01T00:00:00+01:00 is out of range"),
        ({"account_created_at": "soon"}, "account_created_at 'soon' is not an ISO 8601 time"),
        ({"prompt": ""}, "prompt and messages are both missing or empty"),
        ({"prompt": 5}, "prompt is int, not text"),
        ({"prompt": " \n"}, "prompt has no text: system and user text are both empty"),
        ({"messages": [{"role": "user"}]}, "prompt and messages are both given; send one of them"),
        ({"prompt": None, "messages": "hi"}, "messages is str, not a list"),
        ({"prompt": None, "messages": ["hi"]}, "messages[0] is str, not an object"),
        ({"x": nested(65)}, "attribute 'x' is nested deeper than 64 levels"),
        ({"x": {"y": nested(64)}}, "attribute 'x' is nested deeper than 64 levels"),
    ],
)
def test_a_bad_row_is_refused_with_the_key_at_fault(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadEvent, match=f"^{re.escape(reason)}$"):
        parse_event(ROW | change, NOW)


def test_attributes_may_be_nested_to_the_limit() -> None:
    assert parse_event(ROW | {"x": nested(64)}, NOW).attributes == {"x": nested(64)}


def test_a_reason_never_quotes_the_prompt() -> None:
    with pytest.raises(BadEvent) as caught:
        parse_event(ROW | {"prompt": ["a secret"]}, NOW)
    assert "secret" not in str(caught.value)


def test_accounts_of_one_organisation_are_one_unit_and_the_two_kinds_of_id_never_meet() -> None:
    assert unit_of("a1", "o1") == unit_of("a2", "o1") == "org:o1"
    assert unit_of("o1", None) == unit_of("o1", "") == "account:o1"


@pytest.mark.parametrize("organisation", ["o1", "org:o1", "account:o1", ":", "x:y"])
def test_a_unit_tells_its_organisation(organisation: str) -> None:
    assert organisation_of(unit_of("a1", organisation)) == organisation
    assert organisation_of(unit_of(organisation, None)) is None
