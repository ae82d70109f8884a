"""Distinct hashes of each text, against one sort of all."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.distinct import bucket_counts, count_in, distinct_in_texts
from indexer.grams import bucket_shift, counted

TEXTS = st.lists(st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), max_size=12), max_size=8)


@settings(deadline=None)
@given(TEXTS)
def test_compiled_equals_numpy(texts: list[list[int]]) -> None:
    hashes = np.array([each for text in texts for each in text], np.uint64)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts]).astype(np.int64)
    before = hashes.copy()
    for found, expected in zip(distinct_in_texts(hashes, owners), counted(hashes, owners)[:2], strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    np.testing.assert_array_equal(hashes, before)


def test_hashes_are_counted_by_their_first_bits() -> None:
    shift = bucket_shift(2)
    counts = bucket_counts(shift)
    assert len(counts) == 4096
    count_in(counts, np.array([0, 1, 2**63, 2**64 - 1, 2**64 - 2], np.uint64), shift)
    count_in(counts, np.array([7], np.uint64), shift)
    assert np.flatnonzero(counts).tolist() == [0, 2048, 4095]
    assert counts[[0, 2048, 4095]].tolist() == [3, 1, 2]
