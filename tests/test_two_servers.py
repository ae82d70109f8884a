"""Two API processes and a reindex on one PostgreSQL database, at once: what one of them does, the other knows."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_house import ROOT, stillwatch
from postgres_house import Server, serving
from test_workers import wait_for
from traffic import NOW, OTHER_TEMPLATE, TEMPLATE, background_rows, campaign_rows, settings_of

from indexer.settings import Settings
from indexer.store import Store
from models.key import Role, new_key

pytestmark = pytest.mark.postgres

ASKED = TEMPLATE.format("a theorem nobody has sent before")
LATER = OTHER_TEMPLATE.format("the script that nobody has sent before")


@pytest.fixture
def settings(postgres: Server, tmp_path: Path) -> Settings:
    return settings_of(tmp_path / "data", postgres.fresh())


@pytest.fixture
def servers(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of two of them, over one database and one data directory."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                stillwatch(settings.data, tmp_path / f"log{number}", STILLWATCH_DATABASE=settings.database)
            )
            for number in range(2)
        )
        yield first, second


def reindex(settings: Settings) -> dict[str, Any]:
    """The report of `stillwatch reindex`."""
    command = [sys.executable, "-m", "indexer", "reindex", "--data", str(settings.data), "--json"]
    environment = {**os.environ, "STILLWATCH_DATABASE": settings.database}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def post(url: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Hands in events; what became of them."""
    answer = httpx.post(f"{url}/v1/events", json=rows, timeout=60).raise_for_status().json()
    return {name: answer[name] for name in ("stored", "duplicate", "rejected")}


def post_at_once(urls: tuple[str, str], rows: list[dict[str, Any]], size: int) -> dict[str, int]:
    """Hands all of the rows in to each at once, in batches of another order; the sum of what they say."""
    told: list[dict[str, int]] = []

    def send(url: str, mine: list[dict[str, Any]]) -> None:
        with httpx.Client(timeout=60) as client:
            for first in range(0, len(mine), size):
                answer = client.post(f"{url}/v1/events", json=mine[first : first + size]).raise_for_status().json()
                told.append(answer)

    threads = [threading.Thread(target=send, args=pair) for pair in zip(urls, (rows, rows[::-1]), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: sum(each[name] for each in told) for name in ("stored", "duplicate", "rejected")}


def match(url: str, prompt: str, **more: str) -> dict[str, Any]:
    answer = httpx.post(f"{url}/v1/match", json={"prompt": prompt, **more}, timeout=60)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def generations(urls: tuple[str, str]) -> set[str | None]:
    return {httpx.get(f"{url}/v1/status").json()["generation"] for url in urls}


def test_events_handed_in_to_both_while_a_reindex_runs_are_there_once_and_both_answer_from_it(
    settings: Settings, servers: tuple[str, str]
) -> None:
    rows = [*campaign_rows(0), *background_rows(5000, 300)]
    assert post_at_once(servers, rows, 30) == {"stored": 420, "duplicate": 420, "rejected": 0}
    more = [*campaign_rows(1000, OTHER_TEMPLATE), *background_rows(9000, 300)]
    told: list[dict[str, int]] = []
    writing = threading.Thread(target=lambda: told.append(post_at_once(servers, more, 10)))
    writing.start()
    first = reindex(settings)
    writing.join()
    assert told == [{"stored": 420, "duplicate": 420, "rejected": 0}]
    assert 420 <= first["events"] <= 840
    report = reindex(settings)
    assert (report["events"], report["accounts"], report["alarms"]) == (840, 648, 2)
    wait_for(lambda: generations(servers) == {report["generation"]})
    for prompt in (ASKED, LATER, "which bus goes to the harbour on sunday mornings in winter"):
        one, other = (match(url, prompt) for url in servers)
        one.pop("request_id"), other.pop("request_id")
        assert one == other
        assert one["generation"] == report["generation"]
    assert [match(servers[0], prompt)["decision"] for prompt in (ASKED, LATER)] == ["match", "match"]
    for url in servers:
        status = httpx.get(f"{url}/v1/status").json()
        assert (status["events_stored"], status["events_indexed"], status["prompts"]) == (840, 840, 840)
    with Store.open(settings.database) as store:
        ids = [name for page in store.event_ids(store.watermark()) for _, name in page]
    assert sorted(ids) == sorted(row["event_id"] for row in [*rows, *more])


def test_what_is_told_to_one_counts_with_the_other(settings: Settings, servers: tuple[str, str]) -> None:
    here, there = servers
    post(here, [*campaign_rows(0), *background_rows(5000, 300)])
    reindex(settings)
    wait_for(lambda: None not in generations(servers))
    campaign = match(here, ASKED)["campaign_id"]

    said = {"label": "confirmed", "author": "ann", "note": "seen before"}
    httpx.put(f"{here}/v1/campaigns/{campaign}/label", json=said).raise_for_status()
    wait_for(lambda: match(there, ASKED, mode="enforce", request_id="r-1")["block"])
    wait_for(lambda: httpx.get(f"{here}/v1/blocks").json()["blocks"])
    block = httpx.get(f"{here}/v1/blocks").json()["blocks"][-1]
    assert (block["campaign_id"], block["blocked"]) == (campaign, True)

    httpx.put(f"{there}/v1/campaigns/{campaign}/mode", json={"mode": "off", "author": "bob"}).raise_for_status()
    wait_for(lambda: not match(here, ASKED, mode="enforce")["block"])

    job = httpx.post(f"{there}/v1/reindex").raise_for_status().json()["job_id"]
    wait_for(lambda: httpx.get(f"{here}/v1/jobs/{job}").json()["state"] == "succeeded")

    key, token = new_key("edge", Role.GATEWAY, None, NOW, None, os.urandom)
    with Store.open(settings.database) as store:
        store.keys.add(key)
    for url in servers:
        wait_for(lambda url=url: httpx.post(f"{url}/v1/match", json={"prompt": ASKED}).status_code == 401)
        answer = httpx.post(f"{url}/v1/match", json={"prompt": ASKED}, headers={"x-stillwatch-key": token})
        assert answer.json()["campaign_id"] == campaign


def test_while_the_database_is_away_matching_goes_on_and_the_rest_is_503(tmp_path: Path) -> None:
    with serving() as server:
        settings = settings_of(tmp_path / "data", server.fresh())
        log = tmp_path / "log"
        with stillwatch(settings.data, log, STILLWATCH_DATABASE=settings.database) as url:
            rows = [*campaign_rows(0), *background_rows(5000, 300)]
            post(url, rows)
            reindex(settings)
            wait_for(lambda: None not in generations((url, url)))
            before = match(url, ASKED)
            server.stop()
            for answer in (
                httpx.post(f"{url}/v1/events", json=rows[:1]),
                httpx.get(f"{url}/v1/blocks"),
                httpx.put(f"{url}/v1/campaigns/{before['campaign_id']}/mode", json={"mode": "off", "author": "a"}),
            ):
                assert (answer.status_code, answer.json()["error"]) == (503, "storage_unusable")
                assert answer.headers["retry-after"] == "5"
            assert {**match(url, ASKED), "request_id": ""} == {**before, "request_id": ""}
            ready = httpx.get(f"{url}/readyz")
            assert (ready.status_code, ready.json()["health"]) == (200, "degraded")
            status = httpx.get(f"{url}/v1/status").json()
            assert (status["health"], status["events_stored"]) == ("degraded", 420)
            assert "does not answer" in status["detail"]
            server.start()
            assert post(url, rows[:1]) == {"stored": 0, "duplicate": 1, "rejected": 0}
            status = httpx.get(f"{url}/v1/status").json()
            assert (status["health"], status["events_stored"]) == ("ok", 420)
        assert rows[0]["prompt"] not in log.read_text()
        assert "p%40ss" not in log.read_text()
