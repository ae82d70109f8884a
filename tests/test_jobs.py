"""Jobs: one child at a time, followed to its end."""

import errno
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_double import child, records_aside

from indexer import jobs as jobs_module
from indexer.job_records import JOBS_KEPT, JobRecords
from indexer.jobs import Jobs, Progress, map_command, parse_progress, reindex_command
from models.errors import Busy, StorageUnusable, UnknownJob
from models.job import Job, JobState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SLEEP = "import time; time.sleep(60)"
TALKING = 'import sys, time; sys.stderr.write(\'{"stage": "here"}\\n\'); sys.stderr.flush(); time.sleep(60)'
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
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


@pytest.mark.parametrize("deaf", [False, True])
def test_a_job_is_cancelled_by_whoever_asks(deaf: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "GRACE_S", 0.2)
    jobs = Jobs(JobRecords(tmp_path), lambda full: child((DEAF if deaf else "") + TALKING), lambda: NOW)
    job = jobs.start(full=False)
    eventually(jobs, job, lambda seen: seen.stage == "here")
    another = JobRecords(tmp_path)
    assert another.cancel(job.job_id).state is JobState.RUNNING
    done = finished(jobs, job)
    assert (done.state, done.detail, done.result) == (JobState.CANCELLED, jobs_module.CANCELLED, None)
    assert [each.state for each in another.all()] == [JobState.CANCELLED]
    assert another.cancel(job.job_id).state is JobState.CANCELLED  # which changes nothing
    assert list(tmp_path.glob("*.cancel")) == []


def test_one_that_is_not_there_cannot_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(UnknownJob, match="job-none"):
        Jobs(JobRecords(tmp_path), lambda full: child(SLEEP), lambda: NOW).cancel("job-none")
    assert JobRecords(tmp_path / "nowhere").all() == []


def test_jobs_are_listed_the_last_first(tmp_path: Path) -> None:
    times = iter(range(100))
    jobs = Jobs(
        JobRecords(tmp_path), lambda full: child("print('{}')"), lambda: NOW + timedelta(seconds=next(times))
    )
    started = [finished(jobs, jobs.start(full=False)).job_id for _ in range(3)]
    assert [each.job_id for each in JobRecords(tmp_path).all()] == started[::-1]


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
        assert ask("start") == "a job is already running; ask again when it is done"
        one.close()
        assert ask(job.job_id) == "cancelled"
        assert ask("start") == "started"


def test_a_job_goes_on_without_its_server_and_has_failed_once_it_ends_unseen(tmp_path: Path) -> None:
    with worker(tmp_path) as ask:
        assert ask("start") == "started"
        (path,) = tmp_path.glob("job-*.json")
    after = Jobs(JobRecords(tmp_path), lambda full: child("print('{}')"), lambda: NOW)
    wait_until((tmp_path / "said").exists)  # it says something, which nobody reads any more
    assert after.get(path.stem).state == "running"
    with pytest.raises(Busy, match="a job is already running"):
        after.start(full=False)
    (tmp_path / "end").touch()
    lost = eventually(after, after.get(path.stem), lambda seen: seen.state.is_final)
    assert (lost.state, lost.detail[:36]) == ("failed", "the server that followed it is gone;")
    assert lost.finished_at is not None
    assert abs(lost.finished_at.timestamp() - path.stat().st_mtime) < 1e-3
    assert finished(after, after.start(full=False)).state is JobState.SUCCEEDED
    wait_until(lambda: len(list(tmp_path.glob("*.owner"))) == 1)  # nobody keeps those of the dead
    assert list(tmp_path.glob("*.progress")) == [tmp_path / f"{path.stem}.progress"]  # till the job is forgotten


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "written",
    [
        b'{"owner": 1, "job"',
        b"",
        b"\xff\xfe",
        b'{"owner": "a\\u0000b", "job": JOB}',
        b'{"owner": "OWNER", "job": JOB}',
        b'{"owner": "../../etc/passwd", "job": JOB}',
    ],
)
def test_a_record_that_cannot_be_is_none(written: bytes, tmp_path: Path) -> None:
    job = json.dumps({"job_id": "job-0", "kind": "reindex", "state": "running", "started_at": NOW.isoformat()})
    written = written.replace(b"JOB", job.encode()).replace(b"OWNER", b"x" * 5000)
    (tmp_path / "job-0.json").write_bytes(written)
    (tmp_path / "job-1.json").mkdir()
    jobs = Jobs(JobRecords(tmp_path), lambda full: child("print('{}')"), lambda: NOW)
    for name in ("job-0", "job-1"):
        with pytest.raises(UnknownJob, match=name):
            jobs.get(name)
    assert finished(jobs, jobs.start(full=False)).state is JobState.SUCCEEDED


def test_where_nothing_can_be_kept_no_job_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    jobs = Jobs(JobRecords(tmp_path / "file"), lambda full: child("print('{}')"), lambda: NOW)
    with pytest.raises(StorageUnusable, match="the records of jobs take nothing now: File exists"):
        jobs.start(full=False)


def test_a_disk_that_fills_up_loses_the_record_and_not_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what can no longer be said to have ended is not said to run."""
    end = f"pathlib.Path({str(tmp_path / 'end')!r})"
    code = f"import time, pathlib\nwhile not {end}.exists(): time.sleep(0.01)\nprint('{{}}')"
    jobs = Jobs(JobRecords(tmp_path), lambda full: child(code), lambda: NOW)
    job = jobs.start(full=False)

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    (tmp_path / "end").touch()
    assert finished(jobs, job).state is JobState.SUCCEEDED
    monkeypatch.undo()
    assert JobRecords(tmp_path).running() == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".job")]
    assert finished(jobs, jobs.start(full=False)).state is JobState.SUCCEEDED


def test_of_many_that_start_a_job_at_once_one_does(tmp_path: Path) -> None:
    for _ in range(5):
        everybody = [Jobs(JobRecords(tmp_path), lambda full: child(SLEEP), lambda: NOW) for _ in range(6)]
        with ThreadPoolExecutor(6) as threads:
            outcomes = list(threads.map(started, everybody))
        assert sorted(outcomes) == [False] * 5 + [True]
        for each in everybody:
            each.close()


def started(jobs: Jobs) -> bool:
    try:
        return bool(jobs.start(full=False))
    except Busy:
        return False


WORKER = '''
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from indexer.job_records import JobRecords
from indexer.jobs import Jobs
from models.errors import Busy
code = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
for _ in range(600):
    print('{"stage": "wait", "done": 1}', file=sys.stderr, flush=True)
    (folder / "said").touch()
    time.sleep(0.1)
    if (folder / "end").exists():
        break
"""
command = [sys.executable, "-S", "-c", code, sys.argv[1]]
jobs = Jobs(JobRecords(Path(sys.argv[1])), lambda full: command, lambda: datetime.now(UTC))
for line in sys.stdin:
    try:
        said = jobs.get(line.strip()).state if line.startswith("job-") else jobs.start(False) and "started"
    except Busy as error:
        said = str(error)
    print(said, flush=True)
jobs.close()
'''


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
            process.wait()


def test_another_kind_of_job_runs_as_a_reindex_does_and_not_beside_one(tmp_path: Path) -> None:
    others = {"map": child("import time; time.sleep(60)")}
    jobs = Jobs(JobRecords(tmp_path), lambda full: child("print('{}')"), lambda: NOW, others)
    job = jobs.start_other("map")
    assert (job.kind, job.state) == ("map", JobState.RUNNING)
    with pytest.raises(Busy):
        jobs.start(False)
    with pytest.raises(UnknownJob, match="'atlas'"):
        jobs.start_other("atlas")
    assert [each.job_id for each in jobs.recent()] == [job.job_id]
    jobs.close()
    assert jobs.get(job.job_id).state is JobState.CANCELLED


def test_map_command() -> None:
    command = [sys.executable, "-P", "-m", "indexer", "map", "--data", "/d", "--json"]
    assert map_command(Path("/d")) == command


def test_reindex_command() -> None:
    command = [sys.executable, "-P", "-m", "indexer", "reindex", "--data", "/d", "--json"]
    assert reindex_command(Path("/d"), full=False) == command
    assert reindex_command(Path("/d"), full=True) == [*command, "--full"]
