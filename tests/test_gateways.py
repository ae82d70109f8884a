"""Each gateway's own way to ask, over the application: what passes, what is blocked, what the sender may see."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from api_double import EXAMPLE_PROMPT, MAX_PROMPT_CHARS, BrokenEngine, MemoryEngine, client_of, make_app

from app.inquiry import REFUSAL
from app.schemas import EXAMPLE_CAMPAIGN
from app.state import Limits
from models.campaign import CampaignLabel, Label
from models.mode import Mode

pytestmark = pytest.mark.anyio

LITELLM = "/beta/litellm_basic_guardrail_api"
PORTKEY = "/v1/gateways/portkey"
KGATEWAY = "/v1/gateways/kgateway/request"
AUTHZ = "/v1/authz/v1/chat/completions"
MODERATIONS = "/v1/moderations"
UNRELATED = "Which bread goes with leek soup?"


def chat(text: str) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
    }


def asked_by_litellm(text: str, mode: str | None = None) -> dict[str, Any]:
    """As LiteLLM 1.106 sends it, nulls included."""
    return {
        "input_type": "request",
        "litellm_call_id": "3f68",
        "structured_messages": chat(text)["messages"],
        "texts": ["Be brief.", text],
        "images": None,
        "tools": [{"type": "web_search"}],
        "tool_calls": None,
        "request_data": {"user_api_key_hash": "4f1a", "user_api_key_end_user_id": "a9"},
        "request_headers": {"host": "here", "x-account-id": "[present]"},
        "litellm_version": "1.106.2",
        "additional_provider_specific_params": {"mode": mode} if mode else {},
        "model": "m",
    }


def asked_by_portkey(text: str) -> dict[str, Any]:
    return {
        "request": {"json": chat(text), "text": text, "isStreamingRequest": False, "isTransformed": False},
        "response": {"json": {}, "text": "", "statusCode": None, "isTransformed": False},
        "provider": "openai",
        "requestType": "chatComplete",
        "metadata": {"_user": "a9"},
        "eventType": "beforeRequestHook",
    }


@pytest.fixture
def engine() -> MemoryEngine:
    made = MemoryEngine()
    at = made.campaigns()[0].last_seen
    made.put_label(CampaignLabel(EXAMPLE_CAMPAIGN, Label.CONFIRMED, "", "ann", at, None))
    return made


@pytest.fixture
async def audit(engine: MemoryEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(engine)) as client:
        yield client


@pytest.fixture
async def enforce(engine: MemoryEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(engine, mode=Mode.ENFORCE)) as client:
        yield client


def passes(answer: httpx.Response) -> bool:
    """Whether the gateway that got this answer lets the request through."""
    if answer.status_code != 200:
        return False
    said = answer.json() if answer.content else {}
    return not (
        said.get("action") == "BLOCKED"
        or said.get("verdict") is False
        or (isinstance(said.get("action"), dict) and "body" in said["action"])
        or any(result["flagged"] for result in said.get("results", []))
    )


QUESTIONS = [
    pytest.param(LITELLM, asked_by_litellm, id="litellm"),
    pytest.param(PORTKEY, asked_by_portkey, id="portkey"),
    pytest.param(KGATEWAY, lambda text: {"body": chat(text)}, id="kgateway"),
    pytest.param(AUTHZ, chat, id="authz"),
    pytest.param(MODERATIONS, lambda text: {"input": text}, id="moderations"),
]


@pytest.mark.parametrize(("path", "question"), QUESTIONS)
async def test_a_campaigns_prompt_is_blocked_in_enforce_and_only_counted_in_audit(
    path: str, question: Any, audit: httpx.AsyncClient, enforce: httpx.AsyncClient
) -> None:
    assert passes(await audit.post(path, json=question(EXAMPLE_PROMPT)))
    assert not passes(await enforce.post(path, json=question(EXAMPLE_PROMPT)))
    assert passes(await enforce.post(path, json=question(UNRELATED)))
    counted = (await audit.get("/metrics")).text
    assert 'decision="match",level="likely",mode="audit",would_block="true"} 1.0' in counted


@pytest.mark.parametrize(("path", "question"), QUESTIONS)
async def test_the_sender_learns_nothing_but_that_it_was_refused(
    path: str, question: Any, enforce: httpx.AsyncClient
) -> None:
    answer = await enforce.post(path, json=question(EXAMPLE_PROMPT))
    assert not [name for name in answer.headers if name.startswith("x-stillwatch")]
    said = answer.json()
    shown = {
        LITELLM: lambda: said["blocked_reason"],
        PORTKEY: lambda: said["data"]["reason"],
        KGATEWAY: lambda: said["action"]["body"],
        AUTHZ: lambda: said["error"]["message"],
    }
    if path in shown:
        assert shown[path]() == REFUSAL
    if path != LITELLM:  # which keeps further fields to itself
        assert EXAMPLE_CAMPAIGN not in json.dumps(said)


@pytest.mark.parametrize(("path", "question"), QUESTIONS)
async def test_a_fault_is_503_to_gateways_and_never_a_verdict(path: str, question: Any) -> None:
    async def post(engine: MemoryEngine, body: bytes, limits: Limits | None = None) -> httpx.Response:
        async with client_of(make_app(engine, limits=limits)) as client:
            return await client.post(path, content=body, headers={"content-type": "application/json"})

    good = json.dumps(question(EXAMPLE_PROMPT)).encode()
    for answer in (
        await post(MemoryEngine(published=False), good),
        await post(BrokenEngine(), good),
        await post(MemoryEngine(), good, Limits(body_bytes=100)),
    ):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json().keys() == {"error", "detail", "request_id"}
    if path != AUTHZ:
        assert (await post(MemoryEngine(), b"[]")).status_code == 503


@pytest.mark.parametrize("body", [b"", b"not json", b'{"input": [0.5]}', b"\xff", b"[" * 10_000])
async def test_what_holds_no_prompt_passes_envoy_and_is_counted(body: bytes, enforce: httpx.AsyncClient) -> None:
    answer = await enforce.post("/v1/authz/v1/anything", content=body)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-stillwatch-decision"] == "unknown"
    assert "stillwatch_unexamined_total 1.0" in (await enforce.get("/metrics")).text


async def test_envoys_headers_tell_the_operator(engine: MemoryEngine, audit: httpx.AsyncClient) -> None:
    answer = await audit.post(AUTHZ, json=chat(EXAMPLE_PROMPT), headers={"x-envoy-auth-partial-body": "true"})
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-stillwatch-")}
    assert told == {
        "x-stillwatch-decision": "match",
        "x-stillwatch-would-block": "true",
        "x-stillwatch-partial": "true",
        "x-stillwatch-campaign": EXAMPLE_CAMPAIGN,
        "x-stillwatch-generation": engine.generation,
    }
    assert "x-stillwatch-campaign" not in (await audit.post(AUTHZ, json=chat(UNRELATED))).headers


async def test_envoy_is_answered_by_any_method_and_for_a_body_that_was_cut(enforce: httpx.AsyncClient) -> None:
    cut = json.dumps(chat(f"{EXAMPLE_PROMPT} And")).encode()[:-6]
    for path in ("/v1/authz/", "/v1/authz/v1/messages", AUTHZ):
        assert (await enforce.get(path)).status_code == 200
        assert (await enforce.post(path, content=cut)).status_code == 403
    refused = await enforce.put("/v1/authz/v1/messages", content=cut)
    assert refused.json() == {"type": "error", "error": {"type": "permission_error", "message": REFUSAL}}


async def test_a_gateways_configuration_names_the_mode(audit: httpx.AsyncClient) -> None:
    for path, question, headers in (
        (LITELLM, asked_by_litellm(EXAMPLE_PROMPT, "enforce"), {}),
        (f"{PORTKEY}?mode=enforce", asked_by_portkey(EXAMPLE_PROMPT), {}),
        (f"{KGATEWAY}?mode=enforce", {"body": chat(EXAMPLE_PROMPT)}, {}),
        (f"{MODERATIONS}?mode=enforce", {"input": EXAMPLE_PROMPT}, {}),
        (AUTHZ, chat(EXAMPLE_PROMPT), {"x-stillwatch-mode": "enforce"}),
    ):
        assert not passes(await audit.post(path, json=question, headers=headers)), path
    assert passes(await audit.post(f"{PORTKEY}?mode=loud", json=asked_by_portkey(EXAMPLE_PROMPT)))


async def test_replies_of_models_pass(enforce: httpx.AsyncClient) -> None:
    reply = {**asked_by_litellm(EXAMPLE_PROMPT), "input_type": "response", "structured_messages": None}
    assert passes(await enforce.post(LITELLM, json=reply))
    assert passes(
        await enforce.post(PORTKEY, json={**asked_by_portkey(EXAMPLE_PROMPT), "eventType": "afterRequestHook"})
    )
    choices = {"choices": [{"message": {"role": "assistant", "content": EXAMPLE_PROMPT}}]}
    assert passes(await enforce.post("/v1/gateways/kgateway/response", json={"body": choices}))


async def test_litellm_without_roles_is_examined_by_its_texts(enforce: httpx.AsyncClient) -> None:
    without = {**asked_by_litellm(EXAMPLE_PROMPT), "structured_messages": None, "texts": [EXAMPLE_PROMPT]}
    said = (await enforce.post(LITELLM, json=without)).json()
    assert (said["action"], said["campaign_id"], said["decision"]) == ("BLOCKED", EXAMPLE_CAMPAIGN, "match")
    assert (await enforce.post(LITELLM, json={})).json()["decision"] == "unknown"


async def test_moderations_give_one_result_an_input(enforce: httpx.AsyncClient) -> None:
    said = (
        await enforce.post(MODERATIONS, json={"model": "any", "input": [UNRELATED, EXAMPLE_PROMPT, ""]})
    ).json()
    assert [each["flagged"] for each in said["results"]] == [False, True, False]
    assert [each["category_scores"]["distillation_campaign"] for each in said["results"]] == [0.0, 1.0, 0.0]
    assert said["results"][1]["categories"]["hate"] is False
    assert (said["model"], said["id"][:5]) == ("any", "modr-")
    parts = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": EXAMPLE_PROMPT}]
    said = (await enforce.post(MODERATIONS, json={"input": parts})).json()
    assert [each["flagged"] for each in said["results"]] == [True]
    many = await enforce.post(MODERATIONS, json={"input": ["a"] * 257})
    assert (many.status_code, many.json()["detail"]) == (503, "input holds 257 texts, more than 256")


async def test_of_a_prompt_that_is_too_long_both_ends_are_examined(engine: MemoryEngine) -> None:
    limits = Limits(prompt_chars=MAX_PROMPT_CHARS)
    async with client_of(make_app(engine, limits=limits)) as client:
        answer = await client.post(AUTHZ, json=chat(f"{EXAMPLE_PROMPT} {'x' * 10_000}"))
    assert (answer.status_code, answer.headers["x-stillwatch-partial"]) == (200, "true")
