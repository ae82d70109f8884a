"""Products by bytes against those of float32."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer import byte_products
from indexer.byte_products import ByteRows, are_bytes_exact, cosines_with
from indexer.vectors import FloatArray, normalise


def rows_round(seed: int, count: int, dimension: int, spread: float) -> FloatArray:
    """Rows about so far from one middle; far from everything where `spread` is large."""
    rng = np.random.default_rng(seed)
    middle = normalise(rng.normal(size=(1, dimension)).astype(np.float32))
    return normalise(middle + spread / np.sqrt(dimension) * rng.normal(size=(count, dimension)).astype(np.float32))


@pytest.mark.parametrize(("spread", "error"), [(100.0, 3e-3), (1.0, 3e-3), (0.1, 4e-4), (0.01, 4e-5)])
@pytest.mark.parametrize("dimension", [256, 768])
def test_the_nearer_rows_lie_to_one_another_the_smaller_is_the_error(
    spread: float, error: float, dimension: int
) -> None:
    others, rows = rows_round(1, 333, dimension, spread), rows_round(2, 97, dimension, 1.0)
    found = ByteRows(others).cosines(rows)
    assert (found.dtype, found.shape) == (np.float32, (97, 333))
    wrong = np.abs(found - rows.astype(np.float64) @ others.T.astype(np.float64))
    assert wrong.max() < error
    assert np.sqrt(np.mean(wrong**2)) < error / 4


def test_of_equal_rows_nothing_is_left_to_round() -> None:
    others, rows = np.repeat(rows_round(3, 1, 64, 1.0), 5, axis=0), rows_round(4, 8, 64, 1.0)
    np.testing.assert_allclose(ByteRows(others).cosines(rows), rows @ others.T, atol=1e-6)
    np.testing.assert_allclose(ByteRows(others).cosines(others), 1, atol=1e-6)


def test_a_row_with_one_number_and_a_single_row() -> None:
    axes = np.eye(4, dtype=np.float32)
    np.testing.assert_allclose(ByteRows(axes).cosines(-axes), -np.eye(4), atol=5e-3)
    np.testing.assert_allclose(ByteRows(axes[:1]).cosines(axes), [[1], [0], [0], [0]], atol=1e-6)


def test_what_is_asked_together_makes_no_difference() -> None:
    others, rows = rows_round(5, 200, 256, 0.3), rows_round(6, 60, 256, 1.0)
    together = ByteRows(others).cosines(rows)
    for part in (rows[:1], rows[17:18], rows[40:]):
        first = int(np.flatnonzero((rows == part[0]).all(axis=1))[0])
        np.testing.assert_array_equal(ByteRows(others).cosines(part), together[first : first + len(part)])


def test_for_a_few_askers_rows_are_not_rounded() -> None:
    others, rows = rows_round(9, 40, 64, 1.0), rows_round(10, 5, 64, 1.0)
    np.testing.assert_array_equal(cosines_with(others, 31)(rows), rows @ others.T)
    by_bytes = cosines_with(others, 32)(rows)
    assert are_bytes_exact() != np.array_equal(by_bytes, rows @ others.T)
    np.testing.assert_allclose(by_bytes, rows @ others.T, atol=6e-3)


def test_a_machine_that_cannot_multiply_bytes_exactly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without instructions for it pairs of products are added in 16 bits, which hold no more than 32,767."""

    def saturated(rows: NDArray[np.uint8], columns: NDArray[np.int8]) -> NDArray[np.int32]:
        pairs = rows.astype(np.int32)[:, :, None] * columns.astype(np.int32)[None]
        summed = np.clip(pairs[:, ::2] + pairs[:, 1::2], -(2**15), 2**15 - 1).sum(axis=1)
        whole: NDArray[np.int32] = (summed - 128 * columns.astype(np.int32).sum(axis=0)).astype(np.int32)
        return whole

    others, rows = rows_round(7, 20, 64, 1.0), rows_round(8, 10, 64, 1.0)
    monkeypatch.setattr(byte_products, "_multiply", saturated)
    are_bytes_exact.cache_clear()
    try:
        assert not are_bytes_exact()
        np.testing.assert_array_equal(cosines_with(others, 1_000)(rows), rows @ others.T)
    finally:
        are_bytes_exact.cache_clear()
