"""Which groups are what they were, and which are looked at again."""

from pathlib import Path

import numpy as np
import pytest
from test_groups import corpus_of

from indexer.groups import UNGROUPED, Groups
from indexer.standing import CHANGED, NOTHING_LOOKED, Looked, looked_at, read_looked, standing, write_looked
from indexer.workspace import Folder
from models.view import View

RECURRING = (View.RECURRING,)
PROMPTS = 40


def groups(of_prompt: list[int], views: tuple[View, ...] = RECURRING, strand: list[int] | None = None) -> Groups:
    group = np.array(of_prompt, np.int64)
    strands = np.where(group == UNGROUPED, UNGROUPED, 0) if strand is None else np.array(strand, np.int64)
    return Groups(group, (views,) * (int(group.max()) + 1), strands)


def was(now: Groups, then: Looked, events: int = 1) -> list[int]:
    """Each prompt is sent so many times."""
    corpus = corpus_of(len(now.of_prompt), [(prompt, 0) for prompt in range(len(now.of_prompt))] * events)
    found: list[int] = standing(corpus, now, then).tolist()
    return found


def looked(at: Groups, *events: int) -> Looked:
    return Looked(at, np.array(events), np.full(len(at), len(at.of_prompt)))


BEFORE = groups([0] * 20 + [1] * 10 + [UNGROUPED] * 10)


def test_groups_with_the_same_prompts_are_the_same_whatever_their_numbers() -> None:
    assert was(BEFORE, looked(BEFORE, 20, 10)) == [0, 1]
    assert was(groups([1] * 20 + [0] * 10 + [UNGROUPED] * 10), looked(BEFORE, 20, 10)) == [1, 0]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ([0] * 18 + [UNGROUPED] * 2 + [1] * 10 + [UNGROUPED] * 10, [0, 1]),  # nine tenths are left
        ([0] * 17 + [UNGROUPED] * 3 + [1] * 10 + [UNGROUPED] * 10, [CHANGED, 1]),
        ([0] * 20 + [1] * 10 + [0] * 2 + [UNGROUPED] * 8, [0, 1]),  # or it took some in that were in none
        ([0] * 20 + [1] * 10 + [0] * 3 + [UNGROUPED] * 7, [CHANGED, 1]),
        ([0] * 30 + [UNGROUPED] * 10, [CHANGED]),  # merged
        ([0] * 10 + [1] * 10 + [2] * 10 + [UNGROUPED] * 10, [CHANGED, CHANGED, 1]),  # split
    ],
)
def test_nine_tenths_of_either_must_be_in_both(now: list[int], expected: list[int]) -> None:
    assert was(groups(now), looked(BEFORE, 100, 100)) == expected


def test_a_group_that_grew_by_a_fifth_since_it_was_looked_at_is_looked_at_again() -> None:
    assert was(groups([*BEFORE.of_prompt.tolist(), *[0] * 3]), looked(BEFORE, 20, 10)) == [0, 1]
    assert was(groups([*BEFORE.of_prompt.tolist(), *[0] * 4]), looked(BEFORE, 20, 10)) == [CHANGED, 1]
    assert was(BEFORE, looked(BEFORE, 20, 10), events=2) == [CHANGED, CHANGED]


def test_slow_growth_adds_up() -> None:
    """Two days of a tenth each are a fifth: what counts is when it was looked at, not the day before."""
    corpus = corpus_of(PROMPTS, [(prompt, 0) for prompt in range(PROMPTS)])
    then = looked(groups([0] * 20), 20)
    grown = groups([0] * 22)
    second = looked_at(corpus_of(22, [(prompt, 0) for prompt in range(22)]), grown, np.array([0]), then)
    assert (second.events.tolist(), second.prompts.tolist()) == ([20], [20])
    third = groups([0] * 24 + [UNGROUPED] * 16)
    assert standing(corpus, third, second).tolist() == [CHANGED]
    assert looked_at(corpus, third, np.array([CHANGED]), second).events.tolist() == [24]


def test_slow_exchange_adds_up() -> None:
    """A group that drops a twentieth of its prompts a day, and takes in as many, is looked at again on the
    third.
    """
    corpus = corpus_of(PROMPTS, [(prompt, 0) for prompt in range(PROMPTS)])
    then, found = looked(groups([0] * 20 + [UNGROUPED] * 20), 20), []
    for day in range(1, 5):
        now = groups([UNGROUPED] * day + [0] * 20 + [UNGROUPED] * (20 - day))
        same = standing(corpus, now, then)
        found.append(int(same[0]))
        then = looked_at(corpus, now, same, then)
    assert found == [0, 0, CHANGED, 0]


def test_prompts_that_came_since_do_not_count_as_taken_in() -> None:
    """Of 23 prompts 3 are new; all of the 20 that were there are in it still."""
    now = groups([0] * 20 + [UNGROUPED] * 17 + [0] * 3)
    then = Looked(groups([0] * 20 + [UNGROUPED] * 20), np.array([20]), np.array([37]))
    assert was(now, then) == [0]
    assert was(now, Looked(then.groups, then.events, np.array([40]))) == [CHANGED]


def test_other_views_or_strands_are_a_change() -> None:
    assert (
        was(groups(BEFORE.of_prompt.tolist(), (View.RECURRING, View.EXACT)), looked(BEFORE, 20, 10))
        == [CHANGED] * 2
    )
    two = groups(BEFORE.of_prompt.tolist(), strand=[0] * 10 + [1] * 10 + [0] * 10 + [UNGROUPED] * 10)
    assert was(two, looked(BEFORE, 20, 10)) == [CHANGED, 1]
    assert was(two, looked(two, 20, 10)) == [0, 1]
    other = groups(BEFORE.of_prompt.tolist(), strand=[0] * 5 + [1] * 15 + [0] * 10 + [UNGROUPED] * 10)
    assert was(other, looked(two, 20, 10)) == [CHANGED, 1]


def test_nothing_stands_where_there_was_nothing() -> None:
    assert was(BEFORE, NOTHING_LOOKED) == [CHANGED, CHANGED]
    none = Groups(np.full(PROMPTS, UNGROUPED), (), np.full(PROMPTS, UNGROUPED))
    assert was(none, looked(BEFORE, 20, 10)) == []


def test_they_come_back(tmp_path: Path) -> None:
    write_looked(Folder(tmp_path), looked(BEFORE, 20, 10))
    found = read_looked(Folder(tmp_path))
    np.testing.assert_array_equal(found.groups.of_prompt, BEFORE.of_prompt)
    np.testing.assert_array_equal(found.groups.strand, BEFORE.strand)
    assert (found.groups.views, found.events.tolist()) == (BEFORE.views, [20, 10])
    assert found.prompts.tolist() == [PROMPTS, PROMPTS]
