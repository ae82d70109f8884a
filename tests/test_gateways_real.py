"""Real gateways before our server: LiteLLM's proxy, Envoy and Portkey, with a small model behind them.

`scripts/test --all` installs them and runs these; each is configured as its operator would.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_house import (
    NGINX,
    PORTKEY,
    PYTHON,
    Seen,
    answers,
    completion,
    free_port,
    running,
    serving,
    slow,
    stillwatch,
    unavailable,
)
from traffic import NOW, TEMPLATE, background_rows, campaign_rows, run_reindex, settings_of, store_rows

from app.inquiry import REFUSAL
from indexer.encode import load_encoder
from indexer.engine import Engine
from indexer.settings import load_settings
from indexer.store import Store
from models.campaign import CampaignLabel, Label
from models.key import Role, new_key

pytestmark = pytest.mark.gateways

CAMPAIGNS = TEMPLATE.format("a theorem that nobody has sent before, in some detail")
UNRELATED = "which bus goes to the harbour on sunday mornings in winter, and what does it cost"
MASTER_KEY = "sk-" + "7c1f0e5b9a3d4862" * 3
TYPES = "type.googleapis.com/envoy.extensions.filters"
FAULTS = ("down", "slow", "unavailable")


@dataclass(frozen=True)
class House:
    """Addresses: of our server, of the model, and by fault of servers that have it. token: a gateway's key."""

    ours: str
    model: str
    seen: Seen
    faulty: Mapping[str, str]
    token: str
    folder: Path

    def counted(self, would_block: bool) -> float:
        """Answers so far that blocked, or would have in enforce."""
        lines = httpx.get(f"{self.ours}/metrics", headers={"x-stillwatch-key": self.token}, trust_env=False).text
        wanted = f'would_block="{str(would_block).lower()}"'
        return sum(
            float(line.split()[-1]) for line in lines.splitlines() if "decisions_total{" in line and wanted in line
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("gateways")
    settings = settings_of(folder / "data")
    store_rows(settings, [*campaign_rows(0, accounts=40, each=8), *background_rows(5000, 400)])
    run_reindex(settings, load_encoder("static", load_settings(None, os.environ).weights))
    engine = Engine.open(settings, lambda: NOW)
    engine.put_label(CampaignLabel(engine.campaigns()[0].campaign_id, Label.CONFIRMED, "", "ann", NOW, None))
    engine.close()
    key, token = new_key("edge", Role.GATEWAY, None, NOW, None, os.urandom)
    with Store.open(settings.database) as store:
        store.keys.add(key)
    with ExitStack() as stack:
        ours = stack.enter_context(stillwatch(settings.data, folder / "stillwatch.log"))
        model, seen = stack.enter_context(serving(completion))
        faulty = {
            "down": f"http://127.0.0.1:{free_port()}",
            "slow": stack.enter_context(serving(slow))[0],
            "unavailable": stack.enter_context(serving(unavailable))[0],
        }
        yield House(ours, model, seen, faulty, token, folder)


def chat(text: str) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
    }


# LiteLLM


@pytest.fixture(scope="module")
def litellm(house: House) -> Iterator[httpx.Client]:
    def guardrail(name: str, base: str, mode: str, fallback: str) -> dict[str, Any]:
        parameters = {
            "guardrail": "generic_guardrail_api",
            "mode": "pre_call",
            "api_base": base,
            "api_key": house.token,
            "default_on": False,
            "unreachable_fallback": fallback,
            "timeout": 1.0,
            "extra_headers": ["x-account-id"],
            "additional_provider_specific_params": {"mode": mode},
        }
        return {"guardrail_name": name, "litellm_params": parameters}

    guardrails = [guardrail(mode, house.ours, mode, "fail_closed") for mode in ("audit", "enforce")]
    for fault, base in house.faulty.items():
        guardrails += [guardrail(f"{fault}-{way}", base, "enforce", f"fail_{way}") for way in ("open", "closed")]
    model = {"model": "openai/m", "api_base": f"{house.model}/v1", "api_key": "none"}
    config = {
        "model_list": [{"model_name": "m", "litellm_params": model}],
        "general_settings": {"master_key": MASTER_KEY},
        "litellm_settings": {"num_retries": 0},
        "guardrails": guardrails,
    }
    file, port = house.folder / "litellm.yaml", free_port()
    file.write_text(json.dumps(config))  # which is YAML too
    url = f"http://127.0.0.1:{port}"
    command = [PYTHON.with_name("litellm"), "--config", file, "--host", "127.0.0.1", "--port", str(port)]
    local = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "NO_PROXY": "127.0.0.1"}
    headers = {"authorization": f"Bearer {MASTER_KEY}", "x-account-id": "a9"}
    with (
        running(command, house.folder / "litellm.log", answers(f"{url}/health/liveliness"), **local),
        httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
    ):
        yield client


def by_litellm(client: httpx.Client, guardrail: str, text: str) -> httpx.Response:
    return client.post("/v1/chat/completions", json={**chat(text), "guardrails": [guardrail]})


def test_litellm_blocks_in_enforce_only_and_lets_others_pass(litellm: httpx.Client, house: House) -> None:
    asked = len(house.seen.requests)
    refused = by_litellm(litellm, "enforce", CAMPAIGNS)
    assert (refused.status_code, len(house.seen.requests)) == (400, asked)
    assert REFUSAL in refused.text
    assert "c-" not in refused.json()["error"]["message"]
    counted = house.counted(would_block=True)
    assert by_litellm(litellm, "audit", CAMPAIGNS).status_code == 200
    assert house.counted(would_block=True) == counted + 1
    assert by_litellm(litellm, "enforce", UNRELATED).json()["choices"][0]["message"]["content"] == "fine"
    assert len(house.seen.requests) == asked + 2


@pytest.mark.parametrize("fault", FAULTS)
def test_litellm_fails_the_way_it_is_set_up_to(fault: str, litellm: httpx.Client) -> None:
    assert by_litellm(litellm, f"{fault}-open", CAMPAIGNS).status_code == 200
    assert by_litellm(litellm, f"{fault}-closed", CAMPAIGNS).status_code >= 500


# Envoy


def cluster(name: str, url: str) -> dict[str, Any]:
    host, port = url.removeprefix("http://").split(":")
    address = {"socket_address": {"address": host, "port_value": int(port)}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "connect_timeout": "1s",
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def listener(port: int, service: str, house: House, mode: str, allow: bool, shadow: bool) -> dict[str, Any]:
    ours = {"x-stillwatch-key": house.token, "x-stillwatch-mode": mode}
    to_us = [{"key": key, "value": value} for key, value in ours.items()]
    upstream = [{"prefix": "x-stillwatch-"}]
    check = {
        "@type": f"{TYPES}.http.ext_authz.v3.ExtAuthz",
        "http_service": {
            "server_uri": {"uri": "http://stillwatch", "cluster": service, "timeout": "1s"},
            "path_prefix": "/v1/authz",
            "authorization_request": {"headers_to_add": to_us},
            "authorization_response": {"allowed_upstream_headers": {"patterns": upstream}},
        },
        "allowed_headers": {"patterns": [{"exact": "x-account-id"}, {"exact": "content-type"}]},
        "with_request_body": {"max_request_bytes": 65_536, "allow_partial_message": True},
        "failure_mode_allow": allow,
        "status_on_error": {"code": "ServiceUnavailable"},
        "shadow_mode": shadow,
    }
    router = {"@type": f"{TYPES}.http.router.v3.Router"}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "model"}}]
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": check},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "name": f"to-{port}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }


@pytest.fixture(scope="module")
def envoy(house: House) -> Iterator[dict[str, str]]:
    """Address of each way Envoy is set up."""
    cases = {"audit": ("stillwatch", "audit", False, False), "enforce": ("stillwatch", "enforce", False, False)}
    cases["shadow"] = ("stillwatch", "enforce", False, True)
    for fault in FAULTS:
        cases |= {
            f"{fault}-open": (fault, "enforce", True, False),
            f"{fault}-closed": (fault, "enforce", False, False),
        }
    ports = {name: free_port() for name in cases}
    clusters = [cluster("stillwatch", house.ours), cluster("model", house.model)]
    clusters += [cluster(fault, url) for fault, url in house.faulty.items()]
    listeners = [
        listener(ports[name], service, house, mode, allow, shadow)
        for name, (service, mode, allow, shadow) in cases.items()
    ]
    file = house.folder / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}}))
    command = [PYTHON.with_name("envoy"), "-c", file, "--use-dynamic-base-id", "--concurrency", "1"]
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with running(command, house.folder / "envoy.log", answers(urls["audit"])):
        yield urls


def by_envoy(url: str, text: str, path: str = "/v1/chat/completions") -> httpx.Response:
    headers = {"authorization": "Bearer of the end user", "x-account-id": "a9"}
    return httpx.post(f"{url}{path}", json=chat(text), headers=headers, timeout=30, trust_env=False)


def test_envoy_blocks_in_enforce_only_and_lets_others_pass(envoy: dict[str, str], house: House) -> None:
    asked = len(house.seen.requests)
    refused = by_envoy(envoy["enforce"], CAMPAIGNS)
    assert (refused.status_code, refused.json()["error"]["message"]) == (403, REFUSAL)
    assert not [name for name in refused.headers if name.startswith("x-stillwatch")]
    assert by_envoy(envoy["enforce"], CAMPAIGNS, "/v1/messages").json()["error"]["type"] == "permission_error"
    assert len(house.seen.requests) == asked
    counted = house.counted(would_block=True)
    assert by_envoy(envoy["audit"], CAMPAIGNS).status_code == 200
    assert house.counted(would_block=True) == counted + 1
    assert by_envoy(envoy["enforce"], UNRELATED).status_code == 200
    told = [headers.get("x-stillwatch-decision") for _, headers, _ in house.seen.requests[asked:]]
    assert told == ["match", "none"]


def test_envoys_own_shadow_mode_lets_everything_pass(envoy: dict[str, str]) -> None:
    assert by_envoy(envoy["shadow"], CAMPAIGNS).status_code == 200


def test_envoy_hands_over_the_beginning_of_a_long_body(envoy: dict[str, str]) -> None:
    assert by_envoy(envoy["enforce"], CAMPAIGNS + " and so on" * 20_000).status_code in (200, 403)
    assert by_envoy(envoy["enforce"], UNRELATED + " w" * 100_000).status_code == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_envoy_fails_the_way_it_is_set_up_to(fault: str, envoy: dict[str, str]) -> None:
    assert by_envoy(envoy[f"{fault}-open"], CAMPAIGNS).status_code == 200
    assert by_envoy(envoy[f"{fault}-closed"], CAMPAIGNS).status_code == 503


# Portkey


@pytest.fixture(scope="module")
def portkey(house: House) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["node", PORTKEY, f"--port={port}", "--headless"]
    trusted = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"}
    with running(command, house.folder / "portkey.log", answers(url), **trusted):
        yield url


def by_portkey(url: str, house: House, webhook: str, text: str) -> httpx.Response:
    parameters = {"webhookURL": webhook, "headers": {"Authorization": f"Bearer {house.token}"}, "timeout": 1000}
    check = {"id": "default.webhook", "parameters": parameters}
    hook = {"type": "guardrail", "id": "stillwatch", "deny": True, "checks": [check]}
    config = {
        "before_request_hooks": [hook],
        "provider": "openai",
        "api_key": "none",
        "custom_host": f"{house.model}/v1",
    }
    headers = {"x-portkey-config": json.dumps(config), "x-portkey-metadata": json.dumps({"_user": "a9"})}
    return httpx.post(f"{url}/v1/chat/completions", json=chat(text), headers=headers, timeout=30, trust_env=False)


def test_portkey_blocks_in_enforce_only_and_lets_others_pass(portkey: str, house: House) -> None:
    webhook, asked = f"{house.ours}/v1/gateways/portkey", len(house.seen.requests)
    refused = by_portkey(portkey, house, f"{webhook}?mode=enforce", CAMPAIGNS)
    assert (refused.status_code, len(house.seen.requests)) == (446, asked)
    counted = house.counted(would_block=True)
    assert by_portkey(portkey, house, f"{webhook}?mode=audit", CAMPAIGNS).status_code == 200
    assert house.counted(would_block=True) == counted + 1
    assert by_portkey(portkey, house, f"{webhook}?mode=enforce", UNRELATED).status_code == 200
    assert len(house.seen.requests) == asked + 2


@pytest.mark.parametrize("fault", FAULTS)
def test_portkey_lets_everything_pass_when_we_do_not_answer(fault: str, portkey: str, house: House) -> None:
    webhook = f"{house.faulty[fault]}/v1/gateways/portkey?mode=enforce"
    assert by_portkey(portkey, house, webhook, CAMPAIGNS).status_code == 200


# nginx


@pytest.fixture(scope="module")
def mirrored(house: House) -> Iterator[tuple[dict[str, str], Store]]:
    """nginx that mirrors to a server which remembers and has no generation yet, or has a fault: its addresses by
    which of them, and the server's store.
    """
    settings = settings_of(house.folder / "mirrored")
    with ExitStack() as stack:
        log = house.folder / "remembering.log"
        ours = stack.enter_context(stillwatch(settings.data, log, STILLWATCH_REMEMBER="yes"))
        ports = {name: free_port() for name in ("ours", *FAULTS)}
        mirrors = {"ours": ours, **house.faulty}
        config = house.folder / "nginx.conf"
        servers = [mirroring(ports[name], mirrors[name], house.model) for name in ports]
        config.write_text(
            f"daemon off; master_process off; pid {house.folder}/nginx.pid; error_log stderr warn;\n"
            f"events {{}}\nhttp {{ access_log off; client_body_temp_path {house.folder}/body;\n"
            f"proxy_temp_path {house.folder}/proxy; fastcgi_temp_path {house.folder}/fcgi;\n"
            f"uwsgi_temp_path {house.folder}/uwsgi; scgi_temp_path {house.folder}/scgi;\n{''.join(servers)} }}\n"
        )
        nginx = shutil.which("nginx") or NGINX
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        command = [nginx, "-e", "stderr", "-p", house.folder, "-c", config]
        stack.enter_context(running(command, house.folder / "nginx.log", answers(urls["ours"])))
        yield urls, stack.enter_context(Store.open(settings.database))


def mirroring(port: int, mirror: str, model: str) -> str:
    """A server of nginx as README has it."""
    return (
        f"server {{ listen 127.0.0.1:{port};\n"
        f"location / {{ mirror /stillwatch; mirror_request_body on; proxy_pass {model}; }}\n"
        f"location = /stillwatch {{ internal; proxy_pass {mirror}/v1/authz$request_uri;\n"
        f"proxy_connect_timeout 200ms; proxy_read_timeout 500ms; }} }}\n"
    )


def test_nginx_mirrors_what_is_sent_into_the_store(mirrored: tuple[dict[str, str], Store], house: House) -> None:
    urls, store = mirrored
    asked = len(house.seen.requests)
    for number in range(5):
        headers = {"authorization": f"Bearer sk-{number % 2}"}
        sent = httpx.post(
            f"{urls['ours']}/v1/chat/completions", json=chat(f"{UNRELATED} {number}"), headers=headers
        )
        assert (sent.status_code, sent.json()["choices"][0]["message"]["content"]) == (200, "fine")
    assert len(house.seen.requests) == asked + 5
    until = time.monotonic() + 20
    while store.counts()["events"] < 5:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert store.counts()["events"] == 5
    assert store.counts()["prompts"] == 5


@pytest.mark.parametrize("fault", FAULTS)
def test_nginx_lets_everything_pass_whatever_becomes_of_the_mirror(
    fault: str, mirrored: tuple[dict[str, str], Store]
) -> None:
    with httpx.Client(base_url=mirrored[0][fault], trust_env=False) as client:
        for _ in range(
            3
        ):  # on one connection: the next waits for the mirror of the one before, for its time limit
            began = time.monotonic()
            assert client.post("/v1/chat/completions", json=chat(CAMPAIGNS)).status_code == 200
            assert time.monotonic() - began < 1.5
