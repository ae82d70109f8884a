"""Jobs: one child at a time, followed to its end."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from api_double import child, records_aside

from indexer import jobs as jobs_module
from indexer.job_records import JOBS_KEPT, JobRecords
from indexer.jobs import Jobs, Progress, parse_progress, reindex_command
from models.errors import Busy, UnknownJob
from models.job import Job, JobState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SLEEP = "import time; time.sleep(60)"
ROOT = Path(__file__).parents[1]


def jobs_running(code: str) -> Jobs:
    return Jobs(records_aside(), lambda full: child(code), lambda: NOW)


def finished(jobs: Jobs, job: Job) -> Job:
    return eventually(jobs, job, lambda seen: seen.state.is_final)


def eventually(jobs: Jobs, job: Job, holds: Callable[[Job], object]) -> Job:
    deadline = time.monotonic() + 20
    while not holds(seen := jobs.get(job.job_id)):
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
    return seen


@pytest.fixture
def sleeping() -> Iterator[Jobs]:
    jobs = jobs_running(SLEEP)
    yield jobs
    jobs.close()


def test_a_job_ends_with_the_report_its_child_printed() -> None:
    jobs = jobs_running('print(\'{"generation": "g-2", "published": true}\')')
    started = jobs.start(full=False)
    assert (started.state, started.kind, started.started_at) == (JobState.RUNNING, "reindex", NOW)
    done = finished(jobs, started)
    assert done.state is JobState.SUCCEEDED
    assert done.result == {"generation": "g-2", "published": True}
    assert (done.finished_at, done.detail) == (NOW, "")


def test_progress_lines_move_the_job_and_other_lines_do_not() -> None:
    jobs = jobs_running(
        "import sys, time\n"
        'sys.stderr.write(\'loading\\n{"stage": "encode", "done": 3, "total": 9}\\n[1]\\n\')\n'
        "sys.stderr.flush(); time.sleep(60)"
    )
    seen = eventually(jobs, jobs.start(full=False), lambda job: job.stage)
    assert (seen.stage, seen.done, seen.total, seen.state) == ("encode", 3, 9, JobState.RUNNING)
    jobs.close()


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ('{"stage": "cluster", "done": 1, "total": 2}', Progress("cluster", 1, 2)),
        ('{"stage": "cluster"}', Progress("cluster", 0, None)),
        ('{"stage": 4, "done": 1}', None),
        ("[]", None),
        ("not JSON", None),
        ("", None),
    ],
)
def test_parse_progress(line: str, progress: Progress | None) -> None:
    assert parse_progress(line) == progress


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("import sys; sys.stderr.write('first\\nno space left\\n'); sys.exit(3)", "exit status 3: no space left"),
        ("import sys; sys.exit(1)", "exit status 1: no report"),
        ("print('done')", "exit status 0: no report"),
        ("print([1])", "exit status 0: no report"),
    ],
)
def test_a_child_that_fails_or_reports_nothing_fails_the_job(code: str, detail: str) -> None:
    jobs = jobs_running(code)
    done = finished(jobs, jobs.start(full=False))
    assert (done.state, done.detail, done.result) == (JobState.FAILED, detail, None)


def test_a_command_that_does_not_exist_fails_the_job_and_not_the_server() -> None:
    jobs = Jobs(records_aside(), lambda full: ["/no/such/program"], lambda: NOW)
    failed = jobs.start(full=False)
    assert (failed.state, failed.detail) == (JobState.FAILED, "cannot start: No such file or directory")
    assert jobs.start(full=False).state is JobState.FAILED, "the failed one must not block the next"


def test_a_report_larger_than_a_pipe_holds_does_not_hang_the_child() -> None:
    jobs = jobs_running("import sys; print('{\"x\": \"' + 'a' * 200_000 + '\"}'); sys.stderr.write('bye\\n')")
    done = finished(jobs, jobs.start(full=False))
    assert done.result == {"x": "a" * 200_000}


def test_a_second_job_is_refused_while_one_runs_and_taken_afterwards(sleeping: Jobs) -> None:
    sleeping.start(full=False)
    with pytest.raises(Busy, match="already running"):
        sleeping.start(full=True)
    quick = jobs_running("print('{}')")
    finished(quick, quick.start(full=False))
    assert finished(quick, quick.start(full=False)).state is JobState.SUCCEEDED


def test_close_stops_the_child_and_all_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    jobs = jobs_running(
        "import subprocess, sys, time\n"
        f"grandchild = subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}])\n"
        f"open({str(pid_file)!r}, 'w').write(str(grandchild.pid))\n"
        'sys.stderr.write(\'{"stage": "started"}\\n\'); sys.stderr.flush(); time.sleep(60)'
    )
    job = jobs.start(full=False)
    eventually(jobs, job, lambda seen: seen.stage == "started")
    jobs.close()
    assert jobs.get(job.job_id).state is JobState.CANCELLED
    assert jobs.get(job.job_id).detail == "the server was stopped"
    wait_until_gone(int(pid_file.read_text()))
    with pytest.raises(Busy, match="stopping"):
        jobs.start(full=False)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} outlived its job"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether the process lives; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_ignores_the_polite_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "GRACE_S", 0.2)
    jobs = jobs_running(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'sys.stderr.write(\'{"stage": "deaf"}\\n\'); sys.stderr.flush(); time.sleep(60)'
    )
    job = jobs.start(full=False)
    eventually(jobs, job, lambda seen: seen.stage == "deaf")
    jobs.close()
    assert jobs.get(job.job_id).state is JobState.CANCELLED


def test_close_without_a_job_and_twice_is_harmless() -> None:
    jobs = jobs_running("print('{}')")
    jobs.close()
    jobs.close()
    with pytest.raises(Busy, match="the server is stopping"):
        jobs.start(full=False)


def test_only_the_last_jobs_are_kept() -> None:
    jobs = Jobs(records_aside(), lambda full: ["/no/such/program"], lambda: NOW)
    started = [jobs.start(full=False).job_id for _ in range(JOBS_KEPT + 2)]
    for forgotten in started[:2]:
        with pytest.raises(UnknownJob, match=forgotten):
            jobs.get(forgotten)
    assert [jobs.get(job_id).job_id for job_id in started[2:]] == started[2:]


def test_another_worker_tells_of_a_job_and_starts_none_beside_it(tmp_path: Path) -> None:
    one = Jobs(JobRecords(tmp_path), lambda full: child(SLEEP), lambda: NOW)
    with worker(tmp_path) as ask:
        job = one.start(full=False)
        assert ask(job.job_id) == "running"
        assert ask("start") == "a reindex is already running; ask again when it is done"
        one.close()
        assert ask(job.job_id) == "cancelled"
        assert ask("start") == "started"


def test_a_job_whose_server_is_gone_has_failed_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    with worker(tmp_path) as ask:
        assert ask("start") == "started"
        (path,) = tmp_path.glob("job-*.json")
        assert Jobs(JobRecords(tmp_path), lambda full: child(SLEEP), lambda: NOW).get(path.stem).state == "running"
    after = Jobs(JobRecords(tmp_path), lambda full: child("print('{}')"), lambda: NOW)
    lost = after.get(path.stem)
    assert (lost.state, lost.detail) == ("failed", "the server that ran it is gone")
    assert lost.finished_at is not None
    assert abs(lost.finished_at.timestamp() - path.stat().st_mtime) < 1e-3
    assert finished(after, after.start(full=False)).state is JobState.SUCCEEDED
    assert len(list(tmp_path.glob("*.owner"))) == 1  # nobody keeps those of the dead


def test_a_record_that_is_cut_short_is_none(tmp_path: Path) -> None:
    (tmp_path / "job-0.json").write_text('{"owner": 1, "job"')
    jobs = Jobs(JobRecords(tmp_path), lambda full: child("print('{}')"), lambda: NOW)
    with pytest.raises(UnknownJob, match="job-0"):
        jobs.get("job-0")
    assert finished(jobs, jobs.start(full=False)).state is JobState.SUCCEEDED


def test_a_full_disk_loses_the_record_and_not_the_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    jobs = Jobs(JobRecords(tmp_path / "file"), lambda full: child("print('{}')"), lambda: NOW)
    assert finished(jobs, jobs.start(full=False)).state is JobState.SUCCEEDED


WORKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from indexer.job_records import JobRecords
from indexer.jobs import Jobs
from models.errors import Busy
command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
jobs = Jobs(JobRecords(Path(sys.argv[1])), lambda full: command, lambda: datetime.now(UTC))
for line in sys.stdin:
    try:
        said = jobs.get(line.strip()).state if line.startswith("job-") else jobs.start(False) and "started"
    except Busy as error:
        said = str(error)
    print(said, flush=True)
jobs.close()
"""


@contextmanager
def worker(folder: Path) -> Iterator[Callable[[str], str]]:
    """Jobs in another process, which is killed in the end; gives how to ask it."""
    command = [sys.executable, "-c", WORKER, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def ask(line: str) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        try:
            yield ask
        finally:
            process.kill()


def test_reindex_command() -> None:
    command = [sys.executable, "-P", "-m", "indexer", "reindex", "--data", "/d", "--json"]
    assert reindex_command(Path("/d"), full=False) == command
    assert reindex_command(Path("/d"), full=True) == [*command, "--full"]
