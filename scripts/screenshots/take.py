"""Pictures of every page of the console, as somebody sees them who looks into the demo's campaigns."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from browser_house import browsing
from gateway_house import stillwatch

WINDOW = {"width": 1366, "height": 860}


def pages(url: str) -> dict[str, str]:
    """Where each picture is taken, by its name."""
    found = httpx.get(f"{url}/v1/campaigns", trust_env=False).raise_for_status().json()["campaigns"]
    details = [
        httpx.get(f"{url}/v1/campaigns/{each['campaign_id']}/history", trust_env=False).json() for each in found
    ]
    shifts = {entry["event"]: each["campaign_id"] for each in details for entry in each["entries"]}
    swapped, pivoted = (f"/console/campaigns/{shifts[kind]}" for kind in ("pool swap", "model pivot"))
    return {
        "home": "/console",
        "campaigns": "/console/campaigns?sort=score",
        "campaign": pivoted,
        "prompts": f"{swapped}/prompts",
        "near": f"{swapped}/near",
        "lab": f"{swapped}/lab",
        "accounts": f"{swapped}/accounts",
        "map": "/console/map",
        "shared": "/console/shared",
    }


def take(page: Any, folder: Path, name: str) -> None:
    """One picture of what is in the window."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)
    page.screenshot(path=folder / f"{name}.png")


def main(data: Path, folder: Path) -> None:
    """Takes all of them."""
    with tempfile.TemporaryDirectory() as aside, stillwatch(data, Path(aside) / "log") as url:
        with browsing(url, viewport=WINDOW) as (page, watched):
            for name, path in pages(url).items():
                page.goto(path)
                take(page, folder, name)
            page.goto(pages(url)["accounts"])
            page.locator("tbody a[href*='/console/accounts/']").first.click()
            take(page, folder, "account")
            exemplar = httpx.get(
                f"{url}/v1{pages(url)['campaign'].removeprefix('/console')}", trust_env=False
            ).json()
            page.goto("/console/search")
            page.get_by_label("A prompt, or words of one").fill(exemplar["exemplars"][0]["text"])
            page.get_by_role("button", name="Search", exact=True).click()
            take(page, folder, "search")
            assert watched.problems == [], watched.problems
        with browsing(url, viewport=WINDOW, color_scheme="dark") as (page, _):
            page.goto(pages(url)["campaign"])
            take(page, folder, "dark")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
