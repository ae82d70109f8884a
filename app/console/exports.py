"""What is taken out of the console: a campaign as tables, as a report, or as a bundle for other providers. Each
time it is kept who did it and why.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Response

from app.campaigns import CampaignId
from app.console.downloads import PROMPT_COLUMNS, download, prompt_rows, table
from app.console.forms import ExportForm, Format, checked
from app.console.listing import Row, row_of
from app.console.places import HOME
from app.console.report import Case, report_of
from app.console.visit import Visiting
from app.state import Casebook
from indexer.stix import bundle_of
from indexer.tables import Kind
from indexer.template_hashes import SALT_BYTES, template_hashes
from models.act import Act, ActKind
from models.campaign import Campaign
from models.errors import BadInput
from models.shared import SharedCampaign

router = APIRouter(prefix=f"{HOME}/campaigns/{{campaign_id}}/export")

_ACCOUNT_COLUMNS: Final = {
    "account": Kind.TEXT,
    "organisation": Kind.TEXT,
    "events": Kind.COUNT,
    "share_of_its_events": Kind.SHARE,
    "first_seen": Kind.TIME,
    "last_seen": Kind.TIME,
}
_BEARS_NAMES: Final = frozenset({Format.REPORT, Format.ACCOUNTS_CSV, Format.ACCOUNTS_PARQUET})
_IN_REPORT: Final = 50  # accounts


@dataclass(frozen=True, slots=True)
class _Names:
    """What accounts and organisations are called in what is taken out."""

    account: Callable[[str], str]
    organisation: Callable[[str], str]


@router.post("")
async def export(visit: Visiting, campaign_id: CampaignId) -> Response:
    """One campaign, in the format that was chosen. It is made first and kept as taken out then, before any of it
    goes.
    """
    form = await visit.form()
    said, casebook = checked(ExportForm, form), visit.use.engine.casebook()
    one = casebook.campaign(campaign_id)
    named = said.with_names and said.format in _BEARS_NAMES
    kind = ActKind.EXPORT_NAMES if named else ActKind.EXPORT
    act = visit.act(kind, one.campaign_id, form, said.format.value)
    names = _Names(str, str) if named else _Names(visit.called, visit.organisation)
    name = f"{one.campaign_id}.{said.format.value.replace('-', '.')}"
    if said.format is Format.STIX:
        written = await visit.run(_bundle, one, said, act.at, visit.use.random)
        answer = download(written.encode(), f"{name}.json", "application/stix+json;version=2.1")
    elif said.format is Format.REPORT:
        labels = visit.use.engine.labels()
        packed = await visit.run(_report, casebook, row_of(one, labels.get(one.campaign_id)), act, names)
        answer = download(packed, f"{one.campaign_id}.zip", "application/zip")
    elif said.format in (Format.ACCOUNTS_CSV, Format.ACCOUNTS_PARQUET):
        answer = await table(visit, name, _account_rows(casebook, one, names), _ACCOUNT_COLUMNS)
    else:
        answer = await table(visit, name, prompt_rows(casebook.all_prompts(one.campaign_id)), PROMPT_COLUMNS)
    await visit.record(act)
    return answer


def _account_rows(casebook: Casebook, one: Campaign, names: _Names) -> Iterator[Sequence[Any]]:
    for each in casebook.campaign_accounts(one.campaign_id):
        org = names.organisation(each.org_id) if each.org_id else None
        yield names.account(each.account_id), org, each.events, each.dedication, each.first_seen, each.last_seen


def _report(casebook: Casebook, row: Row, act: Act, names: _Names) -> bytes:
    busiest = casebook.campaign_accounts(row.campaign.campaign_id, slice(_IN_REPORT))
    called = [(names.account(each.account_id), each.events, each.dedication) for each in busiest]
    hours = casebook.campaign_hours(row.campaign.campaign_id)
    return report_of(Case(row, hours, casebook.name, act.author, act.note, act.at, called))


def _bundle(one: Campaign, said: ExportForm, now: datetime, random: Callable[[int], bytes]) -> str:
    if not said.source.strip():
        raise BadInput("source: say who tells the others of it")
    salt = random(SALT_BYTES)
    hashes = template_hashes(one, salt)
    if not hashes:
        raise BadInput(f"{one.campaign_id} has no common text that others could know it by")
    shared = SharedCampaign(
        source=said.source.strip(),
        campaign_id=one.campaign_id,
        aim=one.capability,
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        salt=salt.hex(),
        hashes=hashes,
        until=now + timedelta(days=said.days),
    )
    return bundle_of([shared], shared.source, now)
