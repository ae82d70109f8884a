"""Neighbours as FAISS gives them, against numpy."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from indexer.index import LEAST_CODED, CodeIndex, VectorIndex, centroids
from indexer.vectors import FloatArray, normalise
from models.errors import GenerationDamaged


def unit_rows(seed: int, count: int, dimension: int = 24) -> FloatArray:
    return normalise(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def clustered_rows(seed: int, centres: int, per_centre: int, spread: float) -> FloatArray:
    """Rows round random centres, shuffled."""
    rng = np.random.default_rng(seed)
    middle = np.repeat(unit_rows(seed, centres), per_centre, axis=0)
    rows = middle + (spread * rng.normal(size=middle.shape)).astype(np.float32)
    return normalise(rng.permutation(rows))


def in_lists(rows: FloatArray) -> VectorIndex:
    """Inverted lists, of 40 rows on average."""
    middles = centroids(rows, max(1, len(rows) // 40))
    return VectorIndex.build(rows, middles, (rows @ middles.T).argmax(axis=1).astype(np.int32))


def test_a_flat_index_equals_brute_force() -> None:
    rows, queries = unit_rows(1, 500), unit_rows(2, 40)
    cosines, found = VectorIndex.build(rows).search(queries, 7)
    table = queries @ rows.T
    expected = np.argsort(-table, axis=1)[:, :7]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(cosines, np.take_along_axis(table, expected, 1), atol=1e-6)


def test_higher_is_closer_and_opposite_is_minus_one() -> None:
    rows = np.array([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]], np.float32)
    cosines, found = VectorIndex.build(rows).search(np.array([[1, 0]], np.float32), 4)
    assert found.tolist() == [[0, 3, 1, 2]]
    np.testing.assert_allclose(cosines, [[1.0, 0.6, 0.0, -1.0]], atol=1e-7)


def test_no_more_rows_come_back_than_there_are() -> None:
    rows = unit_rows(3, 3)
    cosines, found = VectorIndex.build(rows).search(rows[:2], 10)
    assert sorted(found[0].tolist()) == [0, 1, 2]
    assert cosines.shape == found.shape == (2, 3)
    assert VectorIndex.build(rows[:0]).search(rows, 5)[1].shape == (3, 0)
    assert VectorIndex.build(rows).search(rows[:0], 2)[1].shape == (0, 2)


def test_cosines_never_leave_their_range() -> None:
    rows = (unit_rows(4, 200) * np.float32(1.000001)).astype(np.float32)
    cosines, _ = VectorIndex.build(rows).search(rows, 1)
    assert cosines.max() <= 1.0


def test_inverted_lists_find_nine_in_ten_of_the_true_neighbours() -> None:
    rows = clustered_rows(7, centres=120, per_centre=40, spread=0.08)
    cosines, found = in_lists(rows).search(rows, 10)
    _, true = VectorIndex.build(rows).search(rows, 10)
    shared = [len(set(a) & set(b)) for a, b in zip(found.tolist(), true.tolist(), strict=True)]
    assert sum(shared) / (10 * len(rows)) >= 0.9
    known = found >= 0
    exact = np.einsum("ij,ikj->ik", rows, rows[found])
    np.testing.assert_allclose(cosines[known], exact[known], atol=1e-4)  # rows are kept as float16
    assert (cosines[~known] == -1.0).all()


def test_inverted_lists_are_the_same_each_time() -> None:
    rows = clustered_rows(8, centres=60, per_centre=30, spread=0.1)
    one, other = (in_lists(rows).search(rows, 5) for _ in range(2))
    np.testing.assert_array_equal(one[1], other[1])


def test_centroids_lie_in_the_middle_of_clusters() -> None:
    rows = clustered_rows(11, centres=5, per_centre=100, spread=0.02)
    middles = centroids(rows, 40)
    assert middles.shape == (40, 24)
    np.testing.assert_allclose(np.linalg.norm(middles, axis=1), 1.0, atol=1e-5)
    assert (rows @ middles.T).max(axis=1).min() > 0.98
    np.testing.assert_array_equal(centroids(rows, 40), middles)
    assert centroids(rows[:3], 40).shape == (3, 24)


@pytest.mark.parametrize("build", [VectorIndex.build, in_lists])
def test_an_index_read_back_answers_the_same(tmp_path: Path, build: Callable[[FloatArray], VectorIndex]) -> None:
    rows = clustered_rows(9, centres=60, per_centre=30, spread=0.1)
    index = build(rows)
    index.write(tmp_path / "rows.faiss")
    read = VectorIndex.read(tmp_path / "rows.faiss")
    assert (len(read), read.dimension) == (len(rows), 24)
    for mine, theirs in zip(read.search(rows[:50], 8), index.search(rows[:50], 8), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("content", [b"", b"not an index at all", None])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rows.faiss"
    VectorIndex.build(unit_rows(10, 100)).write(path)
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(GenerationDamaged, match=r"rows\.faiss is not a readable FAISS index"):
        VectorIndex.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenerationDamaged):
        VectorIndex.read(tmp_path / "absent.faiss")


SHARING = """
import sys
import subprocess
import sys
from pathlib import Path
import numpy as np
from indexer.index import VectorIndex
index = VectorIndex.read(Path(sys.argv[1]))
found = index.search(np.eye(1, index.dimension, dtype=np.float32), 5)[1].tolist()
mapped = any(sys.argv[1] in line for line in open("/proc/self/maps"))
print(found, mapped)
"""


@pytest.mark.parametrize("build", [VectorIndex.build, in_lists])
def test_an_index_that_is_read_is_mapped_and_answers_the_same(
    build: Callable[[FloatArray], VectorIndex], tmp_path: Path
) -> None:
    vectors = normalise(np.random.default_rng(5).standard_normal((3000, 32)).astype(np.float32))
    index = build(vectors)
    index.write(tmp_path / "index.faiss")
    expected = index.search(np.eye(1, 32, dtype=np.float32), 5)[1].tolist()
    command = [sys.executable, "-c", SHARING, str(tmp_path / "index.faiss")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == f"{expected} True"


@pytest.mark.parametrize("dimension", [24, 25, 258])
def test_codes_find_nearly_what_brute_force_does(dimension: int) -> None:
    """Of the ten nearest rows, among a hundred found; and the very nearest is never lost."""
    middles = unit_rows(8, 60, dimension)
    rows = normalise(np.repeat(middles, 50, axis=0) + 0.4 * unit_rows(9, 3000, dimension))
    queries = normalise(rows[::20] + 0.2 * unit_rows(10, 150, dimension))
    codes = CodeIndex.build(rows)
    assert len(codes) == 3000
    found = codes.nearest(queries, 100)
    assert found.shape == (150, 100)
    expected = np.argsort(-queries @ rows.T, axis=1)[:, :10]
    hits = [len(set(mine) & set(best)) for mine, best in zip(found.tolist(), expected.tolist(), strict=True)]
    assert np.mean(hits) >= 9.5
    assert all(best[0] in mine for mine, best in zip(found.tolist(), expected.tolist(), strict=True))


def test_the_same_rows_have_the_same_codes() -> None:
    rows, queries = unit_rows(11, 2000), unit_rows(12, 20)
    one, other = CodeIndex.build(rows), CodeIndex.build(rows)
    np.testing.assert_array_equal(one.nearest(queries, 30), other.nearest(queries, 30))


def test_codes_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows, queries = unit_rows(14, 2000), unit_rows(15, 20)
    codes, path = CodeIndex.build(rows), tmp_path / "codes.faiss"
    codes.write(path)
    np.testing.assert_array_equal(CodeIndex.read(path).nearest(queries, 30), codes.nearest(queries, 30))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(GenerationDamaged, match=r"codes\.faiss is not a readable FAISS index"):
        CodeIndex.read(path)


def test_codes_of_a_few_rows_are_all_found() -> None:
    rows = unit_rows(13, LEAST_CODED + 1)
    found = CodeIndex.build(rows).nearest(rows[:3], 100)
    assert [sorted(each) for each in found.tolist()] == [list(range(LEAST_CODED + 1))] * 3


@pytest.mark.parametrize("build", [VectorIndex.build, in_lists])
@pytest.mark.parametrize("share", [0.0, 0.002, 0.1, 0.9])
def test_only_the_rows_that_count_are_found_and_the_few_there_are_are_found_all(
    build: Callable[[FloatArray], VectorIndex], share: float
) -> None:
    rows, queries = clustered_rows(12, centres=100, per_centre=40, spread=0.3), unit_rows(13, 20)
    only = np.random.default_rng(1).random(len(rows)) < share
    _, found = build(rows).search(queries, 10, only)
    assert only[found[found >= 0]].all()
    table = np.where(only, queries @ rows.T, -np.inf)
    true = np.argsort(-table, axis=1)[:, : min(10, int(only.sum()))]
    shared = [len(set(a) & set(b)) for a, b in zip(found.tolist(), true.tolist(), strict=True)]
    assert sum(shared) >= (0.9 if share > 0.01 else 1.0) * true.size
    _, every = build(rows).search(queries, len(rows), only)
    assert [sorted(each[each >= 0].tolist()) for each in every] == [np.flatnonzero(only).tolist()] * 20


def test_lists_give_all_rows_to_whoever_wants_all() -> None:
    rows = clustered_rows(14, centres=50, per_centre=40, spread=0.3)
    _, found = in_lists(rows).search(rows[:3], len(rows))
    assert [sorted(each.tolist()) for each in found] == [list(range(len(rows)))] * 3


def test_rows_may_be_read_in_any_order() -> None:
    rows = clustered_rows(17, centres=30, per_centre=40, spread=0.2)
    middles = centroids(rows, 30)
    home = (rows @ middles.T).argmax(axis=1).astype(np.int32)
    order = np.random.default_rng(3).permutation(len(rows))
    one, other = VectorIndex.build(rows, middles, home), VectorIndex.build(rows, middles, home, order)
    for found, again in zip(one.search(rows[:200], 10), other.search(rows[:200], 10), strict=True):
        np.testing.assert_array_equal(found, again)
