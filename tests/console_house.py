"""What the console's tests share: a page taken apart, a client of the console, and somebody who signs in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from random import Random

import httpx
from api_double import NOW, MemoryEngine, client_of, make_app

from app.schemas import EXAMPLE_CAMPAIGN
from models.key import ApiKey, Keyring, Role, new_key

DICE = Random(11)
KEYS = {role: new_key(f"{role} of ours", role, None, NOW, None, DICE.randbytes) for role in Role}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\u200b\x00 {1} {{ 7*7 }} 🙂"


class Links(HTMLParser):
    """What a page loads or leads to, its inline scripts and styles, its form fields, and what is read there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.inline: list[str] = []
        self.fields: dict[str, str] = {}
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {name: value or "" for name, value in attrs}
        self.targets += [found[name] for name in ("href", "src", "action") if name in found]
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        if tag in ("script", "style") and "src" not in found:
            self.inline.append(tag)
        if tag == "input" and "name" in found:
            self.fields[found["name"]] = found.get("value", "")


@asynccontextmanager
async def console(engine: MemoryEngine | None = None, *keys: ApiKey) -> AsyncIterator[httpx.AsyncClient]:
    served = engine or MemoryEngine()
    served.keyring = Keyring(keys)
    async with client_of(make_app(served)) as client:
        yield client


async def every_page(client: httpx.AsyncClient) -> list[str]:
    """The addresses of all pages, one of each kind."""
    of_one = f"/console/campaigns/{EXAMPLE_CAMPAIGN}"
    accounts = (await client.get(f"{of_one}/accounts")).text
    account = next(each for each in Links(accounts).targets if each.startswith("/console/accounts/a-"))
    tabs = [of_one, f"{of_one}/prompts", f"{of_one}/accounts", f"{of_one}/near", f"{of_one}/lab"]
    return [
        "/console",
        "/console/campaigns",
        *tabs,
        "/console/accounts",
        account,
        "/console/search?q=x",
        "/console/map",
        "/console/shared",
    ]


async def sign_in(client: httpx.AsyncClient, token: str, goal: str = "/console") -> httpx.Response:
    page = await client.get("/console/sign-in", params={"next": goal})
    fields = Links(page.text).fields
    return await client.post("/console/sign-in", data={**fields, "key": token})
