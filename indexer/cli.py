"""The command `stillwatch`. Each command parses, makes one call and prints; standard output holds the report
alone, progress and errors go to standard error.
"""

import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from indexer import report
from indexer.client import Client, Patience
from indexer.crew import local_crew, ray_crew
from indexer.disk import disk_use
from indexer.encode import load_encoder
from indexer.engine import Engine, status_of
from indexer.evaluate import evaluate as evaluate_alarms
from indexer.evaluate import read_truth
from indexer.export import assignments, write_assignments
from indexer.feedback import labels_given, level_of
from indexer.generation import open_current
from indexer.ingest import ingest as ingest_files
from indexer.job_records import JobRecords
from indexer.process import usable_cores
from indexer.progress import BarProgress, JsonProgress, Progress
from indexer.published import Published, urgent_first
from indexer.reindex import reindex as build_generation
from indexer.sample import load_texts
from indexer.settings import Settings, load_settings
from indexer.simulate import Cast, WorldSpec, write_world
from indexer.store import Store
from indexer.weights import TIERS
from models.allowance import AllowanceKind, new_rule
from models.block import BlockQuery
from models.campaign import CampaignLabel, Label, Level
from models.deadline import in_future
from models.errors import BadInput, BadSettings, GenerationDamaged, NotReady, StillwatchError
from models.event import parse_time
from models.key import Role, new_key
from models.mode import CampaignMode, Mode
from models.prompt import Prompt
from models.search import SearchQuery

_AT_A_PROMPT: Final = Patience(deadline_s=10.0)  # somebody waits for the answer, but no gateway does
FAILED: Final = 1
WRONG_USE: Final = 2

Data = Annotated[Path | None, typer.Option("--data", help="Data directory [env: STILLWATCH_DATA].")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")]
EncoderName = Annotated[
    str | None, typer.Option(help="static, minilm, minilm-int8, or a SentenceTransformer folder.")
]


class ReindexEngine(StrEnum):
    """Processes and threads of this machine, or a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


app = typer.Typer(
    name="stillwatch",
    help="Finds distillation campaigns in an LLM provider's traffic.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
export_app = typer.Typer(help="Write results to files.", no_args_is_help=True)
app.add_typer(export_app, name="export")
keys_app = typer.Typer(help="API keys: make, list and revoke them.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


@app.command()
def ingest(
    paths: Annotated[list[str], typer.Argument(help="Event files or folders, or - for standard input.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Store events of JSONL (.gz, .zst), Parquet or CSV files. Storing a file twice does no harm."""
    settings = _settings(data)
    sources: list[Path | str] = [path if path == "-" else Path(path) for path in paths]
    with _store(settings) as store:
        done = ingest_files(sources, store, settings.rejects, _now, _progress(as_json))
    _print(done, as_json, lambda: [report.ingest_table(done)])


@app.command()
def reindex(
    data: Data = None,
    full: Annotated[bool, typer.Option("--full", help="Build anew even if nothing changed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Publish even if campaigns have run together or are gone.")
    ] = False,
    engine: Annotated[ReindexEngine, typer.Option(help="Who does the heavy work.")] = ReindexEngine.LOCAL,
    address: Annotated[
        str, typer.Option(help="Of the Ray cluster: auto for the one that runs here, HOST:PORT, ray://HOST:PORT.")
    ] = "auto",
    encoder: EncoderName = None,
    as_json: AsJson = False,
) -> None:
    """Embed what is new, build the index, cluster, and publish a generation. A run that was stopped is gone on
    with, unless --full.
    """
    settings = _settings(data, encoder)
    engage = partial(ray_crew, address) if engine is ReindexEngine.RAY else partial(local_crew, usable_cores())
    with _store(settings) as store:
        loaded = load_encoder(settings.encoder, settings.weights)
        done = build_generation(settings, store, loaded, _now, _progress(as_json), full, force, engage)
    _print(done, as_json, lambda: [report.reindex_table(done)])


@app.command("map")
def map_(data: Data = None, as_json: AsJson = False) -> None:
    """Draw the console's map of the current generation: a hundred thousand prompts on a plane."""
    with _engine(data) as engine:
        done = engine.draw_map(_progress(as_json))
    _print(done, as_json, lambda: [report.map_table(done)])


@app.command()
def jobs(data: Data = None, as_json: AsJson = False) -> None:
    """List what jobs servers over this data directory have run, or run, the last first."""
    found = JobRecords(_settings(data).jobs).all()
    _print(found, as_json, lambda: [report.jobs_table(found)])


@app.command()
def cancel(job_id: str, data: Data = None, as_json: AsJson = False) -> None:
    """Have a server stop a job. What it has done is kept, and the next reindex goes on there."""
    job = JobRecords(_settings(data).jobs).cancel(job_id)
    _print(job, as_json, lambda: [report.jobs_table([job])])


@app.command()
def campaigns(
    data: Data = None,
    level: Annotated[Level, typer.Option(help="Least level to show.")] = Level.LIKELY,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List campaigns, most urgent first; --level watch shows the groups that are only watched as well."""
    settings = _settings(data)
    published = Published.current(settings.generations)
    with _store(settings) as store:
        labels = labels_given(store.verdicts, published.campaigns, published.traffic.sent_by, _now())
    known = urgent_first(published.campaigns)
    found = [each for each in known if level_of(each, labels).rank >= level.rank][:limit]
    _print(found, as_json, lambda: [report.campaigns_table(found, labels)])


@app.command()
def campaign(campaign_id: str, data: Data = None, as_json: AsJson = False) -> None:
    """Show one campaign: evidence, template with slots, accounts, timeline, history."""
    settings = _settings(data)
    published = Published.current(settings.generations)
    number = published.place(campaign_id)
    found, traffic = published.campaigns[number], published.traffic
    hours, accounts = traffic.of_campaign(number), traffic.accounts_of(number)
    with _store(settings) as store:
        label = labels_given(store.verdicts, [found], traffic.sent_by, _now()).get(found.campaign_id)
        mode = store.verdicts.modes().get(found.campaign_id)
    whole = {**asdict(found), "timeline": hours, "members": accounts}
    _print(whole, as_json, lambda: report.campaign_tables(found, hours, accounts, label, mode))


@app.command()
def label(
    campaign_id: str,
    verdict: Label,
    author: Annotated[str, typer.Option(help="Who says so.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    until: Annotated[str | None, typer.Option(help="When to look again (ISO 8601); for ignore_until.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say what a campaign is: confirmed, benign, or ignore_until. It counts at once."""
    settings, now = _settings(data), _now()
    end = in_future(_time(until, "--until"), now)
    if (verdict is Label.IGNORE_UNTIL) != (end is not None):
        raise BadInput("--until goes with ignore_until, and only with that")
    known = Published.current(settings.generations).campaign(campaign_id)
    done = CampaignLabel(known.campaign_id, verdict, note, author, now, end)
    with _store(settings) as store:
        store.verdicts.put_label(done)
    _print(done, as_json, lambda: [Table(f"{done.campaign_id}: {verdict}")])


@app.command()
def mode(
    campaign_id: str,
    mode: Annotated[Mode, typer.Argument(help="The most that may be done about its prompts.")],
    author: Annotated[str, typer.Option(help="Who says so.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Set the most that may be done about a campaign's prompts: off, audit, or enforce. It counts at once."""
    settings = _settings(data)
    known = Published.current(settings.generations).campaign(campaign_id)
    done = CampaignMode(known.campaign_id, mode, author, _now())
    with _store(settings) as store:
        store.verdicts.put_mode(done)
    _print(done, as_json, lambda: [Table(f"{done.campaign_id}: {mode}")])


@app.command()
def allow(
    kind: AllowanceKind,
    value: Annotated[str, typer.Argument(help="The org_id or text, or - to read it from standard input.")],
    author: Annotated[str, typer.Option(help="Who says so.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    until: Annotated[str | None, typer.Option(help="When the rule ends (ISO 8601).")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Vouch for an organisation, a system prompt or a public template: what it explains is no alarm, at once."""
    now = _now()
    rule = new_rule(kind, _text(value), note, author, now, in_future(_time(until, "--until"), now))
    with _store(_settings(data)) as store:
        done = store.verdicts.allow(rule)
    _print(done, as_json, lambda: [report.allowances_table([done])])


@app.command()
def allowed(data: Data = None, as_json: AsJson = False) -> None:
    """List the allow-list rules, and who made each of them."""
    with _store(_settings(data)) as store:
        found = store.verdicts.allowances()
    _print(found, as_json, lambda: [report.allowances_table(found)])


@app.command()
def disallow(
    rule_id: int,
    author: Annotated[str, typer.Option(help="Who says so.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take an allow-list rule back; who did it, and when, is kept."""
    with _store(_settings(data)) as store:
        store.verdicts.disallow(rule_id, author, _now())
    _print({"removed": rule_id}, as_json, lambda: [Table(f"rule {rule_id} is taken back")])


@app.command()
def match(
    text: Annotated[str, typer.Argument(help="The prompt, or - to read it from standard input.")] = "-",
    data: Data = None,
    system: Annotated[str, typer.Option(help="The system prompt, if there is one.")] = "",
    mode: Annotated[Mode, typer.Option()] = Mode.AUDIT,
    top_k: Annotated[int, typer.Option(min=1, max=50)] = 5,
    url: Annotated[str | None, typer.Option(help="Ask a running server instead [key: STILLWATCH_KEY].")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what campaign a prompt resembles."""
    if url is not None:
        chat = [{"role": "system", "content": system}] if system else []
        with Client(url, os.environ.get("STILLWATCH_KEY"), _AT_A_PROMPT) as client:
            turns = [*chat, {"role": "user", "content": _text(text)}]
            found = client.match_messages(turns, mode=mode, top_k=top_k)
    else:
        with _engine(data) as engine:
            found = engine.match(Prompt(system, _text(text)), mode, top_k)
    _print(found, as_json, lambda: [report.match_table(found)])


@app.command()
def blocks(
    data: Data = None,
    campaign_id: Annotated[str | None, typer.Option("--campaign", help="Only of this campaign.")] = None,
    account: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    refused: Annotated[
        bool | None, typer.Option("--refused/--would-be", help="Only what was refused, or would have been.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601 time, included.")] = None,
    until: Annotated[str | None, typer.Option(help="ISO 8601 time, excluded.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List prompts that were refused, or would have been in mode enforce, the newest first; no word of them."""
    first = _time(since, "--since")
    last = _time(until, "--until")
    with _store(_settings(data)) as store:
        found = store.blocks.find(BlockQuery(limit, campaign_id, account, refused, first, last))
    rows = [{"number": number, **asdict(block)} for number, block in found]
    _print(rows, as_json, lambda: [report.blocks_table(found)])


@app.command()
def search(
    query: str,
    data: Data = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    offset: Annotated[int, typer.Option(min=0, max=10_000)] = 0,
    account: Annotated[str | None, typer.Option(help="Only prompts of this account.")] = None,
    campaign_id: Annotated[str | None, typer.Option("--campaign", help="Only prompts of this campaign.")] = None,
    model: Annotated[str | None, typer.Option(help="Only prompts sent to this model.")] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601 time, included.")] = None,
    until: Annotated[str | None, typer.Option(help="ISO 8601 time, excluded.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find related prompts, nearest first."""
    asked = SearchQuery(
        text=_text(query),
        limit=limit,
        offset=offset,
        account_id=account,
        campaign_id=campaign_id,
        model=model,
        since=_time(since, "--since"),
        until=_time(until, "--until"),
    )
    with _engine(data) as engine:
        page = engine.search(asked)
    _print(page, as_json, lambda: [report.search_table(page)])


@export_app.command("assignments")
def export_assignments(out: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Write one row per event to OUT.parquet or OUT.jsonl: its campaign and level, or null."""
    settings = _settings(data)
    with _store(settings) as store:
        rows = write_assignments(assignments(open_current(settings.generations), store, _now()), out)
    _print({"rows": rows, "path": str(out)}, as_json, lambda: [Table(f"{rows:,} rows written to {out}")])


@app.command()
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    allow_remote: Annotated[bool, typer.Option(help="Listen beyond this machine; needs a key.")] = False,
) -> None:
    """Serve the HTTP API."""
    command = [sys.executable, "-P", "-m", "app"]  # -P: a folder named app where one stands must not win
    command += ["--data", str(data)] if data else []
    command += ["--host", host] if host else []
    command += ["--port", str(port)] if port is not None else []
    command += ["--workers", str(workers)] if workers > 1 else []
    command += ["--allow-remote"] if allow_remote else []
    os.execv(sys.executable, command)  # the HTTP floor stands above this one, so it is a program, not an import


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for events.jsonl and truth.jsonl.")],
    events: Annotated[int, typer.Option(min=1)] = 60_000,
    seed: Annotated[int, typer.Option()] = 1,
    campaigns: Annotated[int, typer.Option(min=0, help="Planted campaigns; 0 for traffic without any.")] = 4,
    benign: Annotated[bool, typer.Option(help="With the benign look-alikes.")] = True,
    days: Annotated[float, typer.Option(min=0.01)] = 1.0,
    texts: Annotated[Path | None, typer.Option(help="Folder of texts instead of the shipped sample.")] = None,
    cast: Annotated[
        Cast,
        typer.Option(help="Groups with set habits, with a pool swap and a pivot, or with every trait at random."),
    ] = Cast.STANDARD,
    as_json: AsJson = False,
) -> None:
    """Make traffic with planted campaigns and benign look-alikes, and the truth about it."""
    spec = WorldSpec(events=events, days=days, campaigns=campaigns, benign=benign, cast=cast)
    done = write_world(out, spec, load_texts(texts), seed)
    table = Table("kind", "events")
    for kind, count in done.kinds.items():
        table.add_row(kind, f"{count:,}")
    _print(done, as_json, lambda: [table])


@keys_app.command("create")
def keys_create(
    name: str,
    role: Annotated[Role, typer.Option(help="What it may do.")],
    data: Data = None,
    rate: Annotated[float | None, typer.Option(help="Requests a second; any number by default.")] = None,
    until: Annotated[str | None, typer.Option(help="ISO 8601 time from which it opens nothing.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. Its token is shown this once."""
    ends = in_future(_time(until, "--until"), _now())
    key, token = new_key(name, role, rate, _now(), ends, secrets.token_bytes)
    with _store(_settings(data)) as store:
        store.keys.add(key)
    row = {**report.key_row(key), "token": token}
    _print(row, as_json, lambda: [report.keys_table([key]), Table(token)])


@keys_app.command("list")
def keys_list(data: Data = None, as_json: AsJson = False) -> None:
    """Show all API keys, without their secrets."""
    with _store(_settings(data)) as store:
        keys = store.keys.all()
    _print([report.key_row(key) for key in keys], as_json, lambda: [report.keys_table(keys)])


@keys_app.command("revoke")
def keys_revoke(key_id: str, data: Data = None, as_json: AsJson = False) -> None:
    """Take an API key back; running servers heed it within seconds."""
    with _store(_settings(data)) as store:
        store.keys.revoke(key_id, _now())
    _print({"revoked": key_id}, as_json, lambda: [Table(f"key {key_id} opens nothing any more")])


@app.command()
def evaluate(truth: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Hold the alarms against a truth file: precision, recall, false alarms, campaigns split or merged."""
    settings = _settings(data)
    rows = read_truth(truth)
    with _store(settings) as store:
        assigned = {
            row["event_id"]: (row["campaign_id"], Level(row["level"])) if row["campaign_id"] else None
            for row in assignments(open_current(settings.generations), store, _now())
        }
    result = evaluate_alarms(rows, assigned)
    _print(result, as_json, lambda: [report.evaluation_table(result)])


@app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Show generation, age, counts, encoder, health, and what the disk is used for."""
    settings = _settings(data)
    with _store(settings) as store:
        try:
            manifest, trouble = open_current(settings.generations).manifest, ""
        except (NotReady, GenerationDamaged) as error:
            manifest, trouble = None, str(error)
        found = status_of(store.counts(), manifest, _now(), trouble, disk_use(settings.data))
    _print(found, as_json, lambda: [report.status_table(found)])


@app.command()
def prepare(as_json: AsJson = False) -> None:
    """Make the weights of the encoders that are not there yet (half a minute; `scripts/setup` does it)."""
    weights = _settings(None).weights
    made = {name: str(make(weights)) for name, make in TIERS.items()}
    _print(made, as_json, lambda: [report.weights_table(made)])


def main() -> None:
    """Runs the command line. Exit status 1 for what failed, 2 for wrong use."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        app()
    except (BadSettings, BadInput) as error:
        _fail(error, WRONG_USE)
    except (StillwatchError, OSError) as error:
        _fail(error, FAILED)


def _fail(error: Exception, exit_status: int) -> None:
    sys.stderr.write(f"stillwatch: {error}\n")
    sys.exit(exit_status)


def _settings(data: Path | None, encoder: str | None = None) -> Settings:
    return load_settings(data, os.environ, encoder)


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    settings.data.mkdir(parents=True, exist_ok=True)
    with Store.open(settings.database) as store:
        yield store


def _time(text: str | None, option: str) -> datetime | None:
    """The time that an option gives; None for none."""
    return None if text is None else parse_time(text, option)


@contextmanager
def _engine(data: Path | None) -> Iterator[Engine]:
    engine = Engine.open(_settings(data), _now)
    try:
        yield engine
    finally:
        engine.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _progress(as_json: bool) -> Progress:
    return JsonProgress(sys.stderr) if as_json else BarProgress(sys.stderr)


def _text(argument: str) -> str:
    if argument != "-":
        return argument
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"standard input is not UTF-8: byte {error.start}") from error


def _print(value: object, as_json: bool, tables: Callable[[], list[Table]]) -> None:
    if as_json:
        sys.stdout.write(report.as_json(value) + "\n")
    else:
        report.show(*tables())
