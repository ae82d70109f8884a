"""Accounts: those of one campaign, one account with all it did, and who is behind a pseudonym."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from app.campaigns import CampaignId
from app.console.forms import PLACE, checked_note
from app.console.listing import Row, urgent_rows
from app.console.places import HOME
from app.console.visit import Visit, Visiting, go_to
from app.exchange import note
from app.state import Engine
from models.act import Act, ActKind
from models.campaign import CampaignAccount
from models.errors import UnknownAccount
from models.search import SearchHit
from models.traffic import AccountTraffic

router = APIRouter(prefix=HOME)

Pseudonym = Annotated[str, Path(pattern=r"^a-[a-z2-7]{12}$")]
Page = Annotated[int, Query(ge=1, le=PLACE)]

_LISTED: Final = 50
_PROMPTS: Final = 25


@dataclass(frozen=True, slots=True)
class _Account:
    """An account with what is told of it. rows: of its campaigns, by id."""

    traffic: AccountTraffic
    prompts: list[SearchHit]
    rows: Mapping[str, Row]
    acts: list[Act]


@router.get("/accounts")
async def accounts(visit: Visiting, q: Annotated[str, Query(max_length=256)] = "") -> Response:
    """The accounts that sent most for alarmed campaigns; or the page of one, by its pseudonym or its own name."""
    if given := q.strip():
        name = await visit.account_id(given)
        return go_to(f"{HOME}/accounts/{visit.use.pseudonyms.account(name or given)}")
    return await visit.page("accounts.html", busiest=await visit.use.run(_busiest, visit.use.engine))


@router.get("/accounts/{pseudonym}")
async def account(visit: Visiting, pseudonym: Pseudonym, page: Page = 1) -> Response:
    """One account: what it sent, in which campaigns, when, and who acts with it."""
    return await _shown(visit, pseudonym, page, revealed=False)


@router.post("/accounts/{pseudonym}/reveal")
async def reveal(visit: Visiting, pseudonym: Pseudonym) -> Response:
    """The same with the account's own name, for this once; that it was seen, by whom and why is kept."""
    form = await visit.form()
    act = Act(
        ActKind.REVEAL, pseudonym, "", visit.author_of(form), checked_note(form.get("note", "")), visit.use.clock()
    )
    await _named(visit, pseudonym)  # what nobody is behind is not kept
    await visit.use.run(visit.use.engine.record, act)
    note(visit.request, account=pseudonym, act=act.kind.value)
    answer = await _shown(visit, pseudonym, 1, revealed=True)
    answer.headers["cache-control"] = "no-store"
    return answer


@router.get("/campaigns/{campaign_id}/accounts")
async def campaign_accounts(visit: Visiting, campaign_id: CampaignId, page: Page = 1) -> Response:
    """The accounts of a campaign, those with most events first, with the other campaigns they are in."""
    note(visit.request, campaign_id=campaign_id)
    engine = visit.use.engine
    one = await visit.use.run(engine.campaign, campaign_id)
    members = sorted(one.members, key=lambda each: (-each.events, each.account_id))
    pages = max(1, -(-len(members) // _LISTED))
    at = min(page, pages)
    shown = members[(at - 1) * _LISTED : at * _LISTED]
    also = await visit.use.run(_campaigns_of, engine, shown)
    row = urgent_rows([one], engine.labels())[0]
    return await visit.page(
        "campaign_accounts.html", one=one, row=row, tab="accounts", members=shown, also=also, at=at, pages=pages
    )


async def _shown(visit: Visit, pseudonym: str, page: int, revealed: bool) -> Response:
    name = await _named(visit, pseudonym)
    found = await visit.use.run(_account, visit.use.engine, name, pseudonym, page)
    note(visit.request, account=pseudonym)
    pages = max(1, -(-found.traffic.prompts // _PROMPTS))
    orgs = sorted(
        {
            member.org_id
            for row in found.rows.values()
            for member in row.campaign.members
            if member.account_id == name and member.org_id
        }
    )
    return await visit.page(
        "account.html",
        pseudonym=pseudonym,
        own_name=name if revealed else "",
        orgs=orgs,
        account=found.traffic,
        prompts=found.prompts,
        rows=found.rows,
        acts=found.acts,
        at=min(page, pages),
        pages=pages,
    )


async def _named(visit: Visit, pseudonym: str) -> str:
    """The account's own name. Raises UnknownAccount."""
    name = await visit.account_id(pseudonym)
    if name is None:
        raise UnknownAccount(f"no account of the current generation is called {pseudonym}")
    return name


def _account(engine: Engine, name: str, pseudonym: str, page: int) -> _Account:
    casebook = engine.casebook()
    traffic = casebook.account(name)
    mine = [each for each in casebook.campaigns if each.campaign_id in traffic.campaigns]
    rows = {row.campaign.campaign_id: row for row in urgent_rows(mine, engine.labels())}
    prompts = casebook.account_prompts(name, _PROMPTS, (page - 1) * _PROMPTS)
    return _Account(traffic, prompts, rows, engine.acts(pseudonym))


def _busiest(engine: Engine) -> list[tuple[str, int, int]]:
    casebook = engine.casebook()
    rows = urgent_rows(casebook.campaigns, engine.labels())
    return casebook.busiest({row.campaign.campaign_id for row in rows if row.level.is_alarm}, _LISTED)


def _campaigns_of(engine: Engine, members: list[CampaignAccount]) -> dict[str, dict[str, int]]:
    return engine.casebook().campaigns_of([each.account_id for each in members])
