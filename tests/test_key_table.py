"""Numbers of keys are those that a dict would give."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.key_table import UNKNOWN, KeyArray, KeyTable, text_keys

# Few values, so that keys come again; equal first halves, so that slots are taken.
KEYS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30)


def array(keys: list[tuple[int, int]]) -> KeyArray:
    return np.array(keys, np.uint64).reshape(-1, 2)


@given(st.lists(KEYS, max_size=4), KEYS)
def test_numbers_equal_those_of_a_dict(batches: list[list[tuple[int, int]]], asked: list[tuple[int, int]]) -> None:
    table, slow = KeyTable(), dict[tuple[int, int], int]()
    for batch in batches:
        expected = [slow.setdefault(key, len(slow)) for key in batch]
        assert table.add(array(batch)).tolist() == expected
    assert len(table) == len(slow)
    assert table.find(array(asked)).tolist() == [slow.get(key, UNKNOWN) for key in asked]


def test_it_grows_and_keeps_all_numbers() -> None:
    keys = text_keys(map(str, range(50_000)))
    table = KeyTable()
    for start in range(0, len(keys), 7_000):
        table.add(keys[start : start + 7_000])
    np.testing.assert_array_equal(table.find(keys), np.arange(len(keys)))
    np.testing.assert_array_equal(table.add(keys[::-1]), np.arange(len(keys))[::-1])
    assert table.find(text_keys(["another"])).tolist() == [UNKNOWN]
