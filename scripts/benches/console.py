"""How long each page of the console takes to show something, and how smoothly the map moves, in a real browser.

    scripts/bench console DATA [--runs 5]

DATA: a data directory with a published generation and a drawn map. Each page is opened `runs` times, the browser's
cache warm; told is the time until first contentful paint, and until the server had answered. The goal, of every
visit, the first after the start too: 1 s. Of the map it is told how long one frame takes while it is dragged and
zoomed; the goal is 50 ms. Exit 1 if a goal is missed or a page did what it must not.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402
from browser_house import browsing  # noqa: E402
from gateway_house import stillwatch  # noqa: E402

GOAL_S: Final = 1.0
GOAL_FRAME_MS: Final = 50.0
_PAINTED: Final = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const painted = performance.getEntriesByName("first-contentful-paint")[0];
  return painted && [page.responseEnd / 1000, painted.startTime / 1000];
}"""


def pages_of(url: str, page: Any) -> list[str]:
    """One address of each kind, of the largest alarmed campaign."""
    found = httpx.get(f"{url}/v1/campaigns", trust_env=False, timeout=60).raise_for_status().json()["campaigns"]
    alarmed = [each for each in found if each["level"] != "watch"] or found
    largest = max(alarmed, key=lambda each: each["events"])["campaign_id"]
    of_one = f"/console/campaigns/{largest}"
    page.goto(f"{of_one}/accounts")
    account = page.locator("tbody a[href*='/console/accounts/a-']").first.get_attribute("href")
    tabs = [of_one, *(f"{of_one}/{tab}" for tab in ("prompts", "accounts", "near", "lab"))]
    return [
        "/console",
        "/console/campaigns",
        *tabs,
        "/console/accounts",
        account,
        "/console/search?q=grade+the+answer",
        "/console/search?q=explain&words=%22step+by+step%22",
        "/console/map",
        "/console/shared",
    ]


def dragged(page: Any) -> list[float]:
    """Milliseconds of each frame while the map is dragged and zoomed."""
    page.goto("/console/map")
    page.locator("#map[data-count]").wait_for(timeout=60_000)
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    frames: list[float] = []
    page.mouse.move(x, y)
    for _ in range(10):
        page.mouse.down()
        page.mouse.move(x + 40, y + 25, steps=4)
        page.mouse.up()
        page.mouse.move(x, y)
        page.mouse.wheel(0, -60)
        page.wait_for_timeout(60)
        frames.append(float(page.locator("#map").get_attribute("data-frame-ms")))
    return frames


def main() -> int:
    """Prints a line a page, and gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    missed = False
    with (
        tempfile.TemporaryDirectory() as aside,
        stillwatch(given.data.resolve(), Path(aside) / "log") as url,
        browsing(url) as (page, watched),
    ):
        while not httpx.get(f"{url}/readyz", trust_env=False).is_success:
            page.wait_for_timeout(200)
        page.set_default_timeout(120_000)
        for path in pages_of(url, page):
            times = []
            for _ in range(given.runs):
                page.goto(path)
                times.append(page.wait_for_function(_PAINTED).json_value())
            answered, painted = (statistics.median(each) for each in zip(*times, strict=True))
            worst = max(each for _, each in times)
            missed |= worst > GOAL_S
            print(
                f"{path:<55} answered {answered:6.3f} s   first content {painted:6.3f} s   at worst {worst:6.3f} s"
            )
        frames = dragged(page)
        points = page.locator("#map").get_attribute("data-count")
        print(f"map of {points} points: a frame {statistics.median(frames):.1f} ms, at worst {max(frames):.1f} ms")
        missed |= statistics.median(frames) > GOAL_FRAME_MS
        for problem in watched.problems:
            print(f"PROBLEM {problem}")
    print(
        "a goal was missed" if missed else f"every page within {GOAL_S:g} s, a frame within {GOAL_FRAME_MS:g} ms"
    )
    return int(missed or bool(watched.problems))


if __name__ == "__main__":
    sys.exit(main())
