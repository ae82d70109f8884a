"""Workers that die, hang, or cannot start, and a supervisor that is killed. Real processes that do very little."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.metrics import metrics_folder
from app.supervisor import CANNOT_START

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
# Each worker writes its number into a folder and then does what the folder's name says.
WORK = """
import os, sys, time
from functools import partial
from pathlib import Path
from app.supervisor import Supervisor

def work(folder, beat):
    mine = folder / str(os.getpid())
    if (folder / "fail").exists():
        sys.exit("cannot")
    mine.touch()
    while not (folder / f"hang-{os.getpid()}").exists():
        beat.value = time.monotonic()
        time.sleep(0.02)
    time.sleep(600)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sys.exit(Supervisor(partial(work, folder), 2, (folder / "started").touch, silence_s=1.0).run())
"""


@contextmanager
def supervising(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = folder / "script.py"
    script.write_text(WORK)
    (folder / "workers").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, folder / "workers"], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()
            for worker in seen(folder):
                if is_there(worker):
                    os.kill(worker, signal.SIGKILL)


def seen(folder: Path) -> set[int]:
    """Every worker that ever came to work."""
    return {int(path.name) for path in (folder / "workers").iterdir() if path.name.isdecimal()}


def is_there(worker: int) -> bool:
    try:
        state = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def there(folder: Path) -> set[int]:
    return {worker for worker in seen(folder) if is_there(worker)}


def wait_for(holds: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_workers_are_replaced_one_after_the_other_and_stop_together(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        wait_for(lambda: len(there(tmp_path)) == 2)
        wait_for((tmp_path / "workers" / "started").exists)
        first = min(there(tmp_path))
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(seen(tmp_path)) == 3)
        newest = (seen(tmp_path) - there(tmp_path)) | {max(seen(tmp_path))}
        os.kill(max(newest & there(tmp_path)), signal.SIGKILL)  # right after it started
        wait_for(lambda: len(seen(tmp_path)) == 4 and len(there(tmp_path)) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert there(tmp_path) == set()


def test_one_that_is_killed_while_it_starts_holds_up_nothing(tmp_path: Path) -> None:
    """It never said anything, and another one is stopped: neither keeps the supervisor from its work."""
    with supervising(tmp_path) as process:
        wait_for(lambda: len(there(tmp_path)) == 2)
        one, other = sorted(there(tmp_path))
        os.kill(one, signal.SIGSTOP)
        os.kill(other, signal.SIGKILL)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_for(lambda: len(set(map(int, children.read_text().split())) - {one, other}) >= 1)
        for child in set(map(int, children.read_text().split())) - {one, other}:
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
        wait_for(lambda: len(there(tmp_path) - {one, other}) == 2)  # the stopped one hangs, and is replaced too
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert there(tmp_path) == set()


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        wait_for(lambda: len(there(tmp_path)) == 2)
        hanging = min(there(tmp_path))
        (tmp_path / "workers" / f"hang-{hanging}").touch()
        wait_for(lambda: hanging not in there(tmp_path) and len(there(tmp_path)) == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_workers_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        wait_for(lambda: len(there(tmp_path)) == 2)
        process.kill()
        process.wait(PATIENCE_S)
        wait_for(lambda: not there(tmp_path))
        assert len(seen(tmp_path)) == 2
        assert there(tmp_path) == set()


def test_where_no_worker_can_start_it_gives_up(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        (tmp_path / "workers" / "fail").touch()
        assert process.wait(PATIENCE_S) == CANNOT_START
    assert seen(tmp_path) == set()


def test_workers_that_cannot_start_any_more_are_tried_again_ever_more_slowly(tmp_path: Path) -> None:
    with supervising(tmp_path) as process:
        wait_for(lambda: len(there(tmp_path)) == 2)
        (tmp_path / "workers" / "fail").touch()
        for worker in there(tmp_path):
            os.kill(worker, signal.SIGKILL)
        time.sleep(2.5)
        assert process.poll() is None
        (tmp_path / "workers" / "fail").unlink()
        wait_for(lambda: len(there(tmp_path)) == 2)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_S) == 0


def test_folders_of_killed_processes_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f"stillwatch-metrics-{gone.pid}-x").mkdir()
    (tmp_path / f"stillwatch-metrics-{os.getppid()}-x").mkdir()
    (tmp_path / "stillwatch-metrics-mine-x").mkdir()
    with metrics_folder(tmp_path) as folder:
        assert folder.is_dir()
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {folder.name, f"stillwatch-metrics-{os.getppid()}-x", "stillwatch-metrics-mine-x"}
    assert not folder.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_told_of(workers: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "app", "--data", tmp_path, "--port", str(port), "--workers", str(workers)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == CANNOT_START
    assert "address already in use" in done.stderr.lower()
