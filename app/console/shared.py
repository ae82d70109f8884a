"""The bank: what other providers told of, and which campaigns of ours resemble it. It enforces nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from app.console.forms import checked_note
from app.console.places import HOME
from app.console.visit import Visiting, go_to
from app.exchange import note
from app.state import Engine
from indexer.stix import campaigns_in
from indexer.template_hashes import resemblance, template_hashes
from models.act import Act, ActKind
from models.campaign import Campaign
from models.errors import BadInput
from models.shared import BankEntry, Resemblance

router = APIRouter(prefix=f"{HOME}/shared")

BUNDLE_BYTES: Final = 4 << 20
LEAST_SHARE: Final = 0.3  # of hashes in common, from which two templates resemble one another


@dataclass(frozen=True, slots=True)
class _Shown:
    """An entry, and what it resembles, the nearest first."""

    entry: BankEntry
    ours: list[Resemblance]


@router.get("")
async def shared(visit: Visiting) -> Response:
    """What others told of and is not to be forgotten yet."""
    return await visit.page("shared.html", entries=await visit.use.run(_shown, visit.use.engine))


@router.post("")
async def take_in(visit: Visiting) -> Response:
    """Puts the campaigns of a bundle into the bank."""
    form = await visit.form(BUNDLE_BYTES)
    author, why = visit.author_of(form), checked_note(form.get("note", ""))
    found = await visit.use.run(campaigns_in, form.get("bundle", ""))
    now = visit.use.clock()
    alive = [each for each in found if each.until > now]
    if not alive:
        raise BadInput(f"bundle: of its {len(found)} campaigns with hashes of ours none is still to be kept")
    await visit.use.run(visit.use.engine.share_in, alive, author)
    sources = ", ".join(sorted({each.source for each in alive}))[:200]
    act = Act(ActKind.IMPORT, "", f"{len(alive)} of {sources}", author, why, now)
    await visit.use.run(visit.use.engine.record, act)
    note(visit.request, act=act.kind.value, campaigns=len(alive))
    return go_to(f"{HOME}/shared")


@router.post("/{number}/remove")
async def remove(visit: Visiting, number: Annotated[int, Path(ge=1)]) -> Response:
    """Takes an entry out."""
    await visit.form()
    await visit.use.run(visit.use.engine.forget_shared, number)
    return go_to(f"{HOME}/shared")


def resembled(entries: Sequence[BankEntry], campaigns: Sequence[Campaign]) -> dict[int, list[Resemblance]]:
    """By number of the entry the campaigns that have LEAST_SHARE of its hashes, the nearest first."""
    found: dict[int, list[Resemblance]] = {}
    hashed: dict[str, list[tuple[str, ...]]] = {}
    for entry in entries:
        salt, theirs = entry.campaign.salt, set(entry.campaign.hashes)
        if salt not in hashed:
            hashed[salt] = [template_hashes(each, bytes.fromhex(salt)) for each in campaigns]
        ours = [
            Resemblance(each.campaign_id, share)
            for each, hashes in zip(campaigns, hashed[salt], strict=True)
            if (share := resemblance(theirs, hashes)) >= LEAST_SHARE
        ]
        found[entry.number] = sorted(ours, key=lambda each: (-each.share, each.campaign_id))
    return found


def _shown(engine: Engine) -> list[_Shown]:
    entries = engine.bank()
    ours = resembled(entries, engine.campaigns() if engine.ready() else ())
    return [_Shown(entry, ours[entry.number]) for entry in entries]
