"""One writer at a time over a data directory, also across processes, and none is left behind by a killed one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer import lock
from indexer.lock import exclusive, is_held
from models.errors import Busy

ROOT = Path(__file__).parents[1]
HOLD = """
import sys
from pathlib import Path
from indexer.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_turned_away_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "data" / "reindex.lock"
    with holder(path) as process:
        with (
            pytest.raises(Busy, match=rf"another process holds reindex\.lock in {tmp_path}/data"),
            exclusive(path),
        ):
            pytest.fail("two hold it")
        process.communicate("end\n")
        assert process.returncode == 0
        with exclusive(path):
            pass


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "reindex.lock"
    with holder(path) as process:
        process.kill()
        process.wait()
        with exclusive(path):
            assert path.is_file()


def test_the_same_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    path = tmp_path / "reindex.lock"
    with exclusive(path):
        with pytest.raises(Busy), exclusive(path):
            pytest.fail("two hold it")
        with pytest.raises(Busy), exclusive(path):  # being turned away does not free it
            pytest.fail("two hold it")


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "reindex.lock"
    with pytest.raises(KeyError), exclusive(path):
        raise KeyError
    with exclusive(path):
        pass


def test_other_locks_are_other_locks(tmp_path: Path) -> None:
    with exclusive(tmp_path / "one.lock"), exclusive(tmp_path / "two.lock"):
        for held in ("one.lock", "two.lock"):
            with pytest.raises(Busy), exclusive(tmp_path / held):
                pass


def test_whether_it_is_held_can_be_seen_without_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    with exclusive(path):
        assert is_held(path)
        assert is_held(path)
    assert not is_held(path)
    with holder(path):
        assert is_held(path)
    assert not is_held(path)


def test_a_lock_file_that_is_removed_on_the_way_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, take = tmp_path / "lock", lock.fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(lock.fcntl, "flock", take)
        path.unlink()
        take(descriptor, operation)

    monkeypatch.setattr(lock.fcntl, "flock", late)
    with exclusive(path):
        assert is_held(path)
