"""A campaign's parts, the map and jobs in the console."""

from dataclasses import replace

import anyio
import numpy as np
import pytest
from api_double import WATCHED_CAMPAIGN, WATCHED_PROMPT, MemoryEngine, make_campaign
from console_house import HOSTILE, KEYS, Links, console, sign_in

from app.schemas import EXAMPLE_CAMPAIGN, EXAMPLE_PROMPT
from models.campaign import Level
from models.key import Role

pytestmark = pytest.mark.anyio


async def test_prompts_are_told_with_the_template_marked_and_near_misses_with_their_margin() -> None:
    async with console() as client:
        where = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
        page = (await client.get(f"{where}/prompts")).text
        assert f'<span class="fixed">{EXAMPLE_PROMPT.rstrip(".")}</span>' in page
        assert "1 of its 80 distinct prompts, evenly spaced, were compared" in page
        assert "+0.150" in page
        assert (await client.get(f"{where}/prompts", params={"order": "fringe"})).status_code == 200
        assert (await client.get(f"{where}/prompts", params={"order": "best"})).status_code == 422
        assert "-0.050" in (await client.get(f"{where}/near")).text
        accounts = (await client.get(f"{where}/accounts")).text
        assert WATCHED_CAMPAIGN in accounts  # which the same accounts are in


async def test_jobs_are_started_and_stopped_by_admins_only() -> None:
    (analyst, analysts), (admin, admins) = KEYS[Role.ANALYST], KEYS[Role.ADMIN]
    async with console(None, analyst, admin) as client:
        await sign_in(client, analysts)
        page = (await client.get("/console")).text
        assert "Reindex now" not in page
        sent = {"token": Links(page).fields["token"]}
        assert (await client.post("/console/jobs", data=sent)).status_code == 403
        assert (await client.post("/console/jobs/job-1/cancel", data=sent)).status_code == 403
        await sign_in(client, admins)
        page = (await client.get("/console")).text
        assert "Reindex now" in page
        assert "No job has run here yet" in page
        sent = {"token": Links(page).fields["token"]}
        assert (await client.post("/console/jobs")).status_code == 403
        assert (await client.post("/console/jobs", data=sent)).status_code == 303
        for _ in range(200):
            jobs = await client.get("/console/jobs")
            if "succeeded" in jobs.text:
                break
            await anyio.sleep(0.02)
        assert "<strong>reindex</strong>" in jobs.text
        assert "<html" not in jobs.text
        assert (await client.post("/console/jobs/job-1/cancel", data=sent)).status_code == 404


async def test_the_lab_gives_what_thresholds_are_tried_on() -> None:
    engine = MemoryEngine()
    hostile = make_campaign(EXAMPLE_CAMPAIGN, Level.STRONG, HOSTILE)
    engine.set_campaigns(hostile, make_campaign(WATCHED_CAMPAIGN, Level.WATCH, "a cover letter"))
    async with console(engine) as client:
        answer = await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}/lab/sample")
        found = answer.json()
        threshold = hostile.thresholds[0]
        assert found["thresholds"] == [{"view": "whole", "threshold": threshold.threshold}]
        told = [
            (each["kind"], each["weight"], each["similarities"], each["campaign"]) for each in found["prompts"]
        ]
        assert told == [
            ("own", 80.0, [0.95], EXAMPLE_CAMPAIGN),
            ("outside", 1.0, [0.75], None),
            ("other", 1.0, [0.75], WATCHED_CAMPAIGN),
        ]
        assert not set("\u202e\u200b") & set(found["prompts"][0]["text"])
        assert answer.headers["content-type"] == "application/json"
        assert (await client.get("/console/campaigns/c-none/lab/sample")).status_code == 404


async def test_the_map_gives_points_campaigns_and_the_prompts_behind_them() -> None:
    engine = MemoryEngine()
    one, other = engine.campaign(EXAMPLE_CAMPAIGN), engine.campaign(WATCHED_CAMPAIGN)
    template = replace(one.template, skeleton="Grade {1} by {9}")  # a sender wrote the 9
    engine.set_campaigns(replace(one, template=template), other)
    async with console(engine) as client:
        page = await client.get("/console/map")
        assert "No map was drawn yet" in page.text
        assert "map.js" not in page.text
        assert (await client.get("/console/map/points")).status_code == 404
        sent = {"token": Links(page.text).fields["token"]}
        started = await client.post("/console/jobs/map", data=sent)
        assert (started.status_code, started.headers["location"]) == (303, "/console/map")
        assert "<strong>map</strong>" in (await client.get("/console/jobs")).text
        engine.is_mapped = True
        page = await client.get("/console/map")
        assert "3 prompts: all campaigns" in page.text
        assert "map.js" in page.text
        points = await client.get("/console/map/points")
        assert len(points.content) == 3 * 16
        assert np.frombuffer(points.content, "<f4", 6).tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
        assert np.frombuffer(points.content, "<i4", 6, 24).tolist() == [0, 1, -1, 0, 1, 2]
        of_it = {"generation": points.headers["x-generation"]}
        told = (await client.get("/console/map/campaigns", params=of_it)).json()
        assert (await client.get("/console/map/campaigns", params={"generation": "g-0"})).status_code == 404
        assert [(each["id"], each["level"]) for each in told] == [
            (EXAMPLE_CAMPAIGN, "likely"),
            (WATCHED_CAMPAIGN, "watch"),
        ]
        assert [each["template"] for each in told] == ["Grade … by {9}", f"{WATCHED_PROMPT} …"]
        asked = {"rows": "1,0,99", "generation": points.headers["x-generation"]}
        prompts = (await client.get("/console/map/prompts", params=asked)).json()
        assert [(each["row"], each["campaign"]) for each in prompts] == [
            (1, WATCHED_CAMPAIGN),
            (0, EXAMPLE_CAMPAIGN),
        ]
        assert prompts[1]["text"] == EXAMPLE_PROMPT
        other = await client.get("/console/map/prompts", params={**asked, "generation": "g-0000"})
        assert other.status_code == 404
        for rows in ("", "a", "1;2", "-1", "1,"):
            assert (await client.get("/console/map/prompts", params={**asked, "rows": rows})).status_code == 422


async def test_the_lineage_shows_what_a_campaign_took_in_and_came_out_of() -> None:
    engine = MemoryEngine()
    one = engine.campaign(EXAMPLE_CAMPAIGN)
    born = one.history[0]
    split = replace(born, event="split", others=(WATCHED_CAMPAIGN,))
    merged = replace(born, event="merged", others=("c-gone1", "c-gone2", "c-gone3", "c-gone4"))
    grew = replace(born, event="grew")
    engine.set_campaigns(replace(one, history=(split, grew, merged)), engine.campaign(WATCHED_CAMPAIGN))
    async with console(engine) as client:
        page = (await client.get(f"/console/campaigns/{EXAMPLE_CAMPAIGN}")).text
        picture = page[page.index('class="chart lineage"') :].partition("</svg>")[0]
        assert picture.count("<circle") == 2  # to grow changes nothing of what it is made of
        assert f'<a href="/console/campaigns/{WATCHED_CAMPAIGN}">' in picture
        assert "split out of" in picture
        assert ">c-gone3</text>" in picture
        assert "and 1 more" in picture
        assert "c-gone4" not in picture
