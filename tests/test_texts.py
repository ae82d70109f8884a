"""Many texts in one array are the texts that went in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.texts import Texts
from indexer.workspace import Folder

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=9)  # lone surrogates too


@given(st.lists(ANY_TEXT, max_size=12), st.integers(-14, 14), st.integers(-14, 14))
def test_they_come_out_as_they_went_in(texts: list[str], first: int, last: int) -> None:
    found = Texts.of(texts)
    assert list(found) == texts
    assert len(found) == len(texts)
    assert [found[place] for place in range(-len(texts), len(texts))] == texts * 2
    assert list(found[first:last]) == texts[first:last]
    assert list(found[1:][1:]) == texts[2:]


def test_what_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        Texts.of(["a"])[1]
    with pytest.raises(ValueError, match="not in steps of 2"):
        Texts.of(["a", "b"])[::2]


def test_blocks_are_joined_without_a_seam() -> None:
    texts = [f"text {number}" * (number % 3) for number in range(10_000)]
    assert list(Texts.of(texts)) == texts


@given(st.lists(st.lists(ANY_TEXT, max_size=4), max_size=5))
def test_written_part_by_part_they_are_read_as_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[str]]
) -> None:
    folder = Folder(tmp_path_factory.mktemp("texts"))
    with folder.texts_writer("some") as writer:
        for part in parts:
            writer.append(part)
    assert list(folder.texts("some")) == [text for part in parts for text in part]


@given(st.lists(ANY_TEXT, min_size=1, max_size=8), st.lists(st.integers(0, 7), max_size=8))
def test_some_in_any_order(texts: list[str], places: list[int]) -> None:
    rows = [place % len(texts) for place in places]
    assert list(Texts.of(texts).at(np.array(rows, np.int64))) == [texts[row] for row in rows]
