"""The HTTP API: each route's happy path, bad input, and what it says before anything is published."""

from typing import Any

import anyio
import httpx
import pytest
from api_double import (
    ENCODER,
    GENERATION,
    MAX_PROMPT_CHARS,
    THRESHOLD,
    WATCHED_CAMPAIGN,
    WATCHED_PROMPT,
    MemoryEngine,
    client_of,
    cosine,
    label,
    make_app,
)

from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT, MAX_BATCH
from models.block import BlockQuery
from models.status import Health

pytestmark = pytest.mark.anyio

UNRELATED = "Which bread goes with leek soup?"


# Matching


async def test_match_answers_the_fixed_fields(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/match", json={"prompt": EXAMPLE_PROMPT, "request_id": "gw-1", "top_k": 1})
    assert answer.status_code == 200
    nearest = {
        "campaign_id": EXAMPLE_CAMPAIGN,
        "level": "likely",
        "label": None,
        "view": "whole",
        "similarity": pytest.approx(1.0),
        "threshold": THRESHOLD,
        "typicality": 1.0,
        "views": [{"view": "whole", "similarity": pytest.approx(1.0), "threshold": THRESHOLD}],
    }
    assert answer.json() == {
        "block": False,
        "reason": f"match: {EXAMPLE_CAMPAIGN}",
        "mode": "audit",
        "decision": "match",
        "campaign_id": EXAMPLE_CAMPAIGN,
        "level": "likely",
        "similarity": pytest.approx(1.0),
        "threshold": THRESHOLD,
        "p_background": 0.001,
        "typicality": 1.0,
        "alpha": 0.001,
        "false_positive_bound": 0.003,
        "background_size": 1000,
        "view": "whole",
        "nearest": [nearest],
        "generation": GENERATION,
        "encoder": ENCODER,
        "truncated": False,
        "grounds": ["whole", "template"],
        "would_block": False,
        "request_id": "gw-1",
    }


async def test_a_pass_still_names_the_nearest_campaign_and_its_similarity(api: httpx.AsyncClient) -> None:
    answer = (await api.post("/v1/match", json={"prompt": UNRELATED})).json()
    assert answer["decision"] == "none"
    assert answer["similarity"] == pytest.approx(
        max(cosine(UNRELATED, p) for p in (EXAMPLE_PROMPT, WATCHED_PROMPT))
    )
    assert [near["campaign_id"] for near in answer["nearest"]] == [EXAMPLE_CAMPAIGN, WATCHED_CAMPAIGN]


async def test_messages_are_matched_by_the_users_words(api: httpx.AsyncClient) -> None:
    messages = [
        {"role": "system", "content": WATCHED_PROMPT},
        {"role": "assistant", "content": WATCHED_PROMPT, "tool_calls": []},
        {
            "role": "user",
            "content": [{"type": "text", "text": EXAMPLE_PROMPT}, {"type": "image_url", "image_url": {}}],
        },
    ]
    answer = (await api.post("/v1/match", json={"messages": messages})).json()
    assert (answer["decision"], answer["campaign_id"]) == ("match", EXAMPLE_CAMPAIGN)


@pytest.mark.parametrize(("mode", "blocked"), [("off", False), ("audit", False), ("enforce", True)])
async def test_only_enforce_blocks_and_only_what_was_confirmed(
    api: httpx.AsyncClient, mode: str, blocked: bool
) -> None:
    question = {"prompt": EXAMPLE_PROMPT, "mode": mode}
    assert (await api.post("/v1/match", json=question)).json()["block"] is False
    await label(api, EXAMPLE_CAMPAIGN, "confirmed")
    answer = (await api.post("/v1/match", json=question)).json()
    assert (answer["block"], answer["would_block"]) == (blocked, True)


async def test_what_is_blocked_or_would_be_is_kept() -> None:
    engine = MemoryEngine()
    app = make_app(engine)
    async with app.router.lifespan_context(app), client_of(app) as api:
        await label(api, EXAMPLE_CAMPAIGN, "confirmed")
        question = {"prompt": EXAMPLE_PROMPT, "account_id": "a9", "model": "m-4"}
        await api.post("/v1/match", json={**question, "mode": "enforce"}, headers={"x-request-id": "r-1"})
        await api.post("/v1/match/batch", json={"items": [question, {"prompt": UNRELATED}]})
        await api.post("/v1/match", json={"prompt": UNRELATED, "mode": "enforce"})
        with anyio.fail_after(5):
            while len(engine.blocks(BlockQuery(10))) < 2:
                await anyio.sleep(0.01)
        page = (await api.get("/v1/blocks", params={"limit": 5})).json()
        none = (await api.get("/v1/blocks", params={"campaign_id": "c-none"})).json()
    assert none == {"blocks": [], "limit": 100}
    assert [(each["number"], each["mode"], each["blocked"]) for each in page["blocks"]] == [
        (2, "audit", False),
        (1, "enforce", True),
    ]
    assert page["blocks"][1] == {
        "number": 1,
        "at": "2026-03-01T12:00:00Z",
        "request_id": "r-1",
        "asked_by": "/v1/match",
        "campaign_id": EXAMPLE_CAMPAIGN,
        "mode": "enforce",
        "blocked": True,
        "grounds": ["whole", "template"],
        "view": "whole",
        "similarity": pytest.approx(1.0),
        "threshold": THRESHOLD,
        "generation": GENERATION,
        "account_id": "a9",
        "model": "m-4",
    }


async def test_a_campaigns_own_mode_is_the_most_that_is_done(api: httpx.AsyncClient) -> None:
    question = {"prompt": EXAMPLE_PROMPT, "mode": "enforce"}
    await label(api, EXAMPLE_CAMPAIGN, "confirmed")
    assert (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}")).json()["mode"] is None
    said = {"campaign_id": EXAMPLE_CAMPAIGN, "mode": "audit", "author": "ann", "at": "2026-03-01T12:00:00Z"}
    former = f"/v1/campaigns/{EXAMPLE_CAMPAIGN}-before/mode"
    assert (await api.put(former, json={"mode": "audit", "author": "ann"})).json() == said
    assert (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}")).json()["mode"] == said
    answer = (await api.post("/v1/match", json=question)).json()
    assert (answer["block"], answer["would_block"], answer["decision"]) == (False, False, "match")
    refused = await api.put("/v1/campaigns/c-none/mode", json={"mode": "audit", "author": "ann"})
    assert refused.status_code == 404


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "body: Value error, give exactly one of prompt and messages"),
        (
            {"prompt": "a", "messages": [{"role": "user", "content": "b"}]},
            "give exactly one of prompt and messages",
        ),
        ({"prompt": "a", "top_k": 0}, "body.top_k: Input should be greater than or equal to 1"),
        ({"prompt": "a", "top_k": 51}, "body.top_k: Input should be less than or equal to 50"),
        ({"prompt": "a", "mode": "loud"}, "body.mode: Input should be 'off', 'audit' or 'enforce'"),
        ({"prompt": "a", "promt": "b"}, "body.promt: Extra inputs are not permitted"),
        ({"prompt": "a", "request_id": "two words"}, "body.request_id: String should match pattern"),
        (
            {"prompt": "a", "account_id": "a\u0000"},
            "body.account_id: Value error, the id holds control characters",
        ),
        ({"prompt": 5}, "body.prompt: Input should be a valid string"),
        ({"messages": []}, "body.messages: List should have at least 1 item"),
        ({"messages": [{"role": "A B", "content": "x"}]}, "body.messages.0.role: String should match pattern"),
        ({"messages": ["x"]}, "body.messages.0: Input should be a valid dictionary"),
        ([], "body: Input should be a valid dictionary"),
    ],
)
async def test_a_malformed_match_request_is_refused(api: httpx.AsyncClient, body: Any, detail: str) -> None:
    answer = await api.post("/v1/match", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ""},
        {"prompt": " \n"},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "assistant", "content": "only the model spoke"}]},
        {"messages": [{"role": "wizard", "content": "x"}]},
    ],
)
async def test_a_prompt_without_text_is_refused(api: httpx.AsyncClient, body: Any) -> None:
    answer = await api.post("/v1/match", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "bad_prompt")


async def test_a_prompt_over_the_engines_limit_is_413(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/match", json={"prompt": "x" * (MAX_PROMPT_CHARS + 1)})
    assert (answer.status_code, answer.json()["error"]) == (413, "prompt_too_large")


async def test_a_batch_answers_in_order_and_like_single_matches(api: httpx.AsyncClient) -> None:
    items = [{"prompt": UNRELATED, "request_id": "gw-1"}, {"prompt": EXAMPLE_PROMPT}, {"prompt": WATCHED_PROMPT}]
    answer = await api.post("/v1/match/batch", json={"items": items}, headers={"x-request-id": "b-7"})
    assert answer.status_code == 200
    singles = [(await api.post("/v1/match", json=item, headers={"x-request-id": "b-7"})).json() for item in items]
    assert answer.json() == {"items": singles, "request_id": "b-7"}
    assert [item["decision"] for item in singles] == ["none", "match", "watched"]
    assert [item["request_id"] for item in singles] == ["gw-1", "b-7", "b-7"]


async def test_a_batch_names_the_item_it_cannot_use(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/match/batch", json={"items": [{"prompt": "a"}, {"prompt": " "}]})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "items[1]: prompt has no text: system and user text are both empty"


@pytest.mark.parametrize("size", [0, MAX_BATCH + 1])
async def test_a_batch_is_neither_empty_nor_too_long(api: httpx.AsyncClient, size: int) -> None:
    answer = await api.post("/v1/match/batch", json={"items": [{"prompt": "a"}] * size})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")


async def test_the_longest_batch_is_taken(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/match/batch", json={"items": [{"prompt": "a"}] * MAX_BATCH})
    assert len(answer.json()["items"]) == MAX_BATCH


# Search


async def test_search_answers_the_nearest_first(api: httpx.AsyncClient) -> None:
    answer = (await api.post("/v1/search", json={"text": WATCHED_PROMPT, "limit": 1})).json()
    (hit,) = answer.pop("hits")
    assert (hit["text"], hit["similarity"]) == (WATCHED_PROMPT, pytest.approx(1.0))
    assert answer == {
        "offset": 0,
        "exhausted": False,
        "facets": {"campaign": {EXAMPLE_CAMPAIGN: 100, WATCHED_CAMPAIGN: 100}},
        "generation": GENERATION,
        "encoder": ENCODER,
    }


async def test_search_passes_filters_on(api: httpx.AsyncClient) -> None:
    question = {"text": WATCHED_PROMPT, "campaign_id": EXAMPLE_CAMPAIGN}
    answer = (await api.post("/v1/search", json=question)).json()
    assert [hit["campaign_id"] for hit in answer["hits"]] == [EXAMPLE_CAMPAIGN]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"text": ""},
        {"text": "a", "limit": 201},
        {"text": "a", "offset": 10_001},
        {"text": "a", "since": "2026-02-02T00:00:00", "until": "2026-02-01T00:00:00Z"},
        {"text": "a", "since": "yesterday"},
        {"text": "a", "colour": "red"},
    ],
)
async def test_a_malformed_search_is_refused(api: httpx.AsyncClient, question: dict[str, Any]) -> None:
    answer = await api.post("/v1/search", json=question)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")


# Operations


async def test_status(api: httpx.AsyncClient, unready: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/status")).json() == {
        "generation": GENERATION,
        "created_at": "2026-03-01T11:55:00Z",
        "age_s": 300.0,
        "watermark": 100,
        "events_stored": 107,
        "events_indexed": 100,
        "prompts": 80,
        "campaigns": 2,
        "alarms": 1,
        "encoder": ENCODER,
        "health": "ok",
        "detail": "",
        "disk": {"free": 5},
    }
    before = (await unready.get("/v1/status")).json()
    assert (before["generation"], before["health"], before["events_stored"]) == (None, "not_ready", 7)


@pytest.mark.parametrize(
    ("published", "health", "status", "code"),
    [
        (True, Health.OK, 200, None),
        (True, Health.DEGRADED, 200, None),
        (True, Health.STALE, 503, "INDEX-STALE"),
        (False, Health.NOT_READY, 503, "INDEX-NOT-LOADED"),
    ],
)
async def test_readiness(published: bool, health: Health, status: int, code: str | None) -> None:
    engine = MemoryEngine(published)
    engine.health = health
    async with client_of(make_app(engine)) as api:
        ready, alive = await api.get("/readyz"), await api.get("/livez")
    assert (ready.status_code, ready.json().get("error")) == (status, code)
    assert ready.headers.get("retry-after") == ("5" if status == 503 else None)
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})


async def test_metrics_count_requests_decisions_and_age(api: httpx.AsyncClient) -> None:
    await label(api, EXAMPLE_CAMPAIGN, "confirmed")
    await api.post("/v1/match", json={"prompt": EXAMPLE_PROMPT, "mode": "enforce"})
    await api.post("/v1/match/batch", json={"items": [{"prompt": UNRELATED}] * 2})
    await api.get("/v1/campaigns/c-none")
    await api.get("/no/such/place")
    answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    for line in (
        'stillwatch_requests_total{route="/v1/match",status="200"} 1.0',
        'stillwatch_requests_total{route="/v1/campaigns/{campaign_id}",status="404"} 1.0',
        'stillwatch_requests_total{route="unmatched",status="404"} 1.0',
        'stillwatch_decisions_total{block="true",decision="match",level="likely",mode="enforce",'
        'would_block="true"} 1.0',
        'stillwatch_decisions_total{block="false",decision="none",level="likely",mode="audit",'
        'would_block="false"} 2.0',
        "stillwatch_match_seconds_count 1.0",
        'stillwatch_answers_total{source="examined"} 1.0',
        'stillwatch_stage_seconds_count{queue="short",stage="wait"} 1.0',
        'stillwatch_stage_seconds_count{queue="short",stage="examine"} 1.0',
        'stillwatch_batch_prompts_sum{queue="short"} 1.0',
        'stillwatch_waiting_prompts{queue="short"} 0.0',
        "stillwatch_generation_age_seconds 300.0",
        "stillwatch_alarms 1.0",
        "stillwatch_events_waiting 7.0",
    ):
        assert line in lines, line


async def test_metrics_before_anything_is_published(unready: httpx.AsyncClient) -> None:
    assert "stillwatch_generation_age_seconds NaN" in (await unready.get("/metrics")).text


# Not ready


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/match", {"prompt": "a"}),
        ("POST", "/v1/match/batch", {"items": [{"prompt": "a"}]}),
        ("POST", "/v1/search", {"text": "a"}),
        ("GET", "/v1/campaigns", None),
        ("GET", "/v1/campaigns/c-1", None),
        ("GET", "/v1/campaigns/c-1/accounts", None),
        ("GET", "/v1/campaigns/c-1/prompts", None),
        ("GET", "/v1/campaigns/c-1/timeline", None),
        ("GET", "/v1/campaigns/c-1/history", None),
        ("PUT", "/v1/campaigns/c-1/label", {"label": "benign", "author": "li"}),
    ],
)
async def test_not_ready_is_503_with_retry_after(
    unready: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = await unready.request(method, path, json=body)
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "not_ready", "5")
