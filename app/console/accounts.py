"""Accounts: those of one campaign, one account with all it did, and who is behind a pseudonym."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from app.campaigns import CampaignId
from app.console.acts import Acts, acts_about
from app.console.forms import Page
from app.console.listing import Row, Turned, row_of, turned_to
from app.console.places import HOME
from app.console.visit import Visit, Visiting, go_to
from app.exchange import note
from app.state import Engine
from indexer.feedback import level_of
from models.act import ActKind
from models.errors import UnknownAccount
from models.search import SearchHit
from models.traffic import AccountTraffic, FlaggedAccount

router = APIRouter(prefix=HOME)

Pseudonym = Annotated[str, Path(pattern=r"^a-[a-z2-7]{12}$")]

_LISTED: Final = 50
_PROMPTS: Final = 25


@dataclass(frozen=True, slots=True)
class _Account:
    """An account with what is told of it. rows: of its campaigns, by id. acts: by which somebody learnt its name,
    or may have: of what is taken out with names, a report holds those of the first accounts only.
    """

    traffic: AccountTraffic
    prompts: list[SearchHit]
    turned: Turned
    rows: Mapping[str, Row]
    acts: Acts


@router.get("/accounts")
async def accounts(visit: Visiting) -> Response:
    """The accounts that sent most for alarmed campaigns, and the way to one."""
    return await visit.page("accounts.html", busiest=await visit.run(_busiest, visit.use.engine))


@router.post("/accounts")
async def find(visit: Visiting) -> Response:
    """The page of an account, by its pseudonym; or by its own name, which tells who is behind a pseudonym as well
    as to reveal it does, and is kept as that. By a form, so that no address holds a name.
    """
    form = await visit.form()
    given = form.get("name", "").strip()
    name, pseudonym = await visit.account_id(given), given
    if name is None:
        pseudonym = visit.called(given)
        act = visit.act(ActKind.REVEAL, pseudonym, form, given)
        await _named(visit, pseudonym)  # what nobody is called is not kept
        await visit.record(act)
    return go_to(f"{HOME}/accounts/{pseudonym}")


@router.get("/accounts/{pseudonym}")
async def account(visit: Visiting, pseudonym: Pseudonym, page: Page = 1) -> Response:
    """One account: what it sent, in which campaigns, when, and who acts with it."""
    return await _shown(visit, pseudonym, page, revealed=False)


@router.post("/accounts/{pseudonym}/reveal")
async def reveal(visit: Visiting, pseudonym: Pseudonym) -> Response:
    """The same with the account's own name, for this once; that it was seen, by whom and why is kept."""
    form = await visit.form()
    await visit.record(visit.act(ActKind.REVEAL, pseudonym, form, await _named(visit, pseudonym)))
    answer = await _shown(visit, pseudonym, 1, revealed=True)
    answer.headers["cache-control"] = "no-store"
    return answer


@router.get("/campaigns/{campaign_id}/accounts")
async def campaign_accounts(visit: Visiting, campaign_id: CampaignId, page: Page = 1) -> Response:
    """The accounts of a campaign, those with most events first, with the other campaigns they are in."""
    note(visit.request, campaign_id=campaign_id)
    casebook, labels = visit.use.engine.casebook(), visit.use.engine.labels()
    one = casebook.campaign(campaign_id)
    turned = turned_to(page, one.accounts, _LISTED)
    shown = await visit.run(casebook.campaign_accounts, one.campaign_id, turned.rows)
    also = await visit.run(casebook.campaigns_of, [each.account_id for each in shown])
    row = row_of(one, labels.get(one.campaign_id))
    return await visit.page(
        "campaign_accounts.html", one=one, row=row, tab="accounts", accounts=shown, also=also, turned=turned
    )


async def _shown(visit: Visit, pseudonym: str, page: int, revealed: bool) -> Response:
    name = await _named(visit, pseudonym)
    found = await visit.run(_account, visit.use.engine, name, pseudonym, page)
    note(visit.request, account=pseudonym)
    return await visit.page(
        "account.html",
        pseudonym=pseudonym,
        own_name=name if revealed else "",
        orgs=found.traffic.organisations if revealed else (),
        account=found.traffic,
        prompts=found.prompts,
        rows=found.rows,
        acts=found.acts,
        turned=found.turned,
    )


async def _named(visit: Visit, pseudonym: str) -> str:
    """The account's own name. Raises UnknownAccount."""
    name = await visit.account_id(pseudonym)
    if name is None:
        raise UnknownAccount(f"no account of the current generation is called {pseudonym}")
    return name


def _account(engine: Engine, name: str, pseudonym: str, page: int) -> _Account:
    casebook, labels = engine.casebook(), engine.labels()
    traffic = casebook.account(name)
    rows = {
        each.campaign_id: row_of(each, labels.get(each.campaign_id))
        for each in casebook.campaigns
        if each.campaign_id in traffic.campaigns
    }
    turned = turned_to(page, traffic.prompts, _PROMPTS)
    prompts = casebook.account_prompts(name, _PROMPTS, turned.rows.start)
    ids = [name for row in rows.values() for name in (row.campaign.campaign_id, *row.campaign.formerly)]
    acts = acts_about(engine, [pseudonym], ids)
    return _Account(traffic, prompts, turned, rows, acts)


def _busiest(engine: Engine) -> list[FlaggedAccount]:
    casebook = engine.casebook()
    labels = engine.labels()
    flagged = {each.campaign_id for each in casebook.campaigns if level_of(each, labels).is_alarm}
    return casebook.busiest(flagged, _LISTED)
