"""Events sent over HTTP: in three shapes, again, broken, and before anything is published."""

import json

import httpx
import pytest

pytestmark = pytest.mark.anyio

EVENT = {
    "event_id": "e1",
    "account_id": "a9",
    "timestamp": "2026-02-03T04:05:06Z",
    "prompt": "Which bread goes with leek soup?",
}
EVENTS_REPORT = {
    "read": 1,
    "stored": 1,
    "duplicate": 0,
    "rejected": 0,
    "rejects": None,
    "reasons": {},
    "seconds": 0.25,
}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps([EVENT])),
        ("application/json; charset=utf-8", json.dumps({"events": [EVENT]})),
        ("application/x-ndjson", json.dumps(EVENT)),
        ("application/jsonl", json.dumps(EVENT) + "\r\n\r\n"),
    ],
)
async def test_events_arrive_in_three_shapes(api: httpx.AsyncClient, content_type: str, body: str) -> None:
    answer = await api.post("/v1/events", content=body, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()) == (200, EVENTS_REPORT)


async def test_events_sent_again_are_duplicates(api: httpx.AsyncClient) -> None:
    await api.post("/v1/events", json=[EVENT])
    answer = (await api.post("/v1/events", json=[EVENT, {**EVENT, "event_id": "e2"}])).json()
    assert (answer["read"], answer["stored"], answer["duplicate"]) == (2, 1, 1)


async def test_bad_rows_are_counted_by_reason_and_do_not_stop_the_good_ones(api: httpx.AsyncClient) -> None:
    lines = [json.dumps(EVENT), "{broken", "7", "\udcff", json.dumps({**EVENT, "event_id": ""})]
    body = "\n".join(lines).encode("utf-8", "surrogateescape")
    answer = (await api.post("/v1/events", content=body, headers={"content-type": "application/x-ndjson"})).json()
    assert answer == {
        "read": 5,
        "stored": 1,
        "duplicate": 0,
        "rejected": 4,
        "rejects": "http.jsonl",
        "reasons": {"event_id is missing": 1, "row is not a JSON object": 3},
        "seconds": 0.25,
    }


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"event": []}', b'{"events": [], "x": 1}', b'"a"', b"\xff", b"[" * 99_999]
)
async def test_a_body_that_is_no_list_of_events_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (422, "bad_input")


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/csv"}])
async def test_events_of_another_type_are_415(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await api.post("/v1/events", content=b"[]", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")


async def test_events_are_taken_before_anything_is_published(unready: httpx.AsyncClient) -> None:
    assert (await unready.post("/v1/events", json=[EVENT])).json() == EVENTS_REPORT
