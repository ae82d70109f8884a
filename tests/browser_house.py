"""A real browser for tests: Chromium, watched for what a page of the console must never do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

CHROMIUM = "chromium"
# It runs as root in a container, and is to ask nobody for anything by itself.
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)
LAPTOP = {"width": 1366, "height": 768}
SERIOUS = frozenset({"serious", "critical"})


@dataclass
class Watched:
    """What pages did that they must not: what the console printed as an error, and requests to other hosts."""

    host: str
    problems: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of messages that a test has asked for

    def watch(self, page: Any) -> None:
        """Notes all that goes wrong on a page from now on."""
        page.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        page.on("request", lambda request: self._note(self._is_elsewhere(request.url), f"asked {request.url}"))
        page.on("dialog", lambda dialog: (self._note(True, f"dialog {dialog.message}"), dialog.dismiss()))

    def _is_elsewhere(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme not in ("data", "blob") and parts.netloc != self.host

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem and not any(part in text for part in self.expected):
            self.problems.append(text)


@contextmanager
def browsing(url: str, **options: Any) -> Iterator[tuple[Any, Watched]]:
    """A page of a fresh browser for a server, and what it did wrong. options: of the browser's context."""
    from playwright.sync_api import sync_playwright  # only where `scripts/test --all` has installed it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(CHROMIUM), args=list(FLAGS))
        context = browser.new_context(base_url=url, **{"viewport": LAPTOP, **options})
        context.set_default_timeout(30_000)
        watched = Watched(urlsplit(url).netloc)
        page = context.new_page()
        watched.watch(page)
        try:
            yield page, watched
        finally:
            browser.close()


def shut_out(page: Any) -> list[str]:
    """What axe finds on a page that shuts people out: each rule that is broken seriously, and where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"][:3]
    ]


def overflows(page: Any) -> bool:
    """Whether a page is wider than its window."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return wide
