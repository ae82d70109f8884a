"""The command line: clear words for what goes wrong, and one JSON document for programs."""

import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from api_double import child
from traffic import NOW, background_rows, campaign_rows, row, run_reindex, settings_of, store_rows
from typer.testing import CliRunner

from indexer import cli
from indexer.job_records import JobRecords
from indexer.jobs import Jobs

ROOT = Path(__file__).parents[1]


def run(data: Path, *arguments: str, given: bytes | None = None) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command, through the real entry point."""
    result = CliRunner().invoke(cli.app, list(arguments), env={"STILLWATCH_DATA": str(data)}, input=given)
    return result.exit_code, result.stdout, result.stderr


def failing(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> str:
    """What the entry point says on standard error, with its exit status in front."""
    monkeypatch.setenv("STILLWATCH_DATA", str(data))
    monkeypatch.setattr("sys.argv", ["stillwatch", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return f"{stopped.value.code} {capsys.readouterr().err}"


def lines(*rows: dict[str, object]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def test_events_come_from_standard_input_and_the_report_is_one_json_document(tmp_path: Path) -> None:
    given = lines(*background_rows(0, 3), {"event_id": "no account"}) + b"{broken\n\n\xff\n"
    status, out, err = run(tmp_path, "ingest", "-", "--json", given=given)
    report = json.loads(out)
    assert status == 0
    assert (report["read"], report["stored"], report["duplicate"], report["rejected"]) == (6, 3, 0, 3)
    refused = [json.loads(line) for line in Path(report["rejects"]).read_text().splitlines()]
    assert [each["line"] for each in refused] == [4, 5, 7]
    assert [json.loads(line)["stage"] for line in err.splitlines()][:1] == ["ingest"]


def test_status_of_an_empty_directory_is_not_ready_and_no_error(tmp_path: Path) -> None:
    status, out, _ = run(tmp_path, "status", "--json")
    found = json.loads(out)
    assert (status, found["health"], found["events_stored"], found["generation"]) == (0, "not_ready", 0, None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["campaigns"], "1 stillwatch: no generation is published yet; run `stillwatch reindex`\n"),
        (["match", "hello"], "1 stillwatch: no generation is published yet; run `stillwatch reindex`\n"),
        (["ingest", "/no/such/file.jsonl"], "2 stillwatch: /no/such/file.jsonl"),
        (["reindex", "--encoder", "wonder"], "1 stillwatch: encoder 'wonder' is neither"),
        (["simulate", "out", "--events", "3"], "2 stillwatch: "),
    ],
)
def test_failures_say_what_and_exit_with_a_status(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: str,
) -> None:
    said = failing(tmp_path, capsys, monkeypatch, *arguments)
    assert said.startswith(expected)
    assert "Traceback" not in said


def test_reports_read_the_published_generation(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    odd = row(9999, "[red]odd[/red]", "\x1b[31m [bold]markup[/bold] \u202e and escape codes are only text")
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 100), odd])
    run_reindex(settings)
    status, out, _ = run(tmp_path, "campaigns", "--level", "watch", "--json")
    (only,) = json.loads(out)
    assert (status, only["events"], only["accounts"]) == (0, 120, 24)
    status, out, _ = run(tmp_path, "campaigns", "--level", "watch")
    assert (status, only["campaign_id"] in out, "\x1b" in out) == (0, True, False)
    status, out, _ = run(tmp_path, "campaign", only["campaign_id"])
    assert status == 0
    assert all(word in out for word in ("Evidence", "depth", "Slots", "Timeline", "History", "born"))
    whole = json.loads(run(tmp_path, "campaign", only["campaign_id"], "--json")[1])
    assert whole == {**only, "timeline": whole["timeline"], "members": whole["members"]}
    assert sum(hour["events"] for hour in whole["timeline"]) == 120
    assert {each["account_id"] for each in whole["members"]} == {f"pool-0-{n}" for n in range(24)}
    assert {each["events"] for each in whole["members"]} == {5}
    status, out, _ = run(tmp_path, "mode", only["campaign_id"], "audit", "--author", "ann", "--json")
    said = json.loads(out)
    assert (status, said["campaign_id"], said["mode"], said["author"]) == (0, only["campaign_id"], "audit", "ann")
    assert "audit by ann" in run(tmp_path, "campaign", only["campaign_id"])[1]
    status, out, _ = run(tmp_path, "status", "--json")
    assert (json.loads(out)["health"], json.loads(out)["campaigns"]) == ("ok", 1)


def test_a_list_heeds_rules_of_organisations(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    store_rows(settings, [{**each, "org_id": f"o-{each['account_id']}"} for each in campaign_rows(0)])
    store_rows(settings, background_rows(5000, 300))
    run_reindex(settings)
    assert len(json.loads(run(tmp_path, "campaigns", "--json")[1])) == 1
    for number in range(22):
        assert run(tmp_path, "allow", "organisation", f"o-pool-0-{number}", "--author", "ann")[0] == 0
    (only,) = json.loads(run(tmp_path, "campaigns", "--level", "watch", "--json")[1])
    assert json.loads(run(tmp_path, "campaigns", "--json")[1]) == []
    assert "benign by ann" in run(tmp_path, "campaign", only["campaign_id"])[1]


def test_assignments_are_one_row_an_event_in_both_formats(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    store_rows(settings, [*campaign_rows(0), *background_rows(5000, 30)])
    run_reindex(settings)
    for name in ("out.jsonl", "out.parquet"):
        status, out, _ = run(settings.data, "export", "assignments", str(tmp_path / name), "--json")
        assert (status, json.loads(out)["rows"]) == (0, 150)
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [each["campaign_id"] for each in table] == [each["campaign_id"] for each in written]
    assert [each["event_id"] for each in table] == [f"e{n}" for n in range(120)] + [
        f"e{n}" for n in range(5000, 5030)
    ]
    assert {each["level"] for each in table[120:]} == {None}
    assert set(written[0]) == {"event_id", "account_id", "timestamp", "campaign_id", "level"}


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    names = [
        command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback
    ]
    assert {
        "ingest",
        "reindex",
        "campaigns",
        "campaign",
        "match",
        "search",
        "serve",
        "simulate",
        "evaluate",
    } < set(names)
    for name in [*names, "export assignments"]:
        assert f"stillwatch {name}" in readme
    for command in cli.app.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__


def test_every_endpoint_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in (
        "/v1/match",
        "/v1/match/batch",
        "/v1/events",
        "/v1/campaigns",
        "/v1/campaigns/{id}/label",
        "/v1/search",
        "/v1/reindex",
        "/v1/jobs/{id}",
        "/v1/status",
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
    ):
        assert path in readme


def test_jobs_of_a_server_are_listed_and_cancelled_from_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "jobs", "--json")[:2] == (0, "[]\n")
    jobs = Jobs(JobRecords(tmp_path / "jobs"), lambda full: child("import time; time.sleep(60)"), lambda: NOW)
    job = jobs.start(full=False)
    status, out, _ = run(tmp_path, "cancel", job.job_id, "--json")
    assert (status, json.loads(out)["state"]) == (0, "running")
    while not jobs.get(job.job_id).state.is_final:
        time.sleep(0.01)
    (listed,) = json.loads(run(tmp_path, "jobs", "--json")[1])
    assert (listed["job_id"], listed["state"]) == (job.job_id, "cancelled")
    assert "cancelled" in run(tmp_path, "jobs")[1]
    assert (
        failing(tmp_path, capsys, monkeypatch, "cancel", "job-none")[:29] == "1 stillwatch: no job 'job-none'"[:29]
    )
