"""Keys: nobody gets further than their role, as often as they may, and what is open is open on purpose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random

import httpx
import pytest
from api_double import NOW, MemoryEngine, client_of, make_app
from starlette.datastructures import Headers

from app.access import Rates, role_needed, token_of
from models.errors import BadSettings
from models.key import KEY_HEADER, ApiKey, Keyring, Role, new_key

pytestmark = pytest.mark.anyio
DICE = Random(7)
KEYS = {role: new_key(role.value, role, None, NOW, None, DICE.randbytes) for role in Role}
ASK = {"json": {"prompt": "which bread goes with leek soup?"}}


def ring(*more: ApiKey) -> Keyring:
    return Keyring([*(key for key, _ in KEYS.values()), *more])


@asynccontextmanager
async def keyed(*more: ApiKey, required: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    engine = MemoryEngine()
    engine.keyring = ring(*more)
    async with client_of(make_app(engine, keys_required=required)) as client:
        yield client


def with_key(role: Role) -> dict[str, str]:
    return {KEY_HEADER: KEYS[role][1]}


def test_every_path_says_what_it_needs() -> None:
    """By name: a new path is for analysts until it is put down here."""
    paths = make_app(MemoryEngine()).openapi()["paths"]
    needed: dict[Role | None, set[str]] = {}
    for path in paths:
        needed.setdefault(role_needed(path), set()).add(path)
    assert needed[None] == {"/livez", "/readyz"}
    assert needed[Role.ADMIN] == {"/v1/reindex", "/v1/jobs/{job_id}/cancel"}
    assert needed[Role.GATEWAY] == {
        "/beta/litellm_basic_guardrail_api",
        "/metrics",
        "/v1/authz/{rest}",
        "/v1/events",
        "/v1/gateways/kgateway/request",
        "/v1/gateways/kgateway/response",
        "/v1/gateways/portkey",
        "/v1/match",
        "/v1/match/batch",
        "/v1/moderations",
        "/v1/status",
    }
    assert {"/v1/search", "/v1/blocks", "/v1/campaigns/{campaign_id}/prompts"} <= needed[Role.ANALYST]


async def test_without_keys_everything_is_open_unless_one_is_required() -> None:
    for required, status in ((False, 200), (True, 401)):
        async with client_of(make_app(MemoryEngine(), keys_required=required)) as client:
            assert (await client.get("/v1/campaigns")).status_code == status
            assert (await client.get("/livez")).status_code == 200


async def test_to_revoke_the_last_key_opens_no_door() -> None:
    engine = MemoryEngine()
    engine.keyring = Keyring([replace(KEYS[Role.ADMIN][0], revoked=NOW)])
    assert (len(engine.keyring), engine.keyring.is_in_use) == (0, True)
    async with client_of(make_app(engine)) as client:
        assert (await client.get("/v1/status", headers=with_key(Role.ADMIN))).status_code == 401


@pytest.mark.parametrize(
    ("path", "least"), [("/v1/status", Role.GATEWAY), ("/v1/campaigns", Role.ANALYST), ("/v1/reindex", Role.ADMIN)]
)
async def test_each_role_may_do_what_those_before_it_may(path: str, least: Role) -> None:
    async with keyed() as client:
        for role in Role:
            answer = await client.request("POST" if path == "/v1/reindex" else "GET", path, headers=with_key(role))
            if role.rank >= least.rank:
                assert answer.is_success
            else:
                assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
                assert KEYS[role][0].key_id in answer.json()["detail"]


async def test_a_key_that_does_not_fit_opens_nothing() -> None:
    key, token = KEYS[Role.ADMIN]
    past, _ = new_key("old", Role.ADMIN, None, NOW, NOW, DICE.randbytes)
    revoked_key, revoked = new_key("gone", Role.ADMIN, None, NOW, None, DICE.randbytes)
    wrong = ["", "sw", token[:-1], f"{token}0", token.upper(), f"sw_{key.key_id}_", f"xx_{token[3:]}", revoked]
    async with keyed(past, replace(revoked_key, revoked=NOW)) as client:
        for each in wrong:
            answer = await client.get("/v1/status", headers={KEY_HEADER: each})
            assert (answer.status_code, answer.json()["error"]) == (401, "unauthorised")
        assert (await client.get("/v1/status")).status_code == 401
        assert (await client.get("/v1/status", headers={KEY_HEADER: token})).status_code == 200


async def test_a_key_may_come_as_gateways_send_them() -> None:
    token = KEYS[Role.GATEWAY][1]
    async with keyed() as client:
        for headers in ({"authorization": f"Bearer {token}"}, {"x-api-key": token}, {KEY_HEADER: token}):
            assert (await client.post("/v1/match", headers=headers, **ASK)).status_code == 200


async def test_on_envoys_path_other_headers_are_the_end_users() -> None:
    token = KEYS[Role.GATEWAY][1]
    async with keyed() as client:
        refused = await client.post("/v1/authz/v1/chat/completions", headers={"authorization": f"Bearer {token}"})
        assert refused.status_code == 503  # not 401, which Envoy would hand to the end user
        headers = {KEY_HEADER: token, "authorization": "Bearer of the end user"}
        assert (await client.post("/v1/authz/v1/chat/completions", headers=headers)).status_code == 200


def test_tokens_are_read_from_one_header() -> None:
    headers = Headers({"authorization": "bearer  a ", "x-api-key": "b", KEY_HEADER: "c"})
    assert token_of(headers, "/v1/match") == "c"
    assert token_of(Headers({"authorization": "bearer  a ", "x-api-key": "b"}), "/v1/match") == "a"
    assert token_of(Headers({"authorization": "Basic a", "x-api-key": "b"}), "/v1/match") == "b"
    assert token_of(Headers({"x-api-key": "b"}), "/v1/authz/x") is None
    assert token_of(Headers({}), "/v1/match") is None


async def test_a_refusal_reads_nothing_of_the_body() -> None:
    async def endless() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with keyed() as client:
        answer = await client.post(
            "/v1/events", content=endless(), headers={"content-type": "application/x-ndjson"}
        )
        assert answer.status_code == 401


async def test_a_key_that_is_used_too_often_waits() -> None:
    key, token = new_key("busy", Role.GATEWAY, 2, NOW, None, DICE.randbytes)
    async with keyed(key) as client:
        headers = {KEY_HEADER: token}
        statuses = [(await client.post("/v1/match", headers=headers, **ASK)).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        answer = await client.post("/v1/match", headers=headers, **ASK)
        assert (answer.json()["error"], answer.headers["retry-after"]) == ("too_many_requests", "1")
        to_gateway = await client.post("/v1/moderations", headers=headers, json={"input": "x"})
        assert to_gateway.status_code == 503


def test_a_bucket_fills_at_the_keys_rate() -> None:
    now = [100.0]
    rates, key = Rates(lambda: now[0]), replace(KEYS[Role.GATEWAY][0], rate=4.0)
    assert [rates.wait_s(key) for _ in range(4)] == [0.0] * 4
    assert rates.wait_s(key) == pytest.approx(0.25)
    now[0] += 0.2
    assert rates.wait_s(key) == pytest.approx(0.05)
    now[0] += 0.05
    assert rates.wait_s(key) == 0.0
    now[0] += 1000
    assert [rates.wait_s(key) > 0 for _ in range(5)] == [False] * 4 + [True]
    slow = replace(key, key_id="slow", rate=0.5)
    assert (rates.wait_s(slow), rates.wait_s(slow)) == (0.0, pytest.approx(2.0))
    assert rates.wait_s(replace(key, rate=None)) == 0.0


def test_a_key_runs_out() -> None:
    key, token = new_key("guest", Role.ANALYST, None, NOW, NOW + timedelta(hours=1), DICE.randbytes)
    assert Keyring([key]).find(token, NOW + timedelta(minutes=59)) == key
    assert Keyring([key]).find(token, NOW + timedelta(hours=1)) is None


def test_no_token_can_be_had_from_what_is_kept() -> None:
    key, token = KEYS[Role.ADMIN]
    assert len(token) == len("sw_") + 8 + 1 + 64
    assert token.rpartition("_")[2] not in repr(key)


@pytest.mark.parametrize(
    ("name", "rate"), [("", None), ("a" * 129, None), ("a\n", None), ("a", 0.0), ("a", float("inf"))]
)
def test_a_key_needs_a_name_and_a_sane_rate(name: str, rate: float | None) -> None:
    with pytest.raises(BadSettings, match="a key's"):
        new_key(name, Role.GATEWAY, rate, NOW, None, DICE.randbytes)


def test_the_document_names_the_keys_and_the_refusals() -> None:
    document = make_app(MemoryEngine()).openapi()
    assert set(document["components"]["securitySchemes"]) == {"key", "bearer"}
    match = document["paths"]["/v1/match"]["post"]
    assert match["security"] == [{"key": []}, {"bearer": []}, {}]
    assert {"401", "403", "429"} <= set(match["responses"])
    authz = document["paths"]["/v1/authz/{rest}"]["post"]
    assert authz["security"] == [{"key": []}, {}]
    assert "401" not in authz["responses"]
    assert "security" not in document["paths"]["/livez"]["get"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8765", 200),
        ("127.0.0.1:8765", 200),
        ("[::1]:8765", 200),
        ("192.168.1.7", 200),
        ("stillwatch", 200),
        ("console.localhost", 200),
        ("evil.example", 403),
        ("evil.example:8765", 403),
        ("[", 403),
    ],
)
async def test_without_keys_no_web_site_can_have_its_own_name_lead_here(host: str, status: int) -> None:
    """A browser would let it read the answers. With a key, that is what matters; gateways name others' hosts."""
    async with client_of(make_app(MemoryEngine())) as client:
        for path in ("/v1/campaigns", "/console/campaigns"):
            assert (await client.get(path, headers={"host": host})).status_code == status
        assert (await client.post("/v1/match", **ASK, headers={"host": host})).status_code == 200
        assert (await client.get("/readyz", headers={"host": host})).status_code == 200
    async with keyed() as client:
        answer = await client.get("/v1/campaigns", headers={"host": host, **with_key(Role.ANALYST)})
        assert answer.status_code == 200
