"""Campaigns over HTTP: lists, details, and what analysts say about them."""

from typing import Any

import httpx
import pytest
from api_double import (
    GENERATION,
    NOW,
    THRESHOLD,
    WATCHED_CAMPAIGN,
    MemoryEngine,
    label,
)

from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT

pytestmark = pytest.mark.anyio


async def test_campaigns_are_listed_with_their_summary(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/campaigns", params={"limit": 1})
    assert answer.status_code == 200
    assert answer.json() == {
        "campaigns": [
            {
                "campaign_id": EXAMPLE_CAMPAIGN,
                "level": "likely",
                "score": 0.97,
                "p_value": 0.0001,
                "false_discovery": 0.002,
                "label": None,
                "capability": "data analysis",
                "events": 100,
                "prompts": 80,
                "accounts": 2,
                "units": 2,
                "depth": 50.0,
                "first_seen": "2026-02-27T12:00:00Z",
                "last_seen": "2026-03-01T11:00:00Z",
                "models": {"m-4": 60, "m-5": 40},
                "template": f"{EXAMPLE_PROMPT} {{1}}",
            }
        ],
        "total": 2,
        "limit": 1,
        "offset": 0,
    }


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [EXAMPLE_CAMPAIGN, WATCHED_CAMPAIGN]),
        ({"offset": 1}, [WATCHED_CAMPAIGN]),
        ({"offset": 9}, []),
        ({"level": "watch"}, [WATCHED_CAMPAIGN]),
        ({"level": ["likely", "strong"]}, [EXAMPLE_CAMPAIGN]),
        ({"label": "benign"}, [WATCHED_CAMPAIGN]),
        ({"label": "none"}, [EXAMPLE_CAMPAIGN]),
        ({"label": ["none", "benign"], "level": "watch"}, [WATCHED_CAMPAIGN]),
        ({"label": "confirmed"}, []),
    ],
)
async def test_campaigns_are_filtered(api: httpx.AsyncClient, filters: dict[str, Any], found: list[str]) -> None:
    await label(api, WATCHED_CAMPAIGN, "benign")
    answer = (await api.get("/v1/campaigns", params=filters)).json()
    assert [row["campaign_id"] for row in answer["campaigns"]] == found


@pytest.mark.parametrize(
    "filters", [{"limit": 0}, {"limit": 501}, {"offset": -1}, {"level": "huge"}, {"label": "x"}]
)
async def test_filters_out_of_range_are_refused(api: httpx.AsyncClient, filters: dict[str, Any]) -> None:
    answer = await api.get("/v1/campaigns", params=filters)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")


async def test_a_campaign_shows_its_evidence(api: httpx.AsyncClient) -> None:
    await label(api, EXAMPLE_CAMPAIGN, "confirmed")
    answer = (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}")).json()
    assert answer["label"] == "confirmed"
    assert answer["verdict"] == {
        "campaign_id": EXAMPLE_CAMPAIGN,
        "label": "confirmed",
        "note": "",
        "author": "mira",
        "at": "2026-03-01T12:00:00Z",
        "until": None,
    }
    assert answer["views"] == ["whole", "recurring"]
    assert answer["variants"] == []
    assert answer["template"]["slots"] == [
        {
            "number": 1,
            "filled": 100,
            "distinct": 90,
            "mean_words": 1.5,
            "kind": "text",
            "examples": ["churn", "margin"],
            "repeated": 12,
        }
    ]
    assert answer["evidence"][1] == {
        "name": "payment",
        "kind": "coordination",
        "observed": None,
        "expected": None,
        "weight": 0.0,
        "explanation": "not available",
    }
    assert answer["exemplars"] == [{"fingerprint": "00ff", "text": EXAMPLE_PROMPT}]
    assert answer["thresholds"] == [
        {
            "view": "whole",
            "threshold": THRESHOLD,
            "background": 0.6,
            "background_size": 1000,
            "typical": 0.95,
            "own": [],
        }
    ]
    assert not answer.keys() & {"members", "timeline", "history"}


async def test_a_campaigns_accounts_come_in_pages(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/accounts", params={"limit": 1, "offset": 1})
    assert answer.json() == {
        "campaign_id": EXAMPLE_CAMPAIGN,
        "accounts": [
            {
                "account_id": "a2",
                "org_id": "o1",
                "events": 30,
                "first_seen": "2026-02-27T12:00:00Z",
                "last_seen": "2026-03-01T11:00:00Z",
                "dedication": 0.5,
            }
        ],
        "total": 2,
        "limit": 1,
        "offset": 1,
    }


async def test_a_campaigns_prompts(api: httpx.AsyncClient) -> None:
    answer = (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/prompts")).json()
    assert [hit["text"] for hit in answer["hits"]] == [EXAMPLE_PROMPT]
    assert (answer["offset"], answer["exhausted"], answer["generation"]) == (0, True, GENERATION)


async def test_a_campaigns_timeline_and_history(api: httpx.AsyncClient) -> None:
    hours = (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/timeline")).json()
    assert hours["hours"][0] == {"hour": "2026-02-27T12:00:00Z", "events": 60, "models": {"m-4": 60}}
    history = (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/history")).json()
    born = {"generation": GENERATION, "at": "2026-03-01T12:00:00Z", "event": "born", "events": 100, "accounts": 2}
    assert history == {
        "campaign_id": EXAMPLE_CAMPAIGN,
        "entries": [{**born, "detail": "", "others": [], "shift": None}],
    }


@pytest.mark.parametrize("part", ["", "/accounts", "/prompts", "/timeline", "/history"])
async def test_an_unknown_campaign_is_404(api: httpx.AsyncClient, part: str) -> None:
    answer = await api.get(f"/v1/campaigns/c-none{part}")
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_campaign")


async def test_a_label_is_recorded_and_replaced(api: httpx.AsyncClient) -> None:
    address = f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/label"
    await label(api, EXAMPLE_CAMPAIGN, "confirmed")
    question = {"label": "ignore_until", "author": "li", "note": "a class", "until": "2026-04-01T00:00:00+02:00"}
    answer = await api.put(address, json=question)
    assert answer.json() == {
        "campaign_id": EXAMPLE_CAMPAIGN,
        "label": "ignore_until",
        "note": "a class",
        "author": "li",
        "at": "2026-03-01T12:00:00Z",
        "until": "2026-03-31T22:00:00Z",
    }
    assert (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}")).json()["verdict"] == answer.json()


async def test_the_id_of_a_campaign_that_merged_leads_to_what_it_became(api: httpx.AsyncClient) -> None:
    former = f"/v1/campaigns/{EXAMPLE_CAMPAIGN}-before"
    assert (await api.get(former)).json()["formerly"] == [f"{EXAMPLE_CAMPAIGN}-before"]
    for part in ("", "/accounts", "/timeline", "/history"):
        assert (await api.get(former + part)).json()["campaign_id"] == EXAMPLE_CAMPAIGN
    await label(api, f"{EXAMPLE_CAMPAIGN}-before", "confirmed")
    assert (await api.get(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}")).json()["label"] == "confirmed"


RULE = {"kind": "template", "value": " Act as a travel guide. ", "author": "mira", "note": "published"}


async def test_an_allow_list_rule_is_made_listed_and_taken_back(api: httpx.AsyncClient) -> None:
    made = await api.post("/v1/allowances", json=RULE)
    assert made.status_code == 201
    rule = {
        "rule_id": 1,
        "kind": "template",
        "value": "Act as a travel guide.",
        "note": "published",
        "author": "mira",
        "at": "2026-03-01T12:00:00Z",
        "until": None,
    }
    assert made.json() == rule
    assert (await api.post("/v1/allowances", json=RULE)).json() == rule
    assert (await api.get("/v1/allowances")).json() == {"allowances": [rule], "total": 1}
    gone = await api.delete("/v1/allowances/1", params={"author": "li"})
    assert (gone.status_code, gone.json()) == (200, {"removed": 1})
    assert (await api.get("/v1/allowances")).json() == {"allowances": [], "total": 0}
    again = await api.delete("/v1/allowances/1", params={"author": "li"})
    assert (again.status_code, again.json()["error"]) == (404, "unknown_allowance")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "account"}, "invalid_request"),
        ({"value": ""}, "invalid_request"),
        ({"value": " \n"}, "bad_input"),
        ({"author": ""}, "invalid_request"),
        ({"until": NOW.isoformat()}, "bad_input"),
        ({"until": "tomorrow"}, "invalid_request"),
        ({"weight": 1}, "invalid_request"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(
    api: httpx.AsyncClient, change: dict[str, object], error: str
) -> None:
    answer = await api.post("/v1/allowances", json={**RULE, **change})
    assert (answer.status_code, answer.json()["error"]) == (422, error)
    assert (await api.get("/v1/allowances")).json()["total"] == 0


@pytest.mark.parametrize(("rule", "author"), [("0", "li"), ("x", "li"), (str(2**63), "li"), ("1", "")])
async def test_only_a_rule_number_can_be_taken_back(api: httpx.AsyncClient, rule: str, author: str) -> None:
    answer = await api.delete(f"/v1/allowances/{rule}", params={"author": author})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({"label": "ignore_until", "author": "li"}, "invalid_request"),
        ({"label": "benign", "author": "li", "until": "2027-01-01T00:00:00Z"}, "invalid_request"),
        ({"label": "ignore_until", "author": "li", "until": NOW.isoformat()}, "bad_input"),
        ({"label": "ignore_until", "author": "li", "until": "0001-01-01T00:00:00+10:00"}, "invalid_request"),
        ({"label": "guilty", "author": "li"}, "invalid_request"),
        ({"label": "benign"}, "invalid_request"),
        ({"label": "benign", "author": ""}, "invalid_request"),
        ({"label": "benign", "author": "li", "note": "x" * 4001}, "invalid_request"),
    ],
)
async def test_a_label_that_makes_no_sense_is_refused(
    api: httpx.AsyncClient, question: dict[str, str], error: str
) -> None:
    answer = await api.put(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/label", json=question)
    assert (answer.status_code, answer.json()["error"]) == (422, error)


async def test_half_a_surrogate_pair_in_text_to_be_stored_is_refused(api: httpx.AsyncClient) -> None:
    body = b'{"label": "benign", "author": "li", "note": "\\ud800"}'
    headers = {"content-type": "application/json"}
    answer = await api.put(f"/v1/campaigns/{EXAMPLE_CAMPAIGN}/label", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")


async def test_an_unknown_campaign_cannot_be_labelled(api: httpx.AsyncClient, engine: MemoryEngine) -> None:
    answer = await api.put("/v1/campaigns/c-none/label", json={"label": "benign", "author": "li"})
    assert (answer.status_code, engine.labels()) == (404, {})
