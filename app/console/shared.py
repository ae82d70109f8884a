"""The bank: what other providers told of, and which campaigns of ours resemble it. It enforces nothing."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from app.console.acts import acts_about
from app.console.forms import Page
from app.console.listing import Turned, turned_to
from app.console.places import HOME
from app.console.visit import Visiting, go_to
from app.state import Engine
from indexer.stix import campaigns_in
from indexer.template_hashes import resembled
from models.act import BANK, ActKind
from models.errors import BadInput
from models.shared import BankEntry, Resemblance

router = APIRouter(prefix=f"{HOME}/shared")

BUNDLE_BYTES: Final = 1 << 20
_MOST: Final = 200  # campaigns of one bundle
_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class _Shown:
    """An entry, and what it resembles, the nearest first."""

    entry: BankEntry
    ours: list[Resemblance]


@router.get("")
async def shared(visit: Visiting, page: Page = 1) -> Response:
    """What others told of and is not to be forgotten yet."""
    engine = visit.use.engine
    entries, turned = await visit.run(_shown, engine, page)
    acts = await visit.run(acts_about, engine, [BANK])
    return await visit.page("shared.html", entries=entries, turned=turned, acts=acts)


@router.post("")
async def take_in(visit: Visiting) -> Response:
    """Puts the campaigns of a bundle into the bank."""
    form = await visit.form(BUNDLE_BYTES)
    act = visit.act(ActKind.IMPORT, BANK, form)
    found = await visit.run(campaigns_in, form.get("bundle", ""))
    alive = [each for each in found if each.until > act.at]
    if not alive:
        raise BadInput(f"bundle: of its {len(found)} campaigns with hashes of ours none is still to be kept")
    if len(alive) > _MOST:
        raise BadInput(f"bundle: it tells of {len(alive)} campaigns, more than {_MOST}")
    await visit.run(visit.use.engine.share_in, alive, act.author)
    sources = ", ".join(sorted({each.source for each in alive}))[:200]
    await visit.record(replace(act, detail=f"{len(alive)} of {sources}"))
    return go_to(f"{HOME}/shared")


@router.post("/{number}/remove")
async def remove(visit: Visiting, number: Annotated[int, Path(ge=1)]) -> Response:
    """Takes an entry out."""
    act = visit.act(ActKind.REMOVE, BANK, await visit.form(), f"entry {number}")
    await visit.run(visit.use.engine.forget_shared, number)
    await visit.record(act)
    return go_to(f"{HOME}/shared")


def _shown(engine: Engine, page: int) -> tuple[list[_Shown], Turned]:
    """A page of the bank; of more entries, each with a salt of its own, all our templates would take too long."""
    entries = engine.bank()
    turned = turned_to(page, len(entries), _LISTED)
    some = entries[turned.rows]
    ours = resembled(some, engine.campaigns() if engine.ready() else ())
    return [_Shown(entry, ours[entry.number]) for entry in some], turned
