"""Reindexing over HTTP: started, followed, cancelled, refused while one runs."""

from typing import Any

import anyio
import httpx
import pytest
from api_double import NOW, MemoryEngine, child, client_of, make_app, records_aside

from indexer.jobs import Jobs

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("body", "full"), [(None, False), ({}, False), ({"full": True}, True)])
async def test_a_reindex_is_started_and_can_be_followed(api: httpx.AsyncClient, body: Any, full: bool) -> None:
    started = await api.post("/v1/reindex", json=body) if body is not None else await api.post("/v1/reindex")
    assert started.status_code == 202
    job = started.json()
    assert (job["kind"], job["state"], started.headers["location"]) == (
        "reindex",
        "running",
        f"/v1/jobs/{job['job_id']}",
    )
    with anyio.fail_after(20):
        while job["state"] == "running":
            await anyio.sleep(0.01)
            job = (await api.get(started.headers["location"])).json()
    assert job == {
        "job_id": job["job_id"],
        "kind": "reindex",
        "state": "succeeded",
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:00:00Z",
        "stage": "",
        "done": 0,
        "total": None,
        "detail": "",
        "result": {"full": full},
    }


async def test_a_job_is_cancelled() -> None:
    jobs = Jobs(records_aside(), lambda full: child("import time; time.sleep(60)"), lambda: NOW)
    async with client_of(make_app(MemoryEngine(), jobs)) as api:
        where = (await api.post("/v1/reindex")).headers["location"]
        asked = await api.post(f"{where}/cancel")
        assert (asked.status_code, asked.json()["state"]) == (202, "running")
        for _ in range(500):
            seen = (await api.get(where)).json()
            if seen["state"] != "running":
                break
            await anyio.sleep(0.01)
        assert (seen["state"], seen["detail"][:20]) == ("cancelled", "somebody cancelled i")
        assert (await api.post("/v1/jobs/job-none/cancel")).status_code == 404
        assert (await api.post("/v1/reindex")).status_code == 202
    jobs.close()


async def test_a_second_reindex_is_409_while_one_runs() -> None:
    jobs = Jobs(records_aside(), lambda full: child("import time; time.sleep(60)"), lambda: NOW)
    async with client_of(make_app(MemoryEngine(), jobs)) as api:
        assert (await api.post("/v1/reindex")).status_code == 202
        second = await api.post("/v1/reindex")
    jobs.close()
    assert (second.status_code, second.json()["error"]) == (409, "busy")


async def test_an_unknown_job_is_404_and_a_bad_request_422(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/jobs/job-none")
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_job")
    assert (await api.post("/v1/reindex", json={"all": True})).status_code == 422
