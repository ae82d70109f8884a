"""What the disk is used for."""

from pathlib import Path

import pytest

from indexer.disk import disk_use
from indexer.settings import load_settings
from models.errors import BadSettings


def test_parts_are_added_up_and_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    for name, size in (
        ("stillwatch.db", 10),
        ("stillwatch.db-wal", 5),
        ("generations/20260203T040506.123456Z/whole.faiss", 100),
        ("generations/CURRENT", 20),
        ("vectors/static-1/keys.u8", 16),
        ("jobs/job-1.json", 7),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    found = disk_use(tmp_path)
    assert found.pop("free") > 0
    assert found == {"database": 15, "generations": 120, "vectors": 16, "work": 0}


def test_one_generation_must_be_kept() -> None:
    assert load_settings(None, {"STILLWATCH_KEPT_GENERATIONS": "2"}).kept_generations == 2
    with pytest.raises(BadSettings, match="STILLWATCH_KEPT_GENERATIONS is 0, and one must be kept"):
        load_settings(None, {"STILLWATCH_KEPT_GENERATIONS": "0"})
