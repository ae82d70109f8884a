"""The console in a real browser: the day of an analyst, and that every page can be used and does nothing it must
not.
"""

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser_house import LAPTOP, Watched, browsing, overflows, shut_out
from gateway_house import ROOT, stillwatch

from models.key import KEY_HEADER

pytestmark = pytest.mark.browser

HOSTILE = (
    "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'> "
    "\u202egnp.exe \u200b {{ 7 * 7 }} 🙂👩‍👩‍👧 "
)
SENDER = "<i>Eve</i> '\"&amp; 🙂"  # ids hold nothing that is not drawn, or the event is refused
LONG = "w" * 100_000
# How many colours the map shows.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
SHADES = """() => {
  const map = document.getElementById("map");
  return new Set(new Uint32Array(map.getContext("2d").getImageData(0, 0, map.width, map.height).data.buffer)).size;
}"""
SERVED = re.compile(r"c-[a-z0-9]{10}$")


def run(data: Path, *arguments: str) -> Any:
    """The JSON report of one command."""
    command = [sys.executable, "-m", "indexer", *arguments, "--json"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "STILLWATCH_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of traffic, with an account among it whose prompts are made to harm whoever reads them."""
    folder = tmp_path_factory.mktemp("console")
    run(folder, "simulate", str(folder / "world"), "--events", "8000", "--seed", "11")
    first = json.loads((folder / "world" / "events.jsonl").read_text().partition("\n")[0])
    texts = [HOSTILE, HOSTILE + LONG, "\n".join([HOSTILE] * 200), "<b>" * 500]
    hostile = [
        {**first, "event_id": f"hostile-{n}", "account_id": SENDER, "prompt": text} for n, text in enumerate(texts)
    ]
    (folder / "hostile.jsonl").write_text("".join(json.dumps(each) + "\n" for each in hostile))
    run(folder, "ingest", str(folder / "world" / "events.jsonl"), str(folder / "hostile.jsonl"))
    assert run(folder, "reindex")["published"]
    return folder


@pytest.fixture(scope="module")
def mapped(data: Path) -> int:
    """Points of the map that was drawn."""
    points: int = run(data, "map")["points"]
    return points


@pytest.fixture(scope="module")
def keys(data: Path) -> dict[str, str]:
    """A token of each role."""
    return {role: run(data, "keys", "create", role, "--role", role)["token"] for role in ("analyst", "admin")}


@pytest.fixture(scope="module")
def url(data: Path, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stillwatch(data, tmp_path_factory.mktemp("log") / "log") as found:
        yield found


@contextmanager
def signed_in(url: str, token: str, **options: Any) -> Iterator[tuple[Any, Watched]]:
    """A browser of somebody who has signed in; what it did wrong is looked at in the end."""
    with browsing(url, **options) as (page, watched):
        page.goto("/console")
        page.get_by_label("Key", exact=True).fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/console")
        yield page, watched
        assert watched.problems == []


@pytest.fixture
def alarmed(url: str, keys: dict[str, str]) -> dict[str, Any]:
    """The most urgent campaign."""
    found = httpx.get(f"{url}/v1/campaigns", headers={KEY_HEADER: keys["analyst"]}, trust_env=False).json()
    first: dict[str, Any] = found["campaigns"][0]
    return first


def all_pages(page: Any, campaign_id: str) -> list[str]:
    """One of each kind."""
    of_one = f"/console/campaigns/{campaign_id}"
    page.goto(f"{of_one}/accounts")
    account = page.locator("tbody a[href*='/console/accounts/a-']").first.get_attribute("href")
    tabs = [of_one, *(f"{of_one}/{tab}" for tab in ("prompts", "accounts", "near", "lab"))]
    found = [
        "/console",
        "/console/campaigns",
        *tabs,
        "/console/accounts",
        account,
        "/console/map",
        "/console/shared",
    ]
    return [*found, "/console/search", "/console/search?q=reasoning", "/console/none"]


def test_the_day_of_an_analyst(url: str, keys: dict[str, str], alarmed: dict[str, Any]) -> None:
    """From sign-in over search, campaign, label, lab and export to what the next match call says."""
    asking = httpx.Client(base_url=url, headers={KEY_HEADER: keys["analyst"]}, trust_env=False, timeout=60)
    with asking as ask, signed_in(url, keys["analyst"], accept_downloads=True) as (page, _):
        campaign = ask.get(f"/v1/campaigns/{alarmed['campaign_id']}").json()
        prompt = campaign["exemplars"][0]["text"]
        wanted = {"prompt": prompt, "mode": "enforce"}
        before = ask.post("/v1/match", json=wanted).json()
        assert (before["decision"], before["block"]) == ("match", False)

        assert page.get_by_role("heading", name="What is new").is_visible()
        assert page.locator("svg.chart rect").count() > 20

        page.get_by_role("link", name="Search").click()
        page.get_by_label("A prompt, or words of one").fill(prompt)
        page.get_by_role("button", name="Search", exact=True).click()
        assert page.get_by_text("The prompt resembles a campaign.").is_visible()
        page.get_by_role("link", name="more like this").first.click()
        page.locator("tbody").get_by_role("link", name=campaign["campaign_id"]).first.click()
        page.wait_for_url(f"**/console/campaigns/{campaign['campaign_id']}")
        assert page.get_by_role("heading", name="Why it was called").is_visible()

        page.get_by_role("link", name="Prompts").click()
        assert page.locator(".fixed").count() > 3
        page.get_by_role("link", name="Threshold lab").click()
        own = page.locator("tr[data-kind=own] td")
        own.first.wait_for()
        flagged = own.nth(2).inner_text()
        for slider in page.locator(".slider input").all():
            slider.fill(slider.get_attribute("min"))
        assert page.locator(".changes li").first.inner_text().startswith("now reaches it")
        assert int(page.locator("tr[data-kind=other] td").nth(2).inner_text()) > 0
        for button in page.get_by_role("button", name="As it is").all():
            button.click()
        assert own.nth(2).inner_text() == flagged
        assert page.locator(".changes li").all_inner_texts() == ["Nothing, of what was looked at."]

        page.get_by_role("link", name="Overview").click()
        page.locator("select[name=label]").select_option("confirmed")
        page.locator("form[action$='/label']").get_by_label("Why?").fill("seen at two providers")
        page.get_by_role("button", name="Label it").click()
        assert page.get_by_text("seen at two providers").is_visible()

        form = page.locator("form[action$='/export']")
        form.get_by_label("Why?").fill("case 7")
        with page.expect_download() as waiting:
            form.get_by_role("button", name="Export").click()
        packed = Path(waiting.value.path()).read_bytes()
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            assert {name.rpartition("/")[2] for name in archive.namelist()} == {
                "report.md",
                "events.svg",
                "accounts.svg",
            }
        page.reload()
        assert page.get_by_text("case 7").is_visible()

        after = ask.post("/v1/match", json=wanted).json()
        assert after["would_block"] == (len(after["grounds"]) >= 2)
        assert after["block"]
        assert after["nearest"][0]["label"] == "confirmed"

        page.locator("select[name=label]").select_option("benign")
        page.locator("form[action$='/label']").get_by_label("Why?").fill("it was a class")
        page.get_by_role("button", name="Label it").click()
        assert page.get_by_text("it was a class").is_visible()
        cleared = ask.post("/v1/match", json=wanted).json()
        assert (cleared["decision"], cleared["block"]) == ("watched", False)

        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/console/sign-in")
        page.goto("/console/campaigns")
        assert page.get_by_label("Key", exact=True).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_shuts_nobody_out(
    url: str, keys: dict[str, str], alarmed: dict[str, Any], scheme: str
) -> None:
    with signed_in(url, keys["admin"], color_scheme=scheme) as (page, watched):
        watched.expected = ("404 (Not Found)",)
        broken = {}
        for path in all_pages(page, alarmed["campaign_id"]):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            found = [*shut_out(page), *(["too wide"] if overflows(page) else [])]
            if found:
                broken[path] = found
        assert broken == {}


def test_what_senders_wrote_does_nothing(url: str, keys: dict[str, str]) -> None:
    with signed_in(url, keys["analyst"]) as (page, _):
        page.goto("/console/accounts")
        page.get_by_label("Pseudonym, or its own name").fill(SENDER)
        page.get_by_label("Why, if by its own name?").fill("case 8")
        page.get_by_role("button", name="Show").click()
        page.get_by_role("heading", name="Its prompts").wait_for()
        account = page.url
        for path in (account, "/console/search?q=gnp.exe"):
            page.goto(path)
            assert page.evaluate("window.harmed") is None
            assert page.locator("main img, main script, main b").count() == 0
            assert not overflows(page)
            text = page.locator("main").text_content()
            assert "<script>window.harmed = 1</script>" in text
            assert "[U+202E]gnp.exe" in text
            assert "{{ 7 * 7 }} 🙂" in text
            assert not set("\u202e\u200b") & set(text)
            assert "more characters)" in text
        page.goto(account)
        page.get_by_label("Why must you know who it is?").fill("case 8")
        page.get_by_role("button", name="Reveal").click()
        assert page.get_by_text("That you saw it is kept").is_visible()
        assert page.locator("main i").count() == 0
        assert page.evaluate("window.harmed") is None


def test_a_job_is_followed_without_loading_the_page_again(url: str, keys: dict[str, str]) -> None:
    with signed_in(url, keys["admin"]) as (page, _):
        page.evaluate("window.stayed = true")
        page.get_by_role("button", name="Reindex now").click()
        page.wait_for_url("**/console")
        page.evaluate("window.stayed = true")
        page.locator(".jobs").get_by_text("succeeded").first.wait_for(timeout=120_000)
        assert page.evaluate("window.stayed") is True


def test_keys_move_through_rows_and_to_the_search(url: str, keys: dict[str, str]) -> None:
    with signed_in(url, keys["analyst"]) as (page, _):
        page.goto("/console/campaigns")
        page.keyboard.press("j")
        page.keyboard.press("j")
        links = page.locator("tbody tr td a")
        assert page.evaluate("document.activeElement.textContent") == links.nth(1).inner_text()
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        page.wait_for_url(SERVED)
        page.goto("/console/campaigns")
        page.keyboard.press("/")
        page.keyboard.type("jk")
        assert page.get_by_label("Words").input_value() == "jk"
        page.get_by_label("Keys:").uncheck()
        page.goto("/console/campaigns")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement === document.body")


def test_a_bundle_goes_from_one_to_the_other(url: str, keys: dict[str, str], alarmed: dict[str, Any]) -> None:
    with signed_in(url, keys["analyst"], accept_downloads=True) as (page, _):
        page.goto(f"/console/campaigns/{alarmed['campaign_id']}")
        form = page.locator("form[action$='/export']")
        form.locator("select[name=format]").select_option("stix")
        form.get_by_label("Bundle: who tells of it?").fill("Example AI")
        form.get_by_label("Why?").fill("they asked")
        with page.expect_download() as waiting:
            form.get_by_role("button", name="Export").click()
        bundle = Path(waiting.value.path()).read_text()
        page.get_by_role("link", name="Shared").click()
        page.get_by_label("STIX 2.1 bundle (JSON)").fill(bundle)
        page.get_by_label("Why?").fill("to try it")
        page.get_by_role("button", name="Put it in").click()
        assert page.get_by_text("Example AI", exact=True).is_visible()
        assert page.get_by_text("hashes (100 %)").is_visible()


def test_a_small_screen_is_enough(url: str, keys: dict[str, str], alarmed: dict[str, Any]) -> None:
    with signed_in(url, keys["analyst"], viewport={**LAPTOP, "width": 1024}) as (page, watched):
        watched.expected = ("404 (Not Found)",)
        wide = [path for path in all_pages(page, alarmed["campaign_id"]) if page.goto(path) and overflows(page)]
        assert wide == []


def test_the_map_is_moved_lassoed_and_read(url: str, keys: dict[str, str], mapped: int) -> None:
    with signed_in(url, keys["analyst"]) as (page, watched):
        watched.expected = ("willReadFrequently",)  # which only we do
        page.goto("/console/map")
        page.locator(f"#map[data-count='{mapped}']").wait_for()
        assert page.locator("#told li").count() > 4  # campaigns, for those who do not see the map
        assert page.evaluate(SHADES) > 4
        page.get_by_label("Show").select_option("alarmed")
        page.evaluate(DRAWN)
        alarmed = page.evaluate(SHADES)
        page.get_by_label("Show").select_option("all")
        page.evaluate(DRAWN)
        assert page.evaluate(SHADES) > alarmed > 1

        box = page.locator("#map").bounding_box()
        corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]
        spots = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
        page.get_by_role("button", name="Lasso").click()
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot, steps=4)
        page.mouse.up()
        page.locator("#told bdi").nth(20).wait_for()
        assert int(page.locator("#told-title").inner_text().split()[0].replace(",", "")) > 0.9 * mapped
        page.get_by_role("button", name="Lasso").click()

        page.locator("#map").focus()
        before = page.evaluate(SHADES)
        for _ in range(25):
            page.keyboard.press("ArrowRight")
        page.evaluate(DRAWN)
        assert page.evaluate(SHADES) < before  # all of it is beyond the left edge
        page.get_by_role("button", name="Show all").click()
        page.evaluate(DRAWN)
        assert page.evaluate(SHADES) == before
