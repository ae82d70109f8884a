"""The map: which prompts it shows, what its points know later, and what is kept of it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoder import TinyEncoder
from traffic import background_rows, campaign_rows, published_engine

from indexer.engine import Engine
from indexer.generation import open_current
from indexer.match import Matcher
from indexer.progress import SilentProgress
from indexer.projection import on_plane
from indexer.prompt_map import chosen, draw, newest, rows_now
from indexer.store import Store
from indexer.vectors import FloatArray
from models.errors import GenerationDamaged


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=300), st.integers(1, 200))
def test_a_map_shows_all_campaigns_alike_and_fills_up_with_others(numbers: list[int], points: int) -> None:
    group = np.array(numbers)
    rows = chosen(group, points)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) <= points
    shown = Counter(group[rows].tolist())
    sizes = Counter(numbers)
    counts = [(shown[each], sizes[each]) for each in sizes if each >= 0]
    cut = [n for n, size in counts if n < size]
    assert len(set(cut)) <= 1  # those that are cut are cut to the same
    assert all(n <= max(cut, default=size) for n, size in counts)
    if len(group) <= points:
        assert len(rows) == len(group)


@given(st.lists(st.binary(min_size=1, max_size=2), max_size=60, unique=True), st.data())
def test_points_are_known_again_by_their_fingerprints(heads: list[bytes], data: st.DataObject) -> None:
    """Also where many begin alike."""
    prints = sorted({bytes(8) + head.ljust(8, b"\0") for head in heads})
    wanted = sorted(data.draw(st.lists(st.sampled_from([*prints, bytes(16), b"\xff" * 16]), max_size=20)))
    both = [np.frombuffer(b"".join(each), np.uint8).reshape(-1, 16) for each in (wanted, prints)]
    expected = [prints.index(each) if each in prints else -1 for each in wanted]
    assert rows_now(*both).tolist() == expected


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with published_engine(
        tmp_path_factory.mktemp("map"), [*campaign_rows(0), *background_rows(5000, 300)]
    ) as opened:
        yield opened


def first_two(vectors: FloatArray, seed: int) -> FloatArray:
    assert np.isfinite(vectors).all()
    return vectors[:, :2]


def test_a_map_is_drawn_kept_and_read_again(engine: Engine, tmp_path: Path) -> None:
    settings = engine._settings
    generation = open_current(settings.generations)
    with Store.open(settings.database) as store:
        matcher = Matcher(generation, TinyEncoder())
        drawn = draw(generation, matcher, store, tmp_path, SilentProgress(), 200, first_two)
        again = draw(generation, matcher, store, tmp_path, SilentProgress(), 200, first_two)
    assert len(drawn.prints) == 200
    assert drawn.places.tolist() == again.places.tolist()
    found = newest(tmp_path)
    assert found is not None
    assert (found.generation, found.places.tolist()) == (drawn.generation, drawn.places.tolist())
    for name in ("20250101T000000.000000Z", "20250102T000000.000000Z"):
        (tmp_path / name).mkdir()
    with Store.open(settings.database) as store:
        draw(generation, matcher, store, tmp_path, SilentProgress(), 20, first_two)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20250102T000000.000000Z", drawn.generation]
    np.save(tmp_path / drawn.generation / "xy.npy", np.zeros((3, 2), np.float32))
    with pytest.raises(GenerationDamaged, match=r"\(20, 16\) and \(3, 2\)"):
        newest(tmp_path)
    (tmp_path / drawn.generation / "xy.npy").write_bytes(b"")
    with pytest.raises(GenerationDamaged, match="cannot be read"):
        newest(tmp_path)
    assert newest(tmp_path / "none") is None


def test_the_engine_draws_the_map_that_the_casebook_reads(engine: Engine) -> None:
    assert engine.casebook().mapped() is None
    report = engine.draw_map(SilentProgress())
    found = engine.casebook().mapped()
    assert found is not None
    assert report.points == len(found.rows) == 420
    assert Counter(found.campaigns.tolist()) == {0: 120, -1: 300}
    assert found.places.min() >= 0
    assert found.places.max() <= 1
    first, last = int(found.rows[0]), int(found.rows[-1])
    hits = engine.casebook().prompts_at([last, first, -1, 10**6])
    assert {row: hit.campaign_id is not None for row, hit in hits.items()} == {
        first: found.campaigns[0] == 0,
        last: found.campaigns[-1] == 0,
    }
    # What belongs together lies together: a member's nearest neighbour on the plane is a member.
    places, inside = found.places, found.campaigns == 0
    distance = ((places[inside][:, None] - places[None]) ** 2).sum(axis=2)
    distance[np.arange(inside.sum()), np.flatnonzero(inside)] = np.inf
    assert inside[distance.argmin(axis=1)].mean() > 0.95


@pytest.mark.parametrize("count", [0, 1, 15])
def test_a_few_points_stand_in_a_circle(count: int) -> None:
    placed = on_plane(np.zeros((count, 8), np.float32), 1)
    assert placed.shape == (count, 2)
    assert len({tuple(each) for each in placed.round(4).tolist()}) == count
