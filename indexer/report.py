"""Reports on a terminal: tables for people, one JSON document for programs. The only door to rich."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.allowance import Allowance
from models.block import Block
from models.campaign import Campaign, CampaignLabel
from models.job import Job
from models.key import ApiKey
from models.match import Match
from models.mode import CampaignMode
from models.report import Evaluation, IngestReport, MapReport, ReindexReport
from models.search import SearchPage
from models.status import Status
from models.traffic import CampaignAccount, CampaignHour

_TEMPLATE_CHARACTERS = 160


def as_json(value: object) -> str:
    """One JSON document; dataclasses become objects, times ISO 8601."""
    return msgspec.json.encode(value).decode()


def weights_table(folders: Mapping[str, str]) -> Table:
    """A row an encoder."""
    table = Table("encoder", "weights")
    for name, folder in folders.items():
        table.add_row(name, escape(folder))
    return table


def campaigns_table(campaigns: Sequence[Campaign], labels: dict[str, CampaignLabel]) -> Table:
    """A row a campaign, in the order given."""
    table = Table(
        "campaign", "level", "score", "events", "accounts", "depth", "after", "seen", "template", show_lines=True
    )
    for each in campaigns:
        label = labels.get(each.campaign_id)
        table.add_row(
            each.campaign_id + (f"\n[{label.label}]" if label else ""),
            each.level,
            f"{each.score:.3f}",
            f"{each.events:,}",
            f"{each.accounts:,}" + (f"\n({each.units:,} units)" if each.units != each.accounts else ""),
            f"{each.depth:g}",
            each.capability or "-",
            f"{each.first_seen:%m-%d %H:%M}\n{each.last_seen:%m-%d %H:%M}",
            shown(each.template.skeleton or (each.exemplars[0].text if each.exemplars else "")),
        )
    return table


def campaign_tables(
    campaign: Campaign,
    hours: Sequence[CampaignHour],
    accounts: Sequence[CampaignAccount],
    label: CampaignLabel | None,
    mode: CampaignMode | None,
) -> list[Table]:
    """What an analyst wants to see of one campaign: facts, evidence, slots, accounts, timeline, history."""
    facts = _table("campaign", campaign.campaign_id)
    facts.add_row("level", f"{campaign.level} (score {campaign.score:.3f})")
    facts.add_row("by chance", f"p {campaign.p_value:.2g}, false discovery rate {campaign.false_discovery:.2g}")
    facts.add_row("label", f"{label.label} by {escape(label.author)}: {escape(label.note)}" if label else "-")
    facts.add_row("mode at most", f"{mode.mode} by {escape(mode.author)}" if mode else "enforce")
    facts.add_row("events", f"{campaign.events:,} of {campaign.prompts:,} prompts, {campaign.accounts:,} accounts")
    facts.add_row("seen", f"{campaign.first_seen.isoformat()} to {campaign.last_seen.isoformat()}")
    facts.add_row("models", escape(", ".join(f"{name or '(none)'} {n:,}" for name, n in campaign.models.items())))
    facts.add_row("views", ", ".join(campaign.views))
    facts.add_row("template", escape(campaign.template.skeleton))
    facts.add_row("regex", escape(campaign.template.regex))
    evidence = Table("evidence", "kind", "observed", "if benign", "weight", "what it says", title="Evidence")
    for each in campaign.evidence:
        evidence.add_row(
            each.name,
            each.kind,
            _number(each.observed),
            _number(each.expected),
            f"{each.weight:+.2f}",
            each.explanation,
        )
    slots = Table("slot", "filled", "distinct", "repeated", "words", "kind", "examples", title="Slots")
    for slot in campaign.template.slots:
        examples = escape("\n".join(slot.examples))
        slots.add_row(
            f"{{{slot.number}}}",
            f"{slot.filled}",
            f"{slot.distinct}",
            f"{slot.repeated}",
            f"{slot.mean_words:.1f}",
            slot.kind,
            examples,
        )
    busiest = Table("account", "organisation", "events", "first", "last", "dedication", title="Busiest accounts")
    for account in accounts[:20]:
        busiest.add_row(
            escape(account.account_id),
            escape(account.org_id or "-"),
            f"{account.events}",
            f"{account.first_seen:%m-%d %H:%M}",
            f"{account.last_seen:%m-%d %H:%M}",
            f"{account.dedication:.0%}",
        )
    timeline = Table("hour (UTC)", "events", "", title="Timeline")
    most = max((hour.events for hour in hours), default=0)
    for hour in hours[-48:]:
        timeline.add_row(f"{hour.hour:%Y-%m-%d %H:%M}", f"{hour.events}", "#" * round(40 * hour.events / most))
    history = Table("generation", "what", "events", "accounts", "detail", title="History")
    for entry in campaign.history:
        history.add_row(entry.generation, entry.event, f"{entry.events:,}", f"{entry.accounts:,}", entry.detail)
    strands = Table("template", "events", "accounts", "first", "last", "text", title="Templates of the same pool")
    for strand in campaign.strands:
        strands.add_row(
            f"{strand.number}",
            f"{strand.events:,}",
            f"{strand.accounts:,}",
            f"{strand.first_seen:%m-%d %H:%M}",
            f"{strand.last_seen:%m-%d %H:%M}",
            shown(strand.template.skeleton),
        )
    variants = Table("share", "text", title="Other wordings")
    for variant in campaign.variants:
        variants.add_row(f"{variant.support:.0%}", shown(variant.skeleton))
    wordings = [variants] if campaign.variants else []
    pool = [strands] if campaign.strands else []
    return [facts, evidence, slots, *wordings, *pool, busiest, timeline, history]


def allowances_table(rules: Sequence[Allowance]) -> Table:
    """A row a rule."""
    table = Table("rule", "kind", "value", "by", "at", "until", "note")
    for each in rules:
        table.add_row(
            f"{each.rule_id}",
            each.kind,
            shown(each.value),
            escape(each.author),
            f"{each.at:%Y-%m-%d %H:%M}",
            f"{each.until:%Y-%m-%d %H:%M}" if each.until else "-",
            escape(each.note),
        )
    return table


def blocks_table(found: Sequence[tuple[int, Block]]) -> Table:
    """A row a block."""
    table = Table(
        "number", "at", "campaign", "refused", "mode", "grounds", "cosine", "account", "model", "asked by"
    )
    for number, each in found:
        table.add_row(
            f"{number}",
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            each.campaign_id,
            "yes" if each.blocked else "would be",
            each.mode,
            ", ".join(each.grounds),
            f"{each.similarity:.3f}",
            shown(each.account_id or "-"),
            shown(each.model or "-"),
            each.asked_by,
        )
    return table


def key_row(key: ApiKey) -> dict[str, object]:
    """An API key without its digest."""
    return {name: getattr(key, name) for name in key.__dataclass_fields__ if name != "digest"}


def jobs_table(jobs: Sequence[Job]) -> Table:
    """A row a job."""
    table = Table("job", "state", "started", "ended", "stage", "detail")
    for each in jobs:
        times = (f"{time:%Y-%m-%d %H:%M:%S}" if time else "-" for time in (each.started_at, each.finished_at))
        stage = f"{each.stage} {each.done:,}/{each.total:,}" if each.total else each.stage
        table.add_row(each.job_id, each.state, *times, stage, escape(each.detail))
    return table


def map_table(done: MapReport) -> Table:
    """What was drawn."""
    table = _table("generation", done.generation)
    table.add_row("points", f"{done.points:,}")
    return table


def keys_table(keys: Sequence[ApiKey]) -> Table:
    """A row a key."""
    table = Table("key", "name", "role", "a second", "made", "until", "revoked")
    for each in keys:
        times = (f"{time:%Y-%m-%d %H:%M}" if time else "-" for time in (each.at, each.until, each.revoked))
        rate = "any" if each.rate is None else f"{each.rate:g}"
        table.add_row(each.key_id, escape(each.name), each.role, rate, *times)
    return table


def match_table(match: Match) -> Table:
    """The answer about one prompt."""
    table = _table("decision", f"{match.decision}: {match.reason}")
    table.add_row("p background", f"{match.p_background:.2g}")
    table.add_row("generation", f"{match.generation}, encoder {match.encoder}")
    for each in match.nearest:
        verdict = "reached" if each.similarity >= each.threshold else "not reached"
        numbers = f"similarity {each.similarity:.3f}, threshold {each.threshold:.3f} {verdict}"
        table.add_row(each.campaign_id, f"{each.level}, {each.view}: {numbers}")
    return table


def search_table(page: SearchPage) -> Table:
    """Hits, nearest first."""
    table = Table("similarity", "campaign", "events", "accounts", "last seen", "prompt", show_lines=True)
    for hit in page.hits:
        table.add_row(
            f"{hit.similarity:.3f}",
            hit.campaign_id or "-",
            f"{hit.events}",
            f"{hit.accounts}",
            f"{hit.last_seen:%m-%d %H:%M}",
            shown(hit.text or hit.system),
        )
    return table


def ingest_table(report: IngestReport) -> Table:
    """What became of the rows."""
    table = _table("read", f"{report.read:,} rows in {report.seconds:.1f} s")
    table.add_row("stored", f"{report.stored:,}")
    table.add_row("duplicate", f"{report.duplicate:,}")
    table.add_row("rejected", f"{report.rejected:,}" + (f", see {report.rejects}" if report.rejects else ""))
    for reason, count in report.reasons.items():
        table.add_row("", f"{count:,} x {escape(reason)}")
    return table


def reindex_table(report: ReindexReport) -> Table:
    """What was published, and what each stage took."""
    state = "published" if report.published else "nothing new; still"
    table = _table("generation", f"{state} {report.generation} ({report.encoder})")
    table.add_row("events", f"{report.events:,} of {report.prompts:,} prompts, {report.accounts:,} accounts")
    table.add_row("encoded", f"{report.encoded:,} new texts")
    table.add_row("campaigns", f"{report.campaigns:,}, of which {report.alarms:,} alarms")
    for stage in report.stages:
        table.add_row(stage.name, f"{stage.seconds:7.2f} s   {stage.peak_mib:7,.0f} MiB at most so far")
    table.add_row("in all", f"{report.seconds:7.2f} s")
    return table


def evaluation_table(result: Evaluation) -> Table:
    """Alarms against the truth."""
    table = _table("event recall", f"{result.event_recall.value:.4f}  ({result.event_recall.hits:,})")
    table.add_row("event precision", f"{result.event_precision.value:.4f}  (of {result.event_precision.total:,})")
    table.add_row("account recall", f"{result.account_recall.value:.4f}")
    table.add_row("account precision", f"{result.account_precision.value:.4f}")
    table.add_row("false alarms", f"{len(result.false_alarms)}")
    table.add_row("split / merged", f"{result.split} / {result.merged}")
    table.add_row("events missing", f"{result.missing_events:,}")
    for each in result.campaigns:
        table.add_row(
            f"  {escape(each.name)}", f"recall {each.recall:.3f} as {', '.join(each.found_as) or 'nothing'}"
        )
    for alarm in result.false_alarms:
        table.add_row(
            f"  {alarm.campaign_id}", f"false, {alarm.level}, {alarm.events:,} events, {escape(alarm.mostly)}"
        )
    return table


def status_table(status: Status) -> Table:
    """How the engine is."""
    table = _table("health", f"{status.health} {status.detail}".strip())
    table.add_row("generation", status.generation or "-")
    table.add_row("age", "-" if status.age_s is None else f"{status.age_s / 3600:.1f} h")
    table.add_row("events", f"{status.events_stored:,} stored, {status.events_indexed:,} indexed")
    table.add_row("prompts", f"{status.prompts:,}")
    table.add_row("campaigns", f"{status.campaigns:,}, of which {status.alarms:,} alarms")
    table.add_row("encoder", status.encoder or "-")
    table.add_row("disk", ", ".join(f"{part} {_megabytes(size)}" for part, size in status.disk.items()))
    return table


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def show(*tables: Table) -> None:
    """Prints tables on standard output; as wide as the terminal, or 140 columns into a pipe."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    for table in tables:
        console.print(table)


def shown(text: str) -> str:
    """Text fit for a cell: nothing in it is markup or moves the cursor."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    cut = printable[:_TEMPLATE_CHARACTERS] + ("..." if len(printable) > _TEMPLATE_CHARACTERS else "")
    return escape(cut)


def _table(name: str, value: Any) -> Table:
    table = Table(show_header=False)
    table.add_row(name, value)
    return table


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"
