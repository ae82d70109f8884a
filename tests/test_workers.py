"""Several workers behind one socket, over real data: no answer is lost or mixed when a generation changes."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_house import ROOT, answers, free_port, running
from traffic import OTHER_TEMPLATE, TEMPLATE, background_rows, campaign_rows, run_reindex, settings_of, store_rows

from indexer.encode import Encoder, load_encoder
from indexer.engine import Engine
from indexer.settings import Settings, load_settings
from models.prompt import Prompt

WORKERS = 2
ASKERS = 4
PATIENCE_S = 60.0
PROMPTS = [
    TEMPLATE.format("a theorem nobody has sent before"),
    OTHER_TEMPLATE.format("the script that nobody has sent before"),
    "which bus goes to the harbour on sunday mornings in winter",
]


@pytest.fixture(scope="module")
def static() -> Encoder:
    return load_encoder("static", load_settings(None, os.environ).weights)


@pytest.fixture
def settings(tmp_path: Path, static: Encoder) -> Settings:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 300)])
    run_reindex(settings, static)
    return settings


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[str, int]]:
    """A server of two workers: its address, and the number of the process that watches over them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "app", "--data", settings.data, "--port", port, "--workers", WORKERS]
    log = settings.data.parent / "log"
    with running([str(each) for each in command], log, answers(f"{url}/livez"), PYTHONPATH=str(ROOT)) as parent:
        yield url, parent


def expected(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the generation that is current now answers to each of the prompts."""
    engine = Engine.open(settings)
    answers = {text: json.loads(msgspec.json.encode(engine.match(Prompt("", text)))) for text in PROMPTS}
    engine.close()
    return answers


@dataclass
class Load:
    """What some callers got who ask one prompt after another, each on its own connection, until told to stop."""

    url: str
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, number: int) -> None:
        count = 0
        with httpx.Client(timeout=20) as client:
            while not self.stop.is_set():
                count += 1
                known = PROMPTS[count % len(PROMPTS)]
                asked = known if count % 2 else f"{known} {number} {count}"
                try:
                    answer = client.post(f"{self.url}/v1/match", json={"prompt": asked})
                except httpx.HTTPError as error:
                    self.troubles.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.troubles.append(answer.text)
                else:
                    self.answers.append((asked, answer.json()))


@contextmanager
def load(url: str) -> Iterator[Load]:
    """Callers that ask until the block ends."""
    mine = Load(url)
    threads = [threading.Thread(target=mine.ask, args=(number,)) for number in range(ASKERS)]
    for thread in threads:
        thread.start()
    try:
        yield mine
    finally:
        mine.stop.set()
        for thread in threads:
            thread.join()


def wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers_of(parent: int) -> set[int]:
    """The workers that the process has started; the rest of its children only tidies up."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()}


def test_a_new_generation_under_load_loses_and_mixes_no_answer(settings: Settings, static: Encoder) -> None:
    told = {}
    first = expected(settings)
    told[first[PROMPTS[0]]["generation"]] = first
    with serving(settings) as (url, _), load(url) as callers:
        wait_for(lambda: len(callers.answers) > 100)
        store_rows(settings, [*campaign_rows(1000, OTHER_TEMPLATE), *background_rows(9000, 100)])
        run_reindex(settings, static)
        second = expected(settings)
        told[second[PROMPTS[0]]["generation"]] = second
        wait_for(lambda: sum(answer["generation"] == max(told) for _, answer in list(callers.answers)) > 500)
    assert callers.troubles == []
    assert {answer["generation"] for _, answer in callers.answers} == set(told)
    decisions = [told[name][PROMPTS[1]]["decision"] for name in sorted(told)]
    assert decisions == ["none", "match"]  # the two are told apart by what they answer
    for asked, answer in callers.answers:
        if asked in PROMPTS:
            answer.pop("request_id")
            assert answer == told[answer["generation"]][asked]
        else:
            sizes = (answer["background_size"], answer["false_positive_bound"])
            of_generation = told[answer["generation"]][PROMPTS[0]]
            assert sizes == (of_generation["background_size"], of_generation["false_positive_bound"])


def test_workers_count_together_and_heed_what_one_was_told(settings: Settings) -> None:
    with serving(settings) as (url, _):
        for number in range(30):
            httpx.post(f"{url}/v1/match", json={"prompt": f"{PROMPTS[0]} {number}"}).raise_for_status()
        counted = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if "decisions_total{" in line]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) == 30
        campaign = httpx.post(f"{url}/v1/match", json={"prompt": PROMPTS[0]}).json()["campaign_id"]
        said = {"label": "benign", "author": "ann", "note": "a class"}
        httpx.put(f"{url}/v1/campaigns/{campaign}/label", json=said).raise_for_status()

        def decisions() -> set[str]:
            answers = [httpx.post(f"{url}/v1/match", json={"prompt": PROMPTS[0]}) for _ in range(20)]
            return {answer.json()["decision"] for answer in answers}

        wait_for(lambda: decisions() == {"watched"})
        job = httpx.post(f"{url}/v1/reindex").json()["job_id"]
        wait_for(lambda: httpx.get(f"{url}/v1/jobs/{job}").json()["state"] == "succeeded")


def test_a_worker_that_dies_is_replaced_and_what_it_counted_stays(settings: Settings) -> None:
    with serving(settings) as (url, parent):
        wait_for(lambda: len(workers_of(parent)) == WORKERS)
        for number in range(10):
            httpx.post(f"{url}/v1/match", json={"prompt": f"{PROMPTS[0]} {number}"}).raise_for_status()
        lost = min(workers_of(parent))
        os.kill(lost, signal.SIGKILL)
        wait_for(lambda: len(now := workers_of(parent)) == WORKERS and lost not in now)
        wait_for(lambda: all(httpx.get(f"{url}/livez").status_code == 200 for _ in range(20)))
        counted = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if "decisions_total{" in line]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) == 10
